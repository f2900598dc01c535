//! A directory whose changes are captured while a workload runs, and what came out.

use diffkeeper_ebpf::loader::{Capture, Config, InodeId, Ring, Tier};
use diffkeeper_ebpf::wire::{Record, What, decode};
use rustix::fs::statfs;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;
use tempfile::TempDir;

const EXT4: i64 = 0xef53;

/// Which tier the tests are about: `DIFFKEEPER_TEST_BACKEND`, else that of the tracepoints.
pub(crate) fn tier() -> Tier {
    match std::env::var("DIFFKEEPER_TEST_BACKEND").as_deref() {
        Ok("fentry") => Tier::Fentry,
        _ => Tier::Tracepoint,
    }
}

/// Names a file as the programs do.
pub(crate) fn id(meta: &Metadata) -> InodeId {
    InodeId {
        dev: meta.dev(),
        ino: meta.ino(),
    }
}

pub(crate) struct Bed {
    dir: TempDir,
    /// Always there, but for the end of the drop.
    loaded: Option<Loaded>,
    /// Whether the next test may take it over: loading takes long where the processor is
    /// emulated.
    lent: bool,
}

/// Programs at work, and what they tell.
struct Loaded {
    /// Always there, but for the end of the drop.
    capture: Option<Capture>,
    ring: Ring,
}

/// Held to attach and to detach, and shared while a workload runs: calls that are under way at
/// a function while programs come to it or go leave without those at its end.
static HOOKS: RwLock<()> = RwLock::new(());

/// With nothing but the defaults, and no root.
static IDLE: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

impl Loaded {
    fn new(config: &Config) -> Self {
        let mut capture = Capture::load(config).unwrap();
        let ring = capture.ring().unwrap();
        let alone = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
        capture.attach().unwrap();
        drop(alone);
        let capture = Some(capture);
        Self { capture, ring }
    }

    fn capture(&mut self) -> &mut Capture {
        self.capture.as_mut().unwrap()
    }

    /// One that is idle, or a new one.
    fn idle() -> Self {
        let idle = IDLE.lock().unwrap().pop();
        idle.unwrap_or_else(|| Self::new(&defaults()))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let _alone = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
        drop(self.capture.take());
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let root = id(&self.dir.path().metadata().unwrap());
        let loaded = self.loaded.take();
        if let Some(mut loaded) = loaded.filter(|_| self.lent && !std::thread::panicking()) {
            // Who takes it over is not to hear of this.
            std::fs::remove_dir_all(self.dir.path()).unwrap();
            loaded.capture().remove_root(root).unwrap();
            IDLE.lock().unwrap().push(loaded);
        }
    }
}

fn defaults() -> Config {
    Config {
        tier: tier(),
        recorder: u32::MAX,
        ring_bytes: 64 << 20,
        reads: true,
        ..Config::default()
    }
}

/// Ring slots, in order.
pub(crate) struct Records(Vec<Vec<u8>>);

impl Records {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.0.iter().map(|slot| decode(slot).unwrap())
    }

    /// What this process did to files and directories: not processes, opens and reads.
    pub(crate) fn changes(&self) -> Vec<Record<'_>> {
        self.iter()
            .filter(|record| record.task.pid == std::process::id())
            .filter(|record| {
                !matches!(
                    record.what,
                    What::Fork { .. }
                        | What::Exec(_)
                        | What::Exit { .. }
                        | What::Open { .. }
                        | What::Close { .. }
                        | What::Read { .. }
                        | What::CallEnd { .. }
                )
            })
            .collect()
    }
}

impl Bed {
    /// `None`, and a line that says so, where capture cannot work.
    pub(crate) fn new() -> Option<Self> {
        let top = usable(&top())?;
        let dir = TempDir::new_in(top).unwrap();
        let mut loaded = Loaded::idle();
        let root = id(&dir.path().metadata().unwrap());
        loaded.capture().add_root(root).unwrap();
        loaded.ring.drain(|_| {});
        Some(Self {
            dir,
            loaded: Some(loaded),
            lent: true,
        })
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config, &Path)) -> Option<Self> {
        Self::below(&usable(&top())?, change)
    }

    pub(crate) fn below(top: &Path, change: impl FnOnce(&mut Config, &Path)) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: loading kernel programs needs root");
            return None;
        }
        let dir = TempDir::new_in(top).unwrap();
        let mut config = defaults();
        config.roots = vec![id(&dir.path().metadata().unwrap())];
        change(&mut config, dir.path());
        Some(Self {
            dir,
            loaded: Some(Loaded::new(&config)),
            lent: false,
        })
    }

    pub(crate) fn capture(&mut self) -> &mut Capture {
        self.loaded.as_mut().unwrap().capture()
    }

    pub(crate) fn ring(&mut self) -> &mut Ring {
        &mut self.loaded.as_mut().unwrap().ring
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ends the capture; the directory stays.
    pub(crate) fn end(&mut self) {
        assert!(!self.lent);
        drop(self.loaded.take());
    }

    /// Runs a workload and returns every record up to its end.
    pub(crate) fn record(&mut self, work: impl FnOnce() + Send) -> Records {
        let _hooks = HOOKS.read().unwrap_or_else(PoisonError::into_inner);
        let mut slots = Vec::new();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                work();
                over.store(true, Ordering::Release);
            });
            loop {
                let last = over.load(Ordering::Acquire) || work.is_finished();
                self.ring().drain(|slot| slots.push(whole(slot).to_vec()));
                if last {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            work.join().unwrap();
        });
        let stats = self.capture().stats().unwrap();
        assert_eq!(stats.lost_in_all(), 0, "{stats:?}");
        Records(slots)
    }
}

/// The record without the unused rest of its slot.
fn whole(slot: &[u8]) -> &[u8] {
    let size = u32::from_ne_bytes(*slot.first_chunk().unwrap());
    &slot[..size as usize]
}

/// A directory that the tier can follow, if this process may load programs at all.
fn usable(top: &Path) -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: loading kernel programs needs root");
        return None;
    }
    if tier() == Tier::Tracepoint && statfs(top).unwrap().f_type != EXT4 {
        eprintln!("SKIPPED: {} is not on ext4", top.display());
        return None;
    }
    Some(top.to_owned())
}

/// Where the directories are made: another ext4, such as one with a journal, can be named
/// by `DIFFKEEPER_TEST_DIR`.
pub(crate) fn top() -> PathBuf {
    let named = std::env::var_os("DIFFKEEPER_TEST_DIR");
    named.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}
