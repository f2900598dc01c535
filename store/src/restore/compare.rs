//! Whether what stands under a name is what was recorded: content by digest, attributes
//! one by one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::found::Found;
use crate::content::ContentError;
use crate::model::{Digest, Kind, Node, Repr, Xattr};
use crate::reader::SessionReader;
use crate::snapshot::Entry;

/// Bytes that are read at a time.
const WINDOW: usize = 1 << 20;
/// Longest list of names and longest value that Linux allows, bytes.
const LONGEST: usize = 64 * 1024;

/// What a comparison led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sameness {
    /// Everything is as it was recorded.
    Same,
    /// Only attributes differ, and they can be set.
    Attributes,
    /// It has to be made anew.
    Other,
}

/// Compares the node under a name of `dir`, which is of the recorded kind.
pub(super) fn node(
    session: &SessionReader<'_>,
    dir: BorrowedFd<'_>,
    entry: &Entry,
    found: &Found,
) -> Result<Sameness, Errno> {
    let node = &entry.state.node;
    let same = match node.kind {
        Kind::File => return file(session, dir, entry, found),
        Kind::Dir => return Err(Errno::ISDIR),
        Kind::Symlink => {
            let target = rustix::fs::readlinkat(dir, entry.name(), Vec::new())?;
            target.as_bytes() == node.target && same_but_mode(entry, found)
        }
        _ => found.rdev == node.rdev && same_stat(entry, found),
    };
    let same = same && same_xattrs(node, &Place::Named(dir, entry.name()))?;
    Ok(if same {
        Sameness::Same
    } else {
        Sameness::Other
    })
}

/// Compares the attributes of an open file or directory.
pub(super) fn attributes(
    fd: BorrowedFd<'_>,
    entry: &Entry,
    found: &Found,
) -> Result<Sameness, Errno> {
    let same = same_stat(entry, found) && same_xattrs(&entry.state.node, &Place::Open(fd))?;
    Ok(if same {
        Sameness::Same
    } else {
        Sameness::Attributes
    })
}

/// Whether all that a stat tells is as it was recorded.
pub(super) fn same_stat(entry: &Entry, found: &Found) -> bool {
    found.mode == entry.state.node.mode & 0o7777 && same_but_mode(entry, found)
}

/// The mode of a symlink is that of its making.
pub(super) fn same_but_mode(entry: &Entry, found: &Found) -> bool {
    let node = &entry.state.node;
    (found.uid, found.gid) == (node.uid, node.gid) && found.mtime == entry.state.mtime
}

/// The length of a regular file as it was recorded.
pub(super) fn recorded_length(entry: &Entry) -> u64 {
    let version = entry.state.version.as_ref();
    version.map_or(0, |(_, version)| version.length)
}

fn file(
    session: &SessionReader<'_>,
    dir: BorrowedFd<'_>,
    entry: &Entry,
    found: &Found,
) -> Result<Sameness, Errno> {
    if found.size != recorded_length(entry) {
        return Ok(Sameness::Other);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, entry.name(), flags, Mode::empty()) {
        Ok(file) => file,
        // What cannot be read cannot be known to be right.
        Err(Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::NOENT) => {
            return Ok(Sameness::Other);
        }
        Err(error) => return Err(error),
    };
    if same_content(session, &file, entry)? {
        attributes(file.as_fd(), entry, found)
    } else {
        Ok(Sameness::Other)
    }
}

fn same_content(session: &SessionReader<'_>, file: &OwnedFd, entry: &Entry) -> Result<bool, Errno> {
    let Some((_, version)) = &entry.state.version else {
        return Ok(true);
    };
    match (&version.repr, version.digest) {
        // Also where the content was left out: the digest says what it was.
        (_, Some(digest)) => Ok(digest_of(file)? == digest),
        (Repr::Missing(_), None) => Ok(false),
        (_, None) => same_stream(session, file, entry),
    }
}

fn digest_of(file: &OwnedFd) -> Result<Digest, Errno> {
    let mut hasher = blake3::Hasher::new();
    let mut window = vec![0; WINDOW];
    loop {
        match rustix::io::read(file, window.as_mut_slice()) {
            Ok(0) => return Ok(Digest(*hasher.finalize().as_bytes())),
            Ok(n) => {
                hasher.update(window.get(..n).unwrap_or_default());
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

enum Differs {
    Content,
    Os(Errno),
}

impl From<ContentError> for Differs {
    fn from(_: ContentError) -> Self {
        Self::Content
    }
}

/// A content that has no digest is compared byte by byte.
fn same_stream(session: &SessionReader<'_>, file: &OwnedFd, entry: &Entry) -> Result<bool, Errno> {
    let Some(at) = entry.content() else {
        return Ok(true);
    };
    let (mut window, mut offset) = (vec![0; WINDOW], 0);
    let compared = session.content(at).map_err(Differs::from);
    let compared = compared.and_then(|mut content| {
        content.stream(|piece| {
            let there = window.get_mut(..piece.len()).ok_or(Differs::Content)?;
            read_exactly(file, offset, there)?;
            offset += piece.len() as u64;
            if there == piece {
                Ok(())
            } else {
                Err(Differs::Content)
            }
        })
    });
    match compared {
        Ok(()) => Ok(true),
        Err(Differs::Content) => Ok(false),
        Err(Differs::Os(error)) => Err(error),
    }
}

fn read_exactly(file: &OwnedFd, mut at: u64, mut buffer: &mut [u8]) -> Result<(), Differs> {
    while !buffer.is_empty() {
        match rustix::io::pread(file, &mut *buffer, at) {
            Ok(0) => return Err(Differs::Content),
            Ok(n) => {
                buffer = buffer.get_mut(n..).unwrap_or_default();
                at += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(Differs::Os(error)),
        }
    }
    Ok(())
}

/// Where extended attributes are read.
enum Place<'a> {
    Open(BorrowedFd<'a>),
    Named(BorrowedFd<'a>, &'a [u8]),
}

impl Place<'_> {
    /// There is no call relative to a directory before Linux 6.13.
    fn path(dir: BorrowedFd<'_>, name: &[u8]) -> PathBuf {
        let mut path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        path.push(OsStr::from_bytes(name));
        path
    }

    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => rustix::fs::flistxattr(fd, buffer),
            Self::Named(dir, name) => rustix::fs::llistxattr(Self::path(*dir, name), buffer),
        }
    }

    fn value(&self, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => rustix::fs::fgetxattr(fd, name, buffer),
            Self::Named(dir, node) => rustix::fs::lgetxattr(Self::path(*dir, node), name, buffer),
        }
    }
}

fn same_xattrs(node: &Node, place: &Place<'_>) -> Result<bool, Errno> {
    let mut found = Vec::new();
    for name in names(|buffer| place.list(buffer))? {
        let value = grow(|buffer| place.value(&name, buffer));
        match value {
            Ok(value) => found.push(Xattr { name, value }),
            Err(Errno::NODATA) => {}
            // What was not recorded either, for the same reason.
            Err(Errno::ACCESS | Errno::PERM | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    let foreign = |xattr: &&Xattr| is_ours(&xattr.name) || node.xattrs.contains(xattr);
    let found: Vec<&Xattr> = found.iter().filter(foreign).collect();
    let all = node.xattrs.iter().all(|xattr| found.contains(&xattr));
    Ok(all && found.len() == node.xattrs.len())
}

/// Attributes that nobody but a user sets; what the system keeps in others and a
/// recording does not hold is left alone.
fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"system.posix_acl_")
        || name == b"security.capability"
}

/// Takes the attributes from an open node that were not recorded.
pub(super) fn strip(fd: BorrowedFd<'_>, node: &Node) -> Result<(), Errno> {
    let known = |name: &Vec<u8>| node.xattrs.iter().any(|xattr| xattr.name == *name);
    names(|buffer| rustix::fs::flistxattr(fd, buffer))?
        .into_iter()
        .filter(|name| is_ours(name) && !known(name))
        .try_for_each(|name| rustix::fs::fremovexattr(fd, name.as_slice()))
}

fn names(list: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<Vec<u8>>, Errno> {
    let list = match grow(list) {
        Ok(list) => list,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn grow(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match read(&mut small) {
        Ok(len) => Ok(small.get(..len).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; LONGEST];
            let len = read(&mut large)?;
            large.truncate(len);
            Ok(large)
        }
        Err(error) => Err(error),
    }
}
