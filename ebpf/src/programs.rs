//! The kernel programs of the tracepoint tier: which tracepoint each attaches to, and when.

use crate::loader::Config;

/// When a program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
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
    pub(crate) const fn wanted(self, config: &Config) -> bool {
        match self {
            Self::Always | Self::Known => true,
            Self::Output => config.stdout.is_some() || config.stderr.is_some(),
            Self::Closes => config.closes,
        }
    }
}

/// Programs by the name of their C function, and their tracepoints.
pub(crate) const PROGRAMS: &[(&str, &str, When)] = &[
    ("da_write_end", "ext4_da_write_end", When::Always),
    ("write_end", "ext4_write_end", When::Always),
    (
        "journalled_write_end",
        "ext4_journalled_write_end",
        When::Known,
    ),
    ("unlink_exit", "ext4_unlink_exit", When::Always),
    ("mark_inode_dirty", "ext4_mark_inode_dirty", When::Always),
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
    ("sys_exit", "sys_exit", When::Always),
    ("sys_enter", "sys_enter", When::Closes),
    ("process_fork", "sched_process_fork", When::Always),
    ("process_exec", "sched_process_exec", When::Always),
    ("process_exit", "sched_process_exit", When::Always),
    ("output_exit", "sys_exit", When::Output),
];
