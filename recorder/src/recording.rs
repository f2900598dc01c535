//! A recording under way: the tree, the writer and the clock, and how a change that was
//! found becomes an event with the states it leads to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use diffkeeper_store::model::{
    FileId, GapReason, Kind, Node, Op, Place, ProcessId, Seq, Timestamp, UnixTime,
};
use diffkeeper_store::{Change, Record, SessionWriter, Store, StoreError};

use crate::captured::Captured;
use crate::content::Fetched;
use crate::look::Reading;
use crate::observation::monotonic;
use crate::probe::{self, NodeParts, Stat};
use crate::redact::Redaction;
use crate::scope::Scope;
use crate::tree::Tree;

/// Everything the pipeline's thread works on.
pub(crate) struct Recording<'s> {
    pub(crate) store: &'s Store,
    pub(crate) scope: Arc<Scope>,
    pub(crate) tree: Tree,
    pub(crate) writer: SessionWriter<'s>,
    /// CLOCK_MONOTONIC at the start of the session, ns.
    pub(crate) zero: u64,
    /// Names that were announced as new and were gone when they were looked at.
    pub(crate) pending: HashMap<Place, Pending>,
    /// Files to be read again, and when.
    pub(crate) deferred: HashMap<FileId, Instant>,
    /// Files whose last read was expensive, and when the next one may be.
    pub(crate) not_before: HashMap<FileId, Instant>,
    /// Long files that are being written, and since when they have been waited for.
    pub(crate) restless: HashMap<FileId, Instant>,
    /// Directories whose names changed since they were last looked at in peace.
    pub(crate) touched_dirs: HashSet<FileId>,
    /// The trace may have drifted from the filesystem: when to look at everything.
    pub(crate) doubtful: Option<Instant>,
    /// When everything may be looked at once more.
    pub(crate) not_again_before: Option<Instant>,
    /// The two names of an exchange whose second announcement is still to come.
    pub(crate) exchanged: Option<(Place, Place)>,
    /// Losses of paths that were already reported, so that each is counted once.
    pub(crate) reported: HashSet<(GapReason, PathBuf)>,
    /// Reused for every content that fits.
    pub(crate) buffer: Vec<u8>,
    /// The queue of observations is long: cheap encodings.
    pub(crate) busy: bool,
    /// What the records of a kernel tier leave to be kept.
    pub(crate) captured: Captured,
    /// Whose doing is being recorded, where that is known.
    pub(crate) actor: Option<ProcessId>,
    /// Contents of files above this length are left out, bytes.
    pub(crate) max_file: u64,
    /// Files that are, with the length and the time of change that were last recorded.
    pub(crate) omitted: HashMap<FileId, (u64, UnixTime)>,
    /// What is masked, and where.
    pub(crate) redaction: Option<Redaction>,
    /// While the last reconcile runs: the paths it found changes at.
    pub(crate) found: Option<Vec<(FileId, PathBuf)>>,
}

/// Where a new file comes from.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin<'a> {
    /// Where its content can be read now.
    pub(crate) path: Option<&'a Path>,
    /// The file that had the name before, whose content may be much the same.
    pub(crate) predecessor: Option<FileId>,
    /// It had a name that makes all of it secret.
    pub(crate) secret: bool,
}

/// A file that came and went before anybody looked.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) dir: bool,
    pub(crate) written: bool,
    /// Its names so far, oldest first; the last one is where it is awaited.
    pub(crate) names: Vec<Place>,
    pub(crate) time: Timestamp,
}

impl<'s> Recording<'s> {
    pub(crate) fn new(
        store: &'s Store,
        scope: Arc<Scope>,
        tree: Tree,
        writer: SessionWriter<'s>,
    ) -> Self {
        Self {
            store,
            scope,
            tree,
            writer,
            zero: monotonic(),
            pending: HashMap::new(),
            deferred: HashMap::new(),
            not_before: HashMap::new(),
            restless: HashMap::new(),
            touched_dirs: HashSet::new(),
            doubtful: None,
            not_again_before: None,
            exchanged: None,
            reported: HashSet::new(),
            buffer: Vec::new(),
            busy: false,
            captured: Captured::default(),
            actor: None,
            max_file: u64::MAX,
            omitted: HashMap::new(),
            redaction: None,
            found: None,
        }
    }

    /// A point on the monotonic clock as the session counts it.
    pub(crate) const fn timestamp(&self, monotonic: u64) -> Timestamp {
        Timestamp(monotonic.saturating_sub(self.zero))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.timestamp(monotonic())
    }

    /// Appends an event.
    pub(crate) fn emit(
        &mut self,
        time: Timestamp,
        file: Option<FileId>,
        op: Op,
        changes: Vec<Change>,
    ) -> Result<Seq, StoreError> {
        if let Some(file) = file {
            self.note(file, &op);
            self.deny_by_name(file, &op);
        }
        self.append(Record {
            time,
            process: self.actor,
            file,
            op,
            changes,
        })
    }

    pub(crate) fn emit_of(
        &mut self,
        process: ProcessId,
        time: Timestamp,
        op: Op,
    ) -> Result<Seq, StoreError> {
        self.append(Record {
            time,
            process: Some(process),
            file: None,
            op,
            changes: Vec::new(),
        })
    }

    /// Records a loss; the same one at the same path counts once.
    pub(crate) fn gap(
        &mut self,
        reason: GapReason,
        file: Option<FileId>,
        path: Option<&Path>,
        changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        if let Some(path) = path
            && !self.reported.insert((reason, path.to_owned()))
            && changes.is_empty()
        {
            return Ok(());
        }
        let shown = path.and_then(|path| self.trace_path(path));
        let op = Op::Gap {
            reason,
            path: shown.filter(|_| file.is_none()),
        };
        self.emit(self.now(), file, op, changes).map(drop)
    }

    /// A path as the trace names it.
    pub(crate) fn trace_path(&self, path: &Path) -> Option<Vec<u8>> {
        let (root, relative) = self.scope.locate(path)?;
        let label = &self.scope.roots().get(root)?.label;
        Some(match (label.is_empty(), relative.is_empty()) {
            (true, _) => relative.to_vec(),
            (false, true) => label.clone(),
            (false, false) => [label, relative].join(&b'/'),
        })
    }

    /// What changed in a directory because a name in it did: its times. If it cannot be
    /// found now, it is looked at again when there is nothing else to do.
    pub(crate) fn touch_parent(&mut self, parent: FileId, changes: &mut Vec<Change>) {
        self.touched_dirs.insert(parent);
        let Some(path) = self.tree.path(parent) else {
            return;
        };
        let Ok(Some(stat)) = probe::stat(&path) else {
            return;
        };
        let Some(known) = self.tree.get_mut(parent) else {
            return;
        };
        if known.node.ident == stat.ident && known.node.mtime != stat.mtime {
            known.node.mtime = stat.mtime;
            changes.push(self.tree.node_change(parent));
        }
    }

    /// A new file with its first name. The state after it shows the content as it can be
    /// read now, and not an empty file that nobody may ever have seen.
    pub(crate) fn create(
        &mut self,
        place: &Place,
        node: Node,
        time: Timestamp,
        origin: Origin<'_>,
    ) -> Result<FileId, StoreError> {
        let op = match node.kind {
            Kind::File => Op::Create(place.clone()),
            Kind::Dir => Op::Mkdir(place.clone()),
            Kind::Symlink => Op::Symlink(place.clone()),
            Kind::Fifo | Kind::Socket | Kind::Block | Kind::Char => Op::Mknod(place.clone()),
        };
        let is_file = node.kind == Kind::File;
        let (file, mut changes) = self.tree.add(place, node);
        if origin.secret || self.is_secret(place) {
            self.deny(file);
        }
        if let Some(predecessor) = origin.predecessor {
            self.writer.succeed(file, predecessor);
        }
        let fetched = match origin.path.filter(|_| is_file) {
            Some(path) => self.fetch(file, path, Reading::IfChanged)?,
            None => Fetched::Moved,
        };
        if let (Fetched::Content(_, read), Some(known)) = (&fetched, self.tree.get_mut(file)) {
            known.seen = read.begun;
        }
        if is_file {
            let content = fetched.first_version();
            changes.push(Change::Content { file, content });
        }
        if let Some(known) = self.tree.get_mut(file) {
            known.changed = true;
        }
        self.touch_parent(place.parent, &mut changes);
        let time = if origin.path.is_some() {
            self.now()
        } else {
            time
        };
        self.emit(time, Some(file), op, changes)?;
        if let Some(path) = origin.path.filter(|_| is_file) {
            self.take(file, path, fetched.after_create(), Reading::IfChanged)?;
        }
        Ok(file)
    }

    /// A name goes away.
    pub(crate) fn remove(&mut self, place: &Place, time: Timestamp) -> Result<(), StoreError> {
        let Some(file) = self.tree.child(place) else {
            return Ok(());
        };
        let is_dir = self
            .tree
            .get(file)
            .is_some_and(|k| k.node.kind == Kind::Dir);
        if is_dir {
            for (name, _) in self.tree.children(file) {
                self.remove(&Place { parent: file, name }, time)?;
            }
        }
        let mut changes = self.tree.unlink(place);
        self.touch_parent(place.parent, &mut changes);
        let op = if is_dir {
            Op::Rmdir(place.clone())
        } else {
            Op::Unlink(place.clone())
        };
        if self.tree.get(file).is_some() {
            // What was written under this name can still be read under another.
            self.deferred.entry(file).or_insert_with(Instant::now);
        } else {
            self.deferred.remove(&file);
            self.not_before.remove(&file);
            self.restless.remove(&file);
        }
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// A name moves.
    pub(crate) fn rename(
        &mut self,
        from: &Place,
        to: &Place,
        exchange: bool,
        time: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(file) = self.tree.child(from) else {
            return Ok(());
        };
        let replaced = self.tree.child(to).filter(|_| !exchange);
        if let Some(replaced) = replaced
            && replaced != file
            && self
                .tree
                .get(replaced)
                .is_some_and(|k| k.node.kind == Kind::Dir)
        {
            // Only an empty directory can be replaced: what it held went before.
            for (name, _) in self.tree.children(replaced) {
                let place = Place {
                    parent: replaced,
                    name,
                };
                self.remove(&place, time)?;
            }
        }
        let mut changes = self.tree.rename(from, to, exchange);
        self.touch_parent(from.parent, &mut changes);
        if to.parent != from.parent {
            self.touch_parent(to.parent, &mut changes);
        }
        let op = Op::Rename {
            from: from.clone(),
            to: to.clone(),
            exchange,
        };
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// A further name of a known file.
    pub(crate) fn link(&mut self, file: FileId, place: &Place) -> Result<(), StoreError> {
        let mut changes = self.tree.link(file, place);
        self.touch_parent(place.parent, &mut changes);
        let time = self.now();
        let op = Op::Link(place.clone());
        self.emit(time, Some(file), op, changes).map(drop)
    }
}

/// A node as a look found it, without names.
pub(crate) fn node_of(stat: &Stat, parts: NodeParts) -> Node {
    Node {
        kind: stat.kind,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        mtime: stat.mtime,
        rdev: stat.rdev,
        ident: stat.ident,
        target: parts.target,
        xattrs: parts.xattrs,
        links: Vec::new(),
    }
}

/// The directory above several roots: nothing of it exists in the filesystem.
pub(crate) fn made_up_top() -> Node {
    Node {
        mode: 0o755,
        mtime: UnixTime::default(),
        ..crate::tree::blank(Kind::Dir)
    }
}
