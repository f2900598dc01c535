//! Observations: the raw facts that sources hand to the pipeline.
//!
//! Every fact here names paths and says no more than "look there": the file may have
//! changed again, or be another one, by the time somebody looks. Facts that carry what
//! happened themselves (a write with its bytes, by identity) are further variants of
//! [`Fact`]; they do not alter these.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diffkeeper_ebpf::wire::Inode;
use diffkeeper_store::model::GapReason;
use rustix::time::{ClockId, clock_gettime};

/// A fact and when the recorder received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// CLOCK_MONOTONIC on receipt, ns.
    pub monotonic: u64,
    /// What was received.
    pub fact: Fact,
}

impl Observation {
    /// A fact received now.
    #[must_use]
    pub fn now(fact: Fact) -> Self {
        Self {
            monotonic: monotonic(),
            fact,
        }
    }
}

/// What a source has to say. Paths are absolute and below a root, or a root itself.
/// The order is that in which the kernel announced the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Something happened to a path. A directory that appeared is watched by now, so a
    /// scan of it misses nothing; it may see what further facts announce again.
    Touched {
        /// Where.
        path: PathBuf,
        /// What seems to have happened.
        hint: Hint,
    },
    /// A name moved inside the scope, with everything below it. An exchange of two
    /// names comes as two of these, one in each direction: only the identities of the
    /// files tell it from two renames.
    Renamed {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// From a point on, everything below a directory is announced. Whoever listed a
    /// directory there earlier must do it again; that is no loss.
    Watched {
        /// The directory.
        path: PathBuf,
        /// The point, CLOCK_MONOTONIC, ns.
        since: u64,
    },
    /// Changes were lost: everything below must be looked at again. Comes after the
    /// source has recovered, so that a look after it misses nothing.
    Lost {
        /// Below this directory, or anywhere at all.
        path: Option<PathBuf>,
        /// Why.
        reason: GapReason,
    },
    /// A record of a kernel tier: what happened itself, by identity, as
    /// `diffkeeper_ebpf::wire` decodes it.
    Record(Held),
    /// Records of a kernel tier had no room: what they told of this file or directory is
    /// not known, or, without one, of processes.
    Overrun(Option<Inode>),
    /// Changes directly below this directory will not be announced.
    Unwatched {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: GapReason,
    },
    /// Everything that happened before the `sync` that returned this token stands
    /// before this fact.
    Synced(u64),
}

impl Fact {
    /// What kind of fact, for figures.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Touched { .. } => "touched",
            Self::Renamed { .. } => "renamed",
            Self::Watched { .. } => "watched",
            Self::Lost { .. } => "lost",
            Self::Record(_) => "record",
            Self::Unwatched { .. } => "unwatched",
            Self::Overrun(_) => "overrun",
            Self::Synced(_) => "synced",
        }
    }
}

/// Bytes that wait in a queue, counted for as long as they do: a queue of so many items
/// would else hold as much as the longest of them allow.
#[derive(Debug)]
pub struct Held {
    bytes: Box<[u8]>,
    held: Option<Arc<AtomicUsize>>,
}

impl Held {
    /// Bytes that add their number to `held` until they are dropped.
    #[must_use]
    pub fn new(bytes: &[u8], held: &Arc<AtomicUsize>) -> Self {
        held.fetch_add(bytes.len(), Ordering::Relaxed);
        Self {
            bytes: bytes.into(),
            held: Some(Arc::clone(held)),
        }
    }
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        }
    }
}

impl Clone for Held {
    /// A copy is not in the queue.
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            held: None,
        }
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Held {}

/// What an announcement says of a path. Names may have moved since, so this is a reason
/// to look and never a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A new name. Symbolic links to directories are no directories.
    Created {
        /// It was a directory.
        dir: bool,
    },
    /// The content changed.
    Modified,
    /// It was closed after having been open for writing.
    Closed,
    /// Mode, owner, times, link count or extended attributes changed.
    Attributes,
    /// The name went away.
    Removed {
        /// It was a directory.
        dir: bool,
    },
    /// The name left the scope, with everything below it.
    MovedOut,
    /// The name came from outside the scope, with everything below it.
    MovedIn,
}

/// CLOCK_MONOTONIC, ns.
#[must_use]
pub fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let sec = u64::try_from(now.tv_sec).unwrap_or(0);
    let nsec = u64::try_from(now.tv_nsec).unwrap_or(0);
    sec.saturating_mul(1_000_000_000).saturating_add(nsec)
}
