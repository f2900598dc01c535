//! Waiting for the command: owns its exit status and following it into a stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

use super::kin;
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
    let _reaper = (rustix::process::getpid() == Pid::INIT).then(|| Reaper::start(child));
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

/// Takes the orphans of a container whose first process the recorder is.
struct Reaper {
    ended: Arc<AtomicBool>,
}

/// How often the orphans are asked about.
const ROUND: Duration = Duration::from_secs(1);

impl Reaper {
    /// Reaps every child but `child`, whose end somebody else waits for.
    fn start(child: Pid) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let reap = move || {
            while !until.load(Ordering::Relaxed) {
                std::thread::sleep(ROUND);
                orphans(child);
            }
        };
        // Without a thread orphans stay as zombies, which harms only their number.
        let _ = std::thread::Builder::new()
            .name("reaper".into())
            .spawn(reap);
        Self { ended }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn orphans(child: Pid) {
    for orphan in kin::children().into_iter().filter(|pid| *pid != child) {
        let reap = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        // Mostly it has not ended: then nothing is reaped.
        let _ = waitid(WaitId::Pid(orphan), reap);
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
