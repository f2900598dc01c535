//! One tree as it stands on disk, read without following a symlink.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    Char,
    Block,
}

/// Everything about one name but the bytes of a file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the name stands for.
    pub kind: Kind,
    /// Permission, set-id and sticky bits; 0 for a symlink, whose mode means nothing.
    pub mode: u32,
    /// User and group id.
    pub owner: (u32, u32),
    /// Length in bytes of a regular file; 0 for the rest.
    pub size: u64,
    /// Modification time in ns since the Unix epoch.
    pub mtime_ns: i128,
    /// Target of a symlink, as its bytes.
    pub target: Option<Vec<u8>>,
    /// Device number of a device node; 0 for the rest.
    pub device: u64,
    /// Extended attributes by name, as bytes; labels that the system sets by itself are left out.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Device and inode.
    pub inode: (u64, u64),
    /// Names of the inode, below the root and elsewhere.
    pub nlink: u64,
}

/// A tree by relative path; the root itself stands under the empty path.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Every name of the tree.
    pub entries: BTreeMap<PathBuf, Entry>,
}

impl Tree {
    /// Every path of a group of hard links, with the sorted paths of the group.
    pub fn links(&self) -> BTreeMap<&PathBuf, Vec<PathBuf>> {
        let mut groups: BTreeMap<(u64, u64), Vec<&PathBuf>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            if entry.kind != Kind::Dir && entry.nlink > 1 {
                groups.entry(entry.inode).or_default().push(path);
            }
        }
        groups
            .values()
            .filter(|group| group.len() > 1)
            .flat_map(|group| {
                let names: Vec<PathBuf> = group.iter().map(|path| (*path).clone()).collect();
                group.iter().map(move |path| (*path, names.clone()))
            })
            .collect()
    }
}

/// Reads the tree at `root`, leaving out the names `ignore` directly below it.
///
/// # Errors
/// The path at which a system call failed, and its error.
pub fn read(root: &Path, ignore: &[OsString]) -> Result<Tree, (PathBuf, io::Error)> {
    let mut tree = Tree::default();
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let full = at(root, &path);
        let entry = read_entry(&full).map_err(|error| (full.clone(), error))?;
        if entry.kind == Kind::Dir {
            let names = names(&full).map_err(|error| (full.clone(), error))?;
            let top = path.as_os_str().is_empty();
            pending.extend(
                names
                    .into_iter()
                    .filter(|name| !(top && ignore.contains(name)))
                    .map(|name| path.join(name)),
            );
        }
        tree.entries.insert(path, entry);
    }
    Ok(tree)
}

/// The full path of an entry. The root may be a single file: a trailing slash would be an error.
pub(super) fn at(root: &Path, path: &Path) -> PathBuf {
    match path.as_os_str().is_empty() {
        true => root.to_path_buf(),
        false => root.join(path),
    }
}

fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

fn read_entry(path: &Path) -> io::Result<Entry> {
    let meta = fs::symlink_metadata(path)?;
    let kind = kind_of(&meta);
    let target = match kind {
        Kind::Symlink => Some(fs::read_link(path)?.into_os_string().into_vec()),
        _ => None,
    };
    Ok(Entry {
        kind,
        mode: if kind == Kind::Symlink {
            0
        } else {
            meta.mode() & 0o7777
        },
        owner: (meta.uid(), meta.gid()),
        size: if kind == Kind::File { meta.len() } else { 0 },
        mtime_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
        target,
        device: if matches!(kind, Kind::Char | Kind::Block) {
            meta.rdev()
        } else {
            0
        },
        xattrs: read_xattrs(path)?,
        inode: (meta.dev(), meta.ino()),
        nlink: meta.nlink(),
    })
}

fn kind_of(meta: &Metadata) -> Kind {
    let of = meta.file_type();
    if of.is_dir() {
        Kind::Dir
    } else if of.is_symlink() {
        Kind::Symlink
    } else if of.is_fifo() {
        Kind::Fifo
    } else if of.is_socket() {
        Kind::Socket
    } else if of.is_char_device() {
        Kind::Char
    } else if of.is_block_device() {
        Kind::Block
    } else {
        Kind::File
    }
}

/// Attributes that a security module or an overlay puts on files by itself.
const FOREIGN: [&[u8]; 4] = [
    b"security.selinux",
    b"security.ima",
    b"security.evm",
    b"trusted.overlay.",
];

fn read_xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut list = vec![0; 1 << 16];
    let len = match llistxattr(path, &mut list) {
        Err(rustix::io::Errno::NOTSUP) => 0,
        result => result?,
    };
    list.truncate(len);
    let mut xattrs = BTreeMap::new();
    for name in list.split(|&byte| byte == 0) {
        if name.is_empty() || FOREIGN.iter().any(|foreign| name.starts_with(foreign)) {
            continue;
        }
        let mut value = vec![0; 1 << 16];
        let len = lgetxattr(path, name, &mut value)?;
        value.truncate(len);
        xattrs.insert(name.to_vec(), value);
    }
    Ok(xattrs)
}
