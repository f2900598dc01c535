//! Owns the patch codecs: how one version of a file is expressed as a change of another.
//!
//! A patch is binary and stored; it is applied to exactly the bytes that it was made from. What
//! checks the result is the digest of the version, not the codec.

pub mod bsdiff;
mod index;
pub mod prefix;
pub mod ranges;
mod scan;
mod varint;

pub use crate::model::PatchCodec;
pub use index::{Part, RangesIndex};
pub use ranges::RangesEncoder;

/// Why bytes of the store could not be turned back into content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes are not what the codec writes.
    #[error("damaged content: {0}")]
    Malformed(&'static str),
    /// The content has another length than its version states.
    #[error("damaged content: {found} bytes where {expected} were expected")]
    Length {
        /// Length that the caller asked for, in bytes.
        expected: u64,
        /// Length that the bytes hold or claim, in bytes.
        found: u64,
    },
    /// The patch refers to bytes that the base version does not have.
    #[error("damaged content: the patch does not fit its base of {base_len} bytes")]
    Base {
        /// Length of the base, in bytes.
        base_len: u64,
    },
}

impl CodecError {
    pub(crate) fn check_len(expected: u64, found: u64) -> Result<(), Self> {
        if expected == found {
            Ok(())
        } else {
            Err(Self::Length { expected, found })
        }
    }
}

/// Rebuilds the new version, of exactly `expected_len` bytes, from the old one and a payload.
///
/// Allocates at most `expected_len` (which the caller has bounded), plus the fixed working memory
/// of the decoder: at most 12 MB for bsdiff, under 1 MB for the others.
///
/// # Errors
/// A payload that is damaged, that does not fit `old`, or that gives another length.
pub fn apply(
    codec: PatchCodec,
    old: &[u8],
    payload: &[u8],
    expected_len: usize,
) -> Result<Vec<u8>, CodecError> {
    match codec {
        PatchCodec::Ranges => {
            CodecError::check_len(expected_len as u64, ranges::new_len(payload)?)?;
            ranges::apply(old, payload, expected_len)
        }
        PatchCodec::Prefix => prefix::apply(old, payload, expected_len),
        PatchCodec::Bsdiff => bsdiff::apply(old, payload, expected_len),
    }
}
