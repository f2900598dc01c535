//! Prints what the kernel tells of a directory: `watch DIR [SECONDS [quiet]]`.

#![allow(clippy::unwrap_used, reason = "an example")]
use diffkeeper_ebpf::loader::{Capture, Config, InodeId};
use diffkeeper_ebpf::wire::decode;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let seconds = std::env::args()
        .nth(2)
        .map_or(5, |text| text.parse().unwrap());
    let print = std::env::args().nth(3).is_none();
    let meta = std::fs::metadata(dir).unwrap();
    let began = Instant::now();
    let config = Config {
        roots: vec![InodeId {
            dev: meta.dev(),
            ino: meta.ino(),
        }],
        recorder: std::process::id(),
        ring_bytes: 8 << 20,
        reads: true,
        hold_back: true,
        ..Config::default()
    };
    let mut capture = Capture::load(&config).unwrap_or_else(|error| {
        eprintln!("{error:#?}");
        std::process::exit(1)
    });
    eprintln!("loaded after {:?}", began.elapsed());
    capture.attach().unwrap();
    eprintln!("attached after {:?}", began.elapsed());
    let mut ring = capture.ring().unwrap();
    while began.elapsed() < Duration::from_secs(seconds) {
        ring.drain(|slot| {
            let record = decode(slot).unwrap();
            if print {
                println!("{record:?}");
            }
        });
        capture.stopped().resume(false).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    eprintln!("{:?}", capture.stats().unwrap());
    let end = Instant::now();
    drop((capture, ring));
    eprintln!("detached in {:?}", end.elapsed());
}
