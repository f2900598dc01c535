//! The engine's journals (fjall 3), read before the engine reads them: it takes any place that
//! it cannot parse for the end, so that one zeroed page would silently end a trace there.
//!
//! A journal is a row of batches, then zeros up to the length it was given when it was made.
//! Numbers are little-endian:
//!
//! ```text
//! batch = 1 | count u32 | seqno u64 | count entries | 3 | XXH3-64 of the entries u64 | "FJL" 3
//! entry = 2 | kind u8 | compression u8 | keyspace u64 | key length u16 | length u32
//!           | stored length u32 | key | stored bytes
//!       | 4 | keyspace u64
//! ```

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use xxhash_rust::xxh3::xxh3_64;

use super::DbError;

/// Longest journal that is read; the engine begins a new one long before.
const MAX_JOURNAL: u64 = 1 << 30;
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";

/// What stands behind the last batch that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Clean,
    /// A batch that was never finished, as a killed writer leaves it.
    Torn,
    /// Something else: what stood there was written and is lost.
    Damaged,
}

/// What a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// Length of the whole batches at its beginning, bytes.
    pub(super) sound: u64,
    /// Length without the zeros that the file ends with, at most; bytes.
    pub(super) len: u64,
    pub(super) tail: Tail,
}

/// Finds damage, and cuts off what a killed writer left unfinished.
pub(super) fn check(path: &Path) -> Result<(), DbError> {
    for (path, scan) in scan_all(path)? {
        match scan.tail {
            Tail::Clean => {}
            Tail::Torn => cut(&path, scan.sound)?,
            Tail::Damaged => {
                let (at, len) = (scan.sound, scan.len);
                return Err(DbError::Journal { path, at, len });
            }
        }
    }
    Ok(())
}

/// Cuts each damaged journal to its last whole batch. Batches of later journals came after
/// what is lost, so they go as well. Says what was done.
pub(super) fn trim(path: &Path) -> Result<Vec<String>, DbError> {
    let mut done = Vec::new();
    let mut lost = false;
    for (path, scan) in scan_all(path)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if lost && scan.len > 0 {
            done.push(format!(
                "journal {name}: emptied, as it follows a damaged one"
            ));
            cut(&path, 0)?;
        } else if scan.tail == Tail::Damaged {
            done.push(format!(
                "journal {name}: damaged at byte {} of {}, cut there",
                scan.sound, scan.len
            ));
            cut(&path, scan.sound)?;
            lost = true;
        }
    }
    Ok(done)
}

fn scan_all(path: &Path) -> Result<Vec<(PathBuf, Scan)>, DbError> {
    let mut journals = super::files::journals(path)?;
    journals.sort_by_key(|path| number(path));
    let scans = journals.into_iter().map(|path| {
        let scan = match read(&path) {
            Ok(bytes) => scan(&bytes),
            Err(source) => return Err(DbError::Io { path, source }),
        };
        Ok((path, scan))
    });
    scans.collect()
}

/// Journals are numbered in the order in which they were begun.
fn number(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.parse().ok()).unwrap_or(u64::MAX)
}

fn cut(path: &Path, len: u64) -> Result<(), DbError> {
    let journal = File::options().write(true).open(path);
    let cut = journal.and_then(|file| {
        file.set_len(len)?;
        file.sync_all()
    });
    cut.map_err(|source| DbError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The bytes up to the hole that a new journal ends with.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let end = data_end(&file)?;
    if end > MAX_JOURNAL {
        return Err(std::io::Error::other("longer than any journal"));
    }
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    let mut bytes = Vec::with_capacity(usize::try_from(end).unwrap_or(0));
    file.by_ref().take(end).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the last data of a file ends; its length where holes cannot be told.
fn data_end(file: &File) -> std::io::Result<u64> {
    let mut end = 0;
    loop {
        match rustix::fs::seek(file, SeekFrom::Data(end)) {
            Ok(data) => end = rustix::fs::seek(file, SeekFrom::Hole(data))?,
            Err(rustix::io::Errno::NXIO) => return Ok(end),
            Err(_) => return Ok(file.metadata()?.len()),
        }
    }
}

/// Follows the batches from the first to the last.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    // No whole batch ends with a zero.
    let bytes = bytes.get(..used(bytes)).unwrap_or_default();
    let (mut sound, mut last) = (0, None);
    let tail = loop {
        let mut at = Cursor { bytes, at: sound };
        match at.batch() {
            // No checksum covers the number, but it grows from batch to batch.
            Ok(seqno) if last.is_some_and(|last| seqno <= last) => break Tail::Damaged,
            Ok(seqno) => (sound, last) = (at.at, Some(seqno)),
            Err(broken) => break tail(bytes, sound, broken),
        }
    };
    Scan {
        sound: sound as u64,
        len: bytes.len() as u64,
        tail,
    }
}

/// The length without the zeros at the end.
fn used(bytes: &[u8]) -> usize {
    const PIECE: usize = 4096;
    let pieces = bytes.rchunks(PIECE);
    // Whole pieces are compared at once: there are mostly many.
    let zeros = pieces.take_while(|piece| **piece == [0; PIECE]).count() * PIECE;
    let rest = bytes.get(..bytes.len() - zeros).unwrap_or_default();
    rest.len() - rest.iter().rev().take_while(|byte| **byte == 0).count()
}

fn tail(bytes: &[u8], sound: usize, broken: Broken) -> Tail {
    if sound == bytes.len() {
        return Tail::Clean;
    }
    // What a killed writer leaves is the beginning of a batch, and nothing behind it.
    let unfinished = match broken {
        Broken::Ended => true,
        Broken::At(_) | Broken::Checksum => false,
    };
    if unfinished && !holds_batch(bytes, sound + 1) {
        Tail::Torn
    } else {
        Tail::Damaged
    }
}

/// Whether a whole batch begins anywhere behind `from`.
fn holds_batch(bytes: &[u8], from: usize) -> bool {
    let rest = bytes.get(from..).unwrap_or_default();
    let starts = rest.iter().enumerate().filter(|(_, byte)| **byte == START);
    starts.map(|(at, _)| from + at).any(|at| {
        // Looking at two bytes first spares almost every attempt.
        matches!(bytes.get(at + 13), Some(&(ITEM | CLEAR))) && Cursor { bytes, at }.batch().is_ok()
    })
}

/// Why a batch cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// The bytes end within it.
    Ended,
    /// What begins here is no entry.
    At(usize),
    /// The entries are not those that were written.
    Checksum,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Reads over a batch; gives its sequence number.
    fn batch(&mut self) -> Result<u64, Broken> {
        let start = self.at;
        if self.u8()? != START {
            return Err(Broken::At(start));
        }
        let count = self.u32()?;
        let seqno = self.u64()?;
        let entries = self.at;
        for _ in 0..count {
            self.entry()?;
        }
        let end = self.at;
        if self.u8()? != END {
            return Err(Broken::At(end));
        }
        let sum = self.u64()?;
        if self.array::<4>()? != *TRAILER {
            return Err(Broken::At(end));
        }
        let entries = self.bytes.get(entries..end).unwrap_or_default();
        if count == 0 || xxh3_64(entries) != sum {
            return Err(Broken::Checksum);
        }
        Ok(seqno)
    }

    fn entry(&mut self) -> Result<(), Broken> {
        let start = self.at;
        match self.u8()? {
            ITEM => {
                let (kind, compression) = (self.u8()?, self.u8()?);
                if !matches!(kind, 0..=2) || compression > 1 {
                    return Err(Broken::At(start));
                }
                self.skip(8)?;
                let key = usize::from(u16::from_le_bytes(self.array()?));
                self.skip(4)?;
                let stored = self.u32()? as usize;
                self.skip(key)?;
                self.skip(stored)
            }
            CLEAR => self.skip(8),
            _ => Err(Broken::At(start)),
        }
    }

    fn skip(&mut self, len: usize) -> Result<(), Broken> {
        let end = self
            .at
            .checked_add(len)
            .filter(|end| *end <= self.bytes.len());
        self.at = end.ok_or(Broken::Ended)?;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = *rest.first_chunk::<N>().ok_or(Broken::Ended)?;
        self.at += N;
        Ok(found)
    }

    fn u8(&mut self) -> Result<u8, Broken> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Broken> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Broken> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::{Db, Space};
    use super::*;

    /// The journal of a database that was never closed, and where its batches end.
    fn journal() -> (Vec<u8>, Vec<usize>) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).unwrap();
        for number in 0_u8..20 {
            let mut batch = db.batch();
            let value = vec![number; 12 * usize::from(number)];
            batch.put(Space::Event, vec![number], value);
            batch.put(Space::Name, vec![number], vec![1, 2, 3]);
            batch.commit().unwrap();
        }
        let bytes = read(&dir.path().join("0.jnl")).unwrap();
        let mut cursor = Cursor {
            bytes: &bytes,
            at: 0,
        };
        let mut ends = Vec::new();
        while cursor.batch().is_ok() {
            ends.push(cursor.at);
        }
        (bytes, ends)
    }

    #[test]
    fn a_whole_journal_is_clean() {
        let (bytes, ends) = journal();
        assert!(ends.len() >= 20, "{ends:?}");
        let found = scan(&bytes);
        let end = *ends.last().unwrap() as u64;
        assert_eq!(
            (found.sound, found.len, found.tail),
            (end, end, Tail::Clean)
        );
        assert_eq!(scan(&[]).tail, Tail::Clean);
    }

    #[test]
    fn a_cut_is_torn_and_every_flipped_bit_is_seen() {
        let (bytes, ends) = journal();
        let end = *ends.last().unwrap();
        for at in 0..end {
            let before = ends.iter().rev().find(|end| **end <= at).copied();
            let before = before.unwrap_or(0) as u64;
            let mut cut = bytes[..at].to_vec();
            let tail = if at as u64 == before {
                Tail::Clean
            } else {
                Tail::Torn
            };
            assert_eq!(
                (scan(&cut).sound, scan(&cut).tail),
                (before, tail),
                "cut at {at}"
            );
            cut.resize(end + 4096, 0);
            assert_eq!(scan(&cut).sound, before);
            assert_ne!(scan(&cut).tail, Tail::Damaged, "then zeros, at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let found = scan(&flipped);
            // The sequence number alone is not covered by the checksum.
            let in_seqno = (5..13).contains(&(at as u64 - before));
            assert!(in_seqno || found.sound == before, "flipped at {at}");
            let last = before == ends[ends.len() - 2] as u64;
            assert!(
                in_seqno || last || found.tail == Tail::Damaged,
                "flipped at {at}"
            );
        }
    }

    #[test]
    fn a_zeroed_page_in_the_middle_is_damage() {
        let (mut bytes, ends) = journal();
        let (from, to) = (ends[9], ends[12]);
        bytes[from..to].fill(0);
        let found = scan(&bytes);
        assert_eq!((found.sound, found.tail), (from as u64, Tail::Damaged));
    }
}
