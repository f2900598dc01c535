//! Tests of the stable read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, mknodat};

use super::super::stat;
use super::*;

const LIMIT: usize = 1 << 20;

fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf, NodeIdent) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, content).unwrap();
    let ident = stat(&path).unwrap().unwrap().ident;
    (dir, path, ident)
}

#[test]
fn a_quiet_file_is_stable() {
    let (_dir, path, ident) = file(b"hello");
    let mut buf = b"left over".to_vec();
    let Read::Stable { stat, .. } = read_stable(&path, &ident, LIMIT, &mut buf) else {
        panic!("not stable");
    };
    assert_eq!(buf, b"hello");
    assert_eq!((stat.size, stat.ident), (5, ident));
}

#[test]
fn an_old_file_is_certain_and_a_fresh_one_only_where_the_clock_is_fine() {
    let (_dir, path, _) = file(b"x");
    let open = File::open(&path).unwrap();
    let mut seen = stat_file(&open).unwrap();
    let later = UnixTime {
        sec: seen.ctime.sec + 1,
        nsec: seen.ctime.nsec,
    };
    assert!(!may_hide_changes(&seen, later, &open));
    assert_eq!(
        may_hide_changes(&seen, seen.ctime, &open),
        !multigrain(&open)
    );
    seen.ctime.nsec = 0;
    seen.mtime.nsec = 0;
    assert!(may_hide_changes(&seen, later, &open));
}

#[test]
fn a_long_file_is_handed_over_open_and_its_change_is_noticed() {
    let (_dir, path, ident) = file(&[1; 100]);
    let mut buf = Vec::new();
    let Read::Large(mut large) = read_stable(&path, &ident, 99, &mut buf) else {
        panic!("not large");
    };
    let mut streamed = Vec::new();
    large.file.read_to_end(&mut streamed).unwrap();
    assert_eq!(streamed, [1; 100]);
    assert!(large.recheck().unwrap().is_some());
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"more")
        .unwrap();
    assert_eq!(large.recheck().unwrap(), None);
}

#[test]
fn absence_and_replacement_are_told_apart() {
    let (dir, path, ident) = file(b"old");
    let read = |path: &Path| read_stable(path, &ident, LIMIT, &mut Vec::new());
    assert!(matches!(read(&dir.path().join("absent")), Read::Gone));
    assert!(matches!(read(&path.join("below")), Read::Gone));
    fs::write(dir.path().join("new"), "new").unwrap();
    fs::rename(dir.path().join("new"), &path).unwrap();
    assert!(matches!(read(&path), Read::Replaced));
    fs::remove_file(&path).unwrap();
    symlink("new", &path).unwrap();
    assert!(matches!(read(&path), Read::Replaced));
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert!(matches!(read(&path), Read::Replaced), "blocked or misread");
}

/// A writer fills the file with one byte value at a time; a read must never mix two.
#[test]
fn a_file_under_constant_change_is_torn_or_whole() {
    let (_dir, path, ident) = file(&vec![0; 1 << 18]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
            for value in (0..=255_u8).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                for _ in 0..64 {
                    writer.write_all(&[value; 1 << 12]).unwrap();
                }
                writer.seek(SeekFrom::Start(0)).unwrap();
            }
        });
        let mut buf = Vec::new();
        let mut torn = 0;
        for _ in 0..20_000 {
            if torn > 2 {
                break;
            }
            match read_stable(&path, &ident, LIMIT, &mut buf) {
                Read::Torn => torn += 1,
                // Between two writes the mix of two rounds is what stood in the file.
                Read::Stable { racy: false, .. } => {
                    let edges = buf.windows(2).filter(|pair| pair[0] != pair[1]).count();
                    assert!(edges <= 1, "a state that never was: {edges} edges");
                }
                Read::Stable { racy: true, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(torn > 0, "the writer never got in the way");
    });
}

#[test]
fn a_second_look_sees_a_write_under_way() {
    let (_dir, path, _) = file(&[7; 40_000]);
    let mut open = File::open(&path).unwrap();
    let mut seen = vec![7; 40_000];
    assert!(reads_again(&mut open, &seen).unwrap());
    seen[39_999] = 8;
    assert!(!reads_again(&mut open, &seen).unwrap());
    seen.push(7);
    assert!(!reads_again(&mut open, &seen).unwrap());
}

#[test]
fn releases_are_compared_as_numbers() {
    assert_eq!(release(b"6.9.0-rc1"), Some((6, 9)));
    assert_eq!(release(b"6.18.44-x"), Some((6, 18)));
    assert_eq!(release(b"weird"), None);
}
