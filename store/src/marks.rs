//! The high-water marks: how far each session was acknowledged, in a file of their own beside the
//! database. What a damaged database has lost without a trace is missing against them.
//!
//! One slot of 64 bytes a session, in the order in which they began. A slot is rewritten with one
//! `write` after each commit: it never says more than the database was told, and survives the
//! death of the process as the database's own journal does.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::db::DbError;
use crate::model::{Digest, Progress, Seq, SessionId};

/// Bytes of a slot; a divisor of a page, so that none lies across two.
const SLOT: usize = 64;
const CHECK: usize = 8;
/// More slots than this are not read.
const MAX_SLOTS: usize = 1 << 20;

const BASELINE: u8 = 1;
const SEALED: u8 = 2;

/// How far a session was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) session: SessionId,
    pub(crate) baseline_done: bool,
    pub(crate) sealed: bool,
    pub(crate) last_seq: Seq,
    /// Names and versions of the baseline.
    pub(crate) baseline: u64,
    pub(crate) chain: Digest,
}

impl Mark {
    /// Whether the database holds less than was acknowledged.
    pub(crate) fn exceeds(&self, progress: Option<&Progress>, sealed: bool) -> bool {
        let Some(progress) = progress else {
            return self.last_seq > Seq::BASELINE || self.baseline_done || self.sealed;
        };
        let behind = progress.last_seq < self.last_seq;
        let differs = progress.last_seq == self.last_seq && progress.chain != self.chain;
        let unfinished = self.baseline_done && !progress.baseline_done;
        behind || differs || unfinished || (self.sealed && !sealed)
    }
}

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) marks: Vec<Mark>,
    /// Slots that do not match their checksum.
    pub(crate) damaged: usize,
}

/// The file of the marks.
pub(crate) struct Marks {
    path: PathBuf,
}

/// The slot of one session, kept open while it is recorded.
pub(crate) struct MarkSlot {
    path: PathBuf,
    file: File,
    offset: u64,
}

impl Marks {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn io(&self, source: std::io::Error) -> DbError {
        let path = self.path.clone();
        DbError::Io { path, source }
    }

    /// All marks; none where there is no file, as in a trace that was unpacked.
    pub(crate) fn read(&self) -> Result<Known, DbError> {
        let bytes = match read_at_most(&self.path, SLOT * MAX_SLOTS) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Known::default());
            }
            Err(error) => return Err(self.io(error)),
        };
        let mut known = Known::default();
        for slot in bytes.chunks(SLOT) {
            match decode(slot) {
                Some(mark) => known.marks.push(mark),
                // A slot that was begun and never written belongs to no session yet.
                None if slot.iter().all(|byte| *byte == 0) => {}
                None => known.damaged += 1,
            }
        }
        Ok(known)
    }

    /// A slot for a new session, behind all others.
    pub(crate) fn begin(&self) -> Result<MarkSlot, DbError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path);
        let file = file.map_err(|error| self.io(error))?;
        let len = file.metadata().map_err(|error| self.io(error))?.len();
        Ok(MarkSlot {
            path: self.path.clone(),
            file,
            offset: len.next_multiple_of(SLOT as u64),
        })
    }

    /// Rewrites the mark of a session that has one.
    pub(crate) fn put(&self, mark: &Mark) -> Result<(), DbError> {
        let bytes = read_at_most(&self.path, SLOT * MAX_SLOTS).map_err(|error| self.io(error))?;
        let mut slots = bytes.chunks(SLOT);
        let is_its = |slot| decode(slot).is_some_and(|known| known.session == mark.session);
        let mut slot = self.begin()?;
        if let Some(at) = slots.position(is_its) {
            slot.offset = (at * SLOT) as u64;
        }
        slot.put(mark)
    }

    /// Takes away the mark of a session, if it has one.
    pub(crate) fn forget(&self, session: SessionId) -> Result<(), DbError> {
        let bytes = match read_at_most(&self.path, SLOT * MAX_SLOTS) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| self.io(error))?,
        };
        let is_its = |slot| decode(slot).is_some_and(|known| known.session == session);
        let Some(at) = bytes.chunks(SLOT).position(is_its) else {
            return Ok(());
        };
        let mut slot = self.begin()?;
        slot.offset = (at * SLOT) as u64;
        slot.clear()
    }

    /// Replaces the whole file, which appears at once or not at all.
    pub(crate) fn replace(&self, marks: &[Mark]) -> Result<(), DbError> {
        let bytes: Vec<u8> = marks.iter().flat_map(encode).collect();
        let new = self.path.with_extension("new");
        let replaced = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &self.path));
        replaced.map_err(|error| self.io(error))
    }
}

impl MarkSlot {
    pub(crate) fn put(&self, mark: &Mark) -> Result<(), DbError> {
        self.write(&encode(mark))
    }

    /// Says nothing of the session for a while.
    pub(crate) fn clear(&self) -> Result<(), DbError> {
        self.write(&[0; SLOT])
    }

    fn write(&self, slot: &[u8; SLOT]) -> Result<(), DbError> {
        let written = self.file.write_all_at(slot, self.offset);
        written.map_err(|source| DbError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

fn read_at_most(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn encode(mark: &Mark) -> [u8; SLOT] {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let mut bytes = Vec::with_capacity(SLOT);
    bytes.extend(mark.session.0.to_be_bytes());
    bytes.push(flag(mark.baseline_done, BASELINE) | flag(mark.sealed, SEALED));
    bytes.extend(mark.last_seq.0.to_be_bytes());
    bytes.extend(mark.baseline.to_be_bytes());
    bytes.extend(mark.chain.0);
    bytes.resize(SLOT - CHECK, 0);
    let sum = *blake3::hash(&bytes).as_bytes();
    let mut slot = [0; SLOT];
    for (to, from) in slot.iter_mut().zip(bytes.into_iter().chain(sum)) {
        *to = from;
    }
    slot
}

fn decode(slot: &[u8]) -> Option<Mark> {
    let (body, sum) = slot.split_last_chunk::<CHECK>()?;
    let expected = blake3::hash(body);
    if body.len() != SLOT - CHECK || expected.as_bytes().first_chunk::<CHECK>()? != sum {
        return None;
    }
    let (session, rest) = body.split_first_chunk::<4>()?;
    let (flags, rest) = rest.split_first()?;
    let (last_seq, rest) = rest.split_first_chunk::<8>()?;
    let (baseline, rest) = rest.split_first_chunk::<8>()?;
    let chain = rest.first_chunk::<32>()?;
    Some(Mark {
        session: SessionId(u32::from_be_bytes(*session)),
        baseline_done: flags & BASELINE != 0,
        sealed: flags & SEALED != 0,
        last_seq: Seq(u64::from_be_bytes(*last_seq)),
        baseline: u64::from_be_bytes(*baseline),
        chain: Digest(*chain),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn mark(session: u32, last_seq: u64) -> Mark {
        Mark {
            session: SessionId(session),
            baseline_done: true,
            sealed: false,
            last_seq: Seq(last_seq),
            baseline: 7,
            chain: Digest::of(b"chain"),
        }
    }

    #[test]
    fn a_mark_comes_back_and_no_bit_of_it_can_change_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        let marks = Marks::new(path.clone());
        assert!(marks.read().unwrap().marks.is_empty());
        for session in [1, 2] {
            let slot = marks.begin().unwrap();
            slot.put(&mark(session, 1)).unwrap();
            slot.put(&mark(session, 5)).unwrap();
        }
        let expected = vec![mark(1, 5), mark(2, 5)];
        assert_eq!(marks.read().unwrap().marks, expected);
        let sound = std::fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&path, &flipped).unwrap();
            let known = marks.read().unwrap();
            assert_eq!((known.marks.len(), known.damaged), (1, 1), "at {at}");
        }
        marks.replace(&expected[1..]).unwrap();
        assert_eq!(marks.read().unwrap().marks, expected[1..]);
    }
}
