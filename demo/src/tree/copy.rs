//! An exact copy of a tree: modes, owners where permitted, mtimes in ns, links, xattrs.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, UTIME_OMIT, XattrFlags, lsetxattr, mknodat,
    utimensat,
};

use super::entry::at;
use super::{Entry, Kind, read};

/// Copies the tree at `from` to `to`, which must not exist. Holes become zeroes.
///
/// # Errors
/// The first system call that fails, with the path it failed at.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let tree = read(from, &[]).map_err(|(path, error)| located(&path, error))?;
    let mut copied: HashMap<(u64, u64), PathBuf> = HashMap::new();
    for (path, entry) in &tree.entries {
        let (source, dest) = (at(from, path), at(to, path));
        match copied.get(&entry.inode) {
            Some(first) => fs::hard_link(first, &dest),
            None => create(entry, &source, &dest),
        }
        .map_err(|error| located(&dest, error))?;
        if entry.kind != Kind::Dir && entry.nlink > 1 {
            copied.entry(entry.inode).or_insert(dest);
        }
    }
    // Children come after their directory: backwards, no later step disturbs a directory's mtime.
    for (path, entry) in tree.entries.iter().rev() {
        let dest = at(to, path);
        set_attributes(entry, &dest).map_err(|error| located(&dest, error))?;
    }
    Ok(())
}

fn located(path: &Path, error: io::Error) -> io::Error {
    let path = path.as_os_str().as_bytes().escape_ascii();
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn create(entry: &Entry, source: &Path, dest: &Path) -> io::Result<()> {
    match entry.kind {
        Kind::File => {
            let mut source = fs::File::open(source)?;
            io::copy(&mut source, &mut fs::File::create_new(dest)?)?;
            Ok(())
        }
        Kind::Dir => fs::DirBuilder::new().mode(0o700).create(dest),
        Kind::Symlink => {
            let target = entry.target.as_deref().unwrap_or_default();
            symlink(std::ffi::OsStr::from_bytes(target), dest)
        }
        Kind::Fifo => node(FileType::Fifo, entry, dest),
        Kind::Socket => node(FileType::Socket, entry, dest),
        Kind::Char => node(FileType::CharacterDevice, entry, dest),
        Kind::Block => node(FileType::BlockDevice, entry, dest),
    }
}

fn node(of: FileType, entry: &Entry, dest: &Path) -> io::Result<()> {
    Ok(mknodat(
        CWD,
        dest,
        of,
        Mode::RUSR | Mode::WUSR,
        entry.device,
    )?)
}

fn set_attributes(entry: &Entry, dest: &Path) -> io::Result<()> {
    for (name, value) in &entry.xattrs {
        lsetxattr(dest, name.as_slice(), value, XattrFlags::empty())?;
    }
    // Before the mode: a change of owner clears the set-id bits.
    match lchown(dest, Some(entry.owner.0), Some(entry.owner.1)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        result => result?,
    }
    if entry.kind != Kind::Symlink {
        fs::set_permissions(dest, fs::Permissions::from_mode(entry.mode))?;
    }
    set_mtime(dest, entry.mtime_ns)
}

/// Sets the modification time, in ns since the Unix epoch, of the name itself.
///
/// # Errors
/// Those of utimensat(2).
pub fn set_mtime(path: &Path, mtime_ns: i128) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime_ns.div_euclid(1_000_000_000) as i64,
            tv_nsec: mtime_ns.rem_euclid(1_000_000_000) as i64,
        },
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
