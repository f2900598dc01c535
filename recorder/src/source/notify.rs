//! The notify tier: file notifications of the operating system through the notify crate.
//!
//! Contents are not part of a notification, so everything here is a reason to look.
//! Three parts, one thread each: the `ear` (the crate's own thread) queues what it hears,
//! the `keeper` sets watches and turns what was heard into facts, and whoever calls
//! [`Notify`] starts, syncs and stops.
//!
//! Memory: at most [`Notify::QUEUE`] queued items of about 200 bytes, beside the sink's
//! and about 0.5 KiB per directory for the maps of the crate and ours.

mod ear;
mod keeper;
mod watches;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use diffkeeper_store::model::Backend;

use self::keeper::{Ends, Keeper};
use super::{Source, SourceError};
use crate::observation::Observation;
use crate::scope::Scope;

/// A source on file notifications.
#[derive(Debug)]
pub struct Notify {
    canaries: PathBuf,
    bound: usize,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    keeper: JoinHandle<()>,
    /// Dropped to stop the keeper.
    stop: Sender<()>,
    /// Tokens that stand in the sink.
    done: Receiver<u64>,
    /// The last token somebody asked for.
    asked: Arc<AtomicU64>,
}

/// How long to wait for a canary before another one is sent.
const CANARY: Duration = Duration::from_secs(1);

impl Running {
    fn wait(&self, token: u64, deadline: Instant) -> Result<(), RecvTimeoutError> {
        while self.done.recv_deadline(deadline)? < token {}
        Ok(())
    }
}

impl Notify {
    /// Most items between the kernel and the keeper; beyond it the source starts over
    /// and says that it lost track.
    pub const QUEUE: usize = 64 * 1024;

    /// A source that has not started. `canaries` is a directory of its own that it makes
    /// and removes, below the state directory.
    #[must_use]
    pub const fn new(canaries: PathBuf) -> Self {
        Self::with_queue(canaries, Self::QUEUE)
    }

    /// As `new` with another bound than [`Notify::QUEUE`].
    #[must_use]
    pub const fn with_queue(canaries: PathBuf, bound: usize) -> Self {
        Self {
            canaries,
            bound,
            running: None,
        }
    }

    /// Makes the file whose announcement stands for everything before it: the queue of
    /// an inotify instance is first in, first out, across all its watches.
    fn send_canary(&self, token: u64) -> Result<(), SourceError> {
        let path = self.canaries.join(token.to_string());
        fs::write(&path, []).map_err(SourceError::Canary)?;
        fs::remove_file(&path).map_err(SourceError::Canary)
    }
}

impl Source for Notify {
    fn backend(&self) -> Backend {
        Backend::Notify
    }

    fn start(&mut self, scope: Arc<Scope>, sink: Sender<Observation>) -> Result<(), SourceError> {
        self.stop();
        fs::create_dir_all(&self.canaries).map_err(SourceError::Canary)?;
        self.canaries = self.canaries.canonicalize().map_err(SourceError::Canary)?;
        let (stop, stopped) = bounded(0);
        let (done_sender, done) = unbounded();
        let asked = Arc::new(AtomicU64::new(0));
        let ends = Ends {
            sink,
            stopped,
            done: done_sender,
            asked: Arc::clone(&asked),
        };
        let keeper = Keeper::open(scope, self.canaries.clone(), self.bound, ends)?;
        let keeper = std::thread::Builder::new()
            .name("notify-keeper".into())
            .spawn(|| keeper.run())
            .map_err(SourceError::Thread)?;
        self.running = Some(Running {
            keeper,
            stop,
            done,
            asked,
        });
        Ok(())
    }

    fn sync(&mut self, timeout: Duration) -> Result<u64, SourceError> {
        let running = self.running.as_ref().ok_or(SourceError::Stopped)?;
        let deadline = Instant::now() + timeout;
        // Before the canary: should the source start over meanwhile, that answers too.
        let token = running.asked.fetch_add(1, Ordering::SeqCst) + 1;
        loop {
            self.send_canary(token)?;
            let patience = deadline.min(Instant::now() + CANARY);
            match running.wait(token, patience) {
                // The canary fell into the moment in which its watch was set again.
                Err(RecvTimeoutError::Timeout) if patience < deadline => {}
                Err(RecvTimeoutError::Timeout) => return Err(SourceError::Late(timeout)),
                Err(RecvTimeoutError::Disconnected) => return Err(SourceError::Stopped),
                Ok(()) => return Ok(token),
            }
        }
    }

    fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        drop(running.stop);
        if running.keeper.join().is_err() {
            tracing::error!("the keeper of the notify source panicked");
        }
        if let Err(error) = fs::remove_dir_all(&self.canaries) {
            tracing::debug!(%error, "the canary directory stays");
        }
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
