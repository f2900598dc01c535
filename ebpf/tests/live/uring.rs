//! What io_uring does, at once and in its workers: bytes and lost names exactly, other names
//! too with the fentry tier, else as directories to be read again.

use crate::bed::{Bed, tier};
use diffkeeper_ebpf::loader::Tier;
use diffkeeper_ebpf::wire::{Reason, What};
use rustix::io_uring::{
    IORING_OFF_SQ_RING, IORING_OFF_SQES, IoringOp, IoringSqeFlags, io_uring_enter, io_uring_params,
    io_uring_setup, io_uring_sqe,
};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::ffi::{CString, c_void};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A ring of one entry.
struct Uring {
    fd: OwnedFd,
    tail: *mut u32,
    array: *mut u32,
    entries: *mut io_uring_sqe,
}

impl Uring {
    fn new() -> Option<Self> {
        let mut params = io_uring_params::default();
        // SAFETY: the parameters ask for no shared descriptor.
        let fd = unsafe { io_uring_setup(1, &mut params) }.ok()?;
        let map = |at: u64| {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let (none, flags) = (std::ptr::null_mut(), MapFlags::SHARED);
            // SAFETY: a new mapping, of a page of what the kernel has made for this.
            unsafe { mmap(none, 4096, access, flags, fd.as_fd(), at) }.unwrap()
        };
        let ring = map(IORING_OFF_SQ_RING);
        let entries = map(IORING_OFF_SQES).cast();
        // SAFETY: the kernel says that these lie in the ring.
        let at = |offset: u32| unsafe { ring.byte_add(offset as usize) }.cast();
        Some(Self {
            tail: at(params.sq_off.tail),
            array: at(params.sq_off.array),
            entries,
            fd,
        })
    }

    /// Submits one operation and waits for it: there is room for two, whose completions are
    /// left where they are.
    fn run(&self, entry: io_uring_sqe) {
        // SAFETY: one entry at a time, all of which the kernel has taken before the next.
        unsafe {
            self.entries.write(entry);
            self.array.write(0);
            let submitted = self.tail.read_volatile() + 1;
            self.tail.write_volatile(submitted);
            let flags = rustix::io_uring::IoringEnterFlags::GETEVENTS;
            assert_eq!(io_uring_enter(&self.fd, 1, submitted, flags), Ok(1));
        }
    }
}

fn entry(opcode: IoringOp, fd: i32, address: *const c_void, len: usize) -> io_uring_sqe {
    let mut entry = io_uring_sqe {
        opcode,
        fd,
        ..io_uring_sqe::default()
    };
    entry.addr_or_splice_off_in.addr.ptr = address.cast_mut();
    entry.len.len = len.try_into().unwrap();
    entry
}

fn path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

#[test]
fn writes_at_once_and_in_workers() {
    let Some(mut bed) = Bed::new() else { return };
    let Some(ring) = Uring::new() else {
        eprintln!("SKIPPED: no io_uring");
        return;
    };
    let file = std::fs::File::create(bed.path("file")).unwrap();
    bed.ring().drain(|_| {});
    let bytes = b"through a ring";
    let run = Send(ring);
    let records = bed.record(|| {
        let Send(ring) = &{ run };
        for flags in [IoringSqeFlags::empty(), IoringSqeFlags::ASYNC] {
            let mut write = entry(
                IoringOp::Write,
                file.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
            );
            write.flags = flags;
            ring.run(write);
        }
    });
    let changes = records.changes();
    let written: Vec<_> = changes
        .iter()
        .map(|record| match record.what {
            What::Write { offset, bytes, .. } => (record.ordered, offset, bytes.unwrap()),
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(written, [(true, 0, &bytes[..]); 2]);
}

/// Pointers into a ring that only one thread uses at a time.
struct Send(Uring);
// SAFETY: the mappings belong to no thread.
unsafe impl std::marker::Send for Send {}

#[test]
fn names_are_told_or_leave_directories_to_be_read() {
    let Some(mut bed) = Bed::new() else { return };
    let Some(ring) = Uring::new() else { return };
    let (old, gone) = (bed.path("old"), bed.path("gone"));
    std::fs::write(&old, "").unwrap();
    std::fs::write(&gone, "").unwrap();
    let (from, to, gone) = (path(&old), path(&bed.path("new")), path(&gone));
    bed.ring().drain(|_| {});
    let run = Send(ring);
    let records = bed.record(|| {
        let Send(ring) = &{ run };
        let at = libc::AT_FDCWD;
        let mut rename = entry(IoringOp::Renameat, at, from.as_ptr().cast(), 0);
        rename.off_or_addr2.addr2.ptr = to.as_ptr().cast_mut().cast();
        rename.len.len = at.cast_unsigned();
        ring.run(rename);
        ring.run(entry(IoringOp::Unlinkat, at, gone.as_ptr().cast(), 0));
    });
    let changes = records.changes();
    let unlinks = changes
        .iter()
        .filter(|record| matches!(record.what, What::Unlink(entry) if entry.name == b"gone"));
    assert_eq!(unlinks.count(), 1);
    if tier() == Tier::Fentry {
        let renames = changes.iter().filter(|record| {
            matches!(record.what, What::Rename(rename)
                if (rename.from_name, rename.to_name) == (b"old", b"new"))
        });
        assert_eq!((renames.count(), changes.len()), (1, 2), "{changes:?}");
        return;
    }
    let foreign = changes.iter().filter(|record| {
        let reason = Reason::Foreign;
        matches!(record.what, What::Dirty { inode, reason: found, .. }
            if found == reason && inode.mode & 0o170_000 == 0o040_000)
    });
    assert!(foreign.count() > 0);
    assert!(bed.path("new").exists() && !bed.path("gone").exists());
}
