//! The watchdog: a process of its own that outlives the recorder and continues whomever the
//! kernel programs hold back, should the recorder die (also by SIGKILL) or be stopped itself.
//!
//! The recorder starts its own program once more ([`ARGUMENT`]) with one end of a socket as
//! stdin, and sends the descriptor of the map of stopped processes through it. A byte then
//! means that all is done; the end of the stream without one, that the recorder is gone.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diffkeeper_ebpf::stopped::Stopped;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{getppid, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The argument with which the program becomes the watchdog: it has to call [`watch`] then.
pub const ARGUMENT: &str = "watchdog";

/// How often it is looked whether the recorder has been stopped.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};
/// How long after the recorder's end its programs may still stop somebody: the kernel
/// detaches them right then, and those that are running take microseconds.
const AFTERMATH: Duration = Duration::from_secs(1);
/// Pause between two looks then.
const PAUSE: Duration = Duration::from_millis(5);

/// The recorder's end of the socket.
pub(crate) struct Watchdog {
    child: Child,
    socket: UnixStream,
}

impl Watchdog {
    /// Starts one for the processes that `stopped` lists.
    pub(crate) fn start(stopped: &Stopped) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe")
            .arg0("diffkeeper")
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let watchdog = Self { child, socket };
        watchdog.send(stopped)?;
        Ok(watchdog)
    }

    fn send(&self, stopped: &Stopped) -> io::Result<()> {
        let fds = [stopped.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        let byte = [IoSlice::new(&[0])];
        sendmsg(&self.socket, &byte, &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Nobody is held back any more.
impl Drop for Watchdog {
    fn drop(&mut self) {
        let told = self.socket.write_all(&[1]);
        let ended = told.and_then(|()| self.child.wait());
        if let Err(error) = ended {
            tracing::debug!(%error, "the watchdog was gone already");
        }
    }
}

/// Is the watchdog, on the socket at stdin.
///
/// # Errors
/// It was not started by a recorder.
pub fn watch() -> io::Result<()> {
    // What reaches the recorder's group, or every process of a service, is not for us.
    let _ = setsid();
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let recorder = getppid();
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut stopped = receive(&socket)?;
    loop {
        let mut sockets = [PollFd::new(&socket, PollFlags::IN)];
        match poll(&mut sockets, Some(&LOOK)) {
            Ok(0) if recorder.is_some_and(is_stopped) => continue_all(&mut stopped, false),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if socket.read(&mut [0])? == 0 {
        clear_up(&mut stopped);
    }
    Ok(())
}

fn receive(socket: &UnixStream) -> io::Result<Stopped> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let into = &mut [IoSliceMut::new(&mut byte)];
    rustix::io::retry_on_intr(|| recvmsg(socket, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let fd = fd.ok_or_else(|| io::Error::other("no descriptor came"))?;
    Stopped::from_fd(fd).map_err(io::Error::other)
}

/// Until the programs are gone and have left nobody.
fn clear_up(stopped: &mut Stopped) {
    let mut quiet = Instant::now();
    while quiet.elapsed() < AFTERMATH {
        if stopped.pids().is_ok_and(|pids| !pids.is_empty()) {
            quiet = Instant::now();
        }
        continue_all(stopped, true);
        sleep(PAUSE);
    }
}

fn continue_all(stopped: &mut Stopped, last: bool) {
    // There is nobody to tell, and the next turn tries again.
    let _ = stopped.resume(last);
}

/// Whether a process is stopped or traced: then it continues nobody.
fn is_stopped(pid: rustix::process::Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let after = stat
        .as_deref()
        .ok()
        .and_then(|stat| stat.rsplit(") ").next());
    after.is_some_and(|after| after.starts_with(['T', 't']))
}
