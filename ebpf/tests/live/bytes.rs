//! Contents: every state of a file comes out, byte for byte, in the order of the kernel.

use crate::bed::{Bed, Records};
use crate::image::Image;
use diffkeeper_ebpf::wire::What;
use std::fs::{File, OpenOptions, metadata, read};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A cheap generator: the same seeds, the same bytes.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    *state >> 33
}

fn rebuilt(records: &Records, path: &Path) -> Vec<u8> {
    let ino = metadata(path).unwrap().ino();
    let mut image = Image::default();
    for record in records.iter() {
        if subject(&record.what) == Some(ino) {
            assert!(record.ordered);
            image.apply(&record.what);
        }
    }
    image.bytes
}

fn subject(what: &What<'_>) -> Option<u64> {
    match what {
        What::Write { inode, .. } | What::Truncate { inode } | What::Fallocate { inode, .. } => {
            Some(inode.ino)
        }
        _ => None,
    }
}

#[test]
fn all_of_200_overwrites_come_out_each_with_its_process() {
    let Some(mut bed) = Bed::new() else { return };
    let path = bed.path("page");
    let page = |round: u32| round.to_ne_bytes().repeat(1024);
    let records = bed.record(|| {
        let file = File::create(&path).unwrap();
        for round in 0..200 {
            file.write_all_at(&page(round), 0).unwrap();
        }
    });
    let mut image = Image::default();
    let mut states = Vec::new();
    for record in records.changes() {
        if matches!(record.what, What::Write { .. }) {
            image.apply(&record.what);
            states.push(image.bytes.clone());
        }
    }
    assert_eq!(states, (0..200).map(page).collect::<Vec<_>>());
}

fn concurrent(flags: i32, rounds: u64) {
    // The writers are this process, which cannot be held back: room for all.
    let bed = Bed::with(|config, _| config.ring_bytes = 256 << 20);
    let Some(mut bed) = bed else { return };
    let path = bed.path("shared");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .custom_flags(flags)
        .open(&path)
        .unwrap();
    let file = &file;
    let records = bed.record(|| {
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                scope.spawn(move || {
                    let mut seed = thread;
                    for round in 0..rounds {
                        let byte = u8::try_from((thread * 32 + round) % 251).unwrap();
                        let len = next(&mut seed) % 9000 + 1;
                        let bytes = vec![byte; len.try_into().unwrap()];
                        file.write_all_at(&bytes, next(&mut seed) % 30_000).unwrap();
                    }
                });
            }
        });
    });
    assert!(rebuilt(&records, &path) == read(&path).unwrap());
    let ends = records
        .iter()
        .filter(|record| record.whole || matches!(record.what, What::CallEnd { .. }));
    assert_eq!(ends.count() as u64, 8 * rounds);
}

#[test]
fn overlapping_writes_of_eight_threads_replay_to_the_file() {
    concurrent(0, 2000);
}

#[test]
fn synchronous_writes_of_eight_threads_replay_to_the_file() {
    concurrent(libc::O_DSYNC, 2000);
}

/// A random mix of everything that changes content, checked after every record against the
/// state that the workload knows.
#[test]
fn every_state_of_a_random_history_is_exact() {
    let Some(mut bed) = Bed::new() else { return };
    let path = bed.path("history");
    let mut states: Vec<Vec<u8>> = Vec::new();
    let records = bed.record(|| {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let mut seed = 7;
        for _ in 0..400 {
            step(&mut file, &mut seed);
            states.push(read(&path).unwrap());
        }
    });
    let mut image = Image::default();
    let mut reached = states.iter().peekable();
    for record in records.changes() {
        image.apply(&record.what);
        while reached.next_if(|state| **state == image.bytes).is_some() {}
    }
    assert_eq!(reached.count(), 0, "states that the records never led to");
}

fn step(file: &mut File, seed: &mut u64) {
    let (offset, len) = (next(seed) % 200_000, next(seed) % 70_000 + 1);
    let byte = u8::try_from(next(seed) % 251).unwrap();
    let page = 4096;
    let pages = offset / page * page;
    let allocate = |mode: rustix::fs::FallocateFlags, offset: u64, len: u64| {
        // Refused beyond the end: then nothing changes.
        let _ = rustix::fs::fallocate(&*file, mode, offset, len);
    };
    use rustix::fs::FallocateFlags as Mode;
    match next(seed) % 12 {
        0 => file.set_len(offset).unwrap(),
        1 => allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, offset, len),
        2 => allocate(Mode::ZERO_RANGE, offset, len),
        3 => allocate(Mode::ZERO_RANGE | Mode::KEEP_SIZE, offset, len),
        4 => allocate(Mode::empty(), offset, len),
        5 => allocate(Mode::COLLAPSE_RANGE, pages, page),
        6 => allocate(Mode::INSERT_RANGE, pages, page),
        7 => file
            .write_all(&vec![byte; len.try_into().unwrap()])
            .unwrap(),
        _ => file
            .write_all_at(&vec![byte; len.try_into().unwrap()], offset)
            .unwrap(),
    }
}

#[test]
fn a_large_write_comes_in_pieces_of_one_call() {
    let Some(mut bed) = Bed::new() else { return };
    let path = bed.path("large");
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
    let records = bed.record(|| std::fs::write(&path, &bytes).unwrap());
    assert!(rebuilt(&records, &path) == bytes);
    let mut calls: Vec<u64> = records
        .changes()
        .iter()
        .filter(|record| matches!(record.what, What::Write { .. }))
        .map(|record| record.call)
        .collect();
    assert!(calls.len() > 10);
    calls.dedup();
    assert_eq!(calls.len(), 1);
    let end = records
        .iter()
        .find(|record| record.call == calls[0] && matches!(record.what, What::CallEnd { .. }));
    let ret = i64::try_from(bytes.len()).unwrap();
    assert_eq!(end.unwrap().what, What::CallEnd { ret });
}
