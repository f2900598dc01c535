//! What the recorder was given by its own parent and has since changed: signal mask, and the
//! dispositions of SIGPIPE and SIGCHLD. Owns giving them to the command unchanged.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rust's runtime sets SIGPIPE to ignored before `main`, after which the former disposition can no
/// longer be asked for. It matters: services are commonly started with SIGPIPE ignored.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// Runs while the program is loaded, hence before the runtime.
#[used]
#[cfg_attr(
    any(target_os = "linux", target_os = "android", target_os = "freebsd"),
    unsafe(link_section = ".init_array")
)]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
static AT_LOAD: extern "C" fn() = remember_sigpipe;

extern "C" fn remember_sigpipe() {
    SIGPIPE_IGNORED.store(ignored(libc::SIGPIPE), Ordering::Relaxed);
}

/// Whether `signal` is ignored in this process now.
pub(super) fn ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only reads, into a struct of the right type; all zeroes are a
    // valid sigaction, so it is initialized even if the call fails.
    let action = unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: the disposition is SIG_IGN or SIG_DFL, so no handler can be left dangling. The call
    // is async-signal-safe.
    unsafe { libc::signal(signal, disposition) };
}

/// Keeps a parent that ignores SIGCHLD from costing the command's exit status: the kernel would
/// discard it. Returns whether it was so, for [`Inherited::restore`].
pub(super) fn claim_children() -> bool {
    let was_ignored = ignored(libc::SIGCHLD);
    if was_ignored {
        set_disposition(libc::SIGCHLD, libc::SIG_DFL);
    }
    was_ignored
}

/// The state that the command is to start with.
#[derive(Clone, Copy)]
pub(super) struct Inherited {
    mask: libc::sigset_t,
    sigpipe: libc::sighandler_t,
    sigchld: libc::sighandler_t,
}

impl Inherited {
    /// Puts it in force in the forked child. Only async-signal-safe calls, and no allocation.
    ///
    /// `handled` are the signals that the recorder catches: a handler must not run in the child,
    /// where it would write into the recorder's pipe and swallow the signal.
    pub(super) fn restore(&self, handled: &[i32]) -> io::Result<()> {
        for &signal in handled {
            if !ignored(signal) {
                set_disposition(signal, libc::SIG_DFL);
            }
        }
        set_disposition(libc::SIGPIPE, self.sigpipe);
        set_disposition(libc::SIGCHLD, self.sigchld);
        set_mask(&self.mask)
    }
}

/// Blocks every signal on this thread while it forks; the former mask returns on drop.
pub(super) struct Blocked {
    former: libc::sigset_t,
}

impl Blocked {
    pub(super) fn all() -> io::Result<Self> {
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut former = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: sigfillset initializes `all`; pthread_sigmask reads it and writes `former`.
        let (code, former) = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            let code = libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), former.as_mut_ptr());
            (code, former.assume_init())
        };
        match code {
            0 => Ok(Self { former }),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// What the command is to start with: this thread's own mask, and the recorder's dispositions
    /// as they were when it was started.
    pub(super) fn inherited(&self, sigchld_ignored: bool) -> Inherited {
        // Naming the static keeps its object file, and so the hook, in the program.
        std::hint::black_box(&AT_LOAD);
        let disposition = |ignored| {
            if ignored {
                libc::SIG_IGN
            } else {
                libc::SIG_DFL
            }
        };
        Inherited {
            mask: self.former,
            sigpipe: disposition(SIGPIPE_IGNORED.load(Ordering::Relaxed)),
            sigchld: disposition(sigchld_ignored),
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // It was valid when it was read, which is the only way in which this call can fail.
        let _ = set_mask(&self.former);
    }
}

fn set_mask(mask: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: reads an initialized set; a null old set is not written.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
