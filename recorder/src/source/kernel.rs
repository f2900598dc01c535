//! The source of the kernel tiers: records from the ring, handed on as they come. The
//! records carry what happened themselves, so nobody has to look. Whoever writes faster
//! than the ring is emptied is held back; what has no room all the same is reported.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use diffkeeper_ebpf::loader::{Capture, CaptureError, Config, InodeId, Ring, Stats, Tier};
use diffkeeper_ebpf::support::Facts;
use diffkeeper_ebpf::wire::{self, What};
use diffkeeper_store::model::{Backend, GapReason};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::statfs;

use super::mounts::mounts_of;
use super::{Source, SourceError};
use crate::elevation;
use crate::held::HeldBack;
use crate::observation::{Fact, Held, Observation};
use crate::probe;
use crate::scope::Scope;
use crate::watchdog::Watchdog;

/// As many bytes of records as the ring has, divided by this, may wait beside it to be applied.
/// With more the ring is left to fill.
const BESIDE: usize = 4;
/// A canary that was not heard by then is sent once more.
const CANARY: Duration = Duration::from_millis(250);
/// Records that are taken in one turn.
const TURN: usize = 1024;
/// The ring is looked at after this time even if its filling woke nobody.
const LOOK: Duration = Duration::from_millis(4);
/// Once nothing was done to files for so long, the next record of them wakes whoever waits:
/// the programs see to that after half of it. Until then there is nothing to look for.
const CALM: Duration = Duration::from_secs(1);
/// What was lost before it could be counted is asked for this often then.
const CALM_LOOK: Duration = Duration::from_secs(2);
/// Losses are asked for this often.
const COUNT: Duration = Duration::from_millis(50);

/// The number of the last kind of record in `wire.h` that is about files.
const LAST_OF_FILES: usize = 19;

/// What is wanted of the kernel.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Whether opens and first reads are told.
    pub reads: bool,
    /// Whether what recorded processes print is told.
    pub output: bool,
    /// Size of the ring in bytes: a power of two, at least 256 KiB.
    pub ring_bytes: u32,
    /// The kernel's types, where the kernel does not describe them itself.
    pub btf: Option<PathBuf>,
    /// Whether `sudo -n` may be asked where a privilege is missing.
    pub sudo: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            reads: true,
            output: true,
            ring_bytes: 64 << 20,
            btf: None,
            sudo: true,
        }
    }
}

/// File systems by what statfs(2) calls them.
const BTRFS: i64 = 0x9123_683e;
const EXT4: i64 = 0xef53;
const TMPFS: i64 = 0x0102_1994;

/// The file systems on which a tier was seen to tell every write under the lock of its inode,
/// with the numbers that `stat` gives the file.
#[must_use]
pub const fn told_by(tier: Tier) -> &'static [&'static str] {
    match tier {
        Tier::Tracepoint => &["ext4"],
        Tier::Fentry => &["ext4", "tmpfs"],
    }
}

/// Captures in the kernel.
pub struct Kernel {
    tier: Tier,
    canaries: PathBuf,
    wishes: Wishes,
    held: HeldBack,
    running: Option<Running>,
}

struct Running {
    /// Ends last: nobody is held back any more then.
    _watchdog: Watchdog,
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
    pub fn new(tier: Tier, canaries: PathBuf, wishes: Wishes) -> Self {
        Self {
            tier,
            canaries,
            wishes,
            held: HeldBack::default(),
            running: None,
        }
    }

    /// Why a tier would not give more than notifications here.
    #[must_use]
    pub fn unsuited(tier: Tier, scope: &Scope) -> Option<String> {
        let kinds = told_by(tier);
        let roots = scope.roots().iter().map(|root| root.path.as_path());
        let suits = |path: &Path| mounts_of(path).is_ok_and(|mounts| mounts.are(kinds));
        let other = roots.chain([scope.state()]).find(|path| !suits(path))?;
        Some(format!(
            "{} is not all on {}",
            other.display(),
            kinds.join(" or ")
        ))
    }

    /// Has the programs loaded, by a loader where this process may not.
    fn load(&self, scope: &Scope) -> Result<Capture, SourceError> {
        let (config, roots) = self.config(scope)?;
        if self.wishes.sudo && !Facts::of_this_host().may_load() {
            return Ok(elevation::load(&config, &roots)?);
        }
        Capture::load(&config).map_err(|error| unavailable(&error))
    }

    /// What is asked of the kernel, and the paths of its roots.
    fn config(&self, scope: &Scope) -> Result<(Config, Vec<PathBuf>), SourceError> {
        let mut roots = vec![self.canaries.clone()];
        let mut foreign = false;
        for root in scope.roots() {
            roots.push(root.path.clone());
            let mounts = mounts_of(&root.path).map_err(SourceError::Canary)?;
            foreign |= self.tier == Tier::Tracepoint && !mounts.are(told_by(self.tier));
            let inner = mounts.below.iter().map(|mount| mount.path.clone());
            roots.extend(inner.filter(|path| path.exists()));
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
        let admitted = roots.iter().map(|root| admit(root));
        let config = Config {
            tier: self.tier,
            roots: admitted.collect::<Result<_, _>>()?,
            owner: None,
            excluded: vec![inode(scope.state())?],
            recorder: std::process::id(),
            ring_bytes: self.wishes.ring_bytes,
            reads: self.wishes.reads,
            hold_back: true,
            foreign,
            stdout: stdout.filter(|_| self.wishes.output),
            stderr: stderr.filter(|_| self.wishes.output),
            btf: self.wishes.btf.clone(),
        };
        Ok((config, roots))
    }
}

fn inode(path: &Path) -> Result<InodeId, SourceError> {
    let meta = fs::metadata(path).map_err(SourceError::Canary)?;
    Ok(InodeId {
        dev: meta.dev(),
        ino: meta.ino(),
    })
}

/// A directory that is recorded, if the kernel's records name its files as `stat` does.
fn admit(path: &Path) -> Result<InodeId, SourceError> {
    let kind = statfs(path).map_err(|error| SourceError::Canary(error.into()))?;
    let at = inode(path)?;
    match kind.f_type {
        BTRFS => Err(SourceError::Kernel(format!(
            "{} is on btrfs, whose subvolumes have other device numbers in the kernel",
            path.display()
        ))),
        EXT4 | TMPFS => Ok(at),
        _ => {
            probe::without_births(at.dev);
            Ok(at)
        }
    }
}

fn unavailable(error: &CaptureError) -> SourceError {
    SourceError::Kernel(error.to_string())
}

impl Source for Kernel {
    fn backend(&self) -> Backend {
        match self.tier {
            Tier::Tracepoint => Backend::Tracepoint,
            Tier::Fentry => Backend::Fentry,
        }
    }

    fn held(&self) -> HeldBack {
        self.held.clone()
    }

    fn start(&mut self, scope: Arc<Scope>, sink: Sender<Observation>) -> Result<(), SourceError> {
        self.stop();
        fs::create_dir_all(&self.canaries).map_err(SourceError::Canary)?;
        let canary = inode(&self.canaries)?;
        let mut capture = self.load(&scope)?;
        let ring = capture.ring().ok_or(SourceError::Stopped)?;
        let watchdog = Watchdog::start(capture.stopped()).map_err(SourceError::Watchdog)?;
        let stopped = capture.stopped().another();
        self.held.set(stopped.map_err(|error| unavailable(&error))?);
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
            waiting: Arc::default(),
            bound: usize::try_from(self.wishes.ring_bytes).unwrap_or(usize::MAX) / BESIDE,
            held: self.held.clone(),
            told: Stats::default(),
            left: false,
            counted: Instant::now(),
            heard: Instant::now(),
        };
        let drain = std::thread::Builder::new()
            .name("ring".into())
            .spawn(|| drain.run())
            .map_err(SourceError::Thread)?;
        self.running = Some(Running {
            _watchdog: watchdog,
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
        // Wakes the thread, which may wait for the next record.
        let _ = fs::write(self.canaries.join("stop"), []);
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
    waiting: Arc<AtomicUsize>,
    /// From so many on the ring is left to fill.
    bound: usize,
    held: HeldBack,
    /// What was counted when losses and stops were last seen to.
    told: Stats,
    /// Somebody's stop was still under way then.
    left: bool,
    counted: Instant,
    /// When the last record came that is not about processes.
    heard: Instant,
}

impl Drain {
    fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            // Where whoever applies the records is behind, they wait in the ring.
            let room = self.waiting.load(Ordering::Relaxed) < self.bound;
            let drained = if room { self.drain() } else { 0 };
            let empty = room && drained < TURN;
            if empty || self.counted.elapsed() > COUNT {
                self.see_to(empty);
            }
            match (drained, room) {
                (0, true) => self.rest(),
                (0, false) => std::thread::sleep(LOOK),
                _ => {}
            }
        }
        let (held, capture) = (self.held, self.capture);
        held.end(|| drop(capture));
    }

    /// Reports losses and, once the ring is empty, continues whoever was held back.
    fn see_to(&mut self, empty: bool) {
        self.counted = Instant::now();
        let stats = match self.capture.stats() {
            Ok(stats) => stats,
            Err(error) => {
                tracing::warn!(%error, "cannot count what was lost");
                return;
            }
        };
        if stats.lost != self.told.lost {
            self.report_losses(&stats);
            self.told.lost = stats.lost;
        }
        if empty && (self.left || stats.stops != self.told.stops) {
            self.told.stops = stats.stops;
            self.left = self.held.resume().unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot continue who was held back");
                true
            });
        }
    }

    fn rest(&self) {
        let calm = self.heard.elapsed() > CALM && !self.left;
        let timeout = Timespec::try_from(if calm { CALM_LOOK } else { LOOK });
        // An interrupted wait is a short one, as is one without a time.
        let _ = poll(
            &mut [PollFd::new(&self.ring, PollFlags::IN)],
            Some(&timeout.unwrap_or_default()),
        );
    }

    fn drain(&mut self) -> usize {
        let Self {
            ring,
            sink,
            canary,
            waiting,
            ..
        } = self;
        let (mut tokens, mut calm) = (Vec::new(), true);
        let count = ring.drain_some(TURN, |bytes| {
            let what = wire::decode(bytes).map(|record| record.what).ok();
            calm &= what.as_ref().is_some_and(is_of_processes);
            match what.and_then(|what| token(&what, *canary)) {
                Some(token) => tokens.extend(token),
                // Nobody reads once the recording is over.
                None => drop(sink.send(Observation::now(Fact::Record(Held::new(bytes, waiting))))),
            }
        });
        if !calm {
            self.heard = Instant::now();
        }
        if !tokens.is_empty() {
            self.answer(&tokens);
        }
        count
    }

    /// Everything before the canaries is in the sink once its losses are there as well.
    fn answer(&mut self, tokens: &[u64]) {
        self.capture.count_anew();
        self.see_to(false);
        for token in tokens {
            let _ = self.sink.send(Observation::now(Fact::Synced(*token)));
            let _ = self.done.send(*token);
        }
    }

    /// What had no room in the ring, by file where that is known.
    fn report_losses(&mut self, stats: &Stats) {
        let tell = |fact| drop(self.sink.send(Observation::now(fact)));
        let more = |kind: usize| stats.lost.get(kind) > self.told.lost.get(kind);
        let dirty = match self.capture.take_dirty() {
            Ok(dirty) if !more(0) => dirty,
            _ => {
                return tell(Fact::Lost {
                    path: None,
                    reason: GapReason::RingFull,
                });
            }
        };
        for inode in dirty {
            tell(Fact::Overrun(Some(inode)));
        }
        if (LAST_OF_FILES + 1..stats.lost.len()).any(more) {
            tell(Fact::Overrun(None));
        }
    }
}

/// Whether a process came, became another program, or went: they do so anywhere.
const fn is_of_processes(what: &What<'_>) -> bool {
    matches!(what, What::Fork { .. } | What::Exec(_) | What::Exit { .. })
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

#[cfg(test)]
mod tests;
