//! Elevation: where this process may not load the kernel programs, `sudo -n` starts the same
//! program once more as a loader ([`ARGUMENT`]), with one end of a socket as stdin. It loads,
//! attaches, hands the descriptors over and ends; recorder and command stay the user's.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diffkeeper_ebpf::handover::{Asker, serve};
use diffkeeper_ebpf::loader::{Capture, CaptureError, Config};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// The argument with which the program becomes the loader: it has to call [`load_for`] then.
pub const ARGUMENT: &str = "loader";

/// What is missing where nobody elevates, and how to get it.
pub const MISSING: &str = "CAP_BPF and CAP_PERFMON are missing (run it with sudo, or in a \
                           container with --cap-add BPF --cap-add PERFMON)";

/// How long the reason of a failure is waited for.
const REASON: Duration = Duration::from_secs(2);
/// Bytes of it that are read.
const TEXT: u64 = 4096;

/// Why the loader did not load.
#[derive(Debug, thiserror::Error)]
pub enum ElevationError {
    /// The program could not be started as another user.
    #[error(
        "CAP_BPF and CAP_PERFMON are missing, and sudo -n does not give them: {0} (run `sudo -v` \
         before, run it with sudo, or in a container with --cap-add BPF --cap-add PERFMON)"
    )]
    Refused(String),
    /// The loader was started, but loads nothing.
    #[error("CAP_BPF and CAP_PERFMON are missing, and the loader under sudo -n failed: {0}")]
    Loader(CaptureError),
    /// What it needs could not be made.
    #[error("cannot start the loader of the kernel programs: {0}")]
    Setup(#[from] io::Error),
}

/// Has a loader under `sudo -n` load what `config` says, for `roots` and this process.
///
/// # Errors
/// Nobody elevates, or the kernel does not take the programs from the loader either.
pub fn load(config: &Config, roots: &[PathBuf]) -> Result<Capture, ElevationError> {
    let roots: Vec<OwnedFd> = roots.iter().filter_map(|root| opened(root)).collect();
    let (socket, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(io::Error::from)?;
    let mut sudo = start(theirs)?;
    let stderr = sudo.stderr.take();
    // Its end is of no interest, only that somebody takes notice of it.
    let reap = move || drop(sudo.wait());
    std::thread::Builder::new()
        .name("sudo".into())
        .spawn(reap)?;
    match Asker::load(socket, config, &roots) {
        Ok(capture) => Ok(capture),
        Err(CaptureError::Silent) => Err(match stderr.and_then(reason) {
            Some(said) => ElevationError::Refused(said),
            None => ElevationError::Loader(CaptureError::Silent),
        }),
        Err(error) => Err(ElevationError::Loader(error)),
    }
}

/// What this user cannot open, the recorder cannot read either.
fn opened(root: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match open(root, flags, Mode::empty()) {
        Ok(fd) => Some(fd),
        Err(error) => {
            tracing::debug!(%error, root = %root.display(), "a root cannot be opened");
            None
        }
    }
}

fn start(socket: OwnedFd) -> Result<Child, ElevationError> {
    let own = std::env::current_exe()?;
    let child = Command::new("sudo")
        .args(["-n", "--"])
        .arg(own)
        .arg(ARGUMENT)
        .env("LC_ALL", "C")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ElevationError::Refused("it is not installed".to_owned()),
        _ => ElevationError::Refused(error.to_string()),
    })
}

/// The last line that `sudo` said, or the program if it is none that can load.
fn reason(stderr: impl Read + AsFd) -> Option<String> {
    let timeout = Timespec::try_from(REASON).ok();
    let mut text = Vec::new();
    let said = poll(&mut [PollFd::new(&stderr, PollFlags::IN)], timeout.as_ref());
    if said.is_ok_and(|ready| ready > 0) {
        let _ = stderr.take(TEXT).read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().rev().map(str::trim);
    // It follows the reason where there is one, and is advice on containers.
    let line = lines.find(|line| !line.is_empty() && !line.starts_with("sudo: If sudo is"))?;
    Some(line.to_owned())
}

/// Is the loader, on the socket at stdin.
///
/// # Errors
/// It was not started by a recorder, or could not do what it was asked for.
pub fn load_for() -> Result<(), CaptureError> {
    serve(io::stdin().as_fd().try_clone_to_owned()?)
}
