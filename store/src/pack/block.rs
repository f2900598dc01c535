//! Blocks: a head that says what the block is and where it belongs, and a payload of
//! records or of index entries. All of it is checked before it is believed.

use crate::compress::{self, LEVEL_INLINE};
use crate::db::Raw;
use crate::encode::{Malformed, Put, Take};

/// First line of the file, with the version of the pack's own layout.
pub(super) const MAGIC: &str = "diffkeeper pack 1";
/// The same without the version.
pub(super) const MAGIC_NAME: &str = "diffkeeper pack ";
/// Length of the head of the file, bytes.
pub(super) const FILE_HEAD: usize = 128;
/// Length of the end of the file, bytes.
pub(super) const FILE_END: usize = 32;
const END_MARKER: [u8; 8] = *b"dkend\r\n\x1a";

/// What every block begins with; no text holds it.
pub(super) const MARKER: [u8; 4] = [0xdb, b'd', b'k', 0x0a];
/// Length of a block's head before its key, bytes.
pub(super) const FIXED: usize = 31;
/// Length of a checksum, bytes.
pub(super) const SUM: usize = 8;
/// Longest key, bytes: a name takes at most 4,096 and some numbers.
pub(super) const MAX_KEY: usize = 8192;
/// Longest plain payload, bytes. One with more than one entry is at most [`MAX_SHARED`].
pub(super) const MAX_PLAIN: usize = 64 << 20;
/// Longest plain payload of several entries, bytes.
pub(super) const MAX_SHARED: usize = 256 << 10;
/// Deepest index.
pub(super) const MAX_LEVEL: u8 = 8;
const ROOT: u8 = 0x80;

const BAD: Malformed = Malformed("pack block");

pub(super) fn sum(bytes: &[u8]) -> [u8; SUM] {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(bytes).as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// What a block says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// 0 for records, above for an index of blocks one level lower.
    pub(super) level: u8,
    /// Whether it is the top of the index.
    pub(super) root: bool,
    /// How many blocks of records stand before it.
    pub(super) number: u64,
    pub(super) plain_len: usize,
    pub(super) stored_len: usize,
    payload_sum: [u8; SUM],
    /// Its first key.
    pub(super) first: Vec<u8>,
}

impl Head {
    /// Length of head and payload, bytes.
    pub(super) const fn block_len(&self) -> u64 {
        (self.len() + self.stored_len) as u64
    }

    /// Length of the head, bytes.
    pub(super) const fn len(&self) -> usize {
        FIXED + self.first.len() + SUM
    }

    /// Length of the whole head, from its first [`FIXED`] bytes.
    pub(super) fn len_of(fixed: &[u8]) -> Result<usize, Malformed> {
        let key_len: [u8; 2] = fixed.get(5..7).ok_or(BAD)?.try_into().map_err(|_| BAD)?;
        let key_len = usize::from(u16::from_be_bytes(key_len));
        if !fixed.starts_with(&MARKER) || key_len > MAX_KEY {
            return Err(BAD);
        }
        Ok(FIXED + key_len + SUM)
    }

    /// Reads a head of exactly [`Head::len_of`] bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (head, said) = bytes.split_last_chunk::<SUM>().ok_or(BAD)?;
        if sum(head) != *said || bytes.len() != Self::len_of(head)? {
            return Err(BAD);
        }
        let number = |from: usize, to: usize| -> Result<u64, Malformed> {
            let bytes = head.get(from..to).ok_or(BAD)?.iter();
            Ok(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
        };
        let level = *head.get(4).ok_or(BAD)?;
        let size = |from: usize| usize::try_from(number(from, from + 4)?).map_err(|_| BAD);
        let decoded = Self {
            level: level & !ROOT,
            root: level & ROOT != 0,
            stored_len: size(7)?,
            plain_len: size(11)?,
            number: number(15, 23)?,
            payload_sum: head
                .get(23..FIXED)
                .ok_or(BAD)?
                .try_into()
                .map_err(|_| BAD)?,
            first: head.get(FIXED..).ok_or(BAD)?.to_vec(),
        };
        // Framing adds one byte to what does not shrink.
        let fits = decoded.plain_len <= MAX_PLAIN && decoded.stored_len <= decoded.plain_len + 1;
        if fits && decoded.level <= MAX_LEVEL {
            Ok(decoded)
        } else {
            Err(BAD)
        }
    }

    /// The plain payload.
    pub(super) fn open(&self, stored: &[u8]) -> Result<Vec<u8>, Malformed> {
        if stored.len() != self.stored_len || sum(stored) != self.payload_sum {
            return Err(BAD);
        }
        compress::decode(stored, self.plain_len).map_err(|_| BAD)
    }
}

/// What a new block is to say of itself.
pub(super) struct New<'a> {
    pub(super) level: u8,
    pub(super) root: bool,
    pub(super) number: u64,
    pub(super) first: &'a [u8],
    /// Whether the payload would not shrink any more.
    pub(super) dense: bool,
}

/// Writes a block into `out`, which is emptied first.
pub(super) fn encode(new: &New<'_>, plain: &[u8], out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(plain.len() / 2 + 16);
    if new.dense {
        compress::encode_raw(plain, &mut payload);
    } else {
        compress::encode(plain, LEVEL_INLINE, &mut payload);
    }
    let word = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    out.clear();
    out.extend(MARKER);
    out.push(new.level | if new.root { ROOT } else { 0 });
    out.extend(
        u16::try_from(new.first.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    out.extend(word(payload.len()));
    out.extend(word(plain.len()));
    out.extend(new.number.to_be_bytes());
    out.extend(sum(&payload));
    out.extend(new.first);
    let sum = sum(out);
    out.extend(sum);
    out.extend(payload);
}

/// The end of the file: where the root stands, and how long the file is.
pub(super) fn encode_end(root: u64) -> Vec<u8> {
    let mut out = END_MARKER.to_vec();
    out.extend(root.to_be_bytes());
    out.extend([0; 8]);
    let sum = sum(&out);
    out.extend(sum);
    out
}

/// Where the root stands; none if these bytes are not the end of a pack.
pub(super) fn decode_end(bytes: &[u8]) -> Option<u64> {
    let (said, check) = bytes.split_last_chunk::<SUM>()?;
    if bytes.len() != FILE_END || !said.starts_with(&END_MARKER) || sum(said) != *check {
        return None;
    }
    Some(u64::from_be_bytes(said.get(8..16)?.try_into().ok()?))
}

/// Adds a record to a payload.
pub(super) fn put_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.bytes(key);
    out.bytes(value);
}

/// Adds an index entry to a payload.
pub(super) fn put_entry(out: &mut Vec<u8>, first: &[u8], offset: u64) {
    out.bytes(first);
    out.var(offset);
}

/// An entry of the index: the block at `at` holds the keys from `first` on, up to that
/// of the next entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) first: Vec<u8>,
    /// Offset of the block in the file; none if it is lost.
    pub(super) at: Option<u64>,
}

/// A payload, taken apart.
pub(super) enum Block {
    Records(Records),
    Index(Vec<Entry>),
}

/// The records of a block, in the order of their keys.
pub(super) struct Records {
    plain: Vec<u8>,
    /// Where each key begins, and its value begins and ends.
    spans: Vec<(usize, usize, usize, usize)>,
}

impl Records {
    pub(super) fn key(&self, at: usize) -> &[u8] {
        let span = self.spans.get(at).map(|(from, to, ..)| *from..*to);
        span.and_then(|span| self.plain.get(span))
            .unwrap_or_default()
    }

    pub(super) fn value(&self, at: usize) -> Raw {
        let span = self.spans.get(at).map(|(_, _, from, to)| *from..*to);
        Raw::from(
            span.and_then(|span| self.plain.get(span))
                .unwrap_or_default(),
        )
    }

    pub(super) const fn len(&self) -> usize {
        self.spans.len()
    }

    /// How many records have keys for which `before` holds, as a first part of all.
    pub(super) fn partition(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if before(self.key(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn decode(plain: Vec<u8>, first: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::new(&plain, "pack block");
        let mut spans = Vec::new();
        let mut last: Option<&[u8]> = None;
        while !take.is_empty() {
            let key = take_long(&mut take)?;
            let key_end = plain.len() - take.rest().len();
            let value = take_long(&mut take)?;
            let end = plain.len() - take.rest().len();
            let ascends = last.map_or(key == first, |last| last < key);
            if !ascends || key.is_empty() || key.len() > MAX_KEY {
                return Err(BAD);
            }
            last = Some(key);
            spans.push((key_end - key.len(), key_end, end - value.len(), end));
            if plain.len() > MAX_SHARED && !take.is_empty() {
                return Err(BAD);
            }
        }
        Ok(Self { plain, spans })
    }

    /// Memory it holds, bytes.
    const fn weight(&self) -> usize {
        self.plain.len() + self.spans.len() * 32
    }
}

/// Length and bytes; other than [`Take::bytes`] without a limit but what is there.
fn take_long<'a>(take: &mut Take<'a>) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(take.var()?).map_err(|_| BAD)?;
    take.raw(len)
}

impl Block {
    pub(super) fn decode(head: &Head, plain: Vec<u8>) -> Result<Self, Malformed> {
        if head.level == 0 {
            return Records::decode(plain, &head.first).map(Self::Records);
        }
        if plain.len() > MAX_SHARED {
            return Err(BAD);
        }
        let mut take = Take::new(&plain, "pack block");
        let mut entries: Vec<Entry> = Vec::new();
        while !take.is_empty() {
            let first = take_long(&mut take)?.to_vec();
            let at = Some(take.var()?);
            let ascends = entries
                .last()
                .map_or(first == head.first, |last| last.first < first);
            if !ascends || first.len() > MAX_KEY {
                return Err(BAD);
            }
            entries.push(Entry { first, at });
        }
        Ok(Self::Index(entries))
    }

    /// Memory it holds, bytes.
    pub(super) fn weight(&self) -> u64 {
        let bytes = match self {
            Self::Records(records) => records.weight(),
            Self::Index(entries) => entries.iter().map(|entry| entry.first.len() + 64).sum(),
        };
        bytes as u64 + 64
    }
}
