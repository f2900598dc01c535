//! Owns same-offset splices: the bytes that differ, each where it stands in both versions.
//!
//! Payload: the new length, then `gap, len, bytes` for each range in ascending order. Integers are
//! LEB128; `gap` counts the bytes kept since the previous range, `len` is never 0. What no range
//! covers is taken from the base at the same offset, up to the new length.

use super::{CodecError, scan, varint};

/// Equal bytes that end a range: fewer are cheaper as literals than as a new range.
const MERGE: usize = size_of::<u64>();

/// Expresses `new` by `old`; `None` once the ranges pass `literal_limit` bytes, headers included.
#[must_use]
pub fn encode(old: &[u8], new: &[u8], literal_limit: usize) -> Option<Vec<u8>> {
    let mut encoder = RangesEncoder::new(literal_limit);
    encoder.window(0, old, new);
    encoder.finish(new.len() as u64)
}

/// Rebuilds the new version, of at most `max_len` bytes.
///
/// # Errors
/// A damaged payload, one that claims more than `max_len`, or one that needs more base than `old`.
pub fn apply(old: &[u8], payload: &[u8], max_len: usize) -> Result<Vec<u8>, CodecError> {
    let found = new_len(payload)?;
    let fits = usize::try_from(found).ok().filter(|len| *len <= max_len);
    let new_len = fits.ok_or(CodecError::Length {
        expected: max_len as u64,
        found,
    })?;
    let mut new = Vec::with_capacity(new_len);
    new.extend_from_slice(old.get(..new_len).unwrap_or(old));
    splice(&mut new, payload, new_len)?;
    Ok(new)
}

/// Makes the old version the new one, of exactly `expected_len` bytes, where it stands. After an
/// error `bytes` is neither.
///
/// # Errors
/// As [`apply`], and for a payload of another length.
pub fn splice(bytes: &mut Vec<u8>, payload: &[u8], expected_len: usize) -> Result<(), CodecError> {
    let splices = Splices::open(payload)?;
    CodecError::check_len(expected_len as u64, splices.new_len)?;
    let base_len = bytes.len() as u64;
    let kept = |from: u64, to: u64| match from < to && to > base_len {
        true => Err(CodecError::Base { base_len }),
        false => Ok(()),
    };
    bytes.resize(expected_len, 0);
    let mut done = 0;
    for splice in splices {
        let splice = splice?;
        kept(done, splice.offset)?;
        done = splice.end();
        // Within the new length, which fits usize.
        let target = bytes.get_mut(splice.offset as usize..done as usize);
        target.unwrap_or_default().copy_from_slice(splice.bytes);
    }
    kept(done, expected_len as u64)
}

/// Length in bytes of the version that a payload describes.
///
/// # Errors
/// A cut payload.
pub fn new_len(payload: &[u8]) -> Result<u64, CodecError> {
    Ok(Splices::open(payload)?.new_len)
}

/// Encodes a file of any length from ascending windows, and notes which span of it changed.
///
/// How the file is cut into windows does not show in the payload.
#[derive(Debug)]
pub struct RangesEncoder {
    limit: usize,
    /// Finished ranges.
    body: Vec<u8>,
    /// Literals of the open range, and behind them the first `slack` bytes of what may be a gap.
    run: Vec<u8>,
    slack: usize,
    run_at: u64,
    /// End of the last finished range.
    done: u64,
    /// End of the last window.
    at: u64,
    /// First and last differing byte, the last one exclusive.
    span: Option<(u64, u64)>,
    given_up: bool,
}

impl RangesEncoder {
    /// An encoder that gives up once its ranges pass `limit` bytes, and so never holds more.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            body: Vec::new(),
            run: Vec::new(),
            slack: 0,
            run_at: 0,
            done: 0,
            at: 0,
            span: None,
            given_up: false,
        }
    }

    /// Compares the bytes of both versions at `offset`. Where `old` is shorter, the rest is literal.
    ///
    /// Windows ascend; bytes between two of them are taken as unchanged. A window that goes back
    /// makes the encoder give up.
    pub fn window(&mut self, offset: u64, old: &[u8], new: &[u8]) {
        if offset > self.at {
            self.close();
        }
        self.given_up |= offset < self.at;
        self.at = offset;
        let old = &old[..old.len().min(new.len())];
        let Some((first, last)) = differing(old, new) else {
            return self.equal(new);
        };
        let start = self.span.map_or(offset + first as u64, |span| span.0);
        self.span = Some((start, offset + last as u64));
        self.equal(&new[..first]);
        self.unequal(old, new, first, last);
        self.equal(&new[last..]);
    }

    /// Offset and length of the span from the first to the last differing byte seen so far.
    ///
    /// Exact even after giving up. Bytes that a shorter version lost are not part of it.
    #[must_use]
    pub fn changed_span(&self) -> Option<(u64, u64)> {
        self.span.map(|(first, last)| (first, last - first))
    }

    /// Whether the ranges have passed the limit: there is no payload to come.
    #[must_use]
    pub const fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// The payload of a version of `new_len` bytes; `None` if the encoder gave up, or if a window
    /// went beyond that length.
    #[must_use]
    pub fn finish(mut self, new_len: u64) -> Option<Vec<u8>> {
        self.close();
        if self.given_up || self.body.len() > self.limit || self.at > new_len {
            return None;
        }
        let mut payload = Vec::with_capacity(self.body.len() + 10);
        varint::write(new_len, &mut payload);
        payload.append(&mut self.body);
        Some(payload)
    }

    /// Walks the differing part of a window, range by range.
    fn unequal(&mut self, old: &[u8], new: &[u8], first: usize, last: usize) {
        let both = last.min(old.len());
        let mut at = first;
        while at < both && !self.given_up {
            let end = at + scan::difference(&old[at..both], &new[at..both]);
            self.literal(&new[at..end]);
            at = end + scan::common_prefix(&old[end..both], &new[end..both]);
            self.equal(&new[end..at]);
        }
        self.literal(&new[at..last]);
    }

    fn equal(&mut self, bytes: &[u8]) {
        self.at += bytes.len() as u64;
        if self.run.is_empty() {
            return;
        }
        if self.slack + bytes.len() >= MERGE {
            return self.close();
        }
        self.run.extend_from_slice(bytes);
        self.slack += bytes.len();
    }

    fn literal(&mut self, bytes: &[u8]) {
        if self.given_up || self.body.len() + self.run.len() + bytes.len() > self.limit {
            self.given_up = true;
            (self.body, self.run) = (Vec::new(), Vec::new());
        } else {
            if self.run.is_empty() {
                self.run_at = self.at;
            }
            self.run.extend_from_slice(bytes);
        }
        self.slack = 0;
        self.at += bytes.len() as u64;
    }

    fn close(&mut self) {
        self.run.truncate(self.run.len() - self.slack);
        self.slack = 0;
        if self.run.is_empty() {
            return;
        }
        varint::write(self.run_at - self.done, &mut self.body);
        varint::write(self.run.len() as u64, &mut self.body);
        self.done = self.run_at + self.run.len() as u64;
        self.body.append(&mut self.run);
    }
}

/// First and last differing byte, the last one exclusive; `old` is not longer than `new`.
fn differing(old: &[u8], new: &[u8]) -> Option<(usize, usize)> {
    let first = scan::common_prefix(old, new);
    if first == new.len() {
        return None;
    }
    if old.len() < new.len() {
        return Some((first, new.len()));
    }
    let same = scan::common_suffix(&old[first..], &new[first..]);
    Some((first, new.len() - same))
}

/// One range of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Splice<'a> {
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
}

impl Splice<'_> {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// Reads the ranges of a payload in order, each checked against the new length.
pub(super) struct Splices<'a> {
    pub(super) new_len: u64,
    rest: &'a [u8],
    done: u64,
}

impl<'a> Splices<'a> {
    pub(super) fn open(mut payload: &'a [u8]) -> Result<Self, CodecError> {
        let new_len = varint::read(&mut payload)?;
        Ok(Self {
            new_len,
            rest: payload,
            done: 0,
        })
    }

    fn splice(&mut self) -> Result<Splice<'a>, CodecError> {
        let gap = varint::read(&mut self.rest)?;
        let len = varint::read(&mut self.rest)?;
        let (bytes, rest) = usize::try_from(len)
            .ok()
            .filter(|len| *len > 0)
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or(CodecError::Malformed("length of a range"))?;
        self.rest = rest;
        let offset = self.done.checked_add(gap);
        let end = offset.and_then(|offset| offset.checked_add(len));
        let (Some(offset), Some(end)) = (offset, end.filter(|end| *end <= self.new_len)) else {
            return Err(CodecError::Malformed("range beyond the new length"));
        };
        self.done = end;
        Ok(Splice { offset, bytes })
    }
}

impl<'a> Iterator for Splices<'a> {
    type Item = Result<Splice<'a>, CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let splice = self.splice();
        if splice.is_err() {
            self.rest = &[];
        }
        Some(splice)
    }
}
