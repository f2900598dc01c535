//! Names and attributes: each change is told once, under the locks, with its inodes.

use crate::bed::{Bed, tier, top};
use diffkeeper_ebpf::loader::Tier;
use diffkeeper_ebpf::wire::{Attr, Entry, Inode, What};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, XattrFlags,
    chmodat, chownat, linkat, mknodat, open, openat, renameat_with, setxattr, utimensat,
};
use std::fs::{self, File, Metadata, symlink_metadata};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// Runs one change below a directory that `before` has filled, and gives what was told of
/// it and the inodes to `check`. Everything must have been ordered.
fn told(
    before: impl FnOnce(&Path),
    change: impl FnOnce(&Path) + Send,
    check: impl FnOnce(&Path, &[What<'_>]),
) {
    let Some(mut bed) = Bed::new() else { return };
    let dir = bed.path("dir");
    fs::create_dir(&dir).unwrap();
    before(&dir);
    bed.ring().drain(|_| {});
    let records = bed.record(|| change(&dir));
    let changes = records.changes();
    for record in &changes {
        let unordered = tier() == Tier::Tracepoint && matches!(record.what, What::Xattr { .. });
        assert_eq!(record.ordered, !unordered, "{record:?}");
    }
    let what: Vec<_> = changes.iter().map(|record| record.what).collect();
    check(&dir, &what);
}

fn stat(path: &Path) -> Metadata {
    symlink_metadata(path).unwrap()
}

/// Identity, kind and owner, all of which hold from the record on.
fn same(inode: &Inode, meta: &Metadata) -> bool {
    (inode.dev, inode.ino) == (meta.dev(), meta.ino())
        && (inode.mode, inode.uid, inode.gid) == (meta.mode(), meta.uid(), meta.gid())
        && inode.rdev == meta.rdev()
}

/// ext4 and tmpfs, whose inodes are known here.
fn tells_births(magic: u32) -> bool {
    [0xef53, 0x0102_1994].contains(&magic)
}

#[track_caller]
fn made(entry: &Entry<'_>, dir: &Path, name: &str) {
    assert_eq!(entry.name, name.as_bytes());
    assert!(same(&entry.parent.unwrap(), &stat(dir)));
    let (inode, meta) = (entry.inode.unwrap(), stat(&dir.join(name)));
    assert!(same(&inode, &meta), "{inode:?} is not {meta:?}");
    // overlayfs counts nothing for the directories that it has made.
    if !meta.is_dir() || tells_births(inode.magic) {
        assert_eq!(u64::from(inode.nlink), meta.nlink());
    }
    if tells_births(inode.magic) {
        let birth = meta.created().unwrap();
        let birth = birth.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(u128::from(inode.birth_ns), birth.as_nanos());
    } else {
        assert_eq!(inode.birth_ns, 0);
    }
}

#[test]
fn create() {
    let change = |dir: &Path| drop(File::create(dir.join("new")).unwrap());
    told(
        |_| {},
        change,
        |dir, told| match told {
            [What::Create(entry)] => made(entry, dir, "new"),
            other => panic!("{other:?}"),
        },
    );
}

/// The name is that which the link leads to.
#[test]
fn create_through_a_symbolic_link() {
    let before = |dir: &Path| symlink("target", dir.join("link")).unwrap();
    let change = |dir: &Path| drop(File::create(dir.join("link")).unwrap());
    told(before, change, |dir, told| match told {
        [What::Create(entry)] => made(entry, dir, "target"),
        other => panic!("{other:?}"),
    });
}

#[test]
fn mkdir_and_rmdir() {
    let change = |dir: &Path| fs::create_dir(format!("{}//sub//", dir.display())).unwrap();
    told(
        |_| {},
        change,
        |dir, told| match told {
            [What::Mkdir(entry)] => made(entry, dir, "sub"),
            other => panic!("{other:?}"),
        },
    );
    let before = |dir: &Path| fs::create_dir(dir.join("sub")).unwrap();
    let change = |dir: &Path| fs::remove_dir(dir.join("sub")).unwrap();
    told(before, change, |dir, told| match told {
        [What::Rmdir(entry)] => {
            assert_eq!((entry.name, entry.inode.unwrap().nlink), (&b"sub"[..], 0));
            assert!(same(&entry.parent.unwrap(), &stat(dir)));
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn mknod() {
    let change = |dir: &Path| {
        let mode = Mode::RUSR;
        mknodat(CWD, dir.join("pipe"), FileType::Fifo, mode, 0).unwrap();
        let null = rustix::fs::makedev(1, 3);
        mknodat(CWD, dir.join("null"), FileType::CharacterDevice, mode, null).unwrap();
        mknodat(CWD, dir.join("plain"), FileType::RegularFile, mode, 0).unwrap();
    };
    told(
        |_| {},
        change,
        |dir, told| match told {
            [What::Mknod(pipe), What::Mknod(null), What::Create(plain)] => {
                made(pipe, dir, "pipe");
                made(null, dir, "null");
                made(plain, dir, "plain");
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn symlinks_short_and_long() {
    let long = "x".repeat(300);
    let change = |dir: &Path| {
        symlink("to/there", dir.join("short")).unwrap();
        symlink(&long, dir.join("long")).unwrap();
    };
    told(
        |_| {},
        change,
        |dir, told| match told {
            [
                What::Symlink {
                    entry: short,
                    target: b"to/there",
                },
                What::Symlink { entry, target },
            ] => {
                made(short, dir, "short");
                made(entry, dir, "long");
                assert_eq!(*target, long.as_bytes());
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn link_and_unlink() {
    let before = |dir: &Path| fs::write(dir.join("one"), "").unwrap();
    let change = |dir: &Path| fs::hard_link(dir.join("one"), dir.join("two")).unwrap();
    told(before, change, |dir, told| match told {
        [What::Link(entry)] => made(entry, dir, "two"),
        other => panic!("{other:?}"),
    });
    let change = |dir: &Path| fs::remove_file(dir.join("one")).unwrap();
    told(before, change, |dir, told| match told {
        [What::Unlink(entry)] => {
            assert_eq!((entry.name, entry.inode.unwrap().nlink), (&b"one"[..], 0));
            assert!(same(&entry.parent.unwrap(), &stat(dir)));
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_file_without_a_name_gets_one() {
    let nameless = |dir: &Path| open(dir, OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR);
    if nameless(&top()).err() == Some(rustix::io::Errno::OPNOTSUPP) {
        eprintln!("SKIPPED: no files without names on this file system");
        return;
    }
    let change = |dir: &Path| {
        let file = nameless(dir).unwrap();
        rustix::io::write(&file, b"bytes").unwrap();
        linkat(&file, "", CWD, dir.join("name"), AtFlags::EMPTY_PATH).unwrap();
    };
    told(
        |_| {},
        change,
        |dir, told| match told {
            [
                What::Create(entry),
                What::Write { inode, .. },
                What::Link(link),
            ] => {
                assert!(entry.name.is_empty());
                assert_eq!(entry.inode.unwrap().nlink, 0);
                assert_eq!(entry.inode.unwrap().ino, inode.ino);
                made(link, dir, "name");
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn renames() {
    let before = |dir: &Path| {
        fs::create_dir(dir.join("sub")).unwrap();
        fs::create_dir(dir.join("moving")).unwrap();
        for name in ["a", "b", "sub/c"] {
            fs::write(dir.join(name), "bytes not yet on disk").unwrap();
        }
    };
    let change = |dir: &Path| {
        fs::rename(dir.join("a"), dir.join("new")).unwrap();
        fs::rename(dir.join("b"), dir.join("sub/c")).unwrap();
        fs::rename(dir.join("moving"), dir.join("sub/moved")).unwrap();
        fs::rename(dir.join("nothing"), dir.join("x")).unwrap_err();
        let flags = RenameFlags::EXCHANGE;
        renameat_with(CWD, dir.join("new"), CWD, dir.join("sub/c"), flags).unwrap();
    };
    told(before, change, |dir, told| {
        let sub = dir.join("sub");
        let expected = [
            (dir, "a", dir, "new", &sub.join("c"), 0),
            (dir, "b", &sub, "c", &dir.join("new"), 0),
            (dir, "moving", &sub, "moved", &sub.join("moved"), 0),
            (dir, "new", &sub, "c", &sub.join("c"), 2),
        ];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (what, (from, old, to, new, inode, flags)) in told.iter().zip(expected) {
            let What::Rename(rename) = what else {
                panic!("{what:?}")
            };
            assert_eq!(rename.from_name, old.as_bytes());
            assert_eq!(rename.to_name, new.as_bytes());
            assert_eq!(rename.flags, flags);
            let inodes = [rename.from_parent, rename.to_parent, rename.inode];
            for (told, path) in inodes.iter().zip([from, to, inode]) {
                assert!(same(&told.unwrap(), &stat(path)), "{old} to {new}");
            }
            assert_eq!(rename.replaced.is_some(), flags == 2);
        }
    });
}

#[test]
fn attributes() {
    let before = |dir: &Path| fs::write(dir.join("file"), "").unwrap();
    let time = Timespec {
        tv_sec: 5,
        tv_nsec: 6,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    let change = |dir: &Path| {
        let file = dir.join("file");
        chmodat(CWD, &file, Mode::RUSR, AtFlags::empty()).unwrap();
        let (user, group) = (Uid::from_raw(7), Gid::from_raw(8));
        chownat(CWD, &file, Some(user), Some(group), AtFlags::empty()).unwrap();
        utimensat(CWD, &file, &times, AtFlags::empty()).unwrap();
    };
    told(before, change, |_, told| match told {
        [
            What::Attr {
                inode: mode,
                attr: Attr::Chmod,
            },
            What::Attr {
                inode: owner,
                attr: Attr::Chown,
            },
            What::Attr {
                inode: time,
                attr: Attr::Utimes,
            },
        ] => {
            assert_eq!(mode.mode, 0o100_400);
            assert_eq!((owner.uid, owner.gid), (7, 8));
            assert_eq!(time.mtime, 5_000_000_006);
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn extended_attributes() {
    let before = |dir: &Path| fs::write(dir.join("file"), "").unwrap();
    let change = |dir: &Path| {
        let file = dir.join("file");
        rustix::fs::removexattr(&file, "trusted.none").unwrap_err();
        setxattr(&file, "trusted.x", b"1", XattrFlags::CREATE).unwrap();
        let open = File::open(&file).unwrap();
        rustix::fs::fremovexattr(&open, "trusted.x").unwrap();
    };
    told(before, change, |dir, told| match told {
        [
            What::Xattr {
                inode,
                name: b"trusted.x",
                removed: false,
            },
            What::Xattr {
                name: b"trusted.x",
                removed: true,
                ..
            },
        ] => assert!(same(inode, &stat(&dir.join("file")))),
        other => panic!("{other:?}"),
    });
}

#[test]
fn lengths() {
    let before = |dir: &Path| fs::write(dir.join("file"), "12345").unwrap();
    let change = |dir: &Path| {
        let file = dir.join("file");
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(9)
            .unwrap();
        File::create(&file).unwrap();
        let dir = open(dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CREATE;
        openat(&dir, "file", flags, Mode::RUSR).unwrap();
    };
    told(before, change, |_, told| {
        let sizes: Vec<_> = told
            .iter()
            .map(|what| match what {
                What::Truncate { inode } => inode.size,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [9, 0, 0]);
    });
}
