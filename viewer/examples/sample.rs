//! The viewer on the made-up session of the documentation's pictures, without a recording:
//!
//!     cargo run -p diffkeeper-viewer --example sample
#![allow(
    clippy::unwrap_used,
    reason = "it ends with the first thing that goes wrong"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use diffkeeper_viewer::theme::Theme;
use diffkeeper_viewer::{Options, run};

fn main() {
    let sample = common::sample();
    let options = Options {
        program: [&b"diffkeeper"[..], b"tui"].map(<[u8]>::to_vec).into(),
        theme: Theme::from_env(|name| std::env::var(name).ok()),
        ..Options::default()
    };
    let ended = run(&sample.source(), options).unwrap();
    println!("{}", ended.command_line);
}
