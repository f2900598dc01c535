//! statx(2) in the terms of the model.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use diffkeeper_store::model::{Kind, NodeIdent, UnixTime};
use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags, StatxTimestamp, makedev, statx};
use rustix::io::Errno;

/// What an inode says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its type.
    pub kind: Kind,
    /// Permission bits (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node, else 0.
    pub rdev: u64,
    /// Length, bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Last change of the content.
    pub mtime: UnixTime,
    /// Last change of anything; cannot be set by users.
    pub ctime: UnixTime,
    /// Names.
    pub nlink: u32,
    /// Which inode this is; the generation is the time of birth, ns, or 0.
    pub ident: NodeIdent,
}

impl Stat {
    /// Whether there are holes: fewer blocks than the length needs. Files of less than a
    /// page may live in their inode and have no blocks at all.
    #[must_use]
    pub const fn sparse(&self) -> bool {
        self.size >= 4096 && self.blocks.saturating_mul(512) < self.size
    }

    /// Whether nothing changed between the two looks, as far as the clock tells.
    #[must_use]
    pub fn unchanged(&self, later: &Self) -> bool {
        self.ident == later.ident
            && self.size == later.size
            && self.mtime == later.mtime
            && self.ctime == later.ctime
    }
}

/// Devices whose inodes go by their numbers alone.
static BIRTHLESS: RwLock<Vec<u64>> = RwLock::new(Vec::new());

/// From now on no identity on this device has a time of birth: where the kernel's records
/// lack it, an inode would otherwise be two.
pub(crate) fn without_births(dev: u64) {
    let mut devices = BIRTHLESS.write().unwrap_or_else(PoisonError::into_inner);
    if !devices.contains(&dev) {
        devices.push(dev);
    }
}

fn has_births(dev: u64) -> bool {
    let devices = BIRTHLESS.read().unwrap_or_else(PoisonError::into_inner);
    !devices.contains(&dev)
}

/// Looks at a path. `None` when nothing has that name.
///
/// # Errors
/// Whatever statx(2) reports, save ENOENT and ENOTDIR.
pub fn stat(path: &Path) -> io::Result<Option<Stat>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(CWD, path, flags, wanted()) {
        Ok(raw) => decode(&raw).map(Some),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Looks at an open file.
pub(super) fn stat_file(file: &File) -> io::Result<Stat> {
    decode(&statx(file, c"", AtFlags::EMPTY_PATH, wanted())?)
}

fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME
}

fn decode(raw: &Statx) -> io::Result<Stat> {
    let mode = u32::from(raw.stx_mode);
    let dev = makedev(raw.stx_dev_major, raw.stx_dev_minor);
    let born = StatxFlags::from_bits_retain(raw.stx_mask).contains(StatxFlags::BTIME);
    let birth = time(raw.stx_btime).as_nanos();
    Ok(Stat {
        kind: kind(FileType::from_raw_mode(mode))?,
        mode: mode & 0o7777,
        uid: raw.stx_uid,
        gid: raw.stx_gid,
        rdev: makedev(raw.stx_rdev_major, raw.stx_rdev_minor),
        size: raw.stx_size,
        blocks: raw.stx_blocks,
        mtime: time(raw.stx_mtime),
        ctime: time(raw.stx_ctime),
        nlink: raw.stx_nlink,
        ident: NodeIdent {
            dev,
            ino: raw.stx_ino,
            generation: if born && has_births(dev) {
                u64::try_from(birth).unwrap_or(0)
            } else {
                0
            },
        },
    })
}

fn kind(raw: FileType) -> io::Result<Kind> {
    Ok(match raw {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::BlockDevice => Kind::Block,
        FileType::CharacterDevice => Kind::Char,
        FileType::Unknown => return Err(io::Error::other("a file of unknown type")),
    })
}

const fn time(raw: StatxTimestamp) -> UnixTime {
    UnixTime {
        sec: raw.tv_sec,
        nsec: raw.tv_nsec,
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]

    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{Mode, mknodat};

    use super::*;

    #[test]
    fn every_kind_is_told_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o4750)).unwrap();
        fs::hard_link(at("file"), at("twin")).unwrap();
        symlink("nowhere", at("link")).unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let kind = |name: &str| stat(&at(name)).unwrap().unwrap().kind;
        assert_eq!(kind("link"), Kind::Symlink);
        assert_eq!(kind("fifo"), Kind::Fifo);
        assert_eq!(kind("socket"), Kind::Socket);
        assert_eq!(kind("."), Kind::Dir);

        let file = stat(&at("file")).unwrap().unwrap();
        let meta = fs::metadata(at("file")).unwrap();
        assert_eq!((file.kind, file.mode), (Kind::File, 0o4750));
        assert_eq!((file.size, file.nlink), (5, 2));
        assert_eq!((file.ident.dev, file.ident.ino), (meta.dev(), meta.ino()));
        assert_eq!(file.mtime.sec, meta.mtime());
        assert_eq!(i64::from(file.mtime.nsec), meta.mtime_nsec());
        assert_eq!(stat(&at("twin")).unwrap().unwrap().ident, file.ident);
    }

    #[test]
    fn absence_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(stat(&dir.path().join("absent")).unwrap(), None);
        assert_eq!(stat(&dir.path().join("file/below")).unwrap(), None);
    }

    #[test]
    fn holes_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let holed = File::create(dir.path().join("holed")).unwrap();
        holed.set_len(1 << 20).unwrap();
        assert!(stat_file(&holed).unwrap().sparse());
        fs::write(dir.path().join("dense"), vec![7; 1 << 16]).unwrap();
        assert!(!stat(&dir.path().join("dense")).unwrap().unwrap().sparse());
    }
}
