//! Sources: where observations come from. One trait, so that the pipeline does not know
//! whether the kernel or a script is speaking.

mod kernel;
mod mounts;
mod notify;
mod scripted;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use diffkeeper_store::model::Backend;

pub use self::kernel::{Kernel, Wishes, told_by};
pub use self::notify::Notify;
pub use self::scripted::{Script, Scripted};
use crate::elevation::ElevationError;
use crate::held::HeldBack;
use crate::observation::Observation;
use crate::scope::Scope;

/// What ends a source. Troubles that can be survived are facts instead.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The facility of the operating system is not to be had.
    #[error("file notifications are not available: {0}")]
    Unavailable(String),
    /// The kernel does not take the programs that capture.
    #[error("capture in the kernel is not available: {0}")]
    Kernel(String),
    /// Nobody who may loads the programs.
    #[error(transparent)]
    Privilege(#[from] ElevationError),
    /// The directory for canaries cannot be used.
    #[error("cannot use the canary directory: {0}")]
    Canary(io::Error),
    /// Without it nobody may be held back.
    #[error("cannot start the watchdog: {0}")]
    Watchdog(io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The source was not started, was stopped, or failed for good.
    #[error("the source is not running")]
    Stopped,
    /// What happened before the call was not delivered in time.
    #[error("changes were not announced within {0:?}")]
    Late(Duration),
}

/// Something that observes a scope.
///
/// A source may block the process that makes a change until its observation is taken;
/// it must not wait for anything but the sink. A process that it stops for longer has to be
/// continued whatever becomes of the recorder, and be known by [`Source::held`].
pub trait Source: Send {
    /// The capture tier this source stands for.
    fn backend(&self) -> Backend;

    /// Whom it stops for a while.
    fn held(&self) -> HeldBack {
        HeldBack::default()
    }

    /// Starts to observe and hands everything to `sink`, which should be bounded. Returns
    /// when every directory that exists is watched, so that a scan started afterwards
    /// misses nothing. Does not wait for the sink, which nobody may be reading yet.
    ///
    /// # Errors
    /// The source cannot work at all.
    fn start(&mut self, scope: Arc<Scope>, sink: Sender<Observation>) -> Result<(), SourceError>;

    /// Waits until everything that happened before the call stands in the sink, followed
    /// by `Fact::Synced` with the returned token. Whoever reads the sink must go on
    /// reading meanwhile.
    ///
    /// # Errors
    /// [`SourceError::Late`] after `timeout`; [`SourceError::Stopped`].
    fn sync(&mut self, timeout: Duration) -> Result<u64, SourceError>;

    /// Stops observing and drops the sink. What has not been handed over is lost: sync
    /// first. Does nothing if it is not running.
    fn stop(&mut self);
}
