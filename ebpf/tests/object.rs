//! The committed object is what its sources build to, byte for byte.

#![allow(clippy::unwrap_used, reason = "tests")]
use std::fs::{read, read_dir};
use std::path::Path;
use std::process::Command;

#[test]
fn the_committed_object_is_built_from_its_sources() {
    if Command::new("clang-14").arg("--version").output().is_err() {
        eprintln!("SKIPPED: clang-14 is not installed");
        return;
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf");
    let built = tempfile::tempdir().unwrap();
    let mut build = Command::new(sources.join("build.sh"));
    let output = build.arg(built.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut compared = 0;
    for entry in read_dir(built.path()).unwrap() {
        let entry = entry.unwrap();
        let committed = read(sources.join(entry.file_name())).unwrap();
        let same = read(entry.path()).unwrap() == committed;
        assert!(same, "{} must be built anew", entry.path().display());
        compared += 1;
    }
    assert!(compared > 0);
}
