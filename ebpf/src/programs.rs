//! The kernel programs of each tier: what each attaches to, and when.

use crate::loader::{CaptureError, Tier};
use aya::Btf;
use aya::programs::{BtfTracePoint, FEntry, FExit, Program, ProgramError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a program attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    /// A tracepoint of this name.
    At(&'static str),
    /// The beginning of a function of this name.
    Entry(&'static str),
    /// Its end.
    Exit(&'static str),
}

/// When a program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Always: without it the tier does not work.
    Always,
    /// Where the kernel has the tracepoint or function.
    Known,
}

use Hook::{At, Entry, Exit};
use When::{Always, Known};

/// A program by the name of its C function.
type Spec = (&'static str, Hook, When);

/// Programs of the tracepoint tier. Of each list the last ones take the longest to verify
/// and are loaded first.
const TRACEPOINT: &[Spec] = &[
    ("da_write_end", At("ext4_da_write_end"), Always),
    ("write_end", At("ext4_write_end"), Always),
    (
        "journalled_write_end",
        At("ext4_journalled_write_end"),
        Known,
    ),
    ("unlink_exit", At("ext4_unlink_exit"), Always),
    ("allocate_inode", At("ext4_allocate_inode"), Always),
    ("dirty_inode", At("writeback_dirty_inode"), Always),
    ("fallocate_enter", At("ext4_fallocate_enter"), Always),
    ("fallocate_exit", At("ext4_fallocate_exit"), Always),
    ("punch_hole", At("ext4_punch_hole"), Always),
    ("zero_range", At("ext4_zero_range"), Always),
    ("collapse_range", At("ext4_collapse_range"), Always),
    ("insert_range", At("ext4_insert_range"), Always),
    ("journal_start", At("ext4_journal_start_inode"), Known),
    ("dio_begin", At("iomap_dio_rw_begin"), Known),
    ("dio_complete", At("iomap_dio_complete"), Known),
    ("mark_inode_dirty", At("ext4_mark_inode_dirty"), Always),
];

/// Programs of the fentry tier. Where one that is `Known` is missing, what it tells is
/// looked at when the system call returns.
const FENTRY: &[Spec] = &[
    ("write_begin", Entry("generic_perform_write"), Always),
    ("write_end", Exit("generic_perform_write"), Always),
    ("iomap_begin", Entry("iomap_file_buffered_write"), Known),
    ("iomap_end", Exit("iomap_file_buffered_write"), Known),
    ("direct_end", Entry("iomap_dio_complete"), Known),
    ("allocate_begin", Entry("vfs_fallocate"), Always),
    ("allocate_end", Exit("vfs_fallocate"), Always),
    ("instantiate", Exit("d_instantiate"), Always),
    ("instantiate_new", Exit("d_instantiate_new"), Always),
    ("nameless", Exit("d_tmpfile"), Known),
    ("symlink_end", Exit("vfs_symlink"), Always),
    ("link_end", Exit("vfs_link"), Always),
    ("unlink_begin", Entry("vfs_unlink"), Always),
    ("unlink_end", Exit("vfs_unlink"), Always),
    ("rmdir_begin", Entry("vfs_rmdir"), Always),
    ("rmdir_end", Exit("vfs_rmdir"), Always),
    ("rename_begin", Entry("vfs_rename"), Always),
    ("rename_end", Exit("vfs_rename"), Always),
    ("attr_end", Exit("notify_change"), Always),
    ("setxattr_end", Exit("__vfs_setxattr_noperm"), Always),
    ("removexattr_end", Exit("__vfs_removexattr_locked"), Always),
    ("set_acl_end", Exit("vfs_set_acl"), Known),
    ("remove_acl_end", Exit("vfs_remove_acl"), Known),
];

/// Programs of both tiers.
const BOTH: &[Spec] = &[
    ("dirty_folio", At("writeback_dirty_folio"), Known),
    ("process_fork", At("sched_process_fork"), Always),
    ("process_exec", At("sched_process_exec"), Always),
    ("process_exit", At("sched_process_exit"), Always),
    ("sys_exit", At("sys_exit"), Always),
];

fn specs(tier: Tier) -> impl Iterator<Item = &'static Spec> {
    let own = match tier {
        Tier::Tracepoint => TRACEPOINT,
        Tier::Fentry => FENTRY,
    };
    own.iter().chain(BOTH)
}

/// A program of one of the types in use.
enum Typed<'a> {
    At(&'a mut BtfTracePoint),
    Entry(&'a mut FEntry),
    Exit(&'a mut FExit),
}

impl<'a> Typed<'a> {
    fn of(program: &'a mut Program) -> Result<Self, ProgramError> {
        match program {
            Program::BtfTracePoint(program) => Ok(Self::At(program)),
            Program::FEntry(program) => Ok(Self::Entry(program)),
            Program::FExit(program) => Ok(Self::Exit(program)),
            _ => Err(ProgramError::UnexpectedProgramType),
        }
    }
}

/// One program that is to be loaded.
pub(crate) struct Job<'a> {
    name: &'static str,
    hook: Hook,
    when: When,
    /// Place in the order: the highest is to be loaded first.
    pub(crate) rank: usize,
    program: Typed<'a>,
}

impl<'a> Job<'a> {
    pub(crate) fn of(
        name: &str,
        program: &'a mut Program,
        tier: Tier,
    ) -> Result<Self, CaptureError> {
        let mut ranked = specs(tier).enumerate();
        let found = ranked.find(|(_, (known, ..))| *known == name);
        let (rank, &(name, hook, when)) = found.ok_or(CaptureError::Missing("such program"))?;
        let program =
            Typed::of(program).map_err(|source| CaptureError::Program { name, source })?;
        Ok(Self {
            name,
            hook,
            when,
            rank,
            program,
        })
    }

    /// Loads it and returns its name, or `None` where the kernel can do without.
    pub(crate) fn run(self, btf: &Btf) -> Result<Option<&'static str>, CaptureError> {
        let loaded = match (self.program, self.hook) {
            (Typed::At(program), At(tracepoint)) => program.load(tracepoint, btf),
            (Typed::Entry(program), Entry(function)) => program.load(function, btf),
            (Typed::Exit(program), Exit(function)) => program.load(function, btf),
            _ => Err(ProgramError::UnexpectedProgramType),
        };
        match loaded {
            Ok(()) => Ok(Some(self.name)),
            Err(ProgramError::Btf(_)) if self.when == Known => Ok(None),
            Err(source) => Err(CaptureError::Program {
                name: self.name,
                source,
            }),
        }
    }
}

/// Attaches programs that are loaded; each stays so as long as its link is held.
pub(crate) fn attach_all(
    names: &[&'static str],
    programs: &[OwnedFd],
) -> Result<Vec<OwnedFd>, CaptureError> {
    let each = names.iter().zip(programs);
    let links = each.map(|(&name, program)| {
        attach(program.as_fd()).map_err(|source| CaptureError::Attach { name, source })
    });
    links.collect()
}

/// Of `enum bpf_cmd`. The program knows where it belongs.
const BPF_RAW_TRACEPOINT_OPEN: i32 = 17;

/// aya does this too, but keeps the descriptor of the link for itself.
fn attach(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    /// What `union bpf_attr` holds for the command.
    #[repr(C)]
    struct Open {
        name: u64,
        program: i32,
        pad: u32,
    }
    let open = Open {
        name: 0,
        program: program.as_raw_fd(),
        pad: 0,
    };
    // SAFETY: the kernel reads as many bytes as it is told from the struct, which outlives
    // the call, and a null name is none.
    let link = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_RAW_TRACEPOINT_OPEN,
            &raw const open,
            size_of::<Open>(),
        )
    };
    match i32::try_from(link) {
        // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
        Ok(link) if link >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(link) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How often the kernel left a program out because it was at work on the same processor
/// already; 0 where the kernel does not say.
pub(crate) fn missed(program: BorrowedFd<'_>) -> io::Result<u64> {
    let facts = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let facts = std::fs::read_to_string(facts)?;
    let line = facts
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"));
    Ok(line
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0))
}
