//! The kernel programs of the tracepoint tier: which tracepoint each attaches to, and when.

use crate::loader::{CaptureError, Config};
use aya::Btf;
use aya::programs::{BtfTracePoint, Program, ProgramError};

/// When a program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Always: without it the tier does not work.
    Always,
    /// Where the kernel has the tracepoint.
    Known,
    /// When the command's output is wanted.
    Output,
    /// When the closing of descriptors is wanted.
    Closes,
}

impl When {
    const fn wanted(self, config: &Config) -> bool {
        match self {
            Self::Always | Self::Known => true,
            Self::Output => config.stdout.is_some() || config.stderr.is_some(),
            Self::Closes => config.closes,
        }
    }
}

/// Programs by the name of their C function, and their tracepoints. The last ones take the
/// longest to verify and are loaded first.
const PROGRAMS: &[(&str, &str, When)] = &[
    ("da_write_end", "ext4_da_write_end", When::Always),
    ("write_end", "ext4_write_end", When::Always),
    (
        "journalled_write_end",
        "ext4_journalled_write_end",
        When::Known,
    ),
    ("unlink_exit", "ext4_unlink_exit", When::Always),
    ("allocate_inode", "ext4_allocate_inode", When::Always),
    ("dirty_inode", "writeback_dirty_inode", When::Always),
    ("fallocate_enter", "ext4_fallocate_enter", When::Always),
    ("fallocate_exit", "ext4_fallocate_exit", When::Always),
    ("punch_hole", "ext4_punch_hole", When::Always),
    ("zero_range", "ext4_zero_range", When::Always),
    ("collapse_range", "ext4_collapse_range", When::Always),
    ("insert_range", "ext4_insert_range", When::Always),
    ("journal_start", "ext4_journal_start_inode", When::Known),
    ("dio_begin", "iomap_dio_rw_begin", When::Known),
    ("dio_complete", "iomap_dio_complete", When::Known),
    ("dirty_folio", "writeback_dirty_folio", When::Known),
    ("sys_enter", "sys_enter", When::Closes),
    ("process_fork", "sched_process_fork", When::Always),
    ("process_exec", "sched_process_exec", When::Always),
    ("process_exit", "sched_process_exit", When::Always),
    ("output_exit", "sys_exit", When::Output),
    ("mark_inode_dirty", "ext4_mark_inode_dirty", When::Always),
    ("sys_exit", "sys_exit", When::Always),
];

/// One program that is to be loaded.
pub(crate) struct Job<'a> {
    name: &'static str,
    tracepoint: &'static str,
    when: When,
    /// Place in the order: the highest is to be loaded first.
    pub(crate) rank: usize,
    program: &'a mut BtfTracePoint,
}

impl<'a> Job<'a> {
    /// `None` for a program that this configuration does not want.
    pub(crate) fn of(
        name: &str,
        program: &'a mut Program,
        config: &Config,
    ) -> Result<Option<Self>, CaptureError> {
        let mut ranked = PROGRAMS.iter().enumerate();
        let found = ranked.find(|(_, (known, ..))| *known == name);
        let (rank, &(name, tracepoint, when)) =
            found.ok_or(CaptureError::Missing("such program"))?;
        if !when.wanted(config) {
            return Ok(None);
        }
        let program = program
            .try_into()
            .map_err(|source| CaptureError::Program { name, source })?;
        Ok(Some(Self {
            name,
            tracepoint,
            when,
            rank,
            program,
        }))
    }

    /// Loads it and returns its name, or `None` where the kernel can do without.
    pub(crate) fn run(self, btf: &Btf) -> Result<Option<&'static str>, CaptureError> {
        match self.program.load(self.tracepoint, btf) {
            Ok(()) => Ok(Some(self.name)),
            Err(ProgramError::Btf(_)) if self.when == When::Known => Ok(None),
            Err(source) => Err(CaptureError::Program {
                name: self.name,
                source,
            }),
        }
    }
}
