//! Each way to write bytes is seen exactly once, with the right range and content.

use crate::bed::{Bed, Records, top};
use diffkeeper_ebpf::wire::{Reason, Record, What};
use rustix::fs::{CWD, Mode, OFlags, copy_file_range, open, sendfile};
use rustix::io::{dup2, preadv, pwrite, pwritev, pwritev2, write, writev};
use rustix::pipe::{SpliceFlags, pipe, splice};
use std::fs::{File, OpenOptions};
use std::io::{IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

fn segments(records: &[Record<'_>]) -> Vec<(u64, Vec<u8>)> {
    records
        .iter()
        .map(|record| match record.what {
            What::Write { offset, bytes, .. } => (offset, bytes.unwrap().to_vec()),
            ref other => panic!("not a write: {other:?}"),
        })
        .collect()
}

/// The segments that a workload on a new file of 10 bytes leaves.
fn written(work: impl FnOnce(&File, &Path) + Send) -> Option<Vec<(u64, Vec<u8>)>> {
    let mut bed = Bed::new()?;
    let path = bed.path("file");
    std::fs::write(&path, "0123456789").unwrap();
    bed.ring().drain(|_| {});
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.unwrap();
    let records = bed.record(|| work(&file, &path));
    Some(segments(&records.changes()))
}

fn expect(work: impl FnOnce(&File, &Path) + Send, expected: &[(u64, &[u8])]) {
    let Some(found) = written(work) else { return };
    let found: Vec<_> = found.iter().map(|(at, bytes)| (*at, &bytes[..])).collect();
    assert_eq!(found, expected);
}

#[test]
fn write_and_append() {
    expect(
        |file, path| {
            write(file, b"ab").unwrap();
            let flags = OFlags::WRONLY | OFlags::APPEND;
            let file = open(path, flags, Mode::empty()).unwrap();
            write(file, b"cd").unwrap();
        },
        &[(0, b"ab"), (10, b"cd")],
    );
}

#[test]
fn positioned_writes() {
    expect(
        |file, _| {
            pwrite(file, b"ab", 3).unwrap();
        },
        &[(3, b"ab")],
    );
}

#[test]
fn vectored_writes() {
    let vectors = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
    expect(
        |file, _| {
            writev(file, &vectors).unwrap();
        },
        &[(0, b"abcde")],
    );
    expect(
        |file, _| {
            pwritev(file, &vectors, 4).unwrap();
        },
        &[(4, b"abcde")],
    );
    expect(
        |file, _| {
            let flags = rustix::io::ReadWriteFlags::DSYNC;
            pwritev2(file, &vectors, 5, flags).unwrap();
        },
        &[(5, b"abcde")],
    );
}

fn source(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile_in(top()).unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

#[test]
fn copies_in_the_kernel() {
    let from = source(b"source");
    expect(
        |file, _| {
            assert_eq!(sendfile(file, &from, None, 6), Ok(6));
        },
        &[(0, b"source")],
    );
    expect(
        |file, _| {
            let mut at = 4;
            let copied = copy_file_range(&from, Some(&mut 1), file, Some(&mut at), 4);
            assert_eq!(copied, Ok(4));
        },
        &[(4, b"ourc")],
    );
    let (out, into) = pipe().unwrap();
    write(&into, b"piped").unwrap();
    expect(
        |file, _| {
            let flags = rustix::pipe::SpliceFlags::empty();
            let moved = splice(&out, None, file, Some(&mut 2), 5, flags);
            assert_eq!(moved, Ok(5));
        },
        &[(2, b"piped")],
    );
}

#[repr(C)]
#[derive(Default)]
struct Iocb {
    data: u64,
    key: u32,
    flags: u32,
    opcode: u16,
    priority: u16,
    fd: u32,
    buffer: u64,
    len: u64,
    offset: u64,
    reserved: u64,
    flags2: u32,
    eventfd: u32,
}

#[test]
fn asynchronous_io() {
    const PWRITE: u16 = 1;
    let bytes = b"async";
    expect(
        |file, _| {
            let mut context = 0_u64;
            let block = Iocb {
                opcode: PWRITE,
                fd: file.as_raw_fd().cast_unsigned(),
                buffer: bytes.as_ptr() as u64,
                len: 5,
                offset: 3,
                ..Iocb::default()
            };
            let blocks = [&raw const block];
            // SAFETY: the context and the block, with the bytes that it names, outlive the
            // calls; the kernel finishes a buffered write before io_submit returns.
            unsafe {
                assert_eq!(libc::syscall(libc::SYS_io_setup, 1, &raw mut context), 0);
                let sent = libc::syscall(libc::SYS_io_submit, context, 1, blocks.as_ptr());
                assert_eq!(sent, 1);
                libc::syscall(libc::SYS_io_destroy, context);
            }
        },
        &[(3, b"async")],
    );
}

/// Past the page cache the bytes are not had: the range is told as dirty, once.
#[test]
fn direct_writes_are_dirty() {
    let Some(mut bed) = Bed::new() else { return };
    let path = bed.path("direct");
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::DIRECT;
    let Ok(file) = open(&path, flags, Mode::RUSR) else {
        eprintln!("SKIPPED: no direct writes on this file system");
        return;
    };
    bed.ring().drain(|_| {});
    let buffer = vec![7_u8; 3 * 4096];
    let start = buffer.as_ptr().align_offset(4096);
    let page = &buffer[start..start + 4096];
    let records = bed.record(|| assert_eq!(pwrite(&file, page, 4096), Ok(4096)));
    let changes = records.changes();
    let [record] = &changes[..] else {
        panic!("{changes:?}")
    };
    match record.what {
        What::Dirty {
            offset: 4096,
            len: 4096,
            reason: Reason::Direct,
            ..
        } => {}
        // With data=journal the kernel goes through the page cache after all.
        What::Write {
            offset: 4096,
            bytes: Some(bytes),
            ..
        } => assert_eq!(bytes, page),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn shared_mappings_are_dirty_from_first_to_last() {
    let Some(mut bed) = Bed::new() else { return };
    let path = bed.path("mapped");
    std::fs::write(&path, vec![1; 8192]).unwrap();
    bed.ring().drain(|_| {});
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.unwrap();
    let records = bed.record(|| {
        use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap};
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let file = file.as_fd();
        // SAFETY: a mapping of its own, within the file, used nowhere else.
        unsafe {
            let at = mmap(
                std::ptr::null_mut(),
                8192,
                access,
                MapFlags::SHARED,
                file,
                0,
            );
            let at = at.unwrap();
            at.cast::<u8>().write(2);
            msync(at, 8192, MsyncFlags::SYNC).unwrap();
            at.cast::<u8>().write(3);
            munmap(at, 8192).unwrap();
        }
    });
    let reasons: Vec<_> = records
        .changes()
        .iter()
        .map(|record| match record.what {
            What::Dirty { reason, .. } => reason,
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert!(reasons.len() >= 3, "mmap, msync, munmap: {reasons:?}");
    assert!(reasons.iter().all(|reason| *reason == Reason::Mmap));
}

#[test]
fn opens_and_first_reads_are_told_once() {
    let Some(mut bed) = Bed::new() else { return };
    let path = bed.path("read");
    std::fs::write(&path, "content").unwrap();
    bed.ring().drain(|_| {});
    let records = bed.record(|| {
        let mut file = File::open(&path).unwrap();
        let mut bytes = [0; 3];
        file.read_exact(&mut bytes).unwrap();
        file.read_exact(&mut bytes).unwrap();
        let file = rustix::fs::openat(CWD, &path, OFlags::WRONLY, Mode::empty()).unwrap();
        drop(file);
    });
    let told: Vec<_> = records.iter().map(|record| record.what).collect();
    let reads = told.iter().filter(|what| matches!(what, What::Read { .. }));
    let [
        What::Read {
            offset: 0, len: 3, ..
        },
    ] = reads.collect::<Vec<_>>()[..]
    else {
        panic!("{told:?}");
    };
    let opens = told.iter().filter(|what| matches!(what, What::Open { .. }));
    assert_eq!(opens.count(), 2);
    assert_eq!(closes(&records), 1);
}

/// Offset and length, bytes, of what was read.
fn reads(records: &Records) -> Vec<(u64, u64)> {
    let range = |record: Record<'_>| match record.what {
        What::Read { offset, len, .. } => Some((offset, len)),
        _ => None,
    };
    records.iter().filter_map(range).collect()
}

#[test]
fn copies_in_the_kernel_read() {
    let Some(mut bed) = Bed::new() else { return };
    let (from, to) = (bed.path("from"), bed.path("to"));
    std::fs::write(&from, "0123456789").unwrap();
    let to = File::create(to).unwrap();
    let (out, into) = pipe().unwrap();
    bed.ring().drain(|_| {});
    let mut read =
        |work: &(dyn Fn(File) + Sync)| reads(&bed.record(|| work(File::open(&from).unwrap())));

    let at_position = read(&|from| {
        copy_file_range(&from, None, &to, None, 4).unwrap();
    });
    let at_offset = read(&|from| {
        let mut offset = 3;
        copy_file_range(&from, Some(&mut offset), &to, None, 4).unwrap();
    });
    let sent = read(&|from| {
        let mut offset = 2;
        sendfile(&to, &from, Some(&mut offset), 5).unwrap();
    });
    let spliced = read(&|from| {
        let mut offset = 1;
        splice(
            &from,
            Some(&mut offset),
            &into,
            None,
            6,
            SpliceFlags::empty(),
        )
        .unwrap();
    });
    let scattered = read(&|from| {
        let mut bytes = [0; 2];
        preadv(&from, &mut [IoSliceMut::new(&mut bytes)], 8).unwrap();
    });
    drop(out);
    assert_eq!(at_position, [(0, 4)]);
    assert_eq!(at_offset, [(3, 4)]);
    assert_eq!(sent, [(2, 5)]);
    assert_eq!(spliced, [(1, 6)]);
    assert_eq!(scattered, [(8, 2)]);
}

fn closes(records: &Records) -> usize {
    let is_close = |record: &Record<'_>| matches!(record.what, What::Close { .. });
    records.iter().filter(is_close).count()
}

/// Of descriptors that were not opened here, those that have written.
#[test]
fn closes_are_told_of_descriptors_that_may_have_written() {
    let Some(mut bed) = Bed::new() else { return };
    let opened = File::create(bed.path("written")).unwrap();
    let (mut copy, unused) = (opened.try_clone().unwrap(), opened.try_clone().unwrap());
    bed.ring().drain(|_| {});
    assert_eq!(closes(&bed.record(|| drop(unused))), 0);
    assert_eq!(closes(&bed.record(|| copy.write_all(b"12").unwrap())), 0);
    assert_eq!(closes(&bed.record(|| drop(copy))), 1);
    let mut copy = OwnedFd::from(opened.try_clone().unwrap());
    assert_eq!(closes(&bed.record(|| dup2(&opened, &mut copy).unwrap())), 0);
    write(&copy, b"3").unwrap();
    assert_eq!(closes(&bed.record(|| dup2(&opened, &mut copy).unwrap())), 1);
    assert_eq!(closes(&bed.record(|| drop((opened, copy)))), 1);
}
