//! Fork and exec: owns the steps between the decision to start and the command's first
//! instruction, and telling apart why they failed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Stdio};
use std::time::{Duration, SystemTime};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use super::caller::Caller;
use super::inherited::{Blocked, Inherited};
use super::output::Ends;
use super::{LaunchError, Start};

/// `CLOCK_MONOTONIC` now, in ns.
pub(super) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Monotonic time counts up from boot: neither field is negative.
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// What the fork needs to know of the recorder's signals.
pub(super) struct Handled<'a> {
    /// Signals that the recorder catches.
    pub(super) caught: &'a [i32],
    /// Whether the recorder was started with SIGCHLD ignored.
    pub(super) sigchld_ignored: bool,
}

/// Starts `argv` in `cwd`, with its output going to `ends` if given. Returns after the `execve`.
pub(super) fn start(
    argv: &[OsString],
    (cwd, caller): (Option<&Path>, Option<&Caller>),
    ends: Option<Ends>,
    handled: &Handled<'_>,
) -> Result<(Pid, Start), LaunchError> {
    let Some((program, args)) = argv.split_first() else {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "no command given");
        return Err(LaunchError::setup("start the command")(source));
    };
    let mut command = process::Command::new(program);
    command.args(args);
    if let Some(cwd) = cwd {
        enterable(cwd).map_err(LaunchError::setup("enter the working directory"))?;
        command.current_dir(cwd);
    }
    if let Some(ends) = ends {
        command.stdout(Stdio::from(ends.stdout));
        command.stderr(Stdio::from(ends.stderr));
    }
    if let Some(caller) = caller {
        command.env_clear().envs(caller.env().iter().cloned());
    }
    fork(command, caller.cloned(), handled).map_err(|fault| match fault {
        Fault::Setup(source) => LaunchError::setup("start the command")(source),
        Fault::Spawn(source) => classify(program, (cwd, caller), source),
    })
}

/// A missing working directory must not be taken for a missing command, which has the same errno.
fn enterable(cwd: &Path) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    if !std::fs::metadata(cwd)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(accessat(CWD, cwd, Access::EXEC_OK, AtFlags::EACCESS)?)
}

enum Fault {
    Setup(io::Error),
    Spawn(io::Error),
}

impl From<rustix::io::Errno> for Fault {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Setup(errno.into())
    }
}

fn fork(
    mut command: process::Command,
    caller: Option<Caller>,
    handled: &Handled<'_>,
) -> Result<(Pid, Start), Fault> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let blocked = Blocked::all().map_err(Fault::Setup)?;
    let inherited = blocked.inherited(handled.sigchld_ignored);
    let caught = handled.caught.to_vec();
    // SAFETY: the closure runs in the forked child and makes only async-signal-safe system calls
    // on what was allocated before the fork.
    unsafe {
        command.pre_exec(move || {
            last_steps(&write, &inherited, &caught)?;
            caller.as_ref().map_or(Ok(()), Caller::become_them)
        })
    };
    let child = command.spawn().map_err(Fault::Spawn)?;
    drop(blocked);
    // Closes the command's ends of the tee here, and our write end of the start pipe.
    drop(command);
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Fault::Setup(io::ErrorKind::InvalidData.into()))?;
    Ok((pid, read_start(&read)?))
}

/// In the child, just before `execve`.
fn last_steps(start: &OwnedFd, inherited: &Inherited, caught: &[i32]) -> io::Result<()> {
    rustix::io::write(start, &monotonic_ns().to_ne_bytes())?;
    inherited.restore(caught)
}

fn read_start(pipe: &OwnedFd) -> rustix::io::Result<Start> {
    let mut bytes = [0; 8];
    // Eight bytes in a pipe are never split. A signal may have killed the child before it wrote.
    let length = rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut bytes))?;
    let (wall, now) = (SystemTime::now(), monotonic_ns());
    let monotonic_ns = if length == bytes.len() {
        u64::from_ne_bytes(bytes)
    } else {
        now
    };
    let ago = Duration::from_nanos(now.saturating_sub(monotonic_ns));
    Ok(Start {
        monotonic_ns,
        wall: wall.checked_sub(ago).unwrap_or(wall),
    })
}

/// As bash reports it: a command that exists and fails to execute is 126, whatever the errno; in
/// particular ENOENT for a script whose interpreter is missing.
fn classify(
    program: &OsStr,
    (cwd, caller): (Option<&Path>, Option<&Caller>),
    source: io::Error,
) -> LaunchError {
    let command = program.to_owned();
    match source.raw_os_error() {
        Some(libc::ENOENT) if !exists(program, cwd, caller) => LaunchError::NotFound { command },
        None | Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => {
            LaunchError::setup("start the command")(source)
        }
        Some(_) => LaunchError::NotExecutable { command, source },
    }
}

fn exists(program: &OsStr, cwd: Option<&Path>, caller: Option<&Caller>) -> bool {
    let from = cwd.unwrap_or(Path::new(""));
    if program.is_empty() {
        return false;
    }
    if program.as_bytes().contains(&b'/') {
        return from.join(program).exists();
    }
    let own = || std::env::var_os("PATH").unwrap_or_default();
    let path = caller.map_or_else(own, Caller::path);
    std::env::split_paths(&path).any(|dir| from.join(dir).join(program).is_file())
}
