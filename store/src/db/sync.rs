//! Durability against the loss of power: commits reach the disk from a thread of its own, so
//! that none of them waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::DbError;

/// The longest that a commit waits for its sync, apart from the time that takes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of commits that are not waited with, 8 MB.
const FULL: u64 = 8_000_000;

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of this process.
    #[default]
    Crash,
    /// The loss of power too, a second or 8 MB after it, whichever comes first.
    Power,
}

/// What the commits and the thread tell each other.
#[derive(Default)]
struct State {
    /// Bytes of commits since the last sync began.
    bytes: u64,
    ending: bool,
    failed: Option<DbError>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that syncs; its end waits for what is left.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread; `sync` makes all that was committed before it safe.
    pub(super) fn start(
        sync: impl Fn() -> Result<(), DbError> + Send + 'static,
    ) -> std::io::Result<Self> {
        Self::every(INTERVAL, sync)
    }

    fn every(
        interval: Duration,
        sync: impl Fn() -> Result<(), DbError> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("sync".into());
        let thread = thread.spawn(move || work(&theirs, interval, sync))?;
        let thread = Some(thread);
        Ok(Self { shared, thread })
    }

    /// Tells of a commit.
    ///
    /// # Errors
    /// That of an earlier sync: what was committed may not be on the disk.
    pub(super) fn committed(&self, bytes: u64) -> Result<(), DbError> {
        let mut state = self.shared.lock();
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        state.bytes += bytes.max(1);
        if state.bytes >= FULL {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Syncs what is left and ends.
    ///
    /// # Errors
    /// That of a sync.
    pub(super) fn finish(mut self) -> Result<(), DbError> {
        self.end();
        self.shared.lock().failed.take().map_or(Ok(()), Err)
    }

    fn end(&mut self) {
        self.shared.lock().ending = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing to add: it is joined, not asked.
            let _ = thread.join();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.end();
    }
}

fn work(shared: &Shared, interval: Duration, sync: impl Fn() -> Result<(), DbError>) {
    loop {
        let state = shared.lock();
        let waits = |state: &mut State| !state.ending && state.bytes < FULL;
        let waited = shared.changed.wait_timeout_while(state, interval, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (bytes, ending) = (std::mem::take(&mut state.bytes), state.ending);
        drop(state);
        if bytes > 0
            && let Err(error) = sync()
        {
            shared.lock().failed = Some(error);
            return;
        }
        if ending {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    const NEVER: Duration = Duration::from_secs(3600);

    fn counting(interval: Duration) -> (Arc<AtomicU32>, Syncer) {
        let count = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&count);
        let syncer = Syncer::every(interval, move || {
            theirs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        (count, syncer.unwrap())
    }

    fn wait_until(done: impl Fn() -> bool) {
        let started = Instant::now();
        while !done() {
            assert!(started.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_small_commit_is_synced_after_the_interval() {
        let interval = Duration::from_millis(20);
        let (count, syncer) = counting(interval);
        syncer.committed(1).unwrap();
        wait_until(|| count.load(Ordering::SeqCst) == 1);
        // Nothing new is nothing to sync.
        std::thread::sleep(interval * 3);
        syncer.finish().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn much_at_once_does_not_wait_for_the_interval() {
        let (count, syncer) = counting(NEVER);
        syncer.committed(FULL - 1).unwrap();
        syncer.committed(1).unwrap();
        wait_until(|| count.load(Ordering::SeqCst) == 1);
    }

    #[test]
    fn the_end_syncs_what_is_left() {
        let (count, syncer) = counting(NEVER);
        syncer.committed(1).unwrap();
        syncer.finish().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failed_sync_is_an_error_of_a_later_commit_or_of_the_end() {
        let failing = || Syncer::every(NEVER, || Err(DbError::ReadOnly)).unwrap();
        let syncer = failing();
        syncer.committed(FULL).unwrap();
        wait_until(|| syncer.committed(1).is_err());
        let syncer = failing();
        syncer.committed(1).unwrap();
        assert!(syncer.finish().is_err());
    }
}
