//! Attributes of what was just created: owner, extended attributes, mode, times, in the
//! order in which none undoes another.

use std::ffi::OsStr;
use std::ops::AddAssign;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::model::{Kind, UnixTime};
use crate::snapshot::Entry;

const SET_ID: u32 = 0o6000;

/// Attributes that could not be set, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Nodes that have another owner or group. They lose their set-id bits, which would
    /// speak for the wrong user.
    pub owners: u64,
    /// Nodes whose permission bits could not be set.
    pub modes: u64,
    /// Extended attributes.
    pub xattrs: u64,
    /// Nodes with another mtime.
    pub times: u64,
}

impl AddAssign for Refusals {
    fn add_assign(&mut self, other: Self) {
        self.owners += other.owners;
        self.modes += other.modes;
        self.xattrs += other.xattrs;
        self.times += other.times;
    }
}

/// What a new file gets without being told.
pub(crate) struct Defaults {
    /// Owner and group, where they can be foretold.
    owner: Option<(u32, u32)>,
    /// Bits of a mode that creation drops.
    umask: u32,
}

impl Defaults {
    /// Asks the filesystem with a file that has no name. Reading the umask of the
    /// process would mean to change it under other threads.
    pub(crate) fn probe(top: &OwnedFd) -> Self {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o777);
        let probe = rustix::fs::openat(top, ".", flags, mode).and_then(rustix::fs::fstat);
        match probe {
            Ok(stat) => Self {
                owner: Some((stat.st_uid, stat.st_gid)),
                umask: 0o777 & !stat.st_mode,
            },
            Err(_) => Self {
                owner: None,
                umask: 0o777,
            },
        }
    }
}

/// Where a node is that attributes are set on: open, or named in a directory.
enum Target<'a> {
    Open(BorrowedFd<'a>),
    Named(BorrowedFd<'a>, &'a [u8]),
}

/// Sets all attributes of an open file or directory. `created` is the mode a file was
/// created with, if it was.
pub(crate) fn set(
    fd: BorrowedFd<'_>,
    entry: &Entry,
    defaults: &Defaults,
    created: Option<u32>,
    refused: &mut Refusals,
) {
    set_all(&Target::Open(fd), entry, defaults, created, refused);
}

/// Sets all attributes of a node that was just created under a name in a directory and
/// cannot be opened.
pub(crate) fn set_named(
    (dir, name): (BorrowedFd<'_>, &[u8]),
    entry: &Entry,
    defaults: &Defaults,
    created: Option<u32>,
    refused: &mut Refusals,
) {
    let target = Target::Named(dir, name);
    set_all(&target, entry, defaults, created, refused);
}

fn set_all(
    target: &Target<'_>,
    entry: &Entry,
    defaults: &Defaults,
    created: Option<u32>,
    refused: &mut Refusals,
) {
    let node = &entry.state.node;
    // The made default of a directory is not foretold: the top may have been there.
    let default_owner = created.and(defaults.owner);
    let mut mode = node.mode & 0o7777;
    let mut present = created.map(|mode| mode & !defaults.umask);
    if default_owner != Some((node.uid, node.gid)) {
        // A change of owner may clear bits of the mode.
        present = present.filter(|mode| mode & SET_ID == 0);
        if target.chown(node.uid, node.gid).is_err() {
            refused.owners += 1;
            mode &= !SET_ID;
        }
    }
    for xattr in &node.xattrs {
        if target.set_xattr(&xattr.name, &xattr.value).is_err() {
            refused.xattrs += 1;
        } else {
            // Access lists change the mode.
            present = None;
        }
    }
    let has_mode = node.kind != Kind::Symlink;
    if has_mode && present != Some(mode) && target.chmod(mode).is_err() {
        refused.modes += 1;
    }
    if target.utimes(entry.state.mtime).is_err() {
        refused.times += 1;
    }
}

/// The access time is nowhere recorded: it becomes the modification time.
fn timestamps(mtime: UnixTime) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.sec,
        tv_nsec: mtime.nsec.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

impl Target<'_> {
    fn chown(&self, uid: u32, gid: u32) -> Result<(), Errno> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match self {
            Self::Open(fd) => rustix::fs::fchown(fd, uid, gid),
            Self::Named(dir, name) => {
                rustix::fs::chownat(dir, *name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        let flags = XattrFlags::empty();
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, flags),
            Self::Named(dir, node) => {
                // There is no call relative to a directory before Linux 6.13.
                let mut path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
                path.push(OsStr::from_bytes(node));
                rustix::fs::lsetxattr(path, name, value, flags)
            }
        }
    }

    /// Never called for symlinks: the name is that of a node we just made.
    fn chmod(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd.as_fd(), mode),
            Self::Named(dir, name) => rustix::fs::chmodat(dir, *name, mode, AtFlags::empty()),
        }
    }

    fn utimes(&self, mtime: UnixTime) -> Result<(), Errno> {
        let times = timestamps(mtime);
        match self {
            Self::Open(fd) => rustix::fs::futimens(fd, &times),
            Self::Named(dir, name) => {
                rustix::fs::utimensat(dir, *name, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }
}
