//! Too much for the ring: writers wait, or what is lost is named.

use crate::bed::{Bed, id};
use diffkeeper_ebpf::stopped::Stopped;
use diffkeeper_ebpf::wire::{What, decode};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PAGES: u64 = 20_000;

/// Killed and waited for at the end of a test, however it ends.
struct Writer(Child);

impl Writer {
    fn is_over(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn writer(path: &Path) -> Writer {
    let child = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k"])
        .arg(format!("of={}", path.display()))
        .arg(format!("count={PAGES}"))
        .stderr(Stdio::null())
        .spawn();
    Writer(child.unwrap())
}

#[test]
fn a_slow_reader_holds_writers_back_and_loses_nothing() {
    let bed = Bed::with(|config, _| {
        config.ring_bytes = 4 << 20;
        config.hold_back = true;
    });
    let Some(mut bed) = bed else { return };
    let mut child = writer(&bed.path("file"));
    let (mut pages, mut stops) = (0, 0);
    let mut over = false;
    while !over {
        over = child.is_over();
        std::thread::sleep(Duration::from_millis(10));
        let now = bed.capture().stats().unwrap().stops;
        // As slow as can be: it reads when somebody waits for it.
        if now == stops && !over {
            continue;
        }
        stops = now;
        bed.ring().drain(|slot| {
            let record = decode(slot).unwrap();
            pages += u64::from(matches!(record.what, What::Write { len: 4096, .. }));
        });
        bed.capture().stopped().resume(false).unwrap();
    }
    let stats = bed.capture().stats().unwrap();
    assert!(stats.stops > 0);
    assert_eq!(stats.lost_in_all(), 0);
    assert_eq!(pages, PAGES);
    assert_eq!(bed.capture().stopped().pids().unwrap(), []);
    assert_eq!(bed.capture().take_dirty().unwrap(), []);
}

/// Where nobody is held back, records are lost, and the file is named.
#[test]
fn what_has_no_room_is_dirty() {
    let bed = Bed::with(|config, _| config.ring_bytes = 256 << 10);
    let Some(mut bed) = bed else { return };
    let path = bed.path("file");
    let mut child = writer(&path);
    while !child.is_over() {
        std::thread::sleep(Duration::from_millis(1));
        if bed.capture().stats().unwrap().lost_in_all() > 10 {
            child.0.kill().unwrap();
        }
    }
    assert!(bed.capture().stats().unwrap().lost_in_all() > 10);
    let wanted = id(&path.metadata().unwrap());
    let dirty = bed.capture().take_dirty().unwrap();
    assert!(
        dirty
            .iter()
            .any(|inode| (inode.dev, inode.ino) == (wanted.dev, wanted.ino)),
        "{dirty:?}"
    );
    assert_eq!(bed.capture().take_dirty().unwrap(), []);
}

/// The recorder's end leaves nobody stopped.
#[test]
fn dropping_the_capture_continues_whom_it_held_back() {
    let bed = Bed::with(|config, _| {
        config.ring_bytes = 1 << 20;
        config.hold_back = true;
    });
    let Some(mut bed) = bed else { return };
    let mut child = writer(&bed.path("file"));
    let state = format!("/proc/{}/stat", child.0.id());
    let stopped = |stat: String| stat.split(") ").nth(1).unwrap().starts_with('T');
    while !stopped(std::fs::read_to_string(&state).unwrap()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    bed.end();
    while !child.is_over() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a watchdog does with a descriptor that it holds after the recorder died.
#[test]
fn a_duplicate_of_the_descriptor_continues_them_too() {
    let bed = Bed::with(|config, _| {
        config.ring_bytes = 1 << 20;
        config.hold_back = true;
    });
    let Some(mut bed) = bed else { return };
    let fd = bed
        .capture()
        .stopped()
        .as_fd()
        .try_clone_to_owned()
        .unwrap();
    let mut stopped = Stopped::from_fd(fd).unwrap();
    let mut child = writer(&bed.path("file"));
    while stopped.pids().unwrap() != [child.0.id()] {
        std::thread::sleep(Duration::from_millis(1));
    }
    while !child.is_over() {
        bed.ring().drain(|_| {});
        stopped.resume(false).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}
