//! Where a recording hands over to the store: everything passes here to be masked.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use diffkeeper_store::model::{
    FileId, GapReason, Op, Place, Process, ProcessId, Seq, Stream, Timestamp,
};
use diffkeeper_store::{Change, Record, StoreError};

use super::{Masked, Redactor};
use crate::probe::Large;
use crate::recording::Recording;

impl Recording<'_> {
    /// Appends an event. A name, link target or attribute that is masked is a gap as well:
    /// nothing else of the event would say so.
    pub(crate) fn append(&mut self, mut record: Record) -> Result<Seq, StoreError> {
        let Some(redaction) = &self.redaction else {
            return self.writer.append(record);
        };
        redaction.op(&mut record.op);
        let (file, is_gap) = (record.file, matches!(record.op, Op::Gap { .. }));
        let mut hidden = false;
        for change in &mut record.changes {
            let own = match change {
                Change::Node { file: of, .. } => Some(*of) == file,
                _ => true,
            };
            hidden |= redaction.change(change) && own;
        }
        let seq = self.writer.append(record)?;
        let path = file.and_then(|file| self.tree.path(file));
        if let Some(path) = path.filter(|_| hidden && !is_gap) {
            self.gap(GapReason::Redacted, file, Some(&path), Vec::new())?;
        }
        Ok(seq)
    }

    /// Adds to the baseline; gives whether a name or an attribute was masked.
    pub(crate) fn baseline(&mut self, mut changes: Vec<Change>) -> Result<bool, StoreError> {
        let mut hidden = false;
        if let Some(redaction) = &self.redaction {
            for change in &mut changes {
                hidden |= redaction.change(change);
            }
        }
        self.writer.baseline(changes)?;
        Ok(hidden)
    }

    /// Records who a process is.
    pub(crate) fn process(&mut self, id: ProcessId, process: &Process) {
        let mut process = process.clone();
        if let Some(redaction) = &self.redaction {
            redaction.process(&mut process);
        }
        self.writer.process(id, &process);
    }

    /// Records what a process printed.
    pub(crate) fn print(
        &mut self,
        (process, time): (ProcessId, Timestamp),
        stream: Stream,
        mut bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        if let Some(redaction) = &mut self.redaction {
            redaction.print(process, stream, &mut bytes);
        }
        for piece in bytes.chunks(Op::MAX_OUTPUT) {
            let bytes = piece.to_vec();
            self.emit_of(process, time, Op::Output { stream, bytes })?;
        }
        Ok(())
    }

    /// A file is secret as a whole from the first name on that says so.
    pub(crate) fn deny_by_name(&mut self, file: FileId, op: &Op) {
        let (Op::Create(place) | Op::Link(place) | Op::Rename { to: place, .. }) = op else {
            return;
        };
        if self.is_secret(place) {
            self.deny(file);
        }
    }

    /// Whether a name makes all of a file secret.
    pub(crate) fn is_secret(&self, place: &Place) -> bool {
        let path = self.redaction.as_ref().zip(self.tree.place_path(place));
        path.is_some_and(|(redaction, path)| redaction.redactor.denies(&self.scope, &path))
    }

    pub(crate) fn deny(&mut self, file: FileId) {
        if let Some(redaction) = &mut self.redaction {
            redaction.deny(file);
        }
    }

    /// Whether all of a file is secret, that is found at `path` now.
    pub(crate) fn is_denied(&mut self, file: FileId, path: &Path) -> bool {
        let Some(redaction) = &mut self.redaction else {
            return false;
        };
        if !redaction.denies(file) && redaction.redactor.denies(&self.scope, path) {
            redaction.deny(file);
        }
        redaction.denies(file)
    }

    /// Masks a content that was read.
    pub(crate) fn redact(&mut self, file: FileId, path: &Path, content: &mut [u8]) -> bool {
        let denied = self.is_denied(file, path);
        let Some(redaction) = &mut self.redaction else {
            return false;
        };
        let any = redaction.redactor.mask_content(content, denied);
        redaction.note(file, any);
        any
    }

    /// Notes what was masked of a content that was read elsewhere.
    pub(crate) fn note_redacted(&mut self, file: FileId, any: bool) {
        if let Some(redaction) = &mut self.redaction {
            redaction.note(file, any);
        }
    }

    /// A message, which may quote what it is about.
    pub(crate) fn masked(&self, text: &str) -> Vec<u8> {
        let mut text = text.as_bytes().to_vec();
        if let Some(redaction) = &self.redaction {
            redaction.redactor.mask(&mut text);
        }
        text
    }

    /// Whether parts of what is recorded of a file are masked.
    pub(crate) fn is_redacted(&self, file: FileId) -> bool {
        let redaction = self.redaction.as_ref();
        redaction.is_some_and(|redaction| redaction.masks(file))
    }

    /// Whether a captured write cannot be stored as it is.
    pub(crate) fn hides(&mut self, file: FileId, write: (u64, &[u8], u64)) -> bool {
        if self.redaction.is_none() {
            return false;
        }
        let path = self.tree.path(file);
        let redaction = self.redaction.as_mut();
        redaction.is_some_and(|redaction| {
            (redaction.denies(file) && !write.1.is_empty())
                || redaction.touches(file, path.as_deref(), write)
        })
    }
}

/// How the content of a file is masked that is too long for memory.
pub(crate) struct Masks {
    redactor: Option<Arc<Redactor>>,
    denied: bool,
}

impl Recording<'_> {
    pub(crate) fn masks(&mut self, file: FileId, path: &Path) -> Masks {
        let denied = self.is_denied(file, path);
        let redaction = self.redaction.as_ref();
        Masks {
            redactor: redaction.map(|redaction| redaction.redactor.clone()),
            denied,
        }
    }
}

impl Masks {
    /// A reader from the start; sets `any` when it masks something.
    pub(crate) fn open<'m>(
        &'m self,
        large: &Large,
        any: &'m Cell<bool>,
    ) -> std::io::Result<Source<'m>> {
        let mut file = large.file.try_clone()?;
        file.rewind()?;
        Ok(match self.redactor.as_deref() {
            None => Source::Plain(file),
            Some(redactor) => {
                Source::Masked(Box::new(Masked::new(file, redactor, self.denied, any)))
            }
        })
    }
}

/// A long content, masked if it is to be.
pub(crate) enum Source<'m> {
    Plain(File),
    Masked(Box<Masked<'m, File>>),
}

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buf),
            Self::Masked(masked) => masked.read(buf),
        }
    }
}
