//! Waiting for the command: owns its exit status and following it into a stop.

use std::io;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

use super::signals::{self, Signals};
use crate::held::{HeldBack, Stop};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(u8),
    /// This signal ended it.
    Signal(i32),
}

impl ExitStatus {
    /// The status as a shell gives it: the code, or 128 + the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            // Linux has 64 signals: the sum is at most 192.
            Self::Signal(signal) => u8::try_from(signal).unwrap_or(127).saturating_add(128),
        }
    }

    /// `None` for a stop or a continuation.
    fn of(status: &WaitIdStatus) -> Option<Self> {
        let code = status
            .exit_status()
            .map(|code| Self::Code((code & 0xff) as u8));
        code.or_else(|| status.terminating_signal().map(Self::Signal))
    }
}

/// Waits for `child` to end, stopping with it unless `held` says that the recorder itself has
/// stopped it, and reaps it.
pub(super) fn for_end(child: Pid, signals: &Signals, held: &HeldBack) -> io::Result<ExitStatus> {
    let number = child.as_raw_nonzero().get().unsigned_abs();
    loop {
        // Left unreaped at first, so that its id stays its own while signals are forwarded to it.
        let seen = wait(
            child,
            WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT,
        )?;
        if let Some(status) = seen.as_ref().and_then(ExitStatus::of) {
            signals.taking_back(|| wait(child, WaitIdOptions::EXITED))?;
            return Ok(status);
        }
        match held.holds(number, || signals::is_stopped(child)) {
            Stop::Over => {}
            // Takes the report, or the next wait would give it again.
            Stop::Ours => drop(wait(child, WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?),
            Stop::Foreign => signals::stop_with(child)?,
        }
    }
}

fn wait(child: Pid, options: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
    Ok(rustix::io::retry_on_intr(|| {
        waitid(WaitId::Pid(child), options)
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_128_more() {
        assert_eq!(ExitStatus::Code(255).exit_code(), 255);
        assert_eq!(ExitStatus::Signal(9).exit_code(), 137);
        assert_eq!(ExitStatus::Signal(64).exit_code(), 192);
    }
}
