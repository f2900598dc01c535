//! Merging: a write of many pages comes as many segments, which are one event. They are
//! gathered until the call ends or anything else happens to the file.

use std::collections::HashMap;

use diffkeeper_ebpf::wire::{Inode, Record, Task, What};
use diffkeeper_store::StoreError;
use diffkeeper_store::model::FileId;

use crate::recording::Recording;

/// Longest event, bytes; longer writes become several.
const LONGEST: usize = 1 << 20;

/// Writes whose call is not over.
#[derive(Default)]
pub(super) struct Merge {
    open: HashMap<FileId, Write>,
}

/// The segments of one call so far.
pub(super) struct Write {
    /// Who wrote.
    pub(super) task: Task,
    call: u64,
    /// CLOCK_MONOTONIC of the last segment, ns.
    pub(super) time: u64,
    /// Of the first byte.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    /// The file after the last segment.
    pub(super) inode: Inode,
}

impl Write {
    fn continues(&self, record: &Record<'_>, offset: u64, len: usize) -> bool {
        self.task.tid == record.task.tid
            && self.call == record.call
            && self.offset + self.bytes.len() as u64 == offset
            && self.bytes.len() + len <= LONGEST
    }
}

impl Recording<'_> {
    /// Takes a segment with its bytes.
    pub(super) fn segment(
        &mut self,
        file: FileId,
        record: &Record<'_>,
        (inode, offset, bytes): (Inode, u64, &[u8]),
    ) -> Result<(), StoreError> {
        let open = self.captured.merge.open.get_mut(&file);
        if let Some(write) = open.filter(|w| w.continues(record, offset, bytes.len())) {
            write.bytes.extend_from_slice(bytes);
            write.inode = inode;
            write.time = record.time;
            return Ok(());
        }
        self.flush(file)?;
        let write = Write {
            task: record.task,
            call: record.call,
            time: record.time,
            offset,
            bytes: bytes.to_vec(),
            inode,
        };
        if record.whole {
            return self.written(file, &write);
        }
        self.captured.merge.open.insert(file, write);
        Ok(())
    }

    /// Ends the writes that a record shows to be over: those of its thread's earlier
    /// calls, and that of the file it is about.
    pub(super) fn flush_before(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        if self.captured.merge.open.is_empty() {
            return Ok(());
        }
        let of_call = |write: &Write| write.call == record.call;
        let goes_on = matches!(record.what, What::Write { bytes: Some(_), .. });
        let about = super::subject(&record.what).and_then(|inode| self.known(&inode));
        let over = |(file, write): (&FileId, &Write)| {
            let own = write.task.tid == record.task.tid && !(goes_on && of_call(write));
            let same = about == Some(*file) && !goes_on;
            (own || same).then_some(*file)
        };
        let over: Vec<FileId> = self.captured.merge.open.iter().filter_map(over).collect();
        over.into_iter().try_for_each(|file| self.flush(file))
    }

    /// Ends every write: no more records will come.
    pub(crate) fn flush_all(&mut self) -> Result<(), StoreError> {
        let open: Vec<FileId> = self.captured.merge.open.keys().copied().collect();
        open.into_iter().try_for_each(|file| self.flush(file))
    }

    pub(super) fn flush(&mut self, file: FileId) -> Result<(), StoreError> {
        match self.captured.merge.open.remove(&file) {
            Some(write) => self.written(file, &write),
            None => Ok(()),
        }
    }
}
