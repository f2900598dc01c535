//! Facts: what a source announces, turned into looks, renames and removals.
//!
//! An announcement may be stale: a scan may have seen what it tells, or things have
//! moved on since. So the filesystem is asked each time, and an announcement is only
//! trusted for what can no longer be seen: that a name existed, moved, or went away.

use std::path::{Path, PathBuf};

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{FileId, GapReason, Kind, Node, Place};

use crate::look::Reading;
use crate::observation::{Fact, Hint, Observation};
use crate::probe;
use crate::recording::{Origin, Pending, Recording};
use crate::tree::blank;

impl Recording<'_> {
    /// Applies an observation.
    pub(crate) fn apply(&mut self, observation: Observation) -> Result<(), StoreError> {
        let time = observation.monotonic;
        match observation.fact {
            Fact::Touched { path, hint } => self.touched(&path, hint, time),
            Fact::Renamed { from, to } => self.renamed(&from, &to, time),
            Fact::Watched { path, since } => self.rescan(Some(&path), Reading::IfChanged, since),
            Fact::Lost { path, reason } => {
                let shown = path.clone().or_else(|| self.first_root());
                self.reported
                    .remove(&(reason, shown.clone().unwrap_or_default()));
                self.gap(reason, None, shown.as_deref(), Vec::new())?;
                self.rescan(path.as_deref(), Reading::IfChanged, u64::MAX)
            }
            Fact::Record(bytes) => self.captured(&bytes),
            Fact::Overrun(inode) => self.overrun(inode.as_ref()),
            Fact::Unwatched { path, reason } => self.gap(reason, None, Some(&path), Vec::new()),
            Fact::Synced(_) => Ok(()),
        }
    }

    pub(crate) fn first_root(&self) -> Option<PathBuf> {
        self.scope.roots().first().map(|root| root.path.clone())
    }

    fn touched(&mut self, path: &Path, hint: Hint, time: u64) -> Result<(), StoreError> {
        let Some(place) = self.place(path)? else {
            return self.look_at_root(path);
        };
        if self.pending.contains_key(&place) {
            // It may have been out of sight only because a directory above was moving.
            self.glance(&place)?;
            if self.tree.child(&place).is_none() {
                return self.touched_pending(&place, hint);
            }
            self.pending.remove(&place);
        }
        let known = self.tree.child(&place);
        match (hint, known) {
            (Hint::Created { dir }, None) => self.created(&place, path, dir, time),
            (Hint::Removed { .. } | Hint::MovedOut, Some(file)) => {
                self.removed(&place, file, path, time)
            }
            (Hint::Removed { .. } | Hint::MovedOut, None) => Ok(()),
            (Hint::Modified | Hint::Closed, Some(file)) => {
                if !self.look_if_there(&place, Reading::IfChanged)? {
                    // Its new name, or its end, is announced next.
                    self.mark_unread(file);
                    self.doubt(place.parent);
                }
                Ok(())
            }
            _ => self.glance(&place),
        }
    }

    /// The name that a path stands for; unknown directories on the way are looked at
    /// first. `None` for a root, and for a path whose directory is gone.
    fn place(&mut self, path: &Path) -> Result<Option<Place>, StoreError> {
        let scope = self.scope.clone();
        let Some((root, relative)) = scope.locate(path) else {
            return Ok(None);
        };
        loop {
            let Some((parent, rest)) = self.tree.walk(root, parent_of(relative)) else {
                return Ok(None);
            };
            let Some(name) = name_of(relative) else {
                return Ok(None);
            };
            if rest.is_empty() {
                let is_dir = self
                    .tree
                    .get(parent)
                    .is_some_and(|k| k.node.kind == Kind::Dir);
                let name = name.to_vec();
                self.touched_dirs.insert(parent);
                return Ok(is_dir.then_some(Place { parent, name }));
            }
            let missing = Place {
                parent,
                name: rest
                    .split(|byte| *byte == b'/')
                    .next()
                    .unwrap_or_default()
                    .to_vec(),
            };
            self.glance(&missing)?;
            if self.tree.child(&missing).is_none() {
                // Gone, or known by another name: that a directory came and went in between
                // is the rarer case.
                self.doubt_all();
                return Ok(None);
            }
        }
    }

    /// Looks at a path that something happened to.
    pub(crate) fn look_at_path(&mut self, path: &Path) -> Result<(), StoreError> {
        if self.scope.locate(path).is_none() {
            return Ok(());
        }
        match self.place(path)? {
            Some(place) => self.look(&place, Reading::IfChanged),
            None => self.look_at_root(path),
        }
    }

    /// A root itself: its attributes may have changed.
    fn look_at_root(&mut self, path: &Path) -> Result<(), StoreError> {
        let scope = self.scope.clone();
        let Some((index, [])) = scope.locate(path) else {
            return Ok(());
        };
        let Some(file) = self.tree.root(index) else {
            return Ok(());
        };
        match probe::stat(path) {
            Ok(Some(stat)) if stat.kind == Kind::Dir => {
                self.update(file, path, &stat, Reading::IfChanged)
            }
            _ => self.root_gone(file, path),
        }
    }

    /// Without its root nothing can be observed: what it held is gone for the trace.
    fn root_gone(&mut self, root: FileId, path: &Path) -> Result<(), StoreError> {
        for (name, _) in self.tree.children(root) {
            let time = self.now();
            self.remove(&Place { parent: root, name }, time)?;
        }
        self.gap(GapReason::Vanished, None, Some(path), Vec::new())
    }

    fn created(
        &mut self,
        place: &Place,
        path: &Path,
        dir: bool,
        time: u64,
    ) -> Result<(), StoreError> {
        self.glance(place)?;
        if self.tree.child(place).is_none() && self.scope.covers(path) {
            self.doubt(place.parent);
            let pending = Pending {
                dir,
                written: false,
                names: vec![place.clone()],
                time: self.timestamp(time),
            };
            self.pending.insert(place.clone(), pending);
        }
        Ok(())
    }

    fn removed(
        &mut self,
        place: &Place,
        file: FileId,
        path: &Path,
        time: u64,
    ) -> Result<(), StoreError> {
        if self.leads_to(place, file) {
            // Stale: it was made again and has been looked at since.
            return Ok(());
        }
        self.doubt(place.parent);
        self.lose_unread(file, path)?;
        self.remove(place, self.timestamp(time))?;
        self.glance(place)
    }

    /// Bytes were written and no one can read them any more.
    fn lose_unread(&mut self, file: FileId, path: &Path) -> Result<(), StoreError> {
        let unread = self.tree.get(file).is_some_and(|known| {
            known.node.kind == Kind::File && known.read.is_none() && known.node.links.len() <= 1
        });
        if unread {
            self.lose(file, path, GapReason::Vanished)?;
        }
        Ok(())
    }

    fn renamed(&mut self, from: &Path, to: &Path, time: u64) -> Result<(), StoreError> {
        let (old, new) = match (self.place(from)?, self.place(to)?) {
            (Some(old), Some(new)) => (old, new),
            // Only one end of the way can be placed: whatever it leaves there is found out
            // once the other end can be, too.
            (Some(only), None) | (None, Some(only)) => {
                self.doubt_all();
                return self.glance(&only);
            }
            (None, None) => return Ok(()),
        };
        self.pending.remove(&new);
        if let Some(mut pending) = self.pending.remove(&old) {
            pending.names.push(new.clone());
            return self.resolve_pending(new, pending);
        }
        let Some(file) = self.tree.child(&old) else {
            return self.glance(&new);
        };
        if self
            .exchanged
            .take_if(|(a, b)| *a == new && *b == old)
            .is_some()
        {
            // The second half of an exchange.
            return self.glance(&new);
        }
        let arrived = self.leads_to(&new, file);
        if !arrived {
            self.doubt(old.parent);
            self.doubt(new.parent);
        }
        if arrived || !self.leads_to(&old, file) {
            // Where it has moved on to by now, if it has, is announced next.
            let exchange = self.is_exchange(&old, &new) || self.must_be_exchange(file, &new);
            if let Ok(Some(stat)) = probe::stat(to)
                && self.is(file, &stat)
            {
                self.read_before_move(file, to, &stat)?;
            }
            self.rename(&old, &new, exchange, self.timestamp(time))?;
            self.exchanged = exchange.then(|| (old, new.clone()));
        }
        self.glance(&new)
    }

    fn glance(&mut self, place: &Place) -> Result<(), StoreError> {
        self.look_if_there(place, Reading::IfChanged).map(drop)
    }

    fn touched_pending(&mut self, place: &Place, hint: Hint) -> Result<(), StoreError> {
        match hint {
            Hint::Modified => {
                if let Some(pending) = self.pending.get_mut(place) {
                    pending.written = true;
                }
                Ok(())
            }
            Hint::Removed { .. } | Hint::MovedOut => match self.pending.remove(place) {
                Some(pending) => self.came_and_went(place, pending),
                None => Ok(()),
            },
            Hint::Created { .. } | Hint::MovedIn | Hint::Closed | Hint::Attributes => Ok(()),
        }
    }

    /// A name that was never seen now has a new one: if that leads to an unknown file,
    /// it is the one.
    fn resolve_pending(&mut self, place: Place, pending: Pending) -> Result<(), StoreError> {
        let path = self.tree.place_path(&place);
        let stat = path
            .as_deref()
            .and_then(|path| probe::stat(path).ok().flatten());
        let unknown = stat.filter(|stat| self.tree.by_ident(&stat.ident).is_none());
        match (path, stat, unknown) {
            (Some(path), _, Some(stat)) => {
                let parts = probe::node(&path, &stat).ok().flatten().unwrap_or_default();
                let node = crate::recording::node_of(&stat, parts);
                let origin = Origin {
                    path: Some(&path),
                    predecessor: self.tree.child(&place),
                    secret: pending.names.iter().any(|name| self.is_secret(name)),
                };
                self.play_names(&pending, node, origin)?;
                self.glance(&place)
            }
            (_, None, _) => {
                // It has moved on, but it did replace what stood here.
                self.remove(&place, self.now())?;
                self.pending.insert(place, pending);
                Ok(())
            }
            _ => self.glance(&place),
        }
    }

    /// Creates a file at its first name and moves it along the others.
    fn play_names(
        &mut self,
        pending: &Pending,
        node: Node,
        origin: Origin<'_>,
    ) -> Result<Option<FileId>, StoreError> {
        let Some(first) = pending.names.first() else {
            return Ok(None);
        };
        if self.tree.child(first).is_some() {
            // Something else has the first name by now.
            return Ok(None);
        }
        let time = pending.time;
        let file = self.create(first, node, time, origin)?;
        for pair in pending.names.windows(2) {
            if let [from, to] = pair {
                self.rename(from, to, false, time)?;
            }
        }
        Ok(Some(file))
    }

    /// It existed, and its content, if it ever had one, is lost.
    fn came_and_went(&mut self, place: &Place, pending: Pending) -> Result<(), StoreError> {
        let kind = if pending.dir { Kind::Dir } else { Kind::File };
        let Some(file) = self.play_names(&pending, blank(kind), Origin::default())? else {
            return Ok(());
        };
        if pending.written {
            let path = self.tree.place_path(place).unwrap_or_default();
            self.lose(file, &path, GapReason::Vanished)?;
        }
        self.remove(place, self.now())
    }
}

fn parent_of(relative: &[u8]) -> &[u8] {
    let slash = relative.iter().rposition(|byte| *byte == b'/');
    slash.and_then(|at| relative.get(..at)).unwrap_or_default()
}

fn name_of(relative: &[u8]) -> Option<&[u8]> {
    let name = relative.rsplit(|byte| *byte == b'/').next()?;
    (!name.is_empty()).then_some(name)
}
