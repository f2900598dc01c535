//! What stands under a name of the directory now.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, StatxFlags, statx};
use rustix::io::Errno;

use crate::model::{Kind, UnixTime};

/// A node of the filesystem while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Inode {
    pub(super) dev: u64,
    pub(super) ino: u64,
}

/// What the filesystem says of a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) inode: Inode,
    pub(super) kind: Option<Kind>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: UnixTime,
    pub(super) ctime: UnixTime,
    pub(super) rdev: u64,
    pub(super) links: u32,
}

/// Looks at a name, not through it; `None` if there is nothing.
pub(super) fn look(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Found>, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(dir, name, flags, StatxFlags::BASIC_STATS) {
        Ok(stat) => Ok(Some(read(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at an open node.
pub(super) fn look_at(fd: BorrowedFd<'_>) -> Result<Found, Errno> {
    let stat = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    Ok(read(&stat))
}

fn read(stat: &rustix::fs::Statx) -> Found {
    let mode = u32::from(stat.stx_mode);
    let time = |time: rustix::fs::StatxTimestamp| UnixTime {
        sec: time.tv_sec,
        nsec: time.tv_nsec,
    };
    let kind = match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Dir),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Fifo => Some(Kind::Fifo),
        FileType::Socket => Some(Kind::Socket),
        FileType::BlockDevice => Some(Kind::Block),
        FileType::CharacterDevice => Some(Kind::Char),
        FileType::Unknown => None,
    };
    Found {
        inode: Inode {
            dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
        },
        kind,
        mode: mode & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: stat.stx_size,
        mtime: time(stat.stx_mtime),
        ctime: time(stat.stx_ctime),
        rdev: rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor),
        links: stat.stx_nlink,
    }
}
