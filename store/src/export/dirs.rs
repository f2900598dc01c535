//! Directories of the tree that is being written: the descriptor of `out`, and the way
//! from it to any other without ever following a symlink.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::ExportError;

/// Descriptors a walk holds at most; deeper trees are walked again from the top.
const HELD: usize = 64;

pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// `out` and a path of the trace, for messages.
pub(crate) fn join(out: &Path, path: &[u8]) -> PathBuf {
    if path.is_empty() {
        return out.to_owned();
    }
    out.join(OsStr::from_bytes(path))
}

/// Makes `out`, or takes it if it is an empty directory, and closes it to everybody else
/// until its contents have their final owners and modes.
pub(crate) fn open_top(out: &Path) -> Result<OwnedFd, ExportError> {
    let (top, _) = open_or_make(out)?;
    let io = |error: Errno| ExportError::Io {
        path: out.to_owned(),
        source: error.into(),
    };
    for entry in Dir::read_from(&top).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Err(ExportError::NotEmpty(out.to_owned()));
        }
    }
    close_to_others(&top);
    Ok(top)
}

/// Opens `out`, which is made, open to nobody else, if it is not there; tells whether it
/// was made.
pub(crate) fn open_or_make(out: &Path) -> Result<(OwnedFd, bool), ExportError> {
    // Without a trailing slash, through which the kernel would follow a symlink.
    let out = out.components().as_path();
    let io = |error: Errno| ExportError::Io {
        path: out.to_owned(),
        source: error.into(),
    };
    if let Some(parent) = out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|source| ExportError::Io {
            path: parent.to_owned(),
            source,
        })?;
    }
    let made = match rustix::fs::mkdir(out, Mode::from_raw_mode(0o700)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(io(error)),
    };
    match rustix::fs::open(out, DIRECTORY, Mode::empty()) {
        Ok(top) => Ok((top, made)),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(ExportError::NotADirectory(out.to_owned())),
        Err(error) => Err(io(error)),
    }
}

/// Best effort: a directory of somebody else is exported into as it is.
fn close_to_others(top: &OwnedFd) {
    // Default ACLs would give every new file more rights than its mode says.
    let _ = rustix::fs::fremovexattr(top, "system.posix_acl_default");
    let _ = rustix::fs::fremovexattr(top, "system.posix_acl_access");
    let _ = rustix::fs::fchmod(top, Mode::from_raw_mode(0o700));
}

/// Opens directories below `top`, cheaply when they are asked for in the order of the
/// tree.
pub(crate) struct Walk<'t> {
    top: BorrowedFd<'t>,
    /// Open directories, each above the next.
    held: VecDeque<(Vec<u8>, OwnedFd)>,
}

impl<'t> Walk<'t> {
    pub(crate) fn new(top: &'t OwnedFd) -> Self {
        Self {
            top: top.as_fd(),
            held: VecDeque::new(),
        }
    }

    /// The directory at a path from the top. Symlinks on the way are an error.
    pub(crate) fn open(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, Errno> {
        while self.held.back().is_some_and(|(dir, _)| !holds(dir, path)) {
            self.held.pop_back();
        }
        let known = self.held.back().map_or(0, |(dir, _)| dir.len());
        let rest = path.get(known..).unwrap_or_default();
        for name in rest.split(|byte| *byte == b'/').filter(|n| !n.is_empty()) {
            let (dir, fd) = match self.held.back() {
                Some((dir, fd)) => (dir.as_slice(), fd.as_fd()),
                None => (&[][..], self.top),
            };
            let below = rustix::fs::openat(fd, name, DIRECTORY, Mode::empty())?;
            let mut path = dir.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(name);
            self.held.push_back((path, below));
            if self.held.len() > HELD {
                self.held.pop_front();
            }
        }
        Ok(self.held.back().map_or(self.top, |(_, fd)| fd.as_fd()))
    }
}

/// Whether `dir` is `path` or above it.
fn holds(dir: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_walk_never_follows_a_symlink() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let top = open_top(&out).unwrap();
        std::fs::create_dir_all(dir.path().join("outside/in")).unwrap();
        std::fs::create_dir_all(out.join("a/b")).unwrap();
        std::os::unix::fs::symlink("../../outside", out.join("a/link")).unwrap();
        let mut walk = Walk::new(&top);
        assert!(walk.open(b"a/b").is_ok());
        for path in [&b"a/link"[..], b"a/link/in"] {
            assert!(matches!(walk.open(path), Err(Errno::NOTDIR | Errno::LOOP)));
        }
        assert!(walk.open(b"a/b").is_ok());
    }

    #[test]
    fn a_walk_finds_its_way_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let top = open_top(&out).unwrap();
        let deep = |n: usize| vec!["d"; n].join("/");
        std::fs::create_dir_all(out.join(deep(200))).unwrap();
        std::fs::create_dir_all(out.join("dd/d")).unwrap();
        let mut walk = Walk::new(&top);
        for depth in [3, 200, 199, 100, 1, 150] {
            let inode = |stat: rustix::fs::Stat| stat.st_ino;
            let found =
                inode(rustix::fs::fstat(walk.open(deep(depth).as_bytes()).unwrap()).unwrap());
            let real = inode(rustix::fs::stat(out.join(deep(depth))).unwrap());
            assert_eq!(found, real, "depth {depth}");
            assert!(walk.open(b"dd/d").is_ok());
        }
    }
}
