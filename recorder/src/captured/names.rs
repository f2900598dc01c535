//! Names: what came, went and moved, and the attributes of what has a name.

use diffkeeper_ebpf::wire::{At, AtOp, Attr, Entry, Inode, Record, Rename, What};
use diffkeeper_store::model::{FileId, Kind, Node, Op, Place};
use diffkeeper_store::{Change, StoreError};

use super::{ident, node_of, resolve, unix_time};
use crate::look::Reading;
use crate::probe;
use crate::recording::Recording;

const EXCHANGE: u32 = 2;
const WHITEOUT: u32 = 4;

/// A directory and a name in it, as records have them.
type Named<'a> = (Inode, &'a [u8]);

/// The names that a record is about.
pub(super) fn places<'a>(what: &What<'a>) -> [Option<Named<'a>>; 2] {
    match what {
        What::Create(entry)
        | What::Mkdir(entry)
        | What::Mknod(entry)
        | What::Symlink { entry, .. }
        | What::Link(entry)
        | What::Unlink(entry)
        | What::Rmdir(entry) => [entry.parent.map(|parent| (parent, entry.name)), None],
        What::Rename(rename) => [
            rename.from_parent.map(|parent| (parent, rename.from_name)),
            rename.to_parent.map(|parent| (parent, rename.to_name)),
        ],
        _ => [None, None],
    }
}

impl Recording<'_> {
    pub(super) fn of_names(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        match record.what {
            What::Create(entry) if !record.ordered => self.told_late(&entry),
            What::Create(entry) | What::Mkdir(entry) | What::Mknod(entry) => {
                self.came(record.time, &entry, &[])
            }
            What::Symlink { entry, target } => self.came(record.time, &entry, target),
            What::Link(entry) => self.linked(record.time, &entry),
            What::Unlink(entry) | What::Rmdir(entry) => self.went(record.time, &entry),
            What::Rename(rename) => self.moved(record.time, &rename),
            What::At(at) => self.at(&at),
            _ => Ok(()),
        }
    }

    /// The place of a name, if its directory is in the tree.
    fn place_of(&mut self, parent: Option<Inode>, name: &[u8]) -> Option<Place> {
        if name.is_empty() {
            // A file without a name: nothing of it shows until it gets one.
            return None;
        }
        let parent = parent.and_then(|inode| self.known(&inode));
        let Some(parent) = parent else {
            if self.scope.excludes().is_empty() {
                self.doubt_all();
            }
            return None;
        };
        let name = name.to_vec();
        let place = Place { parent, name };
        self.covers(&place).is_some().then_some(place)
    }

    fn came(&mut self, time: u64, entry: &Entry<'_>, target: &[u8]) -> Result<(), StoreError> {
        let Some(place) = self.place_of(entry.parent, entry.name) else {
            return Ok(());
        };
        let node = entry.inode.as_ref().and_then(node_of);
        let (Some(inode), Some(mut node)) = (entry.inode, node) else {
            return self.look_if_there(&place, Reading::IfChanged).map(drop);
        };
        if let Some(file) = self.known(&inode) {
            if self.tree.child(&place) != Some(file) {
                self.doubt_all();
            }
            return Ok(());
        }
        if self.tree.child(&place).is_some() {
            // Its end was not told.
            self.remove(&place, self.timestamp(time))?;
        }
        node.target = target.to_vec();
        self.inherit(&place, &mut node);
        self.appeared(time, &place, (node, &inode), entry.parent)
    }

    /// A directory with default rights gives them to what is made in it.
    fn inherit(&self, place: &Place, node: &mut Node) {
        let parent = self.tree.get(place.parent);
        let defaults = parent.is_some_and(|known| !known.node.xattrs.is_empty());
        let path = self.tree.place_path(place).filter(|_| defaults);
        let stat = path.as_deref().map(probe::stat);
        if let (Some(path), Some(Ok(Some(stat)))) = (path, stat)
            && let Ok(Some(parts)) = probe::node(&path, &stat)
        {
            node.xattrs = parts.xattrs;
        }
    }

    fn appeared(
        &mut self,
        time: u64,
        place: &Place,
        (node, inode): (Node, &Inode),
        parent: Option<Inode>,
    ) -> Result<(), StoreError> {
        let kind = node.kind;
        let op = match kind {
            Kind::File => Op::Create(place.clone()),
            Kind::Dir => Op::Mkdir(place.clone()),
            Kind::Symlink => Op::Symlink(place.clone()),
            Kind::Fifo | Kind::Socket | Kind::Block | Kind::Char => Op::Mknod(place.clone()),
        };
        let (file, mut changes) = self.tree.add(place, node);
        if kind == Kind::File
            && let Some(content) = self.empty(file, inode)?
        {
            changes.push(Change::Content { file, content });
        }
        if let Some(known) = self.tree.get_mut(file) {
            known.changed = true;
            known.listed = time;
        }
        self.dir_changed(place.parent, parent, &mut changes);
        let time = self.timestamp(time);
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// A directory as a record has it after a name in it changed.
    fn dir_changed(&mut self, dir: FileId, inode: Option<Inode>, changes: &mut Vec<Change>) {
        self.touched_dirs.insert(dir);
        if let Some(inode) = inode
            && let Some(known) = self.tree.get_mut(dir)
            && known.node.mtime != unix_time(inode.mtime)
        {
            known.node.mtime = unix_time(inode.mtime);
            changes.push(self.tree.node_change(dir));
        }
    }

    fn linked(&mut self, time: u64, entry: &Entry<'_>) -> Result<(), StoreError> {
        let Some(place) = self.place_of(entry.parent, entry.name) else {
            return Ok(());
        };
        let file = entry.inode.and_then(|inode| self.known(&inode));
        let Some(file) = file else {
            // It came from outside, or had no name before.
            return self.look_if_there(&place, Reading::IfChanged).map(drop);
        };
        if self.tree.child(&place) == Some(file) {
            return Ok(());
        }
        if self.tree.child(&place).is_some() {
            self.remove(&place, self.timestamp(time))?;
        }
        let mut changes = self.tree.link(file, &place);
        self.dir_changed(place.parent, entry.parent, &mut changes);
        let time = self.timestamp(time);
        self.emit(time, Some(file), Op::Link(place), changes)
            .map(drop)
    }

    fn went(&mut self, time: u64, entry: &Entry<'_>) -> Result<(), StoreError> {
        let Some(place) = self.place_of(entry.parent, entry.name) else {
            return Ok(());
        };
        let Some(file) = self.tree.child(&place) else {
            return Ok(());
        };
        let is = |inode: &Inode| self.known(inode) == Some(file);
        if !entry.inode.as_ref().is_none_or(is) {
            return Ok(());
        }
        let is_dir = self
            .tree
            .get(file)
            .is_some_and(|known| known.node.kind == Kind::Dir);
        if is_dir {
            self.empty_dir(file, time)?;
        }
        let mut changes = self.tree.unlink(&place);
        self.dir_changed(place.parent, entry.parent, &mut changes);
        let op = if is_dir {
            Op::Rmdir(place)
        } else {
            Op::Unlink(place)
        };
        let time = self.timestamp(time);
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// Only an empty directory can go: what the trace still shows in it went untold.
    fn empty_dir(&mut self, dir: FileId, time: u64) -> Result<(), StoreError> {
        for (name, _) in self.tree.children(dir) {
            let place = Place { parent: dir, name };
            self.remove(&place, self.timestamp(time))?;
        }
        Ok(())
    }

    fn moved(&mut self, time: u64, rename: &Rename<'_>) -> Result<(), StoreError> {
        let from = self.place_of(rename.from_parent, rename.from_name);
        let to = self.place_of(rename.to_parent, rename.to_name);
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => return self.remove(&from, self.timestamp(time)),
            (None, Some(to)) => return self.look_if_there(&to, Reading::IfChanged).map(drop),
            (None, None) => return Ok(()),
        };
        let file = rename.inode.and_then(|inode| self.known(&inode));
        let Some(file) = file.filter(|file| self.tree.child(&from) == Some(*file)) else {
            self.look_if_there(&from, Reading::IfChanged)?;
            return self.look_if_there(&to, Reading::IfChanged).map(drop);
        };
        let exchange = rename.flags & EXCHANGE != 0;
        let replaced = self.tree.child(&to).filter(|other| *other != file);
        if let Some(replaced) = replaced.filter(|_| !exchange) {
            self.empty_dir(replaced, time)?;
        }
        let mut changes = self.tree.rename(&from, &to, exchange);
        self.dir_changed(from.parent, rename.from_parent, &mut changes);
        if to.parent != from.parent {
            self.dir_changed(to.parent, rename.to_parent, &mut changes);
        }
        let op = Op::Rename {
            from: from.clone(),
            to,
            exchange,
        };
        let time = self.timestamp(time);
        self.emit(time, Some(file), op, changes)?;
        if rename.flags & WHITEOUT != 0 {
            self.look_if_there(&from, Reading::IfChanged)?;
        }
        Ok(())
    }

    /// Attributes were set.
    pub(super) fn attributed(
        &mut self,
        time: u64,
        inode: &Inode,
        attr: Attr,
    ) -> Result<(), StoreError> {
        let Some(file) = self.known(inode) else {
            return Ok(());
        };
        let op = match attr {
            Attr::Chmod => Op::Chmod {
                mode: inode.mode & 0o7777,
            },
            Attr::Chown => Op::Chown {
                uid: inode.uid,
                gid: inode.gid,
            },
            Attr::Utimes => Op::Utimes,
            Attr::Flags => return Ok(()),
        };
        let Some(known) = self.tree.get_mut(file) else {
            return Ok(());
        };
        known.changed = true;
        known.node.mode = inode.mode & 0o7777;
        (known.node.uid, known.node.gid) = (inode.uid, inode.gid);
        known.node.mtime = unix_time(inode.mtime);
        let changes = vec![self.tree.node_change(file)];
        let time = self.timestamp(time);
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// An extended attribute was set or removed; what it holds is looked up.
    pub(super) fn xattr(
        &mut self,
        time: u64,
        inode: &Inode,
        name: &[u8],
        removed: bool,
    ) -> Result<(), StoreError> {
        let Some(file) = self.known(inode) else {
            return Ok(());
        };
        let name = name.to_vec();
        let path = self.tree.path(file);
        let stat = path.as_deref().map(probe::stat);
        let mut changes = Vec::new();
        if let (Some(path), Some(Ok(Some(stat)))) = (path, stat)
            && stat.ident == ident(inode)
            && let Ok(Some(parts)) = probe::node(&path, &stat)
            && let Some(known) = self.tree.get_mut(file)
        {
            known.node.xattrs = parts.xattrs;
            // Rights of the POSIX kind change the mode as well.
            known.node.mode = inode.mode & 0o7777;
            known.changed = true;
            changes.push(self.tree.node_change(file));
        } else {
            // It has moved on since, or is gone: found once no record waits.
            self.doubt_all();
        }
        let op = match removed {
            true => Op::Removexattr { name },
            false => Op::Setxattr { name },
        };
        let time = self.timestamp(time);
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// A file that was made some time before: others may have written to it since.
    fn told_late(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let Some(place) = self.place_of(entry.parent, entry.name) else {
            return Ok(());
        };
        self.actor = None;
        self.look_if_there(&place, Reading::IfChanged).map(drop)
    }

    /// Something known by path only: the filesystem is asked. Whose doing that is which is
    /// found there, nobody knows.
    fn at(&mut self, at: &At<'_>) -> Result<(), StoreError> {
        self.actor = None;
        self.look_at(at.dir, at.path)?;
        match at.op {
            AtOp::Rename | AtOp::Link => self.look_at(at.other_dir, at.other_path),
            _ => Ok(()),
        }
    }

    fn look_at(&mut self, dir: Option<Inode>, path: &[u8]) -> Result<(), StoreError> {
        let dir = dir.and_then(|inode| self.tree.path(self.known(&inode)?));
        match resolve(dir.as_deref(), path) {
            Some(path) => self.look_at_path(&path),
            None => {
                self.doubt_all();
                Ok(())
            }
        }
    }
}
