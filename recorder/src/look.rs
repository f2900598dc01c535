//! Looking at a name: comparing what the filesystem says with what the trace shows, and
//! recording the difference. Every look leaves the two equal for that name.

use std::path::Path;

use diffkeeper_store::model::{FileId, GapReason, Kind, Node, NodeIdent, Op, Place, Xattr};
use diffkeeper_store::{Change, StoreError};

use crate::probe::{self, NodeParts, Stat};
use crate::recording::{Origin, Recording, node_of};

/// Whether a content has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// If size or times differ from those of the last read.
    IfChanged,
    /// If it changed at all during the session, and not later: this is the last look.
    /// Stores through a mapping may have left the times as they were.
    Final,
}

impl Recording<'_> {
    /// Looks at a name in a known directory. What is not there any more is removed.
    pub(crate) fn look(&mut self, place: &Place, reading: Reading) -> Result<(), StoreError> {
        if self.look_if_there(place, reading)? {
            return Ok(());
        }
        self.remove(place, self.now())
    }

    /// Looks at a name in a known directory; gives whether anything is there. If not, the
    /// trace stays as it is: where it went, or that it ended, is announced next.
    pub(crate) fn look_if_there(
        &mut self,
        place: &Place,
        reading: Reading,
    ) -> Result<bool, StoreError> {
        let Some(path) = self.tree.place_path(place) else {
            return Ok(true);
        };
        if !self.scope.covers(&path) {
            return Ok(true);
        }
        let known = self.tree.child(place);
        let stat = match probe::stat(&path) {
            Ok(stat) => stat,
            Err(error) => {
                tracing::debug!(?path, %error, "cannot stat");
                self.gap(GapReason::Unreadable, known, Some(&path), Vec::new())?;
                return Ok(true);
            }
        };
        match (known, stat) {
            (_, None) => return Ok(false),
            (Some(file), Some(stat)) if self.is(file, &stat) => {
                self.update(file, &path, &stat, reading)?;
            }
            (_, Some(stat)) => self.appear(place, &path, &stat, reading)?,
        }
        Ok(true)
    }

    pub(crate) fn is(&self, file: FileId, stat: &Stat) -> bool {
        let known = self.tree.get(file);
        known.is_some_and(|known| known.node.ident == stat.ident && known.node.kind == stat.kind)
    }

    /// Another file than before has the name, or there was none.
    fn appear(
        &mut self,
        place: &Place,
        path: &Path,
        stat: &Stat,
        reading: Reading,
    ) -> Result<(), StoreError> {
        let known = self.tree.by_ident(&stat.ident);
        if let Some(file) = known.filter(|file| self.is(*file, stat)) {
            return self.appear_again(file, place, path, (stat, reading));
        }
        let Some(parts) = self.parts(path, stat)? else {
            return Ok(());
        };
        let predecessor = self.tree.child(place);
        if predecessor.is_some() {
            self.remove(place, self.now())?;
        }
        let origin = Origin {
            path: Some(path),
            predecessor: predecessor.filter(|_| stat.kind == Kind::File),
            secret: false,
        };
        let file = self.create(place, node_of(stat, parts), self.now(), origin)?;
        match stat.kind {
            Kind::Dir => self.scan(file, path, reading).map(drop),
            _ => Ok(()),
        }
    }

    /// A file that has a name already has one more, or moved here.
    fn appear_again(
        &mut self,
        file: FileId,
        place: &Place,
        path: &Path,
        (stat, reading): (&Stat, Reading),
    ) -> Result<(), StoreError> {
        match self.stale_link(file, stat.kind) {
            Some(from) => {
                let exchange = self.is_exchange(&from, place);
                self.read_before_move(file, path, stat)?;
                self.rename(&from, place, exchange, self.now())?;
            }
            None => {
                if self.tree.child(place).is_some() {
                    self.remove(place, self.now())?;
                }
                self.link(file, place)?;
            }
        }
        self.update(file, path, stat, reading)
    }

    /// What was written before a file moved is recorded before the move, so that its new
    /// name never shows an older content: the point of replacing a file by a rename.
    pub(crate) fn read_before_move(
        &mut self,
        file: FileId,
        path: &Path,
        stat: &Stat,
    ) -> Result<(), StoreError> {
        if stat.kind == Kind::File && self.needs_read(file, stat, Reading::IfChanged) {
            // However dear the last read was: this one cannot be had later.
            self.not_before.remove(&file);
            self.read(file, path, Reading::IfChanged)?;
        }
        Ok(())
    }

    /// A recorded name of a file that no longer leads to it. A directory has one name.
    fn stale_link(&self, file: FileId, kind: Kind) -> Option<Place> {
        let links = &self.tree.get(file)?.node.links;
        let stale = links.iter().find(|link| !self.leads_to(link, file));
        let only = links.first().filter(|_| kind == Kind::Dir);
        stale.or(only).cloned()
    }

    /// Whether a name leads to a file in the filesystem.
    pub(crate) fn leads_to(&self, place: &Place, file: FileId) -> bool {
        let path = self.tree.place_path(place);
        let stat = path.and_then(|path| probe::stat(&path).ok().flatten());
        stat.is_some_and(|stat| self.is(file, &stat))
    }

    /// Whether what the trace shows at `to` stands at `from` in the filesystem.
    pub(crate) fn is_exchange(&self, from: &Place, to: &Place) -> bool {
        let other = self.tree.child(to);
        other.is_some_and(|other| self.leads_to(from, other))
    }

    fn parts(&mut self, path: &Path, stat: &Stat) -> Result<Option<NodeParts>, StoreError> {
        match probe::node(path, stat) {
            Ok(Some(parts)) => {
                for fault in &parts.faults {
                    tracing::debug!(?path, error = %fault.error, "attribute not readable");
                    self.gap(GapReason::Unreadable, None, Some(path), Vec::new())?;
                }
                Ok(Some(parts))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::debug!(?path, %error, "cannot read the node");
                self.gap(GapReason::Unreadable, None, Some(path), Vec::new())?;
                Ok(Some(NodeParts::default()))
            }
        }
    }

    /// The same file as before: its content and attributes may differ.
    pub(crate) fn update(
        &mut self,
        file: FileId,
        path: &Path,
        stat: &Stat,
        reading: Reading,
    ) -> Result<(), StoreError> {
        let mut stat = *stat;
        if stat.kind == Kind::File && self.needs_read(file, &stat, reading) {
            self.read(file, path, reading)?;
            // The read may have found a later state.
            if let Some(read) = self.tree.get(file).and_then(|known| known.read) {
                stat = read.stat;
            }
        }
        let Some(known) = self.tree.get(file).filter(|_| self.is(file, &stat)) else {
            return Ok(());
        };
        if known.looked == Some(stat.ctime) && known.read.is_some_and(|read| !read.racy) {
            return Ok(());
        }
        let old = known.node.clone();
        let Some(parts) = self.parts(path, &stat)? else {
            return Ok(());
        };
        let new = node_of(&stat, parts);
        // Otherwise the times are still to be recorded, with the content.
        let complete = self.is_read(file, &new);
        if let Some(known) = self.tree.get_mut(file).filter(|_| complete) {
            known.looked = Some(stat.ctime);
        }
        self.attributes(file, &old, new)
    }

    fn needs_read(&self, file: FileId, stat: &Stat, reading: Reading) -> bool {
        let Some(known) = self.tree.get(file) else {
            return false;
        };
        let same = known
            .read
            .is_some_and(|read| !read.racy && read.stat.unchanged(stat));
        match reading {
            Reading::Final => known.changed || !same,
            Reading::IfChanged => !same,
        }
    }

    /// Whether the times of a node belong to the content that is recorded: a file that is
    /// still to be read has been written to, and its times come with what was written.
    fn is_read(&self, file: FileId, node: &Node) -> bool {
        let read = self.tree.get(file).and_then(|known| known.read);
        node.kind != Kind::File || read.is_some_and(|read| read.stat.mtime == node.mtime)
    }

    /// Records each attribute that differs as an event of its own.
    fn attributes(&mut self, file: FileId, old: &Node, new: Node) -> Result<(), StoreError> {
        let mut ops = Vec::new();
        if old.ident == NodeIdent::default() {
            // Nothing was known of it: not a change, only knowledge.
            ops.push(Op::Utimes);
        } else {
            if old.mode != new.mode {
                ops.push(Op::Chmod { mode: new.mode });
            }
            if (old.uid, old.gid) != (new.uid, new.gid) {
                let (uid, gid) = (new.uid, new.gid);
                ops.push(Op::Chown { uid, gid });
            }
            ops.extend(xattr_ops(&old.xattrs, &new.xattrs));
            if ops.is_empty() && old.mtime != new.mtime && self.is_read(file, &new) {
                ops.push(Op::Utimes);
            }
        }
        if ops.is_empty() {
            return Ok(());
        }
        if let Some(known) = self.tree.get_mut(file) {
            known.changed = true;
        }
        // All at once: a look cannot tell in which order they came.
        let change = self.tree.set_node(file, new);
        let mut changes: Vec<Change> = change.into_iter().collect();
        for op in ops {
            let changes = std::mem::take(&mut changes);
            self.emit(self.now(), Some(file), op, changes)?;
        }
        Ok(())
    }
}

fn xattr_ops(old: &[Xattr], new: &[Xattr]) -> Vec<Op> {
    let set = new.iter().filter(|xattr| !old.contains(xattr));
    let set = set.map(|xattr| Op::Setxattr {
        name: xattr.name.clone(),
    });
    let gone = old
        .iter()
        .filter(|xattr| !new.iter().any(|other| other.name == xattr.name));
    let gone = gone.map(|xattr| Op::Removexattr {
        name: xattr.name.clone(),
    });
    set.chain(gone).collect()
}
