//! Draws the viewer as the documentation shows it, from the program itself:
//!
//!     cargo run -p diffkeeper-viewer --example screenshot -- docs/images
#![allow(
    clippy::unwrap_used,
    reason = "it ends with the first thing that goes wrong"
)]

#[path = "../../tests/common/mod.rs"]
mod common;
mod svg;

use std::path::PathBuf;

use diffkeeper_store::model::Seq;
use diffkeeper_viewer::Options;
use diffkeeper_viewer::app::Begin;
use diffkeeper_viewer::harness::with;
use diffkeeper_viewer::theme::{Depth, Theme};

/// The write that broke the test of the sample.
const CULPRIT: u64 = 51;

fn main() {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| PathBuf::from("docs/images"));
    let sample = common::sample();
    let source = sample.source();
    for (name, size, light, keys) in [
        ("tui", (130, 36), false, &["enter"][..]),
        ("tui-side", (130, 36), true, &["p", "tab", "tab", "d"]),
        ("tui-small", (80, 24), false, &[]),
    ] {
        let begin = Begin {
            at: Some(Seq(CULPRIT)),
            ..Begin::default()
        };
        let options = Options {
            begin,
            theme: Theme {
                depth: Depth::Many,
                light,
                ascii: false,
            },
            ..Options::default()
        };
        let picture = with(&source, size, options, |harness| {
            for key in keys {
                harness.settle();
                harness.keys(&[key]);
            }
            harness.settle();
            svg::draw(harness.draw(), light)
        });
        let path = dir.join(format!("{name}.svg"));
        std::fs::write(&path, picture.unwrap()).unwrap();
        println!("{}", path.display());
    }
}
