//! BSDIFF40: exchange with the programs `bsdiff` and `bspatch`, and headers that lie.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bzip2::Compression;
use bzip2::write::BzEncoder;
use diffkeeper_store::patch::CodecError;
use diffkeeper_store::patch::bsdiff::{apply, encode};

use crate::data::{noise, text};

/// Two versions with a block edit, scattered bytes, an insertion and a cut.
fn pairs() -> Vec<(Vec<u8>, Vec<u8>)> {
    let old = [noise(1, 20_000), text(400)].concat();
    let mut new = old.clone();
    new[500..700].fill(7);
    new.iter_mut()
        .skip(3000)
        .step_by(97)
        .for_each(|byte| *byte ^= 5);
    new.splice(9000..9000, *b"inserted");
    new.drain(15_000..15_500);
    vec![
        (old.clone(), new),
        (old.clone(), Vec::new()),
        (Vec::new(), old.clone()),
        (old.clone(), old),
    ]
}

/// Whether a program is there; says so when it is not, since a test that is not run proves nothing.
fn installed(program: &str) -> bool {
    let started = Command::new(program)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if started.is_err() {
        // Past the capture of the test harness, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
    }
    started.is_ok()
}

fn run(program: &str, files: [&Path; 3]) {
    let status = Command::new(program).args(files).status().unwrap();
    assert!(status.success(), "{program}: {status}");
}

#[test]
fn bspatch_accepts_our_patches() {
    if !installed("bspatch") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [old_file, new_file, patch] = ["old", "new", "patch"].map(|name| dir.path().join(name));
    for (old, new) in pairs() {
        fs::write(&old_file, &old).unwrap();
        fs::write(&patch, encode(&old, &new).unwrap()).unwrap();
        run("bspatch", [&old_file, &new_file, &patch]);
        assert!(fs::read(&new_file).unwrap() == new);
    }
}

#[test]
fn we_accept_patches_of_bsdiff() {
    if !installed("bsdiff") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [old_file, new_file, patch] = ["old", "new", "patch"].map(|name| dir.path().join(name));
    // The program cannot map an empty file.
    let full = |(old, new): &(Vec<u8>, Vec<u8>)| !old.is_empty() && !new.is_empty();
    for (old, new) in pairs().into_iter().filter(full) {
        fs::write(&old_file, &old).unwrap();
        fs::write(&new_file, &new).unwrap();
        run("bsdiff", [&old_file, &new_file, &patch]);
        let patch = fs::read(&patch).unwrap();
        assert!(apply(&old, &patch, new.len()).unwrap() == new);
    }
}

/// A patch from parts: control triples, bytes to add, bytes to copy, and a claimed new length.
fn patch(triples: &[[i64; 3]], add: &[u8], copy: &[u8], new_len: i64) -> Vec<u8> {
    let control: Vec<u8> = triples.iter().flatten().flat_map(|n| integer(*n)).collect();
    let [control, add, copy] = [&control, add, copy].map(bzip2);
    let mut patch = b"BSDIFF40".to_vec();
    for length in [control.len() as i64, add.len() as i64, new_len] {
        patch.extend(integer(length));
    }
    [patch, control, add, copy].concat()
}

fn integer(value: i64) -> [u8; 8] {
    let sign = if value < 0 { 1 << 63 } else { 0 };
    (value.unsigned_abs() | sign).to_le_bytes()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_patch_from_parts_applies() {
    let made = patch(&[[2, 1, -1], [2, 0, 0]], &[0, 1, 0, 0], b"!", 5);
    assert_eq!(apply(b"abc", &made, 5).unwrap(), b"ac!bc");
}

#[test]
fn controls_that_lie_are_refused() {
    let base = Err(CodecError::Base { base_len: 3 });
    // Adds past the end of the old version, or before its begin.
    assert_eq!(
        apply(b"abc", &patch(&[[4, 0, 0]], &[0; 4], b"", 4), 4),
        base
    );
    assert_eq!(
        apply(b"abc", &patch(&[[1, 0, -9], [1, 0, 0]], &[0; 4], b"", 2), 2),
        base
    );
    for triple in [
        [0, i64::MAX, 0],
        [0, -1, 0],
        [-1, 0, 0],
        [2, 9, 0],
        [1, 0, i64::MAX],
    ] {
        let bad = patch(&[triple, [0, 0, i64::MAX]], &[0; 8], &[0; 8], 8);
        let refused = apply(&[0; 16], &bad, 8);
        assert!(
            matches!(refused, Err(CodecError::Malformed(_))),
            "{triple:?}: {refused:?}"
        );
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let good = patch(&[[0, 3, 0]], b"", b"abc", 3);
    assert_eq!(apply(b"", &good, 3).unwrap(), b"abc");
    for at in [8, 16, 24] {
        for lie in [i64::MAX, -1, -i64::MAX, 1 << 40] {
            let mut bad = good.clone();
            bad[at..at + 8].copy_from_slice(&integer(lie));
            assert!(apply(b"", &bad, 3).is_err(), "{lie} at {at}");
        }
    }
    for cut in 0..good.len() {
        // Cut within the last stream's trailer, all bytes may be there already.
        if let Ok(new) = apply(b"", &good[..cut], 3) {
            assert_eq!(new, b"abc");
        }
    }
}

#[test]
fn an_endless_row_of_empty_triples_ends() {
    // 24 MB of triples in a few hundred bytes, none of which produces anything.
    let bomb = patch(&vec![[0, 0, 0]; 1_000_000], b"", b"", 3);
    assert!(bomb.len() < 2_000, "{}", bomb.len());
    let expected = Err(CodecError::Length {
        expected: 3,
        found: 0,
    });
    assert_eq!(apply(b"abc", &bomb, 3), expected);
}
