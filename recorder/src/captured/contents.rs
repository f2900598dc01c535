//! Contents: writes as they were captured, what was written unseen, and the check of a
//! closed file against its reconstruction.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use diffkeeper_ebpf::wire::{Inode, Reason, Record, What};
use diffkeeper_store::model::{FileId, GapReason, Kind, MissingReason, Op, Provenance};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Checked, ContentError, NewContent, Seen, StoreError};

use super::merge::Write;
use super::unix_time;
use crate::observation::monotonic;
use crate::probe::{self, Large, Read};
use crate::recording::Recording;
use crate::tree::{Known, ReadState};

/// Longest range of zeros that a punched hole is stored as, bytes; a longer one is read.
const ZEROS: u64 = 16 << 20;
/// How long a file must differ from its reconstruction, with nothing announced, until
/// that is taken for a loss.
const AGAIN: Duration = Duration::from_millis(30);

const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;
const COLLAPSE_RANGE: u32 = 8;
const ZERO_RANGE: u32 = 16;
const INSERT_RANGE: u32 = 32;

/// Closed files to be compared, and since when they are found to differ.
#[derive(Default)]
pub(super) struct Checks(HashMap<FileId, Option<Instant>>);

impl Recording<'_> {
    pub(super) fn of_content(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let Some(inode) = super::subject(&record.what) else {
            return Ok(());
        };
        let Some(file) = self.known(&inode) else {
            return Ok(());
        };
        if self.tree.get(file).is_some_and(|k| record.time < k.seen) {
            // What was read since holds it.
            return Ok(());
        }
        match record.what {
            What::Write {
                offset,
                bytes: Some(bytes),
                ..
            } if record.ordered => self.segment(file, record, (inode, offset, bytes)),
            What::Write { .. } => {
                self.unseen(file);
                Ok(())
            }
            What::Truncate { .. } | What::Fallocate { .. } if self.is_foreign(&inode) => {
                self.observe(file)
            }
            What::Truncate { .. } => self.resized(file, record.time, &inode),
            What::Fallocate {
                mode, offset, len, ..
            } => self.allocated(file, record.time, &inode, (mode, offset, len)),
            What::Dirty { reason, .. } => self.dirtied(file, reason),
            What::Close { .. } if self.is_foreign(&inode) => self.observe(file),
            What::Close { .. } => {
                self.captured.checks.0.entry(file).or_default();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A write whose bytes were captured.
    pub(super) fn written(&mut self, file: FileId, write: &Write) -> Result<(), StoreError> {
        let actor = self.process_of(&write.task);
        let before = self.actor.replace(actor);
        let size = write.inode.size;
        let op = Op::Write {
            offset: write.offset,
            len: write.bytes.len() as u64,
            size,
        };
        let capture = (write.offset, write.bytes.as_slice(), size);
        let done = self.capture((file, write.time), &write.inode, capture, op);
        self.actor = before;
        done
    }

    fn capture(
        &mut self,
        (file, time): (FileId, u64),
        inode: &Inode,
        capture: (u64, &[u8], u64),
        op: Op,
    ) -> Result<(), StoreError> {
        let sparse = self.leaves_holes(file, capture);
        let seen = Seen {
            sparse,
            ..self.seen_captured(inode)
        };
        if inode.size > self.max_file {
            return self.omit_captured((file, time), inode, op);
        }
        let hidden = self.hides(file, capture);
        let captured = match hidden {
            true => None,
            false => self.writer.capture(file, seen, capture)?,
        };
        let redacted = hidden || self.is_redacted(file);
        let Some(content) = captured else {
            // What lies below it is not known, or may not be shown as it is: neither is what
            // it leads to.
            self.unseen(file);
            self.note_redacted(file, redacted);
            let reason = match redacted || self.omitted.contains_key(&file) {
                true => MissingReason::Omitted,
                false => MissingReason::Torn,
            };
            let content = Self::missing(reason, inode.size).redacted(redacted);
            let changes = vec![Change::Content { file, content }];
            let time = self.timestamp(time);
            return self.emit(time, Some(file), op, changes).map(drop);
        };
        let content = content.redacted(redacted);
        let mut changes = vec![Change::Content { file, content }];
        if let Some(since) = self.captured.checks.0.get_mut(&file) {
            *since = None;
        }
        if let Some(known) = self.tree.get_mut(file) {
            known.read = None;
            known.changed = true;
            known.node.mtime = unix_time(inode.mtime);
            // A write takes away the set-user-ID bit.
            if known.node.mode != inode.mode & 0o7777 {
                known.node.mode = inode.mode & 0o7777;
                changes.push(self.tree.node_change(file));
            }
        }
        let time = self.timestamp(time);
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// A write to a file that is longer than what is kept.
    fn omit_captured(
        &mut self,
        (file, time): (FileId, u64),
        inode: &Inode,
        op: Op,
    ) -> Result<(), StoreError> {
        let mtime = unix_time(inode.mtime);
        if self.omitted.insert(file, (inode.size, mtime)).is_none() {
            let path = self.tree.path(file);
            self.gap(GapReason::Omitted, Some(file), path.as_deref(), Vec::new())?;
        }
        if let Some(known) = self.tree.get_mut(file) {
            known.read = None;
            known.changed = true;
            known.node.mtime = mtime;
        }
        let content = Self::omitted(inode.size, mtime);
        let changes = vec![Change::Content { file, content }];
        let time = self.timestamp(time);
        self.emit(time, Some(file), op, changes).map(drop)
    }

    /// Whether a file has holes after a change, as far as its lengths tell.
    fn leaves_holes(&mut self, file: FileId, (offset, bytes, size): (u64, &[u8], u64)) -> bool {
        let Some(known) = self.tree.get_mut(file) else {
            return false;
        };
        let read = known.read.map(|read| (read.stat.size, read.stat.sparse()));
        let (before, sparse) = read.unwrap_or((known.size, known.sparse));
        let grown = bytes.is_empty() && size > before;
        known.size = size;
        known.sparse = size > 0 && (sparse || offset > before || grown);
        known.sparse
    }

    fn seen_captured(&self, inode: &Inode) -> Seen {
        Seen {
            mtime: unix_time(inode.mtime),
            sparse: false,
            provenance: Provenance::Captured,
            load: if self.busy { Load::Busy } else { Load::Calm },
        }
    }

    /// What a file holds that was just made.
    pub(super) fn empty(
        &mut self,
        file: FileId,
        inode: &Inode,
    ) -> Result<Option<NewContent>, StoreError> {
        let seen = self.seen_captured(inode);
        self.writer.encode(file, &[], seen)
    }

    fn resized(&mut self, file: FileId, time: u64, inode: &Inode) -> Result<(), StoreError> {
        let op = Op::Truncate { size: inode.size };
        self.capture((file, time), inode, (0, &[], inode.size), op)
    }

    fn allocated(
        &mut self,
        file: FileId,
        time: u64,
        inode: &Inode,
        (mode, offset, len): (u32, u64, u64),
    ) -> Result<(), StoreError> {
        if mode & (COLLAPSE_RANGE | INSERT_RANGE) != 0 {
            self.unseen(file);
            return Ok(());
        }
        let end = offset.saturating_add(len).min(inode.size);
        let zeroed = end.saturating_sub(offset);
        if mode & (PUNCH_HOLE | ZERO_RANGE) == 0 || zeroed == 0 {
            let op = Op::Truncate { size: inode.size };
            return match mode & KEEP_SIZE {
                0 => self.capture((file, time), inode, (0, &[], inode.size), op),
                _ => self.used(time, inode, op),
            };
        }
        if zeroed > ZEROS {
            self.unseen(file);
            return Ok(());
        }
        let zeros = vec![0; usize::try_from(zeroed).unwrap_or(0)];
        let op = Op::Write {
            offset,
            len: zeroed,
            size: inode.size,
        };
        self.capture((file, time), inode, (offset, &zeros, inode.size), op)
    }

    /// Records had no room: what they told is read again, or looked for.
    pub(crate) fn overrun(&mut self, inode: Option<&Inode>) -> Result<(), StoreError> {
        let file = inode.and_then(|inode| self.known(inode));
        let is_dir = |known: &Known| known.node.kind == Kind::Dir;
        if let Some(file) = file.filter(|file| !self.tree.get(*file).is_some_and(is_dir)) {
            return self.overrun_file(file);
        }
        let path = file.and_then(|dir| self.tree.path(dir));
        let path = path.or_else(|| self.first_root()).unwrap_or_default();
        if inode.is_some() {
            self.doubt_all();
        }
        // Each time is a loss of its own.
        self.reported.remove(&(GapReason::RingFull, path.clone()));
        self.gap(GapReason::RingFull, None, Some(&path), Vec::new())
    }

    /// From here on nobody knows the content, until it is read.
    fn overrun_file(&mut self, file: FileId) -> Result<(), StoreError> {
        self.flush(file)?;
        self.unseen(file);
        match self.tree.path(file) {
            Some(path) => self.lose(file, &path, GapReason::RingFull),
            None => Ok(()),
        }
    }

    fn dirtied(&mut self, file: FileId, reason: Reason) -> Result<(), StoreError> {
        if reason == Reason::RingFull {
            return self.overrun_file(file);
        }
        self.unseen(file);
        let reason = match reason {
            Reason::Mmap => GapReason::Mmap,
            Reason::NoPayload => GapReason::Unreadable,
            // Read again: what it is then is observed, and nothing more is claimed.
            Reason::RingFull
            | Reason::Direct
            | Reason::Clone
            | Reason::Foreign
            | Reason::Undone => return Ok(()),
        };
        let path = self.tree.path(file);
        let time = self.now();
        match path {
            Some(path) if !self.reported.contains(&(reason, path.clone())) => {
                self.reported.insert((reason, path));
                let op = Op::Gap { reason, path: None };
                self.emit(time, Some(file), op, Vec::new()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Where no write is captured, the content is what a read at the close finds.
    fn observe(&mut self, file: FileId) -> Result<(), StoreError> {
        let actor = self.actor.take();
        self.deferred.insert(file, Instant::now());
        let done = self.look_again(file);
        self.actor = actor;
        done
    }

    /// The content changed and its bytes were not seen: it has to be read.
    pub(super) fn unseen(&mut self, file: FileId) {
        self.mark_unread(file);
    }

    /// Compares files that were closed with what the trace makes of them. To be called
    /// when no record waits: then any difference is a loss, or a change whose record is
    /// on its way.
    pub(crate) fn check_closed(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        let due = |(file, since): (&FileId, &Option<Instant>)| {
            let due = since.is_none_or(|since| now >= since + AGAIN);
            due.then_some((*file, since.is_some()))
        };
        let due: Vec<(FileId, bool)> = self.captured.checks.0.iter().filter_map(due).collect();
        for (file, again) in due {
            self.captured.checks.0.remove(&file);
            self.check(file, again)?;
        }
        Ok(())
    }

    /// When a file that differed is to be looked at again.
    pub(crate) fn next_check(&self) -> Option<Instant> {
        let since = self.captured.checks.0.values().copied();
        since
            .map(|since| since.map_or_else(Instant::now, |since| since + AGAIN))
            .min()
    }

    fn check(&mut self, file: FileId, again: bool) -> Result<(), StoreError> {
        let known = self.tree.get(file).filter(|known| known.read.is_none());
        let Some(ident) = known.map(|known| known.node.ident) else {
            return Ok(());
        };
        let Some(path) = self.tree.path(file) else {
            return Ok(());
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let limit = self.whole_limit();
        let begun = monotonic();
        let compared = match probe::read_stable(&path, &ident, limit, &mut buffer) {
            Read::Stable { stat, racy } => {
                let seen = self.seen(&stat);
                let was = self.is_redacted(file);
                let redacted = self.redact(file, &path, &mut buffer);
                let checked = self.writer.check(file, || Ok(buffer.as_slice()), seen);
                let read = ReadState { stat, racy, begun };
                checked.map(|checked| Some((masked(checked, was, redacted), read)))
            }
            Read::Large(large) if large.stat.size > self.max_file => Ok(None),
            Read::Large(large) => self.compare_long(file, &path, (&large, begun)),
            // It is being written again, or has gone: then its close comes.
            Read::Torn | Read::Gone | Read::Replaced | Read::Unreadable(_) => Ok(None),
        };
        self.buffer = buffer;
        match compared? {
            Some(compared) => self.judge(file, &path, compared, again),
            None => Ok(()),
        }
    }

    fn compare_long(
        &mut self,
        file: FileId,
        path: &Path,
        (large, begun): (&Large, u64),
    ) -> Result<Option<(Checked, ReadState)>, StoreError> {
        let seen = self.seen(&large.stat);
        let (masks, any) = (self.masks(file, path), Cell::new(false));
        let open = || masks.open(large, &any);
        let checked = match self.writer.check(file, open, seen) {
            Err(StoreError::Content(ContentError::Io(_))) => return Ok(None),
            checked => checked?,
        };
        let checked = masked(checked, self.is_redacted(file), any.get());
        self.note_redacted(file, any.get());
        let stat = large.stat;
        Ok(match large.recheck() {
            Ok(Some(racy)) => Some((checked, ReadState { stat, racy, begun })),
            _ => None,
        })
    }

    fn judge(
        &mut self,
        file: FileId,
        path: &Path,
        (checked, read): (Checked, ReadState),
        again: bool,
    ) -> Result<(), StoreError> {
        match checked {
            Checked::Equal(_) => {
                if let Some(known) = self.tree.get_mut(file) {
                    known.read = Some(read);
                }
                Ok(())
            }
            Checked::Differs(_) if !again => {
                self.captured.checks.0.insert(file, Some(Instant::now()));
                Ok(())
            }
            Checked::Differs(content) => {
                self.gap(GapReason::Unannounced, Some(file), Some(path), Vec::new())?;
                self.keep(file, Some(Box::new(content)), read)
            }
            Checked::Unknown(content) => self.keep(file, Some(Box::new(content)), read),
        }
    }
}

/// What a comparison with masked bytes tells: where any were masked, before or now, a
/// difference is no loss, since what is masked depends on what follows it.
fn masked(checked: Checked, was: bool, is: bool) -> Checked {
    match checked {
        Checked::Differs(content) if was || is => Checked::Unknown(content.redacted(is)),
        Checked::Differs(content) => Checked::Differs(content),
        Checked::Unknown(content) => Checked::Unknown(content.redacted(is)),
        Checked::Equal(digest) => Checked::Equal(digest),
    }
}
