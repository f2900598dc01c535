//! A directory whose changes are captured while a workload runs, and what came out.

use diffkeeper_ebpf::loader::{Capture, Config, InodeId, Ring};
use diffkeeper_ebpf::wire::{Record, What, decode};
use rustix::fs::statfs;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const EXT4: i64 = 0xef53;

/// Names a file as the programs do.
pub(crate) fn id(meta: &Metadata) -> InodeId {
    InodeId {
        dev: meta.dev(),
        ino: meta.ino(),
    }
}

pub(crate) struct Bed {
    dir: TempDir,
    pub(crate) capture: Capture,
    pub(crate) ring: Ring,
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
        Self::with(|_, _| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config, &Path)) -> Option<Self> {
        let top = top();
        if statfs(&top).unwrap().f_type != EXT4 {
            eprintln!("SKIPPED: {} is not on ext4", top.display());
            return None;
        }
        Self::below(&top, change)
    }

    pub(crate) fn below(top: &Path, change: impl FnOnce(&mut Config, &Path)) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: loading kernel programs needs root");
            return None;
        }
        let dir = TempDir::new_in(top).unwrap();
        let mut config = Config {
            roots: vec![id(&dir.path().metadata().unwrap())],
            recorder: u32::MAX,
            ring_bytes: 64 << 20,
            reads: true,
            closes: true,
            ..Config::default()
        };
        change(&mut config, dir.path());
        let mut capture = Capture::load(&config).unwrap();
        let ring = capture.ring().unwrap();
        capture.attach().unwrap();
        Some(Self { dir, capture, ring })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ends the capture and leaves the directory.
    pub(crate) fn end(self) -> TempDir {
        self.dir
    }

    /// Runs a workload and returns every record up to its end.
    pub(crate) fn record(&mut self, work: impl FnOnce() + Send) -> Records {
        let mut slots = Vec::new();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                work();
                over.store(true, Ordering::Release);
            });
            loop {
                let last = over.load(Ordering::Acquire) || work.is_finished();
                self.ring.drain(|slot| slots.push(whole(slot).to_vec()));
                if last {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            work.join().unwrap();
        });
        let stats = self.capture.stats().unwrap();
        assert_eq!(stats.lost_in_all(), 0, "{stats:?}");
        Records(slots)
    }
}

/// The record without the unused rest of its slot.
fn whole(slot: &[u8]) -> &[u8] {
    let size = u32::from_ne_bytes(*slot.first_chunk().unwrap());
    &slot[..size as usize]
}

/// Where the directories are made: another ext4, such as one with a journal, can be named
/// by `DIFFKEEPER_TEST_DIR`.
pub(crate) fn top() -> PathBuf {
    let named = std::env::var_os("DIFFKEEPER_TEST_DIR");
    named.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}
