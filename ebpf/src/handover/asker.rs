//! The end of the socket at which one records.

use super::request::{self, refused};
use super::{DESCRIPTORS, Message, REFUSED, receive, send};
use crate::loader::{Capture, CaptureError, Config};
use crate::loading::Maps;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A loader that does not answer for so long is taken to be none.
const PATIENCE: Duration = Duration::from_secs(30);

/// A loader at the other end.
pub struct Asker(OwnedFd);

impl Asker {
    /// Asks the loader at the other end of a socket for what `config` says, without its roots
    /// and its recorder: those are `roots`, open for reading, and this process.
    ///
    /// # Errors
    /// What the loader says, or that it says nothing.
    pub fn load(
        socket: OwnedFd,
        config: &Config,
        roots: &[OwnedFd],
    ) -> Result<Capture, CaptureError> {
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).map_err(failed)?;
        let roots: Vec<_> = roots.iter().map(AsFd::as_fd).collect();
        if roots.len() > DESCRIPTORS {
            return Err(refused(
                "too many file systems are mounted below the directories",
            ));
        }
        let asker = Self(socket);
        send(asker.0.as_fd(), &request::encode(config)?, &roots).map_err(failed)?;
        let mut fds = asker.answer()?.into_iter();
        let mut next = || {
            fds.next()
                .ok_or_else(|| refused("the loader's answer is short"))
        };
        let maps = Maps {
            ring: next()?,
            stopped: next()?,
            dirty: next()?,
            counters: next()?,
        };
        Capture::handed(maps, fds.collect(), asker)
    }

    /// Has the programs attached, and gives what keeps them so. Whoever is to look after
    /// those that are held back has to be there by now.
    pub(crate) fn attach(&mut self) -> Result<Vec<OwnedFd>, CaptureError> {
        send(self.0.as_fd(), &[0], &[]).map_err(failed)?;
        self.answer()
    }

    fn answer(&self) -> Result<Vec<OwnedFd>, CaptureError> {
        let Message { bytes, fds } = receive(self.0.as_fd())
            .map_err(failed)?
            .ok_or(CaptureError::Silent)?;
        match bytes.split_first() {
            Some((&REFUSED, text)) => Err(refused(&String::from_utf8_lossy(text))),
            _ => Ok(fds),
        }
    }
}

fn failed(error: impl Into<std::io::Error>) -> CaptureError {
    let error = error.into();
    match error.kind() {
        std::io::ErrorKind::WouldBlock => refused("the loader does not answer"),
        // It ended before it was asked.
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => {
            CaptureError::Silent
        }
        _ => refused(&format!("cannot speak to the loader: {error}")),
    }
}
