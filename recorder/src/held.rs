//! Held back: processes that the kernel programs have stopped, because more than half of
//! the ring waits to be read, until there is room again. Two threads have to agree on who
//! they are: the one that continues them, and the one that follows the command into stops
//! that others caused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diffkeeper_ebpf::loader::CaptureError;
use diffkeeper_ebpf::stopped::Stopped;

/// Those that a source holds back; nobody as long as it has not said so. Clones are the same.
#[derive(Clone, Default)]
pub struct HeldBack(Arc<Mutex<Option<Stopped>>>);

impl HeldBack {
    /// From here on these are meant.
    pub(crate) fn set(&self, stopped: Stopped) {
        *self.lock() = Some(stopped);
    }

    /// Ends what holds them back by `end`, which continues those who are left.
    pub(crate) fn end(&self, end: impl FnOnce()) {
        let mut stopped = self.lock();
        end();
        *stopped = None;
    }

    /// Continues them; gives whether any are left whose stop is still under way.
    pub(crate) fn resume(&self) -> Result<bool, CaptureError> {
        let mut stopped = self.lock();
        let Some(stopped) = stopped.as_mut() else {
            return Ok(false);
        };
        stopped.resume(false)?;
        Ok(!stopped.pids()?.is_empty())
    }

    /// Whether a process is stopped by us and not by others, if `is_stopped`: that is asked
    /// while nobody is being continued, so that the two answers are of one moment.
    pub fn holds(&self, pid: u32, is_stopped: impl FnOnce() -> bool) -> Stop {
        let stopped = self.lock();
        if !is_stopped() {
            return Stop::Over;
        }
        let pids = stopped
            .as_ref()
            .map(|stopped| stopped.pids().unwrap_or_default());
        match pids.is_some_and(|pids| pids.contains(&pid)) {
            true => Stop::Ours,
            false => Stop::Foreign,
        }
    }

    /// A panic elsewhere leaves the map as valid as before.
    fn lock(&self) -> MutexGuard<'_, Option<Stopped>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process runs again.
    Over,
    /// The recorder holds it back and will continue it.
    Ours,
    /// Somebody else stopped it.
    Foreign,
}

#[cfg(test)]
mod tests {
    use super::{HeldBack, Stop};

    #[test]
    fn without_kernel_programs_every_stop_is_of_others() {
        let held = HeldBack::default();
        assert_eq!(held.holds(1, || true), Stop::Foreign);
        assert_eq!(held.holds(1, || false), Stop::Over);
        assert!(matches!(held.resume(), Ok(false)));
    }
}
