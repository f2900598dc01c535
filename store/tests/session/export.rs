//! Trees written out: exactly, or with a list of what is not; and never outside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use diffkeeper_store::export::{ExportError, Options, Report, Why, export};
use diffkeeper_store::model::{
    Digest, FileId, Kind, MissingReason, Node, Op, Provenance, Repr, Seq, UnixTime, Version, Xattr,
};
use diffkeeper_store::{Change, NewContent, Seen, SessionWriter};

use crate::contents::{Noise, walk};
use crate::{Bed, SEEN, event, node};

fn own(kind: Kind, mode: u32) -> Node {
    Node {
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: UnixTime {
            sec: 1_000_000,
            nsec: 123_456_789,
        },
        ..node(kind, Vec::new())
    }
}

/// A session whose top directory is the user's own.
fn record(bed: &Bed, write: impl FnOnce(&mut SessionWriter<'_>)) {
    bed.record(|writer| {
        let top = Change::Node {
            file: FileId::TOP,
            node: own(Kind::Dir, 0o755),
        };
        event(writer, 0, 1, Op::Utimes, vec![top]);
        write(writer);
    });
}

fn name(parent: u64, name: &[u8], child: u64) -> Change {
    Change::Name {
        parent: FileId(parent),
        name: name.into(),
        child: Some(FileId(child)),
    }
}

fn put(writer: &mut SessionWriter<'_>, parent: u64, file: u64, called: &[u8], node: Node) {
    let file = FileId(file);
    let changes = vec![name(parent, called, file.0), Change::Node { file, node }];
    event(writer, 0, file.0, Op::Utimes, changes);
}

fn fill(writer: &mut SessionWriter<'_>, file: u64, bytes: &[u8], seen: Seen) {
    let content = writer.encode(FileId(file), bytes, seen).unwrap().unwrap();
    content_is(writer, file, content);
}

fn content_is(writer: &mut SessionWriter<'_>, file: u64, content: NewContent) {
    let file_id = FileId(file);
    let change = Change::Content {
        file: file_id,
        content,
    };
    event(writer, 0, file, Op::Truncate { size: 0 }, vec![change]);
}

fn run(bed: &Bed, out: &Path, options: &Options) -> Result<Report, ExportError> {
    let store = bed.store();
    let session = store.session(None).unwrap();
    let snapshot = session.salvage(Seq(u64::MAX)).unwrap();
    export(&session, &snapshot, out, options, &())
}

fn out(bed: &Bed) -> PathBuf {
    bed.dir.path().join("out")
}

fn mtime(path: &Path) -> (i64, i64) {
    let meta = path.symlink_metadata().unwrap();
    (meta.mtime(), meta.mtime_nsec())
}

/// Something of everything.
fn zoo(writer: &mut SessionWriter<'_>, sparse: &[u8]) {
    put(writer, 1, 2, b"locked", own(Kind::Dir, 0o500));
    put(writer, 2, 3, b"secret", own(Kind::File, 0o400));
    fill(writer, 3, b"secret", SEEN);
    put(writer, 2, 4, b"empty dir", own(Kind::Dir, 0o2755));
    put(writer, 1, 5, b"set-id", own(Kind::File, 0o6751));
    fill(writer, 5, b"#!/bin/sh\n", SEEN);
    let mut link = own(Kind::Symlink, 0o777);
    link.target = b"/nowhere/\xff".to_vec();
    put(writer, 1, 6, b"link", link);
    event(writer, 0, 6, Op::Utimes, vec![name(2, b"also the link", 6)]);
    event(writer, 0, 3, Op::Utimes, vec![name(4, b"also secret", 3)]);
    let mut tagged = own(Kind::File, 0o444);
    tagged.xattrs = vec![Xattr {
        name: b"user.tag".to_vec(),
        value: b"\0value".to_vec(),
    }];
    put(writer, 1, 7, b"t\xe4gged\n\x1b", tagged);
    put(writer, 1, 8, b"fifo", own(Kind::Fifo, 0o622));
    put(writer, 1, 9, b"socket", own(Kind::Socket, 0o700));
    put(writer, 1, 10, b"sparse", own(Kind::File, 0o666));
    let seen = Seen {
        sparse: true,
        ..SEEN
    };
    fill(writer, 10, sparse, seen);
}

#[test]
fn a_tree_is_written_exactly() {
    let bed = Bed::new();
    let mut sparse = vec![0; 4 << 20];
    sparse[1 << 20] = 1;
    sparse.extend(vec![0; 100]);
    record(&bed, |writer| zoo(writer, &sparse));
    let out = out(&bed);
    let report = run(&bed, &out, &Options::default()).unwrap();
    assert!(report.left_out.is_empty(), "{:?}", report.left_out);
    let counts = (
        report.files,
        report.dirs,
        report.symlinks,
        report.specials,
        report.links,
    );
    assert_eq!(counts, (4, 3, 1, 2, 2));
    let mode = |path: &str| out.join(path).symlink_metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("locked"), 0o500);
    assert_eq!(mode("locked/empty dir"), 0o2755);
    assert_eq!(mode("locked/secret"), 0o400);
    assert_eq!(mode("set-id"), 0o6751);
    assert_eq!(mode("fifo"), 0o622);
    assert_eq!(mode("sparse"), 0o666);
    let read = |path: &str| std::fs::read(out.join(path)).unwrap();
    assert_eq!(read("locked/secret"), b"secret");
    assert_eq!(read("set-id"), b"#!/bin/sh\n");
    assert!(read("sparse") == sparse);
    assert!(out.join("sparse").metadata().unwrap().blocks() <= 16);
    for path in ["link", "locked", "locked/empty dir", "fifo", "socket"] {
        assert_eq!(mtime(&out.join(path)), (1_000_000, 123_456_789), "{path}");
    }
    assert_eq!(mtime(&out.join("locked/secret")), (7, 8));
    let inode = |path: &str| out.join(path).symlink_metadata().unwrap().ino();
    assert_eq!(
        inode("locked/secret"),
        inode("locked/empty dir/also secret")
    );
    assert_eq!(inode("link"), inode("locked/also the link"));
    let target = out.join("link").read_link().unwrap();
    assert_eq!(target.as_os_str().as_bytes(), b"/nowhere/\xff");
    let type_of = |path: &str| out.join(path).symlink_metadata().unwrap().file_type();
    assert!(type_of("fifo").is_fifo() && type_of("socket").is_socket());
    let tagged = out.join(OsStr::from_bytes(b"t\xe4gged\n\x1b"));
    assert_eq!(tagged.metadata().unwrap().mode() & 0o7777, 0o444);
    let mut value = [0; 16];
    match rustix::fs::getxattr(&tagged, "user.tag", &mut value) {
        Ok(n) => {
            assert_eq!(&value[..n], b"\0value");
            assert!(report.is_exact(), "{:?}", report.refused);
        }
        Err(_) => assert_eq!(report.refused.xattrs, 1, "a filesystem without them"),
    }
}

#[test]
fn another_owner_is_set_or_counted_and_never_lends_his_rights() {
    let bed = Bed::new();
    record(&bed, |writer| {
        let mut theirs = own(Kind::File, 0o4755);
        theirs.uid = 54_321;
        put(writer, 1, 2, b"theirs", theirs);
    });
    let report = run(&bed, &out(&bed), &Options::default()).unwrap();
    let meta = out(&bed).join("theirs").metadata().unwrap();
    if report.refused.owners == 0 {
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (54_321, 0o4755));
    } else {
        assert_eq!(meta.mode() & 0o7777, 0o755);
        assert!(!report.is_exact());
    }
}

#[test]
fn only_an_absent_or_empty_directory_is_written_to() {
    let bed = Bed::new();
    record(&bed, |writer| {
        put(writer, 1, 2, b"f", own(Kind::File, 0o644))
    });
    let path = |name: &str| bed.dir.path().join(name);
    std::fs::create_dir(path("empty")).unwrap();
    std::fs::create_dir(path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(path("elsewhere"), path("symlink")).unwrap();
    std::os::unix::fs::symlink(path("absent"), path("dangling")).unwrap();
    std::fs::write(path("file"), "").unwrap();
    for name in ["symlink", "symlink/", "dangling", "file"] {
        let refused = run(&bed, &path(name), &Options::default());
        assert!(
            matches!(refused, Err(ExportError::NotADirectory(_))),
            "{name}"
        );
    }
    assert_eq!(std::fs::read_dir(path("elsewhere")).unwrap().count(), 0);
    assert!(!path("absent").exists());
    run(&bed, &path("empty"), &Options::default()).unwrap();
    run(&bed, &path("new/deep"), &Options::default()).unwrap();
    assert!(path("new/deep/f").exists());
    let again = run(&bed, &path("empty"), &Options::default());
    assert!(matches!(again, Err(ExportError::NotEmpty(_))));
}

#[test]
fn what_was_not_recorded_is_listed_and_not_made_up() {
    let bed = Bed::new();
    record(&bed, |writer| {
        put(writer, 1, 2, b"missing", own(Kind::File, 0o644));
        let version = Version {
            length: 5,
            digest: None,
            provenance: Provenance::Observed,
            mtime: UnixTime::default(),
            sparse: false,
            redacted: false,
            repr: Repr::Missing(MissingReason::Unreadable),
        };
        content_is(writer, 2, NewContent::missing(version));
        event(writer, 0, 2, Op::Utimes, vec![name(1, b"missing too", 2)]);
        put(writer, 1, 3, b"there", own(Kind::File, 0o644));
    });
    let report = run(&bed, &out(&bed), &Options::default()).unwrap();
    let left: Vec<_> = report
        .left_out
        .iter()
        .map(|left| left.path.as_slice())
        .collect();
    assert_eq!(left, [&b"missing"[..], b"missing too"]);
    assert_eq!(
        report.left_out[0].why,
        Why::Missing(MissingReason::Unreadable)
    );
    assert!(!report.is_exact() && !report.is_damaged());
    assert!(!out(&bed).join("missing").exists());
    assert_eq!(std::fs::read(out(&bed).join("there")).unwrap(), b"");
}

#[test]
fn damage_costs_only_the_file_it_hit() {
    let bed = Bed::new();
    let mut noise = Noise(11);
    let contents: Vec<_> = (0..5).map(|_| noise.bytes(300_000)).collect();
    let long = noise.bytes(diffkeeper_store::WHOLE_MAX as usize + (3 << 20));
    record(&bed, |writer| {
        for (file, bytes) in (2..).zip(&contents) {
            put(
                writer,
                1,
                file,
                format!("f{file}").as_bytes(),
                own(Kind::File, 0o644),
            );
            fill(writer, file, bytes, SEEN);
        }
        put(writer, 1, 9, b"long", own(Kind::File, 0o644));
        let open = || Ok(std::io::Cursor::new(&long));
        let content = writer.encode_long(FileId(9), SEEN, open).unwrap().unwrap();
        content_is(writer, 9, content);
    });
    let spoil = |needle: &[u8]| {
        let files = walk(&bed.dir.path().join("state/db"));
        let hits = files.into_iter().filter(|file| {
            let mut stored = std::fs::read(file).unwrap();
            let at = stored.windows(32).position(|window| window == needle);
            at.is_some_and(|at| {
                stored[at] ^= 1;
                std::fs::write(file, stored).unwrap();
                true
            })
        });
        assert_eq!(hits.count(), 1);
    };
    spoil(&contents[2][1000..1032]);
    // Noticed while it is written: the part that was written goes again.
    let late = long.len() - 100_000;
    spoil(&long[late..late + 32]);
    let report = run(&bed, &out(&bed), &Options::default()).unwrap();
    let left: Vec<_> = report
        .left_out
        .iter()
        .map(|left| left.path.as_slice())
        .collect();
    assert_eq!(left, [&b"f4"[..], b"long"]);
    assert!(report.is_damaged());
    for (file, bytes) in (2..).zip(&contents) {
        let path = out(&bed).join(format!("f{file}"));
        assert_eq!(path.exists(), file != 4);
        assert!(file == 4 || std::fs::read(path).unwrap() == *bytes);
    }
    assert!(!out(&bed).join("long").exists());
}

#[test]
fn hostile_names_and_trees_stay_inside() {
    let bed = Bed::new();
    let outside = bed.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    record(&bed, |writer| {
        let mut link = own(Kind::Symlink, 0o777);
        link.target = outside.as_os_str().as_bytes().to_vec();
        put(writer, 1, 2, b"a", link);
        // Entries of the symlink, as if it were a directory.
        put(writer, 2, 3, b"through", own(Kind::File, 0o644));
        for (file, called) in (10..).zip([&b".."[..], b".", b"a/evil", b"../evil", b"/evil"]) {
            put(writer, 1, file, called, own(Kind::File, 0o644));
        }
        put(writer, 1, 30, &[b'x'; 300], own(Kind::File, 0o644));
        put(writer, 1, 31, &[b'y'; 300], own(Kind::Dir, 0o755));
        put(writer, 31, 32, b"below", own(Kind::File, 0o644));
        // A directory with two names, one of them inside itself.
        put(writer, 1, 40, b"dir", own(Kind::Dir, 0o755));
        event(writer, 0, 40, Op::Utimes, vec![name(40, b"loop", 40)]);
        event(writer, 0, 40, Op::Utimes, vec![name(1, b"twice", 40)]);
        event(writer, 0, 50, Op::Utimes, vec![name(1, b"unknown", 50)]);
        put(writer, 1, 60, b"good", own(Kind::File, 0o644));
    });
    let report = run(&bed, &out(&bed), &Options::default()).unwrap();
    let left: Vec<_> = report
        .left_out
        .iter()
        .map(|left| String::from_utf8_lossy(&left.path).into_owned())
        .collect();
    let long = ["x", "y"].map(|byte| byte.repeat(300));
    let below = format!("{}/below", long[1]);
    let top = std::iter::repeat_n("", 5);
    let expected: Vec<_> = top
        .chain(["dir/loop", "twice", "unknown", &long[0], &long[1], &below])
        .collect();
    assert_eq!(left, expected);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!bed.dir.path().join("evil").exists());
    let mut written: Vec<_> = std::fs::read_dir(out(&bed))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, ["a", "dir", "good"]);
    let store = bed.store();
    let strict = store
        .session(None)
        .unwrap()
        .snapshot(Seq(u64::MAX))
        .map(drop);
    assert!(strict.is_err(), "a snapshot is whole unless it is salvaged");
}

#[test]
fn globs_choose_entries_with_what_is_above_and_below() {
    let bed = Bed::new();
    record(&bed, |writer| {
        put(writer, 1, 2, b"src", own(Kind::Dir, 0o755));
        put(writer, 2, 3, b"deep", own(Kind::Dir, 0o755));
        put(writer, 3, 4, b"a.log", own(Kind::File, 0o644));
        put(writer, 3, 5, b"b.txt", own(Kind::File, 0o644));
        put(writer, 1, 6, b"logs", own(Kind::Dir, 0o755));
        put(writer, 6, 7, b"c.txt", own(Kind::File, 0o644));
        put(writer, 1, 8, b"rest", own(Kind::Dir, 0o755));
    });
    let glob = |glob: &str| globset::Glob::new(glob).unwrap();
    let set = globset::GlobSetBuilder::new()
        .add(glob("**/*.log"))
        .add(glob("logs"))
        .build();
    let options = Options {
        supply: None,
        paths: Some(set.unwrap()),
    };
    let report = run(&bed, &out(&bed), &options).unwrap();
    assert_eq!((report.files, report.dirs), (2, 4));
    assert!(out(&bed).join("src/deep/a.log").exists());
    assert!(!out(&bed).join("src/deep/b.txt").exists());
    assert!(out(&bed).join("logs/c.txt").exists());
    assert!(!out(&bed).join("rest").exists());
}

#[test]
fn a_wrong_digest_is_damage() {
    let bed = Bed::new();
    record(&bed, |writer| {
        put(writer, 1, 2, b"f", own(Kind::File, 0o644));
        let mut content = writer.encode(FileId(2), b"truth", SEEN).unwrap().unwrap();
        content.encoded.version.digest = Some(Digest::of(b"lies!"));
        content_is(writer, 2, content);
    });
    let report = run(&bed, &out(&bed), &Options::default()).unwrap();
    assert!(report.is_damaged());
    assert!(!out(&bed).join("f").exists());
}

#[test]
fn deep_and_wide_trees_need_few_descriptors() {
    let bed = Bed::new();
    record(&bed, |writer| {
        for depth in 0..300 {
            let parent = if depth == 0 { 1 } else { 1 + depth };
            put(writer, parent, 2 + depth, b"d", own(Kind::Dir, 0o755));
            put(writer, parent, 1000 + depth, b"f", own(Kind::File, 0o644));
        }
        for wide in 0..1500 {
            let called = format!("wide{wide}");
            put(
                writer,
                1,
                2000 + wide,
                called.as_bytes(),
                own(Kind::Dir, 0o700),
            );
        }
    });
    let report = run(&bed, &out(&bed), &Options::default()).unwrap();
    assert!(report.is_exact(), "{:?}", report.left_out.first());
    assert_eq!((report.files, report.dirs), (300, 1801));
    let mut deepest = out(&bed);
    deepest.extend(std::iter::repeat_n("d", 300));
    assert!(deepest.is_dir());
}
