//! The keeper: keeps every directory of the scope watched while the tree changes, and
//! turns what was heard into facts.
//!
//! The rule that leaves no window: watch, then tell. A fact that names a directory is
//! sent when the directory and all below it are watched, so a look that follows the fact
//! sees what the watch was too late for. Changes to a name are announced by its parent's
//! watch in the order in which they happened, so that the last one heard settles which
//! directory has the name.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, after, never, select};
use diffkeeper_store::model::GapReason;

use super::ear::{Ear, Heard, Hearing, News};
use super::watches::{Watches, is_absent};
use crate::observation::{Fact, Hint, Observation, monotonic};
use crate::scope::Scope;
use crate::source::SourceError;

/// How long the other half of a rename may take. Both are queued by one system call,
/// with nothing in between but what other processes do at that moment.
const PAIRING: Duration = Duration::from_millis(50);

/// What connects the keeper with the rest.
pub(super) struct Ends {
    pub(super) sink: Sender<Observation>,
    /// Disconnects to stop the keeper.
    pub(super) stopped: Receiver<()>,
    pub(super) done: Sender<u64>,
    pub(super) asked: Arc<AtomicU64>,
}

/// The sink is gone or the source was stopped.
struct Over;

/// One half of a rename.
struct Departure {
    monotonic: u64,
    path: PathBuf,
    cookie: usize,
    /// It was a watched directory, which the notify crate has dropped.
    dropped: bool,
}

/// See the module.
pub(super) struct Keeper {
    scope: Arc<Scope>,
    canaries: PathBuf,
    bound: usize,
    ends: Ends,
    hearing: Hearing,
    watches: Watches,
    departures: Vec<Departure>,
    /// Directories already reported as unwatched.
    refused: HashSet<PathBuf>,
    /// Facts of the start, when nobody reads the sink yet.
    early: Vec<Fact>,
    synced: u64,
}

impl Keeper {
    /// Watches every directory of the scope.
    pub(super) fn open(
        scope: Arc<Scope>,
        canaries: PathBuf,
        bound: usize,
        ends: Ends,
    ) -> Result<Self, SourceError> {
        let (hearing, watches) = listen(&scope, &canaries, bound)?;
        let mut keeper = Self {
            scope,
            canaries,
            bound,
            ends,
            hearing,
            watches,
            departures: Vec::new(),
            refused: HashSet::new(),
            early: Vec::new(),
            synced: 0,
        };
        keeper.early = keeper.watch_roots();
        Ok(keeper)
    }

    /// Runs until it is stopped, the sink is gone or the source cannot recover.
    pub(super) fn run(mut self) {
        for fact in std::mem::take(&mut self.early) {
            if self.emit(monotonic(), fact).is_err() {
                return;
            }
        }
        loop {
            let step = match self.next() {
                Ok(heard) => self.handle(heard),
                Err(Wait::Idle) => self.depart(|_| true),
                Err(Wait::Deaf) => self.start_over(),
                Err(Wait::Over) => return,
            };
            if step.is_err() {
                return;
            }
        }
    }

    fn next(&self) -> Result<Heard, Wait> {
        if self.ends.stopped.try_recv() == Err(TryRecvError::Disconnected) {
            return Err(Wait::Over);
        }
        match self.hearing.queue.try_recv() {
            Ok(heard) => return Ok(heard),
            Err(TryRecvError::Disconnected) => return Err(Wait::Deaf),
            Err(TryRecvError::Empty) => {}
        }
        let idle = if self.departures.is_empty() {
            never()
        } else {
            after(PAIRING)
        };
        select! {
            recv(self.hearing.queue) -> heard => heard.map_err(|_| Wait::Deaf),
            recv(self.ends.stopped) -> _ => Err(Wait::Over),
            recv(idle) -> _ => Err(Wait::Idle),
        }
    }

    fn handle(&mut self, heard: Heard) -> Result<(), Over> {
        let Heard { monotonic, news } = heard;
        let pairing = u64::try_from(PAIRING.as_nanos()).unwrap_or(u64::MAX);
        self.depart(|old| monotonic.saturating_sub(old.monotonic) > pairing)?;
        match news {
            News::Left(path, cookie) => {
                self.depart(|old| old.path == path)?;
                let dropped = self.watches.dropped(&path);
                self.departures.push(Departure {
                    monotonic,
                    path,
                    cookie,
                    dropped,
                });
                Ok(())
            }
            News::Arrived(path, cookie) => self.arrived(monotonic, path, cookie),
            News::Touched(path, hint) => {
                self.depart(|old| old.path == path)?;
                self.touched(monotonic, path, hint)
            }
            News::Moved(path) => self.moved(monotonic, path),
            News::Canary(token) => {
                self.depart(|_| true)?;
                self.synced(token)
            }
        }
    }

    fn touched(&mut self, monotonic: u64, path: PathBuf, hint: Hint) -> Result<(), Over> {
        match hint {
            Hint::Created { dir: true } => {
                self.tend(monotonic, &path)?;
                let touched = Fact::Touched {
                    path: path.clone(),
                    hint,
                };
                self.emit(monotonic, touched)?;
                self.watched(monotonic, path)
            }
            Hint::Removed { .. } => {
                let dropped = self.watches.dropped(&path);
                let touched = Fact::Touched {
                    path: path.clone(),
                    hint,
                };
                self.emit(monotonic, touched)?;
                self.succeed(monotonic, path, dropped)
            }
            _ => self.emit(monotonic, Fact::Touched { path, hint }),
        }
    }

    /// The second half of a rename, or a name from outside.
    fn arrived(
        &mut self,
        monotonic: u64,
        path: PathBuf,
        cookie: Option<usize>,
    ) -> Result<(), Over> {
        let half = self
            .departures
            .iter()
            .position(|old| Some(old.cookie) == cookie);
        let old = half.map(|index| self.departures.remove(index));
        self.depart(|old| old.path == path)?;
        let dir = is_dir(&path);
        if dir {
            self.tend_anew(monotonic, &path)?;
        }
        let Some(old) = old else {
            let touched = Fact::Touched {
                path: path.clone(),
                hint: Hint::MovedIn,
            };
            self.emit(monotonic, touched)?;
            return if dir {
                self.watched(monotonic, path)
            } else {
                Ok(())
            };
        };
        let renamed = Fact::Renamed {
            from: old.path.clone(),
            to: path.clone(),
        };
        self.emit(monotonic, renamed)?;
        if dir {
            self.watched(monotonic, path)?;
        }
        self.succeed(monotonic, old.path, old.dropped)
    }

    /// A watched directory was moved; its parent's watch has told the same, with the new
    /// name, unless there is none: above a root, or where a watch was refused.
    fn moved(&mut self, monotonic: u64, path: PathBuf) -> Result<(), Over> {
        if self.scope.is_root(&path) {
            self.watches.give_back(&path);
            let hint = Hint::MovedOut;
            let touched = Fact::Touched {
                path: path.clone(),
                hint,
            };
            self.emit(monotonic, touched)?;
            return self.succeed(monotonic, path, true);
        }
        if !is_dir(&path) {
            self.watches.give_back(&path);
        }
        Ok(())
    }

    /// Gives up waiting for the other halves of some departures.
    fn depart(&mut self, which: impl Fn(&Departure) -> bool) -> Result<(), Over> {
        while let Some(index) = self.departures.iter().position(&which) {
            let old = self.departures.remove(index);
            let touched = Fact::Touched {
                path: old.path.clone(),
                hint: Hint::MovedOut,
            };
            self.emit(old.monotonic, touched)?;
            self.succeed(old.monotonic, old.path, old.dropped)?;
        }
        Ok(())
    }

    /// After a name was given up: the notify crate has dropped the watches below it, also
    /// those of a directory that has the name by now. And a root may come back, which
    /// only its parent announces.
    fn succeed(&mut self, monotonic: u64, path: PathBuf, dropped: bool) -> Result<(), Over> {
        if self.scope.is_root(&path)
            && let Some(parent) = path.parent()
        {
            self.watches.add(&[parent.to_owned()]);
        } else if !dropped {
            return Ok(());
        }
        if is_dir(&path) {
            self.tend_anew(monotonic, &path)?;
            self.watched(monotonic, path)?;
        }
        Ok(())
    }

    /// Says that everything below a directory is watched as of now.
    fn watched(&mut self, received: u64, path: PathBuf) -> Result<(), Over> {
        let since = monotonic();
        self.emit(received, Fact::Watched { path, since })
    }

    /// Watches a directory and all below it.
    fn tend(&mut self, monotonic: u64, top: &Path) -> Result<(), Over> {
        for fact in self.watch_tree(top) {
            self.emit(monotonic, fact)?;
        }
        Ok(())
    }

    /// As `tend`, for a path that may have stood for another directory before.
    fn tend_anew(&mut self, monotonic: u64, top: &Path) -> Result<(), Over> {
        self.watches.give_back(top);
        self.tend(monotonic, top)
    }

    fn watch_roots(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        let scope = Arc::clone(&self.scope);
        for root in scope.roots() {
            facts.extend(self.watch_tree(&root.path));
            if !is_dir(&root.path)
                && let Some(parent) = root.path.parent()
            {
                self.watches.add(&[parent.to_owned()]);
                facts.extend(self.watch_tree(&root.path));
            }
        }
        facts
    }

    /// Level by level: watch, then list. A directory made after the listing is announced.
    fn watch_tree(&mut self, top: &Path) -> Vec<Fact> {
        let mut facts = Vec::new();
        if self.canaries.starts_with(top) {
            // Dropped with everything else below.
            self.watches.add(std::slice::from_ref(&self.canaries));
        }
        let mut level = vec![top.to_owned()];
        while !level.is_empty() {
            let mut absent = HashSet::new();
            for (path, reason) in self.watches.add(&level) {
                match reason {
                    Some(reason) => self.refuse(path, reason, &mut facts),
                    None => _ = absent.insert(path),
                }
            }
            let mut below = Vec::new();
            for dir in level {
                // Should it exist by now, that will be announced. Watches below a path that
                // is not watched itself would go astray with the next rename.
                if absent.contains(&dir) {
                    continue;
                }
                if let Err(error) = self.list(&dir, &mut below)
                    && !is_absent(&error)
                {
                    self.refuse(dir, GapReason::Unreadable, &mut facts);
                }
            }
            level = below;
        }
        facts
    }

    fn list(&self, dir: &Path, below: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    let path = entry.path();
                    if self.scope.covers(&path) {
                        below.push(path);
                    }
                }
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, path: PathBuf, reason: GapReason, facts: &mut Vec<Fact>) {
        if self.refused.insert(path.clone()) {
            facts.push(Fact::Unwatched { path, reason });
        }
    }

    fn synced(&mut self, token: u64) -> Result<(), Over> {
        if token <= self.synced {
            return Ok(());
        }
        self.synced = token;
        self.emit(monotonic(), Fact::Synced(token))?;
        self.ends.done.send(token).map_err(|_| Over)
    }

    /// Something was not heard, so nothing that is known of the watches is certain: begins
    /// again with a new instance of the notify crate.
    fn start_over(&mut self) -> Result<(), Over> {
        let fault = self.hearing.fault.get().copied();
        let reason = fault.unwrap_or(GapReason::Recorder);
        self.depart(|_| true)?;
        self.watches.close();
        match listen(&self.scope, &self.canaries, self.bound) {
            Ok((hearing, watches)) => {
                self.hearing = hearing;
                self.watches = watches;
            }
            Err(error) => {
                tracing::error!(%error, "the notify source cannot recover");
                let reason = GapReason::Recorder;
                self.emit(monotonic(), Fact::Lost { path: None, reason })?;
                return Err(Over);
            }
        }
        // Canaries of syncs up to here may be lost too, later ones are heard.
        let asked = self.ends.asked.load(Ordering::SeqCst);
        for fact in self.watch_roots() {
            self.emit(monotonic(), fact)?;
        }
        self.emit(monotonic(), Fact::Lost { path: None, reason })?;
        // What happened before they were sent is covered by the loss.
        self.synced(asked)
    }

    fn emit(&self, monotonic: u64, fact: Fact) -> Result<(), Over> {
        let observation = Observation { monotonic, fact };
        match self.ends.sink.try_send(observation) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(Over),
            Err(TrySendError::Full(observation)) => select! {
                send(self.ends.sink, observation) -> sent => sent.map_err(|_| Over),
                recv(self.ends.stopped) -> _ => Err(Over),
            },
        }
    }
}

/// Why nothing was heard.
enum Wait {
    Idle,
    Deaf,
    Over,
}

/// A new instance of the notify crate, which watches only the canaries.
fn listen(
    scope: &Arc<Scope>,
    canaries: &Path,
    bound: usize,
) -> Result<(Hearing, Watches), SourceError> {
    let (ear, hearing) = Ear::new(Arc::clone(scope), canaries.to_owned(), bound);
    let mut watches = Watches::open(ear, hearing.gone.clone())?;
    let refused = watches.add(&[canaries.to_owned()]);
    if let Some((_, reason)) = refused.first() {
        let reason = reason.map_or("absent", GapReason::word);
        let reason = format!("the canary directory cannot be watched ({reason})");
        return Err(SourceError::Unavailable(reason));
    }
    Ok((hearing, watches))
}

/// Whether a directory has this name now.
fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

#[cfg(test)]
mod tests;
