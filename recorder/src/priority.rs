//! Priority: the command comes first. The recorder's threads never push it off its processor
//! when they have something to do, and those that read, compress and store get a smaller share
//! beside, so that on a busy machine it is the trace that lags and not the command. An agent's
//! promise is how old the last state in its store may be: it takes its full share.

/// How much lower, in steps of nice(2): a tenth of the command's share when both want the
/// same processor.
const STEPS: i32 = 10;

/// What gives way where a processor is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivesWay {
    /// The trace lags behind the command.
    Trace,
    /// Nobody does: the threads that store get as much as the command's.
    Nobody,
}

impl GivesWay {
    /// Has the calling thread, and those it starts, give way or not.
    pub(crate) fn settle_this_thread(self) {
        match self {
            Self::Trace => lower_this_thread(),
            Self::Nobody => defer_this_thread(),
        }
    }
}

/// Lowers the calling thread; the threads it starts inherit that.
pub(crate) fn lower_this_thread() {
    // Refused under some policies: then the thread stays as it is.
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::debug!(%error, "cannot lower the priority");
    }
    defer_this_thread();
}

/// Lets the calling thread, and those it starts, wait for a free processor or the end of a
/// time slice: one that wakes up for each change would otherwise interrupt each change.
pub(crate) fn defer_this_thread() {
    // The kernel's own call: musl refuses to make it, and its parameters are others than glibc's.
    let priority: libc::c_int = 0;
    // SAFETY: the kernel reads a `struct sched_param`, which is this one number and outlives
    // the call, and changes this thread alone.
    let answer = unsafe {
        let policy = libc::SCHED_BATCH;
        libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority)
    };
    if answer != 0 {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "cannot change the scheduling policy");
    }
}
