//! A position in a session that moves: by event, by version of a file, by time. It holds the
//! one block of events around it and reads nothing else of the log.

use crate::error::StoreError;
use crate::model::{Event, FileId, Seq, Timestamp};
use crate::reader::SessionReader;

/// See the file. A cursor stands after an event, or at the baseline, [`Seq::BASELINE`], which
/// is before all of them.
pub struct Cursor<'r> {
    reader: &'r SessionReader<'r>,
    at: Seq,
    /// The block read last.
    block: Vec<Event>,
}

impl<'r> Cursor<'r> {
    pub(crate) fn new(reader: &'r SessionReader<'r>, at: Seq) -> Self {
        Self {
            reader,
            at: at.clamp(reader.start(), reader.progress().last_seq),
            block: Vec::new(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.at
    }

    /// The event it stands after; `None` at the baseline.
    ///
    /// # Errors
    /// Damage in the event log.
    pub fn event(&mut self) -> Result<Option<&Event>, StoreError> {
        if self.at == self.reader.start() {
            return Ok(None);
        }
        if self.index().is_none() {
            self.block = self.reader.block(self.at)?;
        }
        Ok(self.index().and_then(|index| self.block.get(index)))
    }

    /// Its time, ns since the start of the session: that of its event, 0 at the baseline.
    ///
    /// # Errors
    /// Damage in the event log.
    pub fn time(&mut self) -> Result<Timestamp, StoreError> {
        let start = self.reader.start_time();
        Ok(self.event()?.map_or(start, |event| event.time))
    }

    /// Moves after the event `seq`, or after the last one if there are fewer.
    pub fn seek(&mut self, seq: Seq) -> Seq {
        self.at = seq.clamp(self.reader.start(), self.reader.progress().last_seq);
        self.at
    }

    /// Moves by `events`, backward if negative; stops at the ends of the session.
    pub fn step(&mut self, events: i64) -> Seq {
        self.seek(Seq(self.at.0.saturating_add_signed(events)))
    }

    /// Moves after the last event at or before `time`.
    ///
    /// # Errors
    /// Damage in the event log.
    pub fn seek_time(&mut self, time: Timestamp) -> Result<Seq, StoreError> {
        self.at = self.reader.seq_at(time)?;
        Ok(self.at)
    }

    /// Moves by `ns` in time, backward if negative: after the last event at or before then.
    ///
    /// # Errors
    /// Damage in the event log.
    pub fn step_time(&mut self, ns: i64) -> Result<Seq, StoreError> {
        let time = self.time()?;
        self.seek_time(Timestamp(time.0.saturating_add_signed(ns)))
    }

    /// Moves to the next version of a file. Stays, and gives `None`, where there is none.
    ///
    /// # Errors
    /// A damaged record.
    pub fn next_version(&mut self, file: FileId) -> Result<Option<Seq>, StoreError> {
        let found = self.reader.version_after(file, self.at)?;
        Ok(self.moved(found))
    }

    /// Moves to the last version of a file that stands before the cursor. Stays, and gives
    /// `None`, where there is none.
    ///
    /// # Errors
    /// A damaged record.
    pub fn previous_version(&mut self, file: FileId) -> Result<Option<Seq>, StoreError> {
        let Some(before) = self.at.0.checked_sub(1) else {
            return Ok(None);
        };
        let found = self.reader.version_at(file, Seq(before))?;
        let start = self.reader.start();
        Ok(self.moved(
            found
                .map(|(seq, _)| seq.max(start))
                .filter(|seq| *seq < self.at),
        ))
    }

    fn moved(&mut self, to: Option<Seq>) -> Option<Seq> {
        let to = to.filter(|seq| *seq <= self.reader.progress().last_seq)?;
        self.at = to;
        Some(to)
    }

    /// Where its event stands in the block at hand.
    fn index(&self) -> Option<usize> {
        let first = self.block.first()?.seq;
        let index = usize::try_from(self.at.0.checked_sub(first.0)?).ok()?;
        (index < self.block.len()).then_some(index)
    }
}
