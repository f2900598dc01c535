//! Running the command so that it does not notice: this module owns what a caller sees of it.
//!
//! The command gets the recorder's own user, environment, working directory, terminal, open
//! descriptors, umask, limits, signal mask and signal dispositions, and stays in the recorder's
//! process group, so that a shell's job control treats both as one job. Under `sudo` it gets the
//! user and the environment of the [`Caller`] instead. The recorder outlives it
//! and passes its exit status on.
//!
//! ```text
//! prepare() -> Prepared -> spawn(Command) -> Running -> wait() -> Exit
//! ```
//!
//! What the command can still tell: its parent is the recorder; a descriptor 0, 1 or 2 that was
//! closed is `/dev/null` (Rust's runtime opens it before `main`); the C library's own signals 32 and
//! 33 are not kept ignored; with [`OutputMode::Tee`] its
//! stdout and stderr are FIFOs. If the recorder is killed the command goes on undisturbed, except
//! that a teed stdout or stderr then has no reader.

mod caller;
mod child;
mod fifo;
mod find;
mod inherited;
mod kin;
mod order;
mod output;
mod signals;
mod wait;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::process::Pid;

pub use crate::held::HeldBack;
pub use caller::Caller;
pub use find::check;
pub use output::{Order, OutputReport, Stream};
pub use wait::ExitStatus;

/// Receives each piece of output: `CLOCK_MONOTONIC` time of the read in ns, the stream, the bytes
/// (one `write` of at most a page, or a part of a longer one). Runs on the tee's own thread, and
/// the command waits for it as for any slow reader of a pipe.
pub type Sink = Box<dyn FnMut(u64, Stream, &[u8]) + Send>;

/// What becomes of the command's stdout and stderr.
pub enum OutputMode {
    /// They are the recorder's own descriptors: nothing stands in between.
    Inherit,
    /// They pass through the recorder on the way to its own stdout and stderr.
    Tee(Sink),
}

/// A command to run.
pub struct Command {
    /// Program and arguments; the program is looked up in `PATH` as `execvp` does.
    pub argv: Vec<OsString>,
    /// Working directory; `None` keeps the recorder's.
    pub cwd: Option<PathBuf>,
    /// What becomes of its output.
    pub output: OutputMode,
    /// Whom the recorder stops for a while itself.
    pub held: HeldBack,
    /// As whom it runs, if not as the recorder.
    pub caller: Option<Caller>,
}

/// Why a command did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// No such program.
    #[error("{}: command not found", command.display())]
    NotFound {
        /// `argv[0]`.
        command: OsString,
    },
    /// The program is there, but the kernel would not execute it: no permission, a directory, a
    /// missing interpreter, arguments that are too long.
    #[error("{}: cannot execute: {source}", command.display())]
    NotExecutable {
        /// `argv[0]`.
        command: OsString,
        /// What `execve` said.
        source: io::Error,
    },
    /// A signal asked the recorder to end before the command existed.
    #[error("interrupted by signal {0} before the command started")]
    Interrupted(i32),
    /// The recorder could not set the command up.
    #[error("cannot {what}: {source}")]
    Setup {
        /// What it was doing.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl LaunchError {
    /// The status to exit with, as a shell or `env` would: 127 not found, 126 found and not
    /// executable, 128 + N interrupted by signal N, 125 a failure of the recorder itself.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            Self::Interrupted(signal) => wait::ExitStatus::Signal(*signal).exit_code(),
            Self::Setup { .. } => 125,
        }
    }

    fn setup(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Setup { what, source }
    }
}

/// The instant before the command's `execve`: no effect of the command is earlier.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// `CLOCK_MONOTONIC`, ns.
    pub monotonic_ns: u64,
    /// The same instant by the wall clock.
    pub wall: SystemTime,
}

/// How the command ended.
#[derive(Debug)]
pub struct Exit {
    /// Its own status.
    pub status: ExitStatus,
    /// `CLOCK_MONOTONIC` time in ns at which the recorder learned of it.
    pub ended_ns: u64,
    /// What the tee did, with [`OutputMode::Tee`].
    pub output: Option<OutputReport>,
}

/// Takes the recorder's signals over, before the work that comes ahead of the command.
///
/// From here on SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP and SIGCONT no longer
/// act on the recorder by default; those that it was started with as ignored stay ignored, in it
/// and in the command. Call it once a process.
///
/// # Errors
/// [`LaunchError::Setup`] if a handler or its thread cannot be installed.
pub fn prepare() -> Result<Prepared, LaunchError> {
    let signals = signals::Signals::install().map_err(LaunchError::setup("handle signals"))?;
    Ok(Prepared { signals })
}

/// The recorder with its signals in hand and no command yet.
pub struct Prepared {
    signals: signals::Signals,
}

impl Prepared {
    /// The signal (SIGINT, SIGTERM, SIGHUP or SIGQUIT) that has asked the recorder to end, if any.
    pub fn interrupted(&self) -> Option<i32> {
        self.signals.asked_to_end()
    }

    /// Starts the command; returns once it has been executed.
    ///
    /// # Errors
    /// [`LaunchError`] tells a missing command from one that cannot be executed, an interruption
    /// and a fault of the recorder. Nothing of the command has run then.
    pub fn spawn(self, command: Command) -> Result<Running, LaunchError> {
        let (ends, tee) = match command.output {
            OutputMode::Inherit => (None, None),
            OutputMode::Tee(sink) => {
                let (ends, tap) = output::open().map_err(LaunchError::setup("tee the output"))?;
                (Some(ends), Some((tap, sink)))
            }
        };
        let (pid, started) = self.signals.handing_over(|handled| {
            let caller = command.caller.as_ref();
            child::start(
                &command.argv,
                (command.cwd.as_deref(), caller),
                ends,
                handled,
            )
        })?;
        // Without a thread the read ends close: the command's next write would fail, so this is
        // the one fault of the tee that the command could see.
        let tee = tee
            .map(|(tap, sink)| output::Tee::start(tap, sink))
            .transpose()
            .map_err(LaunchError::setup("start the tee"))?;
        Ok(Running {
            pid,
            started,
            signals: self.signals,
            held: command.held,
            tee,
        })
    }
}

/// A command that has been started.
pub struct Running {
    pid: Pid,
    started: Start,
    signals: signals::Signals,
    held: HeldBack,
    tee: Option<output::Tee>,
}

impl Running {
    /// The command's process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The instant before it was executed.
    pub fn started(&self) -> Start {
        self.started
    }

    /// Waits for the command to end; with a tee, until what it wrote has been passed on.
    ///
    /// When the command stops and a shell with job control stands above the recorder, the
    /// recorder stops too, and the command is continued when the recorder is. A stop by the
    /// recorder itself ([`HeldBack`]) is none of that.
    ///
    /// # Errors
    /// What `waitid` says, in particular ECHILD when called a second time.
    pub fn wait(&mut self) -> io::Result<Exit> {
        let status = wait::for_end(self.pid, &self.signals, &self.held)?;
        let ended_ns = child::monotonic_ns();
        Ok(Exit {
            status,
            ended_ns,
            output: self.tee.take().map(output::Tee::finish),
        })
    }

    /// Whether SIGINT or SIGTERM arrived after the command had ended: time to cut short whatever
    /// the recorder still does. The signals that ended the command do not count.
    pub fn interrupted_after_exit(&self) -> bool {
        self.signals.interrupted_after_exit()
    }
}
