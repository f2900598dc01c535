//! The baseline: the scan before the command starts, the ground every chain stands on.
//!
//! Directories are listed one after the other; contents are read, hashed and compressed
//! on all processors, a bounded amount at a time.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use diffkeeper_store::model::{
    Backend, Counts, FileId, GapReason, Kind, MissingReason, NodeIdent, Place,
};
use diffkeeper_store::{Change, ContentError, Prepared, Store, StoreError, Tally, WHOLE_MAX};
use rayon::prelude::*;

use crate::bring_back::Restored;
use crate::observation::monotonic;
use crate::probe::{self, Large, Read, Stat};
use crate::recording::{Recording, node_of};
use crate::redact::Redaction;
use crate::scan::{is_gone, names};
use crate::tree::ReadState;

/// Bytes of content that are read at a time, before they are written.
const BATCH_BYTES: u64 = 16 << 20;
/// Files that are read at a time.
const BATCH_FILES: usize = 512;

/// Follows a recording from outside. All methods may be called from any thread.
pub trait Progress: Sync {
    /// This tier was chosen, for this reason.
    fn backend(&self, backend: Backend, reason: &str) {
        let _ = (backend, reason);
    }

    /// The baseline holds so many files and bytes so far.
    fn baseline(&self, files: u64, bytes: u64) {
        let _ = (files, bytes);
    }

    /// The baseline is complete; the command starts.
    fn baseline_done(&self) {}

    /// The directory was brought back to a state before everything else.
    fn restored(&self, restored: &Restored) {
        let _ = restored;
    }

    /// Nothing was recorded yet that could be brought back.
    fn nothing_to_restore(&self) {}

    /// The command has started.
    fn started(&self, backend: Backend) {
        let _ = backend;
    }

    /// Work on an observation, or on a commit, has taken so long; so many observations wait.
    fn captured(&self, kind: &'static str, took: Duration, waiting: usize) {
        let _ = (kind, took, waiting);
    }

    /// Everything recorded so far is safe from a crash.
    fn committed(&self, committed: &Committed) {
        let _ = committed;
    }

    /// The recorder has a fault that does not stop the command.
    fn fault(&self, text: &str) {
        let _ = text;
    }
}

/// How far a recording is.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// Events by kind.
    pub counts: Counts,
    /// What was stored and how.
    pub tally: Tally,
    /// Files and directories of the tree.
    pub files: u64,
}

/// What the scan could not take.
pub(crate) type Losses = Vec<(FileId, PathBuf, GapReason)>;

/// Why a baseline ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("interrupted")]
    Interrupted,
}

struct Scan<'r, 's> {
    recording: &'r mut Recording<'s>,
    progress: &'r dyn Progress,
    interrupted: &'r dyn Fn() -> bool,
    waiting: Vec<Waiting>,
    waiting_bytes: u64,
    files: u64,
    bytes: u64,
    losses: Losses,
}

struct Waiting {
    file: FileId,
    path: PathBuf,
    ident: NodeIdent,
}

/// Scans every root and writes the baseline; gives what could not be read.
pub(crate) fn scan(
    recording: &mut Recording<'_>,
    progress: &dyn Progress,
    interrupted: &dyn Fn() -> bool,
) -> Result<Losses, BaselineError> {
    let mut scan = Scan {
        recording,
        progress,
        interrupted,
        waiting: Vec::new(),
        waiting_bytes: 0,
        files: 0,
        bytes: 0,
        losses: Vec::new(),
    };
    scan.roots()?;
    scan.read_waiting()?;
    let losses = std::mem::take(&mut scan.losses);
    recording.writer.baseline_done()?;
    progress.baseline_done();
    Ok(losses)
}

/// Makes what the baseline lacks into gaps, the first events of the session.
pub(crate) fn report(recording: &mut Recording<'_>, losses: Losses) -> Result<(), StoreError> {
    losses
        .into_iter()
        .try_for_each(|(file, path, reason)| match reason {
            // The baseline has its length already.
            GapReason::Omitted | GapReason::Redacted => {
                recording.gap(reason, Some(file), Some(&path), Vec::new())
            }
            _ => recording.lose(file, &path, reason),
        })
}

impl Scan<'_, '_> {
    fn roots(&mut self) -> Result<(), BaselineError> {
        let top = self.recording.tree.node_change(FileId::TOP);
        self.recording.baseline(vec![top])?;
        let roots = self.recording.scope.roots().to_vec();
        for root in roots {
            let dir = if root.label.is_empty() {
                FileId::TOP
            } else {
                let place = Place {
                    parent: FileId::TOP,
                    name: root.label,
                };
                match self.node(&root.path) {
                    Some((_, node)) => {
                        let (file, changes) = self.recording.tree.add(&place, node);
                        self.recording.baseline(changes)?;
                        file
                    }
                    None => continue,
                }
            };
            self.below(dir, &root.path)?;
        }
        Ok(())
    }

    fn node(&self, path: &Path) -> Option<(Stat, diffkeeper_store::model::Node)> {
        let stat = probe::stat(path).ok().flatten()?;
        let parts = probe::node(path, &stat).ok().flatten()?;
        Some((stat, node_of(&stat, parts)))
    }

    fn below(&mut self, dir: FileId, path: &Path) -> Result<(), BaselineError> {
        let mut stack = vec![(dir, path.to_owned())];
        while let Some((dir, path)) = stack.pop() {
            if (self.interrupted)() {
                return Err(BaselineError::Interrupted);
            }
            if let Some(known) = self.recording.tree.get_mut(dir) {
                known.listed = monotonic();
            }
            match names(&path) {
                Ok(mut names) => {
                    names.sort_unstable();
                    for name in names {
                        let place = Place { parent: dir, name };
                        stack.extend(self.entry(&place)?);
                    }
                }
                Err(error) if is_gone(&error) => {}
                Err(error) => {
                    tracing::debug!(?path, %error, "cannot list");
                    self.losses.push((dir, path, GapReason::Unreadable));
                }
            }
        }
        Ok(())
    }

    /// Takes one entry; gives a directory that has to be listed.
    fn entry(&mut self, place: &Place) -> Result<Option<(FileId, PathBuf)>, BaselineError> {
        let Some(path) = self.recording.tree.place_path(place) else {
            return Ok(None);
        };
        if !self.recording.scope.covers(&path) {
            return Ok(None);
        }
        let Some((stat, node)) = self.node(&path) else {
            return Ok(None);
        };
        let tree = &mut self.recording.tree;
        if let Some(file) = tree
            .by_ident(&stat.ident)
            .filter(|_| stat.kind != Kind::Dir)
        {
            let changes = tree.link(file, place);
            self.named(file, &path, changes)?;
            return Ok(None);
        }
        let (file, changes) = tree.add(place, node);
        if let Some(known) = tree.get_mut(file) {
            known.looked = Some(stat.ctime);
        }
        self.named(file, &path, changes)?;
        self.files += 1;
        match stat.kind {
            Kind::Dir => return Ok(Some((file, path))),
            Kind::File => {
                let ident = stat.ident;
                self.waiting.push(Waiting { file, path, ident });
                self.waiting_bytes += stat.size.min(WHOLE_MAX);
            }
            _ => {}
        }
        if self.waiting_bytes > BATCH_BYTES || self.waiting.len() >= BATCH_FILES {
            self.read_waiting()?;
        }
        Ok(None)
    }

    /// A name with the node it leads to.
    fn named(
        &mut self,
        file: FileId,
        path: &Path,
        changes: Vec<Change>,
    ) -> Result<(), BaselineError> {
        self.recording.is_denied(file, path);
        if self.recording.baseline(changes)? {
            let path = path.to_owned();
            self.losses.push((file, path, GapReason::Redacted));
        }
        Ok(())
    }

    fn read_waiting(&mut self) -> Result<(), BaselineError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let (store, limit) = (self.recording.store, self.recording.whole_limit());
        let redaction = self.recording.redaction.as_ref();
        let taken: Vec<Taken> = waiting
            .par_iter()
            .map_init(Vec::new, |buffer, waiting| {
                take((store, redaction), waiting, limit, buffer)
            })
            .collect();
        for (waiting, taken) in waiting.into_iter().zip(taken) {
            self.keep(waiting, taken)?;
        }
        self.progress.baseline(self.files, self.bytes);
        Ok(())
    }

    fn keep(&mut self, waiting: Waiting, taken: Taken) -> Result<(), BaselineError> {
        let Waiting { file, path, .. } = waiting;
        match taken {
            Taken::Prepared(prepared, read, redacted) => {
                self.bytes += prepared.len();
                self.recording.note_redacted(file, redacted);
                let seen = self.recording.seen(&read.stat);
                let content = self.recording.writer.adopt(file, prepared, seen)?;
                let content = content.redacted(redacted);
                let change = Change::Content { file, content };
                self.recording.baseline(vec![change])?;
                self.mark(file, read);
                Ok(())
            }
            Taken::Large(large) if large.stat.size > self.recording.max_file => {
                self.omit(file, path, &large)
            }
            Taken::Large(large) => self.keep_long(file, path, &large),
            Taken::Lost(reason) => self.lose(file, path, reason),
            Taken::Failed(error) => Err(BaselineError::Store(error.into())),
        }
    }

    fn mark(&mut self, file: FileId, read: ReadState) {
        if let Some(known) = self.recording.tree.get_mut(file) {
            known.read = Some(read);
            known.seen = read.begun;
        }
    }

    fn keep_long(
        &mut self,
        file: FileId,
        path: PathBuf,
        large: &Large,
    ) -> Result<(), BaselineError> {
        let (seen, begun) = (self.recording.seen(&large.stat), monotonic());
        let (masks, any) = (self.recording.masks(file, &path), Cell::new(false));
        let open = || masks.open(large, &any);
        let content = match self.recording.writer.encode_long(file, seen, open) {
            Ok(content) => content,
            Err(StoreError::Content(ContentError::Io(_))) => {
                return self.lose(file, path, GapReason::Unreadable);
            }
            Err(error) => return Err(error.into()),
        };
        let Ok(Some(racy)) = large.recheck() else {
            return self.lose(file, path, GapReason::Torn);
        };
        self.recording.note_redacted(file, any.get());
        if let Some(content) = content {
            let content = content.redacted(any.get());
            let change = Change::Content { file, content };
            self.recording.baseline(vec![change])?;
        }
        self.bytes += large.stat.size;
        let stat = large.stat;
        self.mark(file, ReadState { stat, racy, begun });
        self.progress.baseline(self.files, self.bytes);
        Ok(())
    }

    fn omit(&mut self, file: FileId, path: PathBuf, large: &Large) -> Result<(), BaselineError> {
        let (stat, begun) = (large.stat, monotonic());
        let content = Recording::omitted(stat.size, stat.mtime);
        let change = Change::Content { file, content };
        self.recording.baseline(vec![change])?;
        self.recording.omitted.insert(file, (stat.size, stat.mtime));
        let racy = false;
        self.mark(file, ReadState { stat, racy, begun });
        self.losses.push((file, path, GapReason::Omitted));
        Ok(())
    }

    fn lose(
        &mut self,
        file: FileId,
        path: PathBuf,
        reason: GapReason,
    ) -> Result<(), BaselineError> {
        let missing = match reason {
            GapReason::Torn => MissingReason::Torn,
            GapReason::Vanished => MissingReason::Vanished,
            _ => MissingReason::Unreadable,
        };
        let content = Recording::missing(missing, 0);
        let change = Change::Content { file, content };
        self.recording.baseline(vec![change])?;
        self.losses.push((file, path, reason));
        Ok(())
    }
}

enum Taken {
    Prepared(Prepared, ReadState, bool),
    Large(Large),
    Lost(GapReason),
    Failed(ContentError),
}

/// Reads and packs one file; runs on any thread.
fn take(
    (store, redaction): (&Store, Option<&Redaction>),
    waiting: &Waiting,
    limit: usize,
    buffer: &mut Vec<u8>,
) -> Taken {
    let begun = monotonic();
    match probe::read_stable(&waiting.path, &waiting.ident, limit, buffer) {
        Read::Stable { stat, racy } => {
            let redacted = redaction.is_some_and(|redaction| {
                let denied = redaction.denies(waiting.file);
                redaction.redactor.mask_content(buffer, denied)
            });
            let read = ReadState { stat, racy, begun };
            match store.prepare(buffer) {
                Ok(prepared) => Taken::Prepared(prepared, read, redacted),
                Err(error) => Taken::Failed(error),
            }
        }
        Read::Large(large) => Taken::Large(large),
        Read::Torn => Taken::Lost(GapReason::Torn),
        Read::Gone | Read::Replaced => Taken::Lost(GapReason::Vanished),
        Read::Unreadable(error) => {
            tracing::debug!(path = ?waiting.path, %error, "cannot read");
            Taken::Lost(GapReason::Unreadable)
        }
    }
}
