//! Captured: records of a kernel tier, turned into events. A record says what happened
//! and to which inode, in the order in which the kernel did it, so the filesystem is only
//! asked where a record says that it does not know.

mod contents;
mod merge;
mod names;
mod processes;

use std::path::{Path, PathBuf};

use diffkeeper_ebpf::wire::{self, Inode, Record, What};
use diffkeeper_store::StoreError;
use diffkeeper_store::model::{FileId, GapReason, Kind, Node, NodeIdent, Op, Place, UnixTime};

use self::contents::Checks;
use self::merge::Merge;
use self::processes::Processes;
use crate::recording::Recording;
use crate::tree::blank;

/// The number of the file system in statfs(2).
const EXT4: u32 = 0xef53;
const TMPFS: u32 = 0x0102_1994;
const XFS: u32 = 0x5846_5342;
const OVERLAYFS: u32 = 0x794c_7630;

/// What has to be kept between records.
#[derive(Default)]
pub(crate) struct Captured {
    merge: Merge,
    processes: Processes,
    checks: Checks,
    /// Whether any record came: then contents come with their writes.
    pub(crate) active: bool,
    /// Whether the tier tells contents on more file systems than ext4.
    pub(crate) widely: bool,
}

impl Recording<'_> {
    /// Applies a record.
    pub(crate) fn captured(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.captured.active = true;
        let record = match wire::decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%error, "a record of the kernel cannot be read");
                self.doubt_all();
                return self.gap(GapReason::Recorder, None, None, Vec::new());
            }
        };
        tracing::trace!(?record.what, pid = record.task.pid, ordered = record.ordered);
        self.flush_before(&record)?;
        if self.of_process(&record)? {
            return Ok(());
        }
        if !self.concerns(&record.what) {
            return Ok(());
        }
        self.actor = Some(self.process_of(&record.task));
        let applied = self.of_file(&record);
        self.actor = None;
        applied
    }

    /// Whether a record is of something in the tree, so that its process is worth noting.
    fn concerns(&self, what: &What<'_>) -> bool {
        match subject(what) {
            Some(inode) => self.known(&inode).is_some(),
            None => true,
        }
    }

    fn of_file(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        match record.what {
            What::Write { .. }
            | What::Truncate { .. }
            | What::Fallocate { .. }
            | What::Dirty { .. }
            | What::Close { .. } => self.of_content(record),
            What::Attr { inode, attr } => self.attributed(record.time, &inode, attr),
            What::Xattr {
                inode,
                name,
                removed,
            } => self.xattr(record.time, &inode, name, removed),
            What::Open {
                inode,
                flags,
                created: false,
            } => self.used(record.time, &inode, Op::Open { flags }),
            What::Read { inode, offset, len } => {
                self.used(record.time, &inode, Op::Read { offset, len })
            }
            _ => self.of_names(record),
        }
    }

    /// An operation that changes nothing.
    fn used(&mut self, time: u64, inode: &Inode, op: Op) -> Result<(), StoreError> {
        match self.known(inode) {
            Some(file) => {
                let time = self.timestamp(time);
                self.emit(time, Some(file), op, Vec::new()).map(drop)
            }
            None => Ok(()),
        }
    }

    /// Whether it lies on a file system whose contents the tier does not tell.
    fn is_foreign(&self, inode: &Inode) -> bool {
        match self.captured.widely {
            true => ![EXT4, TMPFS, XFS, OVERLAYFS].contains(&inode.magic),
            false => inode.magic != EXT4,
        }
    }

    /// The file of the tree that an inode is. On foreign file systems the kernel's side does
    /// not tell the generation.
    fn known(&self, inode: &Inode) -> Option<FileId> {
        match self.is_foreign(inode) {
            true => self.tree.by_number(inode.dev, inode.ino),
            false => self.tree.by_ident(&ident(inode)),
        }
    }

    /// Where a record happened, for those that tell names.
    pub(crate) fn paths_of_record(&self, bytes: &[u8]) -> Vec<PathBuf> {
        let Ok(record) = wire::decode(bytes) else {
            return Vec::new();
        };
        let named = names::places(&record.what).into_iter().flatten();
        let named = named.filter_map(|(parent, name)| {
            let parent = self.known(&parent)?;
            self.tree.place_path(&Place {
                parent,
                name: name.to_vec(),
            })
        });
        let parents = names::places(&record.what).into_iter().flatten();
        let parents = parents.filter_map(|(parent, _)| self.tree.path(self.known(&parent)?));
        let own = subject(&record.what).and_then(|inode| self.tree.path(self.known(&inode)?));
        named.chain(parents).chain(own).collect()
    }

    pub(crate) fn covers(&self, place: &Place) -> Option<PathBuf> {
        let path = self.tree.place_path(place)?;
        self.scope.covers(&path).then_some(path)
    }
}

/// The file that a record without names is about.
const fn subject(what: &What<'_>) -> Option<Inode> {
    match what {
        What::Write { inode, .. }
        | What::Truncate { inode }
        | What::Fallocate { inode, .. }
        | What::Dirty { inode, .. }
        | What::Attr { inode, .. }
        | What::Xattr { inode, .. }
        | What::Open { inode, .. }
        | What::Read { inode, .. }
        | What::Close { inode, .. } => Some(*inode),
        _ => None,
    }
}

fn ident(inode: &Inode) -> NodeIdent {
    NodeIdent {
        dev: inode.dev,
        ino: inode.ino,
        generation: inode.birth_ns,
    }
}

/// A time in ns since 1970 as the model has it.
fn unix_time(ns: i64) -> UnixTime {
    UnixTime {
        sec: ns.div_euclid(1_000_000_000),
        nsec: u32::try_from(ns.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

fn kind(mode: u32) -> Option<Kind> {
    Some(match mode & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Symlink,
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        0o060_000 => Kind::Block,
        0o020_000 => Kind::Char,
        _ => return None,
    })
}

/// A node as the kernel holds it, without extended attributes.
fn node_of(inode: &Inode) -> Option<Node> {
    Some(Node {
        mode: inode.mode & 0o7777,
        uid: inode.uid,
        gid: inode.gid,
        mtime: unix_time(inode.mtime),
        rdev: inode.rdev,
        ident: ident(inode),
        ..blank(kind(inode.mode)?)
    })
}

/// A path as a caller gave it, from the directory that it is relative to. Links on the
/// way are followed, the last name is not.
fn resolve(dir: Option<&Path>, path: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let whole = match dir {
        Some(dir) => dir.join(path),
        None => path.is_absolute().then(|| path.to_owned())?,
    };
    let name = whole.file_name()?;
    Some(whole.parent()?.canonicalize().ok()?.join(name))
}
