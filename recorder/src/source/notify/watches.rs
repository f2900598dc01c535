//! The watches: one per directory, never recursive, and a mirror of which paths the
//! notify crate holds.
//!
//! The crate keeps maps from path to watch and back and drops a path with everything
//! below it, in the kernel too, when it reads that the name was moved or removed. It
//! ignores a request for a path it holds already. Two consequences are handled here and
//! by the keeper: a path that may stand for another directory than before must be given
//! back before it is asked for again; and one that was dropped must be asked for again
//! if a directory has that name by now.

use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::notify::{
    Config, Error, ErrorKind, EventKindMask, PathOp, RecommendedWatcher, RecursiveMode,
    WatchPathConfig, Watcher,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use diffkeeper_store::model::GapReason;

use super::ear::Ear;
use crate::source::SourceError;

/// How long the notify thread may take to end.
const END: Duration = Duration::from_secs(5);

/// The watches of one instance of the notify crate.
pub(super) struct Watches {
    watcher: Option<RecommendedWatcher>,
    gone: Receiver<()>,
    held: BTreeSet<PathBuf>,
}

impl Watches {
    /// Starts an instance without watches. `gone` disconnects when `ear` is dropped.
    pub(super) fn open(ear: Ear, gone: Receiver<()>) -> Result<Self, SourceError> {
        // Neither opens nor closes after reading: our own reads would flood the queue.
        let kinds = EventKindMask::CORE | EventKindMask::ACCESS_CLOSE;
        let config = Config::default()
            .with_event_kinds(kinds)
            .with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(ear, config)
            .map_err(|error| SourceError::Unavailable(error.to_string()))?;
        Ok(Self {
            watcher: Some(watcher),
            gone,
            held: BTreeSet::new(),
        })
    }

    /// Watches directories, whatever their paths stood for before, and returns those that
    /// could not be watched. One that does not exist (any more) is no failure.
    pub(super) fn add(&mut self, dirs: &[PathBuf]) -> Vec<(PathBuf, GapReason)> {
        let mut ops = Vec::with_capacity(dirs.len());
        for dir in dirs {
            let config =
                WatchPathConfig::new(RecursiveMode::NonRecursive).with_dereference_symlinks(false);
            ops.push(PathOp::Watch(dir.clone(), config));
        }
        self.held.extend(dirs.iter().cloned());
        self.apply(ops)
    }

    /// Gives back every watch at and below a path.
    pub(super) fn give_back(&mut self, path: &Path) {
        let ops = self.take(path).into_iter().map(PathOp::Unwatch).collect();
        self.apply(ops);
    }

    /// Notes that the crate has dropped a path and everything below. Whether it held any.
    pub(super) fn dropped(&mut self, path: &Path) -> bool {
        !self.take(path).is_empty()
    }

    /// Gives back every watch and waits until the kernel has them back, since a successor
    /// would otherwise count twice against the limit.
    pub(super) fn close(&mut self) {
        let Some(watcher) = self.watcher.take() else {
            return;
        };
        if self.gone.try_recv() == Err(TryRecvError::Disconnected) {
            // Its thread died; its destructor would panic.
            std::mem::forget(watcher);
            return;
        }
        drop(watcher);
        if self.gone.recv_timeout(END) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the file notification thread does not end");
        }
    }

    /// Paths sort by component, so that a directory and all below it are neighbours.
    fn take(&mut self, path: &Path) -> Vec<PathBuf> {
        let below = (Bound::Included(path), Bound::Unbounded);
        let taken: Vec<PathBuf> = self
            .held
            .range::<Path, _>(below)
            .take_while(|held| held.starts_with(path))
            .cloned()
            .collect();
        for path in &taken {
            self.held.remove(path);
        }
        taken
    }

    fn apply(&mut self, mut ops: Vec<PathOp>) -> Vec<(PathBuf, GapReason)> {
        let mut refused = Vec::new();
        let Some(watcher) = &mut self.watcher else {
            return refused;
        };
        while !ops.is_empty() {
            let Err(error) = watcher.update_paths(ops) else {
                break;
            };
            let Some(origin) = error.origin else {
                // The notify thread died; the end of the queue will tell.
                break;
            };
            let path = origin.into_path();
            self.held.remove(&path);
            if let Some(reason) = reason(&error.source) {
                refused.push((path, reason));
            }
            ops = error.remaining;
        }
        refused
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why a directory could not be watched; `None` if there is none.
fn reason(error: &Error) -> Option<GapReason> {
    match &error.kind {
        ErrorKind::PathNotFound | ErrorKind::WatchNotFound => None,
        ErrorKind::MaxFilesWatch => Some(GapReason::WatchLimit),
        ErrorKind::Io(error) if is_absent(error) => None,
        _ => Some(GapReason::Unreadable),
    }
}

/// Whether an error says that there is no such directory.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
