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
    /// At least what the crate holds: also what it has dropped or refused, until that is
    /// heard. A refusal does not mean that it holds nothing from before.
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

    /// Watches directories whose paths are not held for others, and returns those that
    /// are not watched now, with the reason unless they do not exist (any more).
    pub(super) fn add(&mut self, dirs: &[PathBuf]) -> Vec<(PathBuf, Option<GapReason>)> {
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

    /// Notes that the crate has read that a name was given up, and so has dropped the
    /// watches at and below it. Whether there were any.
    pub(super) fn dropped(&mut self, path: &Path) -> bool {
        let taken = self.take(path);
        // It keeps those below a path that it did not watch itself at that moment: a
        // directory may have come, been listed by us and gone between two announcements.
        if taken.iter().any(|taken| taken != path) {
            let astray = self.really_held(path);
            self.apply(astray.into_iter().map(PathOp::Unwatch).collect());
        }
        !taken.is_empty()
    }

    /// What the crate itself says it holds at and below a path.
    fn really_held(&self, path: &Path) -> Vec<PathBuf> {
        let watched = self.watcher.as_ref().map(Watcher::watched_paths);
        let mut paths: Vec<PathBuf> = watched
            .and_then(Result::ok)
            .unwrap_or_default()
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        paths.retain(|held| held.starts_with(path));
        paths
    }

    /// Pretends that the crate held these paths, for tests of what follows a drop.
    #[cfg(test)]
    pub(super) fn mark_held(&mut self, paths: &[PathBuf]) {
        self.held.extend(paths.iter().cloned());
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

    fn apply(&mut self, mut ops: Vec<PathOp>) -> Vec<(PathBuf, Option<GapReason>)> {
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
            refused.push((origin.into_path(), reason(&error.source)));
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
