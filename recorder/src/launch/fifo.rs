//! The two pipes of the tee and the kernel's record of the order in which they were written.
//!
//! Each is a FIFO that holds one packet (`O_DIRECT`: a write of up to a page stays in one piece;
//! capacity one page), and one inotify instance watches both: the kernel queues an event for each
//! finished `write`, in one order over both. See pipe(7), pipe2(2) and inotify(7).

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, mknodat, open};
use rustix::io::{Errno, ioctl_fionread, retry_on_intr};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::output::Stream;

/// What the command writes to.
pub(super) struct Ends {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// What the tee reads from.
pub(super) struct Tap {
    read: [OwnedFd; 2],
    watch: Option<Watch>,
}

struct Watch {
    inotify: OwnedFd,
    /// By stream: inotify's number for its FIFO.
    ids: [i32; 2],
}

/// The FIFOs, or, where the system does not give them or they do not deliver, two plain pipes,
/// whose order is that of arrival.
pub(super) fn open_pair() -> io::Result<(Ends, Tap)> {
    // Memory first: a temporary directory may lie in the tree that is being recorded.
    [Path::new("/dev/shm"), &std::env::temp_dir()]
        .into_iter()
        .find_map(|dir| ordered(dir).ok())
        .map_or_else(plain, Ok)
}

fn ordered(dir: &Path) -> io::Result<(Ends, Tap)> {
    let dir = tempfile::Builder::new()
        .prefix("diffkeeper-")
        .tempdir_in(dir)?;
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let (stdout, out_read, out_id) = fifo(&dir.path().join("stdout"), &inotify)?;
    let (stderr, err_read, err_id) = fifo(&dir.path().join("stderr"), &inotify)?;
    let watch = Watch {
        inotify,
        ids: [out_id, err_id],
    };
    let (ends, tap) = (
        Ends { stdout, stderr },
        Tap {
            read: [out_read, err_read],
            watch: Some(watch),
        },
    );
    prove(&ends, &tap)?;
    Ok((ends, tap))
}

/// A FIFO's write end, read end, and watch.
fn fifo(path: &Path, inotify: &OwnedFd) -> io::Result<(OwnedFd, OwnedFd, i32)> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    let read = open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let write = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    fcntl_setfl(&write, fcntl_getfl(&write)? | OFlags::DIRECT)?;
    fcntl_setpipe_size(&read, page())?;
    Ok((
        write,
        read,
        inotify::add_watch(inotify, path, WatchFlags::MODIFY)?,
    ))
}

/// Not every kernel and sandbox reports writes to a FIFO: sees that a write to each is.
fn prove(ends: &Ends, tap: &Tap) -> io::Result<()> {
    for (stream, end) in [
        (Stream::Stderr, &ends.stderr),
        (Stream::Stdout, &ends.stdout),
    ] {
        rustix::io::write(end, b"?")?;
        let mut seen = Vec::new();
        tap.events(&mut seen);
        if seen != [Some(stream)] || tap.read(stream, &mut [0; 2])? != 1 {
            return Err(io::ErrorKind::Unsupported.into());
        }
    }
    Ok(())
}

fn plain() -> io::Result<(Ends, Tap)> {
    let (out_read, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (err_read, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    for read in [&out_read, &err_read] {
        fcntl_setfl(read, fcntl_getfl(read)? | OFlags::NONBLOCK)?;
    }
    Ok((
        Ends { stdout, stderr },
        Tap {
            read: [out_read, err_read],
            watch: None,
        },
    ))
}

/// Bytes in a page: the most that one packet holds.
pub(super) fn page() -> usize {
    rustix::param::page_size()
}

impl Tap {
    /// inotify, if the order is known.
    pub(super) fn watch(&self) -> Option<&OwnedFd> {
        self.watch.as_ref().map(|watch| &watch.inotify)
    }

    pub(super) fn end(&self, stream: Stream) -> &OwnedFd {
        let [stdout, stderr] = &self.read;
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    /// Gives up `stream`'s read end: from now on a write to it fails with EPIPE.
    pub(super) fn close(&mut self, stream: Stream) -> io::Result<()> {
        let null = OwnedFd::from(File::open("/dev/null")?);
        let [stdout, stderr] = &mut self.read;
        *match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        } = null;
        Ok(())
    }

    /// Bytes that can be read from `stream` now.
    pub(super) fn waiting(&self, stream: Stream) -> usize {
        ioctl_fionread(self.end(stream)).map_or(0, |bytes| usize::try_from(bytes).unwrap_or(0))
    }

    /// Reads a packet; 0 at the end. `WouldBlock` if there is none.
    pub(super) fn read(&self, stream: Stream, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| {
            rustix::io::read(self.end(stream), &mut *buffer)
        })?)
    }

    /// Appends the writes that have been finished since the last call; `None` where the kernel
    /// has lost count.
    pub(super) fn events(&self, into: &mut Vec<Option<Stream>>) {
        let Some(watch) = &self.watch else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(watch.inotify.as_fd(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => into.push(None),
                Ok(event) if event.wd() == watch.ids[0] => into.push(Some(Stream::Stdout)),
                Ok(event) if event.wd() == watch.ids[1] => into.push(Some(Stream::Stderr)),
                Err(Errno::INTR) | Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}
