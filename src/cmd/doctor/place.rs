//! A directory and the filesystem below it.

use std::path::{Path, PathBuf};

use rustix::fs::{statfs, statvfs};

use crate::error::{CliError, at_path};

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Absolute.
    pub(super) path: PathBuf,
    /// Its name, or the magic number where that is unknown.
    pub(super) filesystem: String,
    /// Whether other machines may write to it.
    pub(super) is_remote: bool,
    /// Bytes that may still be written.
    pub(super) free: u64,
}

/// Filesystems by the magic number of statfs(2) (linux/magic.h), and whether they are of
/// another machine.
const KNOWN: [(u64, &str, bool); 13] = [
    (0xef53, "ext4", false),
    (0x5846_5342, "xfs", false),
    (0x9123_683e, "btrfs", false),
    (0x0102_1994, "tmpfs", false),
    (0x794c_7630, "overlayfs", false),
    (0x2fc1_2fc1, "zfs", false),
    (0xf2f5_2010, "f2fs", false),
    (0x4d44, "vfat", false),
    (0x6969, "nfs", true),
    (0xff53_4d42, "cifs", true),
    (0xfe53_4d42, "smb2", true),
    (0x0102_1997, "9p", true),
    (0x6573_5546, "fuse", true),
];

impl Place {
    /// Looks at an existing directory.
    ///
    /// # Errors
    /// One that is not there or cannot be looked at.
    pub(super) fn of(path: &Path) -> Result<Self, CliError> {
        let path = path.canonicalize().map_err(|error| at_path(path, &error))?;
        let failed = |error: rustix::io::Errno| at_path(&path, &error.into());
        let magic = statfs(&path).map_err(failed)?.f_type;
        let space = statvfs(&path).map_err(failed)?;
        // The type of the field differs between systems.
        let magic = u64::try_from(magic).unwrap_or(0);
        let known = KNOWN.iter().find(|(number, ..)| *number == magic);
        Ok(Self {
            filesystem: known
                .map_or_else(|| format!("{magic:#x}"), |(_, name, _)| (*name).to_owned()),
            is_remote: known.is_some_and(|(.., remote)| *remote),
            free: space.f_bavail.saturating_mul(space.f_frsize),
            path,
        })
    }
}

/// The place of a directory that may not be there yet: that of the nearest one above.
pub(super) fn of_new(path: &Path) -> Option<Place> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|above| Place::of(above).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{Place, of_new};

    #[test]
    fn a_directory_to_be_has_the_place_of_the_one_above() {
        let dir = tempfile::tempdir().unwrap();
        let here = Place::of(dir.path()).unwrap();
        assert!(here.free > 0 && !here.filesystem.is_empty());
        let to_be = of_new(&dir.path().join("a/b")).unwrap();
        // The free space moves under the test.
        assert_eq!((to_be.path, to_be.filesystem), (here.path, here.filesystem));
        assert!(Place::of(&dir.path().join("a/b")).is_err());
    }
}
