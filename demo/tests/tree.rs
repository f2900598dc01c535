//! The comparer sees each kind of difference, and a copy has none.
#![cfg(target_os = "linux")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use diffkeeper_demo::tree::{Options, compare, copy, set_mtime};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

/// One of everything.
fn plant(dir: &Path) {
    fs::create_dir_all(dir.join("sub/empty")).unwrap();
    fs::write(dir.join("sub/file"), vec![7; 100_000]).unwrap();
    fs::write(dir.join("twin"), "two names").unwrap();
    fs::hard_link(dir.join("twin"), dir.join("sub/twin")).unwrap();
    fs::write(dir.join("suid"), "").unwrap();
    fs::set_permissions(dir.join("suid"), Permissions::from_mode(0o4711)).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    let name = OsStr::from_bytes(b"bad\xff\n\x1b[2J");
    fs::write(dir.join(name), "odd").unwrap();
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    UnixListener::bind(dir.join("socket")).unwrap();
    set_mtime(&dir.join("dangling"), 1_234_567_891).unwrap();
    set_mtime(&dir.join("sub"), -5).unwrap();
    set_mtime(dir, 987_654_321_000_000_001).unwrap();
}

type Case = (&'static str, fn(&Path), &'static [&'static str]);

/// A change to the copy, and the differences it must show (by the start of their text).
const CASES: &[Case] = &[
    ("nothing", |_| {}, &[]),
    (
        "one byte",
        |dir| {
            let mut bytes = vec![7; 100_000];
            bytes[70_000] = 8;
            write_same_time(&dir.join("sub/file"), &bytes);
        },
        &["sub/file bytes: from offset 70000, lengths 100000, 100000"],
    ),
    (
        "longer",
        |dir| write_same_time(&dir.join("sub/file"), &vec![7; 100_001]),
        &["sub/file bytes: from offset 100000, lengths 100000, 100001"],
    ),
    (
        "mode",
        |dir| fs::set_permissions(dir.join("suid"), Permissions::from_mode(0o711)).unwrap(),
        &["suid mode: 4711, 0711"],
    ),
    (
        "mtime by a nanosecond",
        |dir| set_mtime(&dir.join("dangling"), 1_234_567_892).unwrap(),
        &["dangling mtime: 1234567891 ns, 1234567892 ns"],
    ),
    (
        "mtime of a directory",
        |dir| set_mtime(&dir.join("sub"), -6).unwrap(),
        &["sub mtime: -5 ns, -6 ns"],
    ),
    (
        "mtime of the root",
        |dir| set_mtime(dir, 1).unwrap(),
        &[". mtime"],
    ),
    (
        "target",
        |dir| {
            fs::remove_file(dir.join("dangling")).unwrap();
            symlink("elsewhere", dir.join("dangling")).unwrap();
            set_mtime(&dir.join("dangling"), 1_234_567_891).unwrap();
            set_mtime(dir, 987_654_321_000_000_001).unwrap();
        },
        &["dangling target: nowhere, elsewhere"],
    ),
    (
        "link broken",
        |dir| {
            let (path, kept) = (dir.join("sub/twin"), dir.join("sub/kept"));
            copy(&path, &kept).unwrap();
            fs::rename(kept, path).unwrap();
            set_mtime(&dir.join("sub"), -5).unwrap();
        },
        &[
            "sub/twin hard links: [sub/twin twin], []",
            "twin hard links: [sub/twin twin], []",
        ],
    ),
    (
        "empty directory gone",
        |dir| {
            fs::remove_dir(dir.join("sub/empty")).unwrap();
            set_mtime(&dir.join("sub"), -5).unwrap();
        },
        &["sub/empty only left: Dir"],
    ),
    (
        "another kind",
        |dir| {
            fs::remove_file(dir.join("fifo")).unwrap();
            fs::write(dir.join("fifo"), "").unwrap();
            set_mtime(dir, 987_654_321_000_000_001).unwrap();
        },
        &["fifo kind: Fifo, File"],
    ),
    (
        "a name of bad bytes, escaped",
        |dir| {
            fs::remove_file(dir.join(OsStr::from_bytes(b"bad\xff\n\x1b[2J"))).unwrap();
            set_mtime(dir, 987_654_321_000_000_001).unwrap();
        },
        &["bad\\xff\\n\\x1b[2J only left: File"],
    ),
];

fn write_same_time(path: &Path, bytes: &[u8]) {
    let mtime = fs::metadata(path).unwrap().modified().unwrap();
    let ns = mtime.duration_since(std::time::UNIX_EPOCH).unwrap();
    fs::write(path, bytes).unwrap();
    set_mtime(path, ns.as_nanos() as i128).unwrap();
}

#[test]
fn each_change_is_seen_and_nothing_else() {
    for (name, change, expected) in CASES {
        let dir = tempfile::tempdir().unwrap();
        let (left, right) = (dir.path().join("left"), dir.path().join("right"));
        plant(&left);
        copy(&left, &right).unwrap();
        change(&right);
        let found: Vec<String> = compare(&left, &right, &Options::default())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for (found, expected) in found.iter().zip(*expected) {
            assert!(found.starts_with(expected), "{name}: {found}");
        }
    }
}

#[test]
fn extended_attributes_are_copied_and_compared() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    plant(&left);
    let set = |path: &Path, value: &[u8]| setxattr(path, "user.k", value, XattrFlags::empty());
    if set(&left.join("twin"), b"v").is_err() {
        eprintln!("SKIPPED: no user attributes on this filesystem");
        return;
    }
    set(&left.join("sub"), b"").unwrap();
    copy(&left, &right).unwrap();
    assert_eq!(compare(&left, &right, &Options::default()), []);
    set(&right.join("sub"), b"w").unwrap();
    let found = compare(&left, &right, &Options::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].to_string(), "sub xattrs: [user.k=], [user.k=w]");
}

#[test]
fn owners_are_compared_by_root() {
    let dir = tempfile::tempdir().unwrap();
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    plant(&left);
    if lchown(left.join("dangling"), Some(65534), Some(65534)).is_err() {
        eprintln!("SKIPPED: only root gives files away");
        return;
    }
    copy(&left, &right).unwrap();
    assert_eq!(compare(&left, &right, &Options::default()), []);
    lchown(right.join("dangling"), Some(65533), None).unwrap();
    let found = compare(&left, &right, &Options::default());
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "dangling owner: 65534:65534, 65533:65534";
    assert_eq!(found[0].to_string(), expected);
}

#[test]
fn ignored_names_count_only_at_the_top() {
    let dir = tempfile::tempdir().unwrap();
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    plant(&left);
    copy(&left, &right).unwrap();
    fs::create_dir_all(right.join("state/deep")).unwrap();
    fs::create_dir(right.join("sub/state")).unwrap();
    let options = Options {
        ignore: vec!["state".into()],
        root: false,
        mtimes: false,
        ..Options::default()
    };
    let found = compare(&left, &right, &options);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].to_string(), "sub/state only right: Dir");
}

#[test]
fn a_missing_root_is_a_difference() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    assert_eq!(compare(dir.path(), &missing, &Options::default()).len(), 1);
}
