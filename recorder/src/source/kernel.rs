//! The source of the kernel tiers: records from the ring, handed on as they come. The
//! records carry what happened themselves, so nobody has to look.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use diffkeeper_ebpf::loader::{Capture, CaptureError, Config, InodeId, Ring};
use diffkeeper_ebpf::wire::{self, What};
use diffkeeper_store::model::{Backend, GapReason};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::mounts::mounts_of;
use super::{Source, SourceError};
use crate::observation::{Fact, Held, Observation};
use crate::scope::Scope;

/// Bytes of the ring.
const RING: u32 = 64 << 20;
/// Bytes of records that may wait to be applied before the ring is left to fill.
const HELD: usize = 16 << 20;
/// A canary that was not heard by then is sent once more.
const CANARY: Duration = Duration::from_millis(250);
/// Records that are taken in one turn.
const TURN: usize = 1024;
/// The ring is looked at after this time even if its filling woke nobody.
const LOOK: Duration = Duration::from_millis(4);
/// Losses are asked for this often.
const COUNT: Duration = Duration::from_millis(50);

/// Captures in the kernel through tracepoints.
pub struct Kernel {
    canaries: PathBuf,
    /// Whether reads are wanted.
    reads: bool,
    /// Whether output is wanted from here.
    output: bool,
    running: Option<Running>,
}

struct Running {
    drain: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    done: Receiver<u64>,
    asked: AtomicU64,
}

impl Running {
    fn wait(&self, token: u64, deadline: Instant) -> Result<(), RecvTimeoutError> {
        while self.done.recv_deadline(deadline)? < token {}
        Ok(())
    }
}

impl Kernel {
    /// A source that makes its canaries in `canaries`, a directory of its own inside the
    /// state directory.
    #[must_use]
    pub const fn new(canaries: PathBuf, reads: bool, output: bool) -> Self {
        Self {
            canaries,
            reads,
            output,
            running: None,
        }
    }

    fn config(&self, scope: &Scope) -> Result<Config, SourceError> {
        let mut roots = vec![inode(&self.canaries)?];
        let mut foreign = false;
        for root in scope.roots() {
            roots.push(inode(&root.path)?);
            let mounts = mounts_of(&root.path).map_err(SourceError::Canary)?;
            foreign |= !mounts.are_ext4();
            let inner = mounts.below.iter().map(|mount| inode(&mount.path));
            roots.extend(inner.filter_map(Result::ok));
        }
        let printed = |fd| {
            let at = rustix::fs::fstat(fd).ok()?;
            Some(InodeId {
                dev: at.st_dev,
                ino: at.st_ino,
            })
        };
        let (stdout, stderr) = (
            printed(rustix::stdio::stdout()),
            printed(rustix::stdio::stderr()),
        );
        Ok(Config {
            roots,
            excluded: vec![inode(scope.state())?],
            recorder: std::process::id(),
            ring_bytes: RING,
            reads: self.reads,
            closes: true,
            hold_back: false,
            foreign,
            stdout: stdout.filter(|_| self.output),
            stderr: stderr.filter(|_| self.output),
            btf: None,
        })
    }
}

fn inode(path: &Path) -> Result<InodeId, SourceError> {
    let meta = fs::metadata(path).map_err(SourceError::Canary)?;
    Ok(InodeId {
        dev: meta.dev(),
        ino: meta.ino(),
    })
}

fn unavailable(error: &CaptureError) -> SourceError {
    SourceError::Kernel(error.to_string())
}

impl Source for Kernel {
    fn backend(&self) -> Backend {
        Backend::Tracepoint
    }

    fn start(&mut self, scope: Arc<Scope>, sink: Sender<Observation>) -> Result<(), SourceError> {
        self.stop();
        fs::create_dir_all(&self.canaries).map_err(SourceError::Canary)?;
        let config = self.config(&scope)?;
        let canary = inode(&self.canaries)?;
        let mut capture = Capture::load(&config).map_err(|error| unavailable(&error))?;
        let ring = capture.ring().ok_or(SourceError::Stopped)?;
        capture.attach().map_err(|error| unavailable(&error))?;
        let (done_sender, done) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let drain = Drain {
            capture,
            ring,
            sink,
            canary,
            done: done_sender,
            stop: Arc::clone(&stop),
            held: Arc::default(),
            lost: 0,
            counted: Instant::now(),
        };
        let drain = std::thread::Builder::new()
            .name("ring".into())
            .spawn(|| drain.run())
            .map_err(SourceError::Thread)?;
        self.running = Some(Running {
            drain,
            stop,
            done,
            asked: AtomicU64::new(0),
        });
        Ok(())
    }

    fn sync(&mut self, timeout: Duration) -> Result<u64, SourceError> {
        let running = self.running.as_ref().ok_or(SourceError::Stopped)?;
        let deadline = Instant::now() + timeout;
        let token = running.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let path = self.canaries.join(token.to_string());
        loop {
            fs::write(&path, []).map_err(SourceError::Canary)?;
            fs::remove_file(&path).map_err(SourceError::Canary)?;
            match running.wait(token, deadline.min(Instant::now() + CANARY)) {
                // The ring was full: the canary was lost with the rest.
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => return Err(SourceError::Late(timeout)),
                Err(RecvTimeoutError::Disconnected) => return Err(SourceError::Stopped),
                Ok(()) => return Ok(token),
            }
        }
    }

    fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.stop.store(true, Ordering::SeqCst);
        if running.drain.join().is_err() {
            tracing::error!("the thread that drains the ring panicked");
        }
        if let Err(error) = fs::remove_dir_all(&self.canaries) {
            tracing::debug!(%error, "the canary directory stays");
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread that empties the ring.
struct Drain {
    capture: Capture,
    ring: Ring,
    sink: Sender<Observation>,
    canary: InodeId,
    done: Sender<u64>,
    stop: Arc<AtomicBool>,
    /// Bytes of records that wait to be applied.
    held: Arc<AtomicUsize>,
    /// Losses that were already reported.
    lost: u64,
    counted: Instant,
}

impl Drain {
    fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            // Where whoever applies the records is behind, they wait in the ring.
            let room = self.held.load(Ordering::Relaxed) < HELD;
            let drained = if room { self.drain() } else { 0 };
            if self.counted.elapsed() > COUNT {
                self.counted = Instant::now();
                self.report_losses();
            }
            match (drained, room) {
                (0, true) => self.rest(),
                (0, false) => std::thread::sleep(LOOK),
                _ => {}
            }
        }
    }

    fn rest(&self) {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK.subsec_nanos().into(),
        };
        // An interrupted wait is a short one.
        let _ = poll(
            &mut [PollFd::new(&self.ring, PollFlags::IN)],
            Some(&timeout),
        );
    }

    fn drain(&mut self) -> usize {
        let Self {
            ring,
            sink,
            canary,
            done,
            held,
            ..
        } = self;
        let mut tokens = Vec::new();
        let count = ring.drain_some(TURN, |bytes| {
            let token = wire::decode(bytes)
                .ok()
                .and_then(|record| token(&record.what, *canary));
            let fact = match token {
                Some(Some(token)) => {
                    tokens.push(token);
                    Fact::Synced(token)
                }
                Some(None) => return,
                None => Fact::Record(Held::new(bytes, held)),
            };
            // Nobody reads once the recording is over.
            let _ = sink.send(Observation::now(fact));
        });
        for token in tokens {
            let _ = done.send(token);
        }
        count
    }

    /// Whatever had no room in the ring: everything must be looked at again.
    fn report_losses(&mut self) {
        let lost = match self.capture.stats() {
            Ok(stats) => stats.lost_in_all(),
            Err(error) => {
                tracing::warn!(%error, "cannot count what was lost");
                return;
            }
        };
        if lost > self.lost {
            self.lost = lost;
            let _ = self.capture.take_dirty();
            let fact = Fact::Lost {
                path: None,
                reason: GapReason::RingFull,
            };
            let _ = self.sink.send(Observation::now(fact));
        }
    }
}

/// For what happened to canaries: the token, if it is the one that counts.
fn token(what: &What<'_>, canary: InodeId) -> Option<Option<u64>> {
    let is_canary = |inode: &wire::Inode| inode.dev == canary.dev && inode.ino == canary.ino;
    match what {
        What::Unlink(entry) if entry.parent.as_ref().is_some_and(is_canary) => {
            let name = std::str::from_utf8(entry.name).ok();
            Some(name.and_then(|name| name.parse().ok()))
        }
        What::Create(entry) if entry.parent.as_ref().is_some_and(is_canary) => Some(None),
        _ => None,
    }
}
