//! Against the kernel itself: skipped where its programs cannot be loaded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use super::{CALM, CALM_LOOK, Fact, Kernel, Wishes, is_of_processes, wire};
use crate::scope::Scope;
use crate::source::Source;
use diffkeeper_ebpf::loader::Tier;

#[test]
fn after_a_calm_the_first_change_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (root, state) = (dir.path().join("root"), dir.path().join("state"));
    for dir in [&root, &state] {
        fs::create_dir(dir).unwrap();
    }
    let scope = Scope::new(std::slice::from_ref(&root), &state, &[]).unwrap();
    let wishes = Wishes {
        ring_bytes: 1 << 20,
        sudo: false,
        ..Wishes::default()
    };
    let mut source = Kernel::new(Tier::Tracepoint, state.join("canaries"), wishes);
    let (sink, facts) = unbounded();
    if let Err(error) = source.start(Arc::new(scope), sink) {
        eprintln!("SKIPPED: the programs do not load here: {error}");
        return;
    }
    source.sync(Duration::from_secs(10)).unwrap();
    sleep(CALM * 2);
    while facts.try_recv().is_ok() {}
    let written = Instant::now();
    // By another process: the recorder does not record itself.
    let touch = Command::new("touch").arg(root.join("file")).status();
    assert!(touch.unwrap().success());
    let is_change = |fact: &Fact| match fact {
        Fact::Record(bytes) => !is_of_processes(&wire::decode(bytes).unwrap().what),
        _ => false,
    };
    while !is_change(&facts.recv_timeout(CALM_LOOK * 2).unwrap().fact) {}
    assert!(written.elapsed() < CALM_LOOK / 4, "{:?}", written.elapsed());
}
