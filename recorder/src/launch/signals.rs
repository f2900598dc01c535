//! Signals sent to the recorder: owns their handlers and passing them on to the command.
//!
//! A signal from the terminal reaches the whole foreground process group, so the command has it
//! already; so does one from a process of the command itself (`kill 0`). Any other is taken to be
//! meant for the command and sent on once. What cannot be told apart is a signal that somebody
//! outside sends to the whole group (`kill -- -PGID`) from one to the recorder alone: the command
//! then gets its own and the recorder's.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{
    SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2,
};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::{Cause, Origin};

use super::child::Handled;
use super::{LaunchError, inherited, kin};

const FORWARDED: [i32; 8] = [
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT,
];

/// The command's place in its life.
#[derive(Clone, Copy)]
enum Target {
    /// None is running: before its start, or after its end.
    Nobody,
    Child(Pid),
}

/// The recorder's signal handling, for as long as the value lives.
pub(super) struct Signals {
    caught: Vec<i32>,
    sigchld_ignored: bool,
    target: Arc<Mutex<Target>>,
    /// The last of SIGINT and SIGTERM since the last change of phase; 0 for none.
    interrupt: Arc<AtomicUsize>,
    /// The same for SIGHUP and SIGQUIT, which do not cut the settling after the command short: a
    /// closed terminal sends SIGHUP more than once.
    hangup: Arc<AtomicUsize>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        let caught: Vec<i32> = FORWARDED
            .into_iter()
            .filter(|&signal| !inherited::ignored(signal))
            .collect();
        let (interrupt, hangup) = (Arc::default(), Arc::default());
        // The flags come first: they are set by the time the forwarding thread wakes up.
        for &signal in &caught {
            let flag: &Arc<AtomicUsize> = match signal {
                SIGINT | SIGTERM => &interrupt,
                SIGHUP | SIGQUIT => &hangup,
                _ => continue,
            };
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(flag), number)?;
        }
        let mut incoming = SignalsInfo::<WithOrigin>::new(&caught)?;
        let handle = incoming.handle();
        let target = Arc::new(Mutex::new(Target::Nobody));
        let relay = Arc::clone(&target);
        let thread = thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for origin in incoming.forever() {
                    pass_on(&relay, &origin);
                }
            })?;
        Ok(Self {
            sigchld_ignored: inherited::claim_children(),
            caught,
            target,
            interrupt,
            hangup,
            handle,
            thread: Some(thread),
        })
    }

    /// The signal that has asked for an end since the last change of phase.
    pub(super) fn asked_to_end(&self) -> Option<i32> {
        [&self.interrupt, &self.hangup]
            .into_iter()
            .find_map(|flag| match flag.load(Ordering::SeqCst) {
                0 => None,
                number => i32::try_from(number).ok(),
            })
    }

    /// Starts the child by `start`: a signal up to then interrupts, one that comes while it
    /// starts is held back until the child is there to take it.
    pub(super) fn handing_over<T>(
        &self,
        start: impl FnOnce(&Handled<'_>) -> Result<(Pid, T), LaunchError>,
    ) -> Result<(Pid, T), LaunchError> {
        let mut target = lock(&self.target);
        if let Some(signal) = self.asked_to_end() {
            return Err(LaunchError::Interrupted(signal));
        }
        let handled = Handled {
            caught: &self.caught,
            sigchld_ignored: self.sigchld_ignored,
        };
        let (pid, more) = start(&handled)?;
        *target = Target::Child(pid);
        Ok((pid, more))
    }

    /// Ends the forwarding, reaping the child by `reap` so that no signal can hit another process
    /// that was given its id.
    pub(super) fn taking_back<T>(&self, reap: impl FnOnce() -> T) -> T {
        let mut target = lock(&self.target);
        *target = Target::Nobody;
        // A terminal's SIGINT that ended the child was sent to both at once, so its handler has
        // run here by now: only what comes from here on is about the recorder.
        self.interrupt.store(0, Ordering::SeqCst);
        reap()
    }

    /// Whether SIGINT or SIGTERM came after [`Signals::taking_back`].
    pub(super) fn interrupted_after_exit(&self) -> bool {
        let running = matches!(*lock(&self.target), Target::Child(_));
        !running && self.interrupt.load(Ordering::SeqCst) != 0
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A panic elsewhere leaves the target as valid as before.
fn lock(target: &Mutex<Target>) -> MutexGuard<'_, Target> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass_on(target: &Mutex<Target>, origin: &Origin) {
    let target = lock(target);
    match *target {
        Target::Child(pid) if !has_it_already(pid, origin) => {
            if let Some(signal) = Signal::from_named_raw(origin.signal) {
                // It may have ended this instant: then there is nobody to tell.
                let _ = kill_process(pid, signal);
            }
        }
        Target::Child(_) => {}
        Target::Nobody => {
            drop(target);
            if origin.signal == SIGTSTP {
                stop_self();
            }
        }
    }
}

fn has_it_already(child: Pid, origin: &Origin) -> bool {
    if origin.cause == Cause::Kernel {
        return true;
    }
    if origin.signal == SIGCONT {
        // Under a shell the recorder was stopped with the child, and whoever waited for both to be
        // continued sees to it (`stop_with`). Else it may have been sent to the whole group.
        return kin::has_job_control() || has_been_continued(child);
    }
    let sender = origin
        .process
        .and_then(|process| Pid::from_raw(process.pid));
    sender.is_some_and(|sender| kin::descends(sender, child))
}

/// Whether `child` has been continued since its last stop.
fn has_been_continued(child: Pid) -> bool {
    reports(child, WaitIdOptions::CONTINUED)
}

/// Whether `child` is stopped and nobody has waited for that yet.
pub(super) fn is_stopped(child: Pid) -> bool {
    reports(child, WaitIdOptions::STOPPED)
}

/// Whether one of `kinds` is there to be waited for; leaves it there.
fn reports(child: Pid, kinds: WaitIdOptions) -> bool {
    let look = kinds | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(child), look), Ok(Some(_)))
}

/// Follows `child` into a stop, and continues it when the recorder has been continued.
///
/// The forwarding thread has no part in it: a SIGCONT that it is late with must not undo a stop
/// that has come since.
pub(super) fn stop_with(child: Pid) -> io::Result<()> {
    // Takes the report, or the next wait would give it again; it is gone if the child has
    // been continued meanwhile.
    let report = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    let stopped = waitid(WaitId::Pid(child), report)?.is_some();
    // A stop that is reported again came after a continuation.
    let moved = WaitIdOptions::CONTINUED | WaitIdOptions::STOPPED;
    if stopped && stop_self() && !reports(child, moved) {
        // Gone in this instant: then the next wait says so.
        let _ = kill_process(child, Signal::CONT);
    }
    Ok(())
}

/// Stops the recorder as a job of its shell, until it is continued. Without a shell that would do
/// that it goes on, and this returns false.
fn stop_self() -> bool {
    // Sent to this thread, so that it does not run on for a while as others are stopped first.
    kin::has_job_control() && signal_hook::low_level::raise(SIGSTOP).is_ok()
}
