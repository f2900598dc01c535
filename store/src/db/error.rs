//! What can go wrong below the records, and how a panic of the engine becomes one of these.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// What can go wrong below the records.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database refuses, with its own words.
    #[error("the database failed: {0}")]
    Engine(#[from] fjall::Error),
    /// The database met bytes it cannot have written and gave up.
    #[error("the database is damaged: {0}")]
    Panicked(String),
    /// A record does not match its checksum.
    #[error("a record of the {0} keyspace is damaged")]
    Checksum(&'static str),
    /// A keyspace is gone, or would be once the engine has seen it.
    #[error("the database is damaged: {} has lost its records", .0.display())]
    Lost(PathBuf),
    /// The list of a keyspace's tables does not match its checksum.
    #[error("the database is damaged: {} is not what was written", .0.display())]
    Manifest(PathBuf),
    /// A block of a packed trace is damaged.
    #[error("the pack is damaged at byte {0}")]
    PackBlock(u64),
    /// A part of a packed trace is not there.
    #[error("the pack is damaged: a part of it is missing")]
    PackLost,
    /// The recorder that served the trace does not any more.
    #[error("the recorder has ended, or does not answer")]
    RecorderGone,
    /// The recorder that serves the trace could not answer, in its words.
    #[error("the recorder says: {0}")]
    Recorder(String),
    /// Records came in an order that they cannot have.
    #[error("the trace is damaged: its records are out of order")]
    OutOfOrder,
    /// Records were to be written where they can only be read.
    #[error("a packed trace, or one that is being recorded, cannot be written to")]
    ReadOnly,
    /// A journal holds something that was never written to it.
    #[error("the database is damaged: {} at byte {at} of {len}", path.display())]
    Journal {
        /// Which.
        path: PathBuf,
        /// Where its last whole batch ends.
        at: u64,
        /// Length, bytes.
        len: u64,
    },
    /// A file of the database could not be handled.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl DbError {
    /// Whether it is the database that is in a bad way, and not the disk or the caller.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Engine(fjall::Error::Locked) => false,
            Self::Engine(_)
            | Self::Panicked(_)
            | Self::Checksum(_)
            | Self::Lost(_)
            | Self::Manifest(_)
            | Self::OutOfOrder
            | Self::Journal { .. } => true,
            Self::PackBlock(_)
            | Self::PackLost
            | Self::RecorderGone
            | Self::Recorder(_)
            | Self::ReadOnly => false,
        }
    }

    /// Whether other records can be read all the same.
    pub(crate) const fn is_of_one_record(&self) -> bool {
        matches!(
            self,
            Self::Checksum(_) | Self::PackBlock(_) | Self::PackLost
        )
    }

    /// Whether the cause is a full disk or quota.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let kind = match self {
            Self::Io { source, .. } | Self::Engine(fjall::Error::Io(source)) => source.kind(),
            Self::Engine(fjall::Error::Storage(fjall::LsmError::Io(source))) => source.kind(),
            _ => return false,
        };
        matches!(kind, StorageFull | QuotaExceeded)
    }
}

thread_local! {
    pub(super) static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside the database, where a panic is caught and becomes an
/// error; a panic hook asks this to stay silent.
#[must_use]
pub fn panic_is_guarded() -> bool {
    GUARDED.get()
}

/// Runs a database call; damaged files make the engine panic in places, which must not
/// take the program down.
pub(super) fn guard<T>(call: impl FnOnce() -> Result<T, fjall::Error>) -> Result<T, DbError> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    match result {
        Ok(result) => Ok(result?),
        Err(panic) => Err(DbError::Panicked(panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "unknown cause".into())
}
