//! Writing a pack from front to back: records in the order of their keys become blocks,
//! blocks become index entries, and these blocks again. Memory: one block a level.

use std::io::{self, Write};

use super::PackError;
use super::block::{FILE_HEAD, MAGIC, MAX_PLAIN, New, encode, encode_end, put_entry, put_record};
use crate::db::Space;
use crate::statedir;

/// Plain bytes of a block of records, unless one record is longer.
const BLOCK: usize = 64 << 10;
/// The same of blobs, which are read one by one and in no order.
const BLOB_BLOCK: usize = 16 << 10;
/// Plain bytes of a block of the index.
const INDEX_BLOCK: usize = 32 << 10;

/// A block that is being filled.
#[derive(Default)]
struct Filling {
    first: Vec<u8>,
    plain: Vec<u8>,
}

impl Filling {
    fn begin(&mut self, key: &[u8]) {
        if self.plain.is_empty() {
            self.first = key.to_vec();
        }
    }
}

/// A pack that is being written.
pub(super) struct Writer<W> {
    out: W,
    offset: u64,
    records: Filling,
    /// Keyspace of the records that are being collected.
    space: Space,
    last: Vec<u8>,
    /// Blocks of records so far.
    number: u64,
    /// The index, lowest level first.
    levels: Vec<Filling>,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(mut out: W) -> io::Result<Self> {
        let mut head = format!("{MAGIC}\n{}", statedir::format_lines()).into_bytes();
        head.resize(FILE_HEAD, b'\n');
        out.write_all(&head)?;
        Ok(Self {
            out,
            offset: FILE_HEAD as u64,
            records: Filling::default(),
            space: Space::Meta,
            last: Vec::new(),
            number: 0,
            levels: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Adds a record as it is stored; keyspaces and their keys in order.
    pub(super) fn add(&mut self, space: Space, key: &[u8], raw: &[u8]) -> Result<(), WriteError> {
        let mut full = Vec::with_capacity(key.len() + 1);
        full.push(space as u8);
        full.extend(key);
        if full <= self.last {
            return Err(WriteError::OutOfOrder);
        }
        let len = full.len() + raw.len() + 16;
        if len > MAX_PLAIN {
            return Err(WriteError::TooLong(raw.len()));
        }
        let target = if space == Space::Blob {
            BLOB_BLOCK
        } else {
            BLOCK
        };
        if space != self.space || self.records.plain.len() + len > target {
            self.end_block()?;
            self.space = space;
        }
        self.records.begin(&full);
        put_record(&mut self.records.plain, &full, raw);
        self.last = full;
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.records.plain.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.records);
        let offset = self.write(0, false, &block)?;
        self.number += 1;
        self.index(0, &block.first, offset)
    }

    /// Enters a block of one level into the index above.
    fn index(&mut self, level: usize, first: &[u8], offset: u64) -> io::Result<()> {
        if self.levels.len() == level {
            self.levels.push(Filling::default());
        }
        let full = self
            .levels
            .get_mut(level)
            .filter(|above| above.plain.len() > INDEX_BLOCK);
        if let Some(block) = full.map(std::mem::take) {
            let at = self.write(level + 1, false, &block)?;
            self.index(level + 1, &block.first, at)?;
        }
        if let Some(above) = self.levels.get_mut(level) {
            above.begin(first);
            put_entry(&mut above.plain, first, offset);
        }
        Ok(())
    }

    fn write(&mut self, level: usize, root: bool, block: &Filling) -> io::Result<u64> {
        let new = New {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            root,
            number: self.number,
            first: &block.first,
            dense: level == 0 && self.space == Space::Blob,
        };
        encode(&new, &block.plain, &mut self.buffer);
        self.out.write_all(&self.buffer)?;
        let at = self.offset;
        self.offset += self.buffer.len() as u64;
        Ok(at)
    }

    /// Writes the rest; gives what was written to, and the bytes written.
    pub(super) fn finish(mut self) -> io::Result<(W, u64)> {
        self.end_block()?;
        let mut level = 0;
        let root = loop {
            let block = self
                .levels
                .get_mut(level)
                .map(std::mem::take)
                .unwrap_or_default();
            level += 1;
            let root = self.levels.len() <= level;
            let at = self.write(level, root, &block)?;
            if root {
                break at;
            }
            self.index(level, &block.first, at)?;
        };
        let end = encode_end(root);
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok((self.out, self.offset + end.len() as u64))
    }
}

/// Why a record could not be added.
#[derive(Debug)]
pub(super) enum WriteError {
    OutOfOrder,
    TooLong(usize),
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl WriteError {
    pub(super) fn at(self, path: &std::path::Path) -> PackError {
        match self {
            Self::OutOfOrder => PackError::OutOfOrder,
            Self::TooLong(len) => PackError::TooLong(len),
            Self::Io(source) => PackError::Io {
                path: path.to_owned(),
                source,
            },
        }
    }
}
