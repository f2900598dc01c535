//! Too much for the ring: writers wait, or what is lost is named.

use crate::bed::{Bed, id};
use diffkeeper_ebpf::wire::{What, decode};
use std::process::{Command, Stdio};
use std::time::Duration;

const PAGES: u64 = 20_000;

fn writer(path: &std::path::Path) -> std::process::Child {
    Command::new("dd")
        .args(["if=/dev/zero", "bs=4k"])
        .arg(format!("of={}", path.display()))
        .arg(format!("count={PAGES}"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_slow_reader_holds_writers_back_and_loses_nothing() {
    let bed = Bed::with(|config, _| {
        config.ring_bytes = 4 << 20;
        config.hold_back = true;
    });
    let Some(mut bed) = bed else { return };
    let mut child = writer(&bed.path("file"));
    let mut pages = 0;
    let mut over = false;
    while !over {
        over = child.try_wait().unwrap().is_some();
        std::thread::sleep(Duration::from_millis(10));
        bed.ring.drain(|slot| {
            let record = decode(slot).unwrap();
            pages += u64::from(matches!(record.what, What::Write { len: 4096, .. }));
        });
        bed.capture.resume().unwrap();
    }
    let stats = bed.capture.stats().unwrap();
    assert!(stats.stops > 0);
    assert_eq!(stats.lost_in_all(), 0);
    assert_eq!(pages, PAGES);
    assert_eq!(bed.capture.stopped().unwrap(), []);
    assert_eq!(bed.capture.take_dirty().unwrap(), []);
}

/// Where nobody is held back, records are lost, and the file is named.
#[test]
fn what_has_no_room_is_dirty() {
    let bed = Bed::with(|config, _| config.ring_bytes = 256 << 10);
    let Some(mut bed) = bed else { return };
    let path = bed.path("file");
    let mut child = writer(&path);
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
        if bed.capture.stats().unwrap().lost_in_all() > 10 {
            child.kill().unwrap();
        }
    }
    assert!(bed.capture.stats().unwrap().lost_in_all() > 10);
    let wanted = id(&path.metadata().unwrap());
    let dirty = bed.capture.take_dirty().unwrap();
    assert!(
        dirty
            .iter()
            .any(|inode| (inode.dev, inode.ino) == (wanted.dev, wanted.ino)),
        "{dirty:?}"
    );
    assert_eq!(bed.capture.take_dirty().unwrap(), []);
}
