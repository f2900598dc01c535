//! Processes: who made a change.

use super::{ProcessId, Timestamp};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It called exit with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl ExitStatus {
    /// What a shell would report: the status, or 128 + signal.
    #[must_use]
    pub const fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Whether it is status 0.
    #[must_use]
    pub const fn success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

/// A process seen during a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The kernel's number.
    pub pid: u32,
    /// When it started, ns since session start (0 if before).
    pub start: Timestamp,
    /// Its parent, if that is recorded too.
    pub parent: Option<ProcessId>,
    /// Command name, at most 15 bytes on Linux.
    pub comm: Vec<u8>,
    /// Path of the program.
    pub exe: Vec<u8>,
    /// Arguments, the program's own name first.
    pub argv: Vec<Vec<u8>>,
    /// Working directory at start.
    pub cwd: Vec<u8>,
    /// Effective user.
    pub uid: u32,
    /// How it ended, once it has.
    pub exit: Option<ExitStatus>,
}
