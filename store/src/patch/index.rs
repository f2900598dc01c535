//! Owns random access into a ranges payload: which part of a window is literal, which is base.

use super::CodecError;
use super::ranges::{Splice, Splices};

/// The ranges of a payload, for rebuilding a window of a file that does not fit memory.
///
/// Borrows the payload. Takes 24 bytes a range, so at most 8 times the payload.
#[derive(Debug, Clone)]
pub struct RangesIndex<'a> {
    splices: Vec<Splice<'a>>,
    new_len: u64,
    base_len: u64,
}

/// A stretch of the new version and where its bytes are. Offsets and lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The bytes stand in the base, at the same offset.
    Base {
        /// Where the stretch begins, in either version.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// The bytes stand in the payload.
    Literal {
        /// Where the stretch begins in the new version.
        offset: u64,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

impl<'a> RangesIndex<'a> {
    /// Reads a whole payload.
    ///
    /// # Errors
    /// A damaged payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, CodecError> {
        let opened = Splices::open(payload)?;
        let new_len = opened.new_len;
        let splices = opened.collect::<Result<Vec<_>, _>>()?;
        let base_len = needed_base(&splices, new_len);
        Ok(Self {
            splices,
            new_len,
            base_len,
        })
    }

    /// Length of the new version, in bytes.
    #[must_use]
    pub fn new_len(&self) -> u64 {
        self.new_len
    }

    /// Bytes that the base must have. A shorter base is not the one the payload was made from.
    #[must_use]
    pub fn base_len(&self) -> u64 {
        self.base_len
    }

    /// The parts of `offset..offset + len` in ascending order and without a hole, cut at the end
    /// of the new version.
    pub fn covering(&self, offset: u64, len: u64) -> impl Iterator<Item = Part<'a>> + '_ {
        let end = offset.saturating_add(len).min(self.new_len);
        let behind = self
            .splices
            .partition_point(|splice| splice.end() <= offset);
        let mut ahead = self.splices.iter().skip(behind).peekable();
        let mut at = offset;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let part = match ahead.next_if(|splice| splice.offset <= at) {
                Some(splice) => literal(splice, at, end),
                None => {
                    let stop = ahead.peek().map_or(end, |splice| splice.offset.min(end));
                    Part::Base {
                        offset: at,
                        len: stop - at,
                    }
                }
            };
            at += part.len();
            Some(part)
        })
    }
}

impl Part<'_> {
    /// Length of the stretch, in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no part is empty")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Base { len, .. } => *len,
            Self::Literal { bytes, .. } => bytes.len() as u64,
        }
    }
}

/// The part of a range within `at..end`, where the range holds `at`.
fn literal<'a>(splice: &Splice<'a>, at: u64, end: u64) -> Part<'a> {
    // Both differences are at most the length of the range's bytes.
    let from = (at - splice.offset) as usize;
    let to = (splice.end().min(end) - splice.offset) as usize;
    Part::Literal {
        offset: at,
        bytes: &splice.bytes[from..to],
    }
}

/// End of the last byte that no range covers.
fn needed_base(splices: &[Splice<'_>], new_len: u64) -> u64 {
    let mut end = new_len;
    for splice in splices.iter().rev() {
        if splice.end() < end {
            break;
        }
        end = splice.offset;
    }
    end
}
