//! The contents of a session: from what a recorder read or captured to the form in which the
//! writer stores it.

use std::io::Read;

use super::{Checked, NewContent, SessionWriter};
use crate::content::{ContentError, Lookup, Prepared, Seen, Write};
use crate::error::StoreError;
use crate::lookup::SessionLookup;
use crate::model::{Digest, FileId, MissingReason, VersionRef};
use crate::pending::Spill;

impl SessionWriter<'_> {
    /// Length and digest of the last content of a file.
    #[must_use]
    pub fn last_content(&self, file: FileId) -> Option<(u64, Option<Digest>)> {
        self.contents.last(file)
    }

    /// Lets the first content of `file` be stored as a change of `predecessor`'s last.
    pub fn succeed(&mut self, file: FileId, predecessor: FileId) {
        self.contents.succeed(file, predecessor);
    }

    /// Encodes the next content of a file; `None` if it is what the file held.
    ///
    /// # Errors
    /// A failing database.
    pub fn encode(
        &mut self,
        file: FileId,
        bytes: &[u8],
        seen: Seen,
    ) -> Result<Option<NewContent>, StoreError> {
        if !self.contents.is_at_hand(file) {
            self.commit_base(file)?;
        }
        let lookup = SessionLookup::new(self.store, self.session);
        let next = (file, bytes, seen);
        let encoded = self
            .contents
            .whole(&self.store.db, &lookup, next, &mut self.pending)?;
        Ok(encoded.map(NewContent::new))
    }

    /// Takes over a content that was prepared on another thread.
    ///
    /// # Errors
    /// A failing database.
    pub fn adopt(
        &mut self,
        file: FileId,
        prepared: Prepared,
        seen: Seen,
    ) -> Result<NewContent, StoreError> {
        let encoded = self
            .contents
            .keyframe(file, prepared, seen, &mut self.pending)?;
        Ok(NewContent::new(encoded))
    }

    /// Encodes the next content of a file that is too long for memory: `open` gives a
    /// reader from its start, and is called again if another pass is needed. `None` if
    /// it is what the file held.
    ///
    /// # Errors
    /// A failing database, or what the reader reports.
    pub fn encode_long<R: Read>(
        &mut self,
        file: FileId,
        seen: Seen,
        mut open: impl FnMut() -> std::io::Result<R>,
    ) -> Result<Option<NewContent>, StoreError> {
        let last = self.contents.last(file);
        let is_unsettled =
            matches!(last, Some((length, None)) if length > self.contents.whole_max());
        if is_unsettled && self.compare(file, &mut open)?.is_some() {
            return Ok(None);
        }
        self.commit_base(file)?;
        let lookup = SessionLookup::new(self.store, self.session);
        let db = &self.store.db;
        let mut sink = Spill::new(&mut self.pending);
        let mut reader = open().map_err(ContentError::Io)?;
        let next = (file, &mut reader as &mut dyn Read, seen);
        let (encoded, built) = match self.contents.ranges(db, &lookup, next, &mut sink)? {
            Some(done) => done,
            None => {
                let mut reader = open().map_err(ContentError::Io)?;
                let next = (file, &mut reader as &mut dyn Read, seen);
                self.contents.chunked(db, next, &mut sink)?
            }
        };
        sink.spill()?;
        let last = last.and_then(|(_, digest)| digest);
        let same = last.is_some() && last == encoded.version.digest;
        Ok((!same).then_some(NewContent::new((encoded, built))))
    }

    /// The digest of what `open` gives if that is what the file held last.
    fn compare<R: Read>(
        &mut self,
        file: FileId,
        open: &mut impl FnMut() -> std::io::Result<R>,
    ) -> Result<Option<Digest>, StoreError> {
        self.commit_base(file)?;
        let lookup = SessionLookup::new(self.store, self.session);
        let mut reader = open().map_err(ContentError::Io)?;
        Ok(self.contents.compare(&lookup, (file, &mut reader))?)
    }

    /// Compares what a file holds with what the trace says it holds, as at its last close.
    /// `open` gives a reader from its start, and is called again if another pass is needed.
    ///
    /// # Errors
    /// A failing database, damage in what is compared with, or what the reader reports.
    pub fn check<R: Read>(
        &mut self,
        file: FileId,
        mut open: impl FnMut() -> std::io::Result<R>,
        seen: Seen,
    ) -> Result<Checked, StoreError> {
        let is_known = self.contents.knows(file);
        let last = self.contents.last(file);
        let whole = self.contents.whole_max();
        let expected = last.map_or(0, |(length, _)| length.min(whole)) + 1;
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        let reader = open().map_err(ContentError::Io)?;
        let read = reader.take(whole + 1).read_to_end(&mut bytes);
        let new = if read.map_err(ContentError::Io)? as u64 <= whole {
            self.encode(file, &bytes, seen)?
        } else {
            drop(bytes);
            let is_settled = matches!(last, Some((_, Some(_))));
            if is_settled && self.compare(file, &mut open)?.is_some() {
                None
            } else {
                self.encode_long(file, seen, open)?
            }
        };
        let known = self.contents.last(file).and_then(|(_, digest)| digest);
        Ok(match (new, known) {
            (Some(new), _) if !is_known => Checked::Unknown(new),
            (Some(new), _) => Checked::Differs(new),
            (None, Some(digest)) => Checked::Equal(digest),
            // Nothing is equal to a content without a digest.
            (None, None) => return Err(ContentError::Missing(MissingReason::Torn).into()),
        })
    }

    /// Stores a write as it was captured: `bytes` at `offset`, the file then being
    /// `length` bytes long; a truncation is a write of nothing. `None` if the content
    /// below it is not known. The content has to be recorded before the next one of the
    /// same file is made, or dropped.
    ///
    /// # Errors
    /// A failing database.
    pub fn capture(
        &mut self,
        file: FileId,
        seen: Seen,
        (offset, bytes, length): (u64, &[u8], u64),
    ) -> Result<Option<NewContent>, StoreError> {
        let write = Write::new(offset, bytes, length);
        let reads_back = self.contents.reads_back(file, &write);
        if reads_back {
            self.commit_base(file)?;
        }
        let lookup = SessionLookup::new(self.store, self.session);
        let store = (&self.store.db, &lookup as &dyn Lookup);
        let target = (file, seen);
        let encoded = if reads_back {
            // There is no bound to what is stored anew.
            let mut sink = Spill::new(&mut self.pending);
            let encoded = self.contents.extent(store, target, &write, &mut sink)?;
            sink.spill()?;
            encoded
        } else {
            let sink = &mut self.pending;
            self.contents.extent(store, target, &write, sink)?
        };
        Ok(encoded.map(NewContent::new))
    }

    /// A base can only be read back once it is committed.
    fn commit_base(&mut self, file: FileId) -> Result<(), StoreError> {
        match self.contents.base(file) {
            Some(VersionRef { seq, .. }) if seq > self.committed => self.commit(),
            _ => Ok(()),
        }
    }
}
