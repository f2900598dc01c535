//! What does not belong into the directory, taken away with all below it.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, Mode};
use rustix::io::Errno;

use super::found::{Found, look};
use crate::export::dirs::DIRECTORY;
use crate::model::Kind;

/// The names in a directory.
pub(super) fn names(dir: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// A removal under way.
pub(super) struct Removing<'a> {
    /// Paths that stay, with all above them.
    pub(super) spare: &'a (dyn Fn(&[u8]) -> bool + Sync),
    /// Names that are gone.
    pub(super) removed: u64,
}

impl Removing<'_> {
    /// Removes a name of `dir`, which lies on device `dev`. True if it is gone; a directory
    /// with something in it that is spared stays.
    ///
    /// # Errors
    /// EBUSY where another filesystem is mounted: what it holds is not ours.
    pub(super) fn run(
        &mut self,
        dir: BorrowedFd<'_>,
        dev: u64,
        path: &[u8],
    ) -> Result<bool, Errno> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let Some(found) = look(dir, name)? else {
            return Ok(true);
        };
        if (self.spare)(path) {
            return Ok(false);
        }
        let flags = match found.kind {
            Some(Kind::Dir) => {
                if !self.below(dir, &found, dev, path)? {
                    return Ok(false);
                }
                AtFlags::REMOVEDIR
            }
            _ => AtFlags::empty(),
        };
        rustix::fs::unlinkat(dir, name, flags)?;
        self.removed += 1;
        Ok(true)
    }

    fn below(
        &mut self,
        dir: BorrowedFd<'_>,
        found: &Found,
        dev: u64,
        path: &[u8],
    ) -> Result<bool, Errno> {
        if found.inode.dev != dev {
            return Err(Errno::BUSY);
        }
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let inner = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
        let mut all = true;
        for name in names(inner.as_fd())? {
            let path = [path, b"/", &name].concat();
            all &= self.run(inner.as_fd(), dev, &path)?;
        }
        Ok(all)
    }
}
