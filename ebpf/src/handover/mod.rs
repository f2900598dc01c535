//! Handing over: a process with privileges loads and attaches the programs, and one without
//! records. Descriptors of the ring, of the maps, of the programs and of their links go
//! through a socket; then the loader is done and ends.
//!
//! The loader trusts nobody. For whom it loads it asks the kernel, which knows who made the
//! socket. Roots come as open descriptors: what is listened to could be opened. What other
//! users' processes do is told as far as modes let the caller see it (`owner` of
//! `task.bpf.h`). The map of the roots is not given away, and the kernel's types are the
//! kernel's own. A user who may run the loader gains no other way to see files of others.

mod asker;
mod loader;
mod request;

pub use asker::Asker;
pub use loader::serve;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most descriptors of one message: SCM_MAX_FD.
pub const DESCRIPTORS: usize = 253;
/// Most bytes of one message.
const BYTES: usize = 4096;
/// Begins an answer that is a text, and no success.
const REFUSED: u8 = 1;

/// What came in one message.
struct Message {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let bytes = [IoSlice::new(bytes)];
    rustix::io::retry_on_intr(|| sendmsg(socket, &bytes, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// `None` when the other end is closed.
fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Message>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; BYTES];
    let got = rustix::io::retry_on_intr(|| {
        let into = &mut [IoSliceMut::new(&mut bytes)];
        recvmsg(socket, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            fds.extend(more);
        }
    }
    if got
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::other("a message is longer than it may be"));
    }
    bytes.truncate(got.bytes);
    Ok((got.bytes > 0).then_some(Message { bytes, fds }))
}
