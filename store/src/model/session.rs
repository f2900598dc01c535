//! Sessions: one run of the recorder each.

use super::{Digest, ExitStatus, OpKind, Seq, SessionId, Timestamp, UnixTime, event::tagged};

tagged! {
    /// The capture tier a session was recorded with.
    Backend {
        /// File notifications of the operating system; contents are observed.
        Notify = 0 "notify",
        /// eBPF on tracepoints.
        Tracepoint = 1 "tracepoint",
        /// eBPF on function entries and exits.
        Fentry = 2 "fentry",
        /// Observations from a script, for tests.
        Scripted = 3 "scripted",
    }
}

/// A recorded directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute path when the session was recorded.
    pub path: Vec<u8>,
    /// Its name below the top when there are several roots; empty for a single one.
    pub label: Vec<u8>,
}

/// What is known of a session when it starts; never changes afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its number in the state directory.
    pub id: SessionId,
    /// The command with its arguments.
    pub argv: Vec<Vec<u8>>,
    /// The directory it was started in.
    pub cwd: Vec<u8>,
    /// The recorded directories.
    pub roots: Vec<Root>,
    /// Patterns that were left out.
    pub excludes: Vec<Vec<u8>>,
    /// Host name.
    pub host: Vec<u8>,
    /// Kernel release.
    pub kernel: Vec<u8>,
    /// Boot id of the kernel; empty where there is none.
    pub boot_id: Vec<u8>,
    /// The user who ran the command.
    pub uid: u32,
    /// Capture tier.
    pub backend: Backend,
    /// Why this tier, for people.
    pub backend_reason: Vec<u8>,
    /// Version of the program that recorded.
    pub recorder: Vec<u8>,
    /// Monotonic clock at `Timestamp(0)`, ns since boot.
    pub start_monotonic: u64,
    /// Wall clock at `Timestamp(0)`.
    pub start_wall: UnixTime,
}

impl Session {
    /// A session of which nothing else is known.
    #[must_use]
    pub fn new(id: SessionId, backend: Backend) -> Self {
        Self {
            id,
            argv: Vec::new(),
            cwd: Vec::new(),
            roots: Vec::new(),
            excludes: Vec::new(),
            host: Vec::new(),
            kernel: Vec::new(),
            boot_id: Vec::new(),
            uid: 0,
            backend,
            backend_reason: Vec::new(),
            recorder: Vec::new(),
            start_monotonic: 0,
            start_wall: UnixTime::default(),
        }
    }
}

/// Events per kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; OpKind::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; OpKind::ALL.len()])
    }
}

impl Counts {
    /// How many events of a kind.
    #[must_use]
    pub fn get(&self, kind: OpKind) -> u64 {
        self.0.get(usize::from(kind.tag())).copied().unwrap_or(0)
    }

    /// Adds `n` events of a kind.
    pub fn add(&mut self, kind: OpKind, n: u64) {
        if let Some(slot) = self.0.get_mut(usize::from(kind.tag())) {
            *slot = slot.saturating_add(n);
        }
    }

    /// All events.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// How far a session has been committed; rewritten with every batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last committed event.
    pub last_seq: Seq,
    /// Its time.
    pub last_time: Timestamp,
    /// Whether the baseline is complete.
    pub baseline_done: bool,
    /// Events so far.
    pub counts: Counts,
    /// Running hash over the plain event blocks (see `docs/format.md`).
    pub chain: Digest,
}

/// Where a session starts whose beginning was given up. The states at this `Seq` stand in the
/// records that were the newest then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The last event that is gone.
    pub seq: Seq,
    /// Its time.
    pub time: Timestamp,
    /// The running hash after it.
    pub chain: Digest,
    /// How many events are gone.
    pub dropped: u64,
}

/// Written once, when a session ends in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// When recording ended, ns since session start.
    pub end: Timestamp,
    /// Wall clock at the same moment.
    pub end_wall: UnixTime,
    /// How the command ended.
    pub status: ExitStatus,
    /// Final value of the running hash.
    pub root: Digest,
    /// Faults of the recorder itself, for people; empty when all went well.
    pub faults: Vec<Vec<u8>>,
}
