//! The tee: owns the thread that passes the command's output on to the recorder's own stdout and
//! stderr, and shows it to a sink on the way.
//!
//! After the command has ended, what it wrote is passed on, and then the read ends are closed.
//! A background process that still holds them is not killed, but its next write gives it SIGPIPE,
//! or EPIPE, as when any reader of a pipe is gone.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::order::{Pipes, Round, Sequencer};
use super::{Sink, child, fifo};

pub(super) use super::fifo::{Ends, Tap};

/// How long a process left behind by the command may still write after its end.
const GRACE: Duration = Duration::from_millis(100);
/// How long the kernel may take between filling a pipe and listing the write: microseconds,
/// unless the writer loses its processor in between.
const ENTRY_DUE: Duration = Duration::from_millis(20);
/// Rounds after the command's end that surely see everything it wrote.
const LAST_ROUNDS: u32 = 3;
const BUFFER: usize = 64 * 1024;

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Stream {
    pub(super) fn index(self) -> usize {
        self as usize
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Stdout => Self::Stderr,
            Self::Stderr => Self::Stdout,
        }
    }
}

/// What the order of the pieces across the two streams is worth. Within a stream it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the kernel finished the writes.
    Exact,
    /// In part or in whole as they arrived.
    Arrival,
}

/// What the tee did.
#[derive(Debug)]
pub struct OutputReport {
    /// Exact only if every single piece was.
    pub order: Order,
    /// Pieces whose place is a guess; all of them, uncounted, where the system reports no order.
    pub by_arrival: u64,
    /// Whether a process other than the command still had the output open when the tee closed it.
    pub left_open: bool,
    /// The recorder's own stream that could not be written, and why: the command was then cut off
    /// from it, too.
    pub failed: Option<(Stream, io::Error)>,
}

/// The pipes for a command that is about to start.
pub(super) fn open() -> io::Result<(Ends, Tap)> {
    fifo::open_pair()
}

/// The thread that passes the output on.
pub(super) struct Tee {
    thread: JoinHandle<OutputReport>,
    ended: Arc<AtomicBool>,
    /// Closing it wakes the thread.
    _wake: OwnedFd,
}

impl Tee {
    pub(super) fn start(tap: Tap, sink: Sink) -> io::Result<Self> {
        let (woken, wake) = pipe_with(PipeFlags::CLOEXEC)?;
        let ended = Arc::new(AtomicBool::new(false));
        let relay = Relay {
            tap,
            sink,
            buffer: vec![0; BUFFER],
            open: [true; 2],
            failed: None,
            woken: Some(woken),
        };
        let flag = Arc::clone(&ended);
        let thread = thread::Builder::new()
            .name("tee".into())
            .spawn(move || run(relay, &flag))?;
        Ok(Self {
            thread,
            ended,
            _wake: wake,
        })
    }

    /// To be called once the command has ended: waits until its output has been passed on.
    pub(super) fn finish(self) -> OutputReport {
        self.ended.store(true, Ordering::SeqCst);
        drop(self._wake);
        self.thread.join().unwrap_or_else(|_| OutputReport {
            order: Order::Arrival,
            by_arrival: 0,
            left_open: false,
            failed: Some((Stream::Stdout, io::Error::other("the sink panicked"))),
        })
    }
}

fn run(mut relay: Relay, ended: &AtomicBool) -> OutputReport {
    let exact = relay.tap.watch().is_some();
    // Without a list of writes every packet is taken as it comes.
    let mut sequencer = Sequencer::new(if exact { fifo::page() } else { 1 });
    let mut last: Option<(Instant, u32)> = None;
    while relay.open != [false; 2] {
        if ended.load(Ordering::SeqCst) {
            let (until, rounds) = last.get_or_insert((Instant::now() + GRACE, 0));
            *rounds += 1;
            if *rounds > LAST_ROUNDS && Instant::now() >= *until {
                break;
            }
        }
        match sequencer.round(&mut relay) {
            Round::Took => {}
            Round::Due if relay.event_within(ENTRY_DUE) => {}
            Round::Due => sequencer.give_up_waiting(&mut relay),
            Round::Idle => relay.idle(last.map(|(until, _)| until)),
        }
    }
    let by_arrival = sequencer.by_arrival();
    let order = if exact && by_arrival == 0 {
        Order::Exact
    } else {
        Order::Arrival
    };
    OutputReport {
        order,
        by_arrival,
        left_open: relay.left_open(),
        failed: relay.failed,
    }
}

/// Moves bytes from the pipes to the recorder's own streams.
struct Relay {
    tap: Tap,
    sink: Sink,
    buffer: Vec<u8>,
    open: [bool; 2],
    failed: Option<(Stream, io::Error)>,
    /// Hangs up when the command has ended; `None` from then on.
    woken: Option<OwnedFd>,
}

impl Pipes for Relay {
    fn waiting(&self, stream: Stream) -> usize {
        if self.open[stream.index()] {
            self.tap.waiting(stream)
        } else {
            0
        }
    }

    fn events(&self, into: &mut Vec<Option<Stream>>) {
        self.tap.events(into);
    }

    fn take(&mut self, stream: Stream) -> bool {
        if !self.open[stream.index()] {
            return true;
        }
        let length = match self.tap.read(stream, &mut self.buffer) {
            Ok(0) => return false,
            Ok(length) => length,
            Err(_) => return false,
        };
        let bytes = self.buffer.get(..length).unwrap_or(&[]);
        (self.sink)(child::monotonic_ns(), stream, bytes);
        if let Err(error) = deliver(stream, bytes) {
            self.cut(stream, error);
        }
        true
    }
}

impl Relay {
    /// Nobody reads the recorder's `stream` any more: lets the command notice as it would have.
    fn cut(&mut self, stream: Stream, error: io::Error) {
        self.open[stream.index()] = false;
        self.failed = Some((stream, self.tap.close(stream).err().unwrap_or(error)));
    }

    /// Waits for the next finished write. False if none is listed in time.
    fn event_within(&self, patience: Duration) -> bool {
        let Some(watch) = self.tap.watch() else {
            return false;
        };
        let mut events = [PollFd::new(watch, PollFlags::IN)];
        poll(&mut events, timespec(patience).as_ref()).is_ok_and(|ready| ready > 0)
    }

    /// Waits until there is something to do, but not past `until`.
    fn idle(&mut self, until: Option<Instant>) {
        let patience = until.map(|until| until.saturating_duration_since(Instant::now()));
        let streams =
            [Stream::Stdout, Stream::Stderr].map(|stream| (stream, self.open[stream.index()]));
        let watched = streams
            .iter()
            .filter(|(_, open)| *open)
            .map(|(stream, _)| self.tap.end(*stream));
        let mut fds: Vec<PollFd<'_>> = watched
            .chain(self.tap.watch())
            .chain(self.woken.as_ref())
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        if poll(&mut fds, patience.and_then(timespec).as_ref()).is_err() {
            return;
        }
        let hung_up: Vec<bool> = fds
            .iter()
            .map(|fd| {
                fd.revents().contains(PollFlags::HUP) && !fd.revents().contains(PollFlags::IN)
            })
            .collect();
        let woken = self.woken.is_some() && hung_up.last() == Some(&true);
        let open = streams
            .iter()
            .filter(|(_, open)| *open)
            .map(|(stream, _)| *stream);
        for (stream, _) in open.zip(&hung_up).filter(|(_, hung_up)| **hung_up) {
            self.open[stream.index()] = false;
        }
        if woken {
            self.woken = None;
        }
    }

    /// Whether somebody could still write: a look at once, not a wait.
    fn left_open(&self) -> bool {
        [Stream::Stdout, Stream::Stderr]
            .into_iter()
            .filter(|stream| self.open[stream.index()])
            .any(|stream| {
                let mut end = [PollFd::new(self.tap.end(stream), PollFlags::IN)];
                poll(&mut end, timespec(Duration::ZERO).as_ref()).is_ok()
                    && !end[0].revents().contains(PollFlags::HUP)
            })
    }
}

fn timespec(duration: Duration) -> Option<Timespec> {
    Timespec::try_from(duration).ok()
}

/// Writes all of `bytes` to the recorder's own `stream`, past Rust's buffers, waiting for a slow
/// reader even where somebody has made the descriptor non-blocking.
fn deliver(stream: Stream, mut bytes: &[u8]) -> io::Result<()> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let own = match stream {
        Stream::Stdout => stdout.as_fd(),
        Stream::Stderr => stderr.as_fd(),
    };
    while !bytes.is_empty() {
        match rustix::io::write(own, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::from_borrowed_fd(own, PollFlags::OUT)], None)?;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
