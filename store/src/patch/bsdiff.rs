//! Owns BSDIFF40 patches: made by qbsdiff, applied here, exchangeable with `bsdiff` and `bspatch`.
//!
//! Layout, all integers little-endian sign-magnitude: `BSDIFF40 | i64 length of the control block |
//! i64 length of the diff block | i64 new length`, then three bzip2 streams: control triples (bytes
//! to add to old ones, bytes to copy, step in the old version), bytes to add, bytes to copy. The
//! layout is that of Colin Percival's bsdiff 4.
//!
//! The applying side is our own because the one of qbsdiff adds the header's lengths unchecked and
//! reads control triples without an end as long as they produce no byte.

use std::io::Read;

use bzip2::read::BzDecoder;
use qbsdiff::{Bsdiff, ParallelScheme};

use super::CodecError;

/// Largest version, in bytes, that the recorder encodes: the encoder needs 6 to 12 times as much.
pub const BSDIFF_MAX_RECORDER: usize = 4 << 20;
/// Largest version, in bytes, that is encoded at all.
pub const BSDIFF_MAX: usize = 64 << 20;

/// Higher bzip2 levels cost ten times as much and save nothing measurable.
const LEVEL: u32 = 1;
const MAGIC: &[u8; 8] = b"BSDIFF40";
const HEADER_LEN: usize = 32;

/// Expresses `new` by `old`, on this thread; `None` above [`BSDIFF_MAX`].
#[must_use]
pub fn encode(old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    if old.len() > BSDIFF_MAX || new.len() > BSDIFF_MAX {
        return None;
    }
    let mut payload = Vec::new();
    Bsdiff::new(old, new)
        .compression_level(LEVEL)
        .parallel_scheme(ParallelScheme::Never)
        .compare(&mut payload)
        .ok()?;
    Some(payload)
}

/// Rebuilds the new version, of exactly `expected_len` bytes.
///
/// # Errors
/// A damaged patch, one that reaches outside `old`, or another length than the expected one.
pub fn apply(old: &[u8], payload: &[u8], expected_len: usize) -> Result<Vec<u8>, CodecError> {
    let mut streams = Streams::open(payload, expected_len)?;
    let mut new = Vec::with_capacity(expected_len);
    let mut old_at = 0i64;
    // A triple may produce nothing, but an encoder moves on by at least a byte for each: without
    // this bound a kilobyte of bzip2 could hold hours of empty triples.
    for _ in 0..=expected_len {
        if new.len() == expected_len {
            return Ok(new);
        }
        let control = streams.control()?;
        add(
            &mut streams.add,
            control.add,
            old,
            old_at,
            expected_len,
            &mut new,
        )?;
        append(&mut streams.copy, control.copy, expected_len, &mut new)?;
        old_at = i64::try_from(control.add)
            .ok()
            .and_then(|add| old_at.checked_add(add)?.checked_add(control.step))
            .ok_or(CodecError::Malformed("bsdiff step"))?;
    }
    CodecError::check_len(expected_len as u64, new.len() as u64)?;
    Ok(new)
}

/// The three compressed streams of a patch.
struct Streams<'a> {
    control: BzDecoder<&'a [u8]>,
    add: BzDecoder<&'a [u8]>,
    copy: BzDecoder<&'a [u8]>,
}

struct Control {
    add: usize,
    copy: usize,
    step: i64,
}

impl<'a> Streams<'a> {
    fn open(payload: &'a [u8], expected_len: usize) -> Result<Self, CodecError> {
        let damaged = || CodecError::Malformed("bsdiff header");
        let (header, body) = payload
            .split_at_checked(HEADER_LEN)
            .filter(|(header, _)| header.starts_with(MAGIC))
            .ok_or_else(damaged)?;
        let new_len = length(&header[24..])?;
        CodecError::check_len(expected_len as u64, new_len as u64)?;
        let (control, body) = body
            .split_at_checked(length(&header[8..])?)
            .ok_or_else(damaged)?;
        let (add, copy) = body
            .split_at_checked(length(&header[16..])?)
            .ok_or_else(damaged)?;
        Ok(Self {
            control: BzDecoder::new(control),
            add: BzDecoder::new(add),
            copy: BzDecoder::new(copy),
        })
    }

    fn control(&mut self) -> Result<Control, CodecError> {
        let mut triple = [0; 24];
        self.control
            .read_exact(&mut triple)
            .map_err(|_| CodecError::Malformed("bsdiff control"))?;
        Ok(Control {
            add: length(&triple)?,
            copy: length(&triple[8..])?,
            step: integer(&triple[16..]),
        })
    }
}

/// Appends `len` bytes, each the sum of one of the stream and one of `old`.
fn add(
    stream: &mut impl Read,
    len: usize,
    old: &[u8],
    old_at: i64,
    limit: usize,
    new: &mut Vec<u8>,
) -> Result<(), CodecError> {
    if len == 0 {
        return Ok(());
    }
    let base = usize::try_from(old_at)
        .ok()
        .and_then(|at| old.get(at..at.checked_add(len)?))
        .ok_or(CodecError::Base {
            base_len: old.len() as u64,
        })?;
    let start = new.len();
    append(stream, len, limit, new)?;
    for (byte, old) in new.iter_mut().skip(start).zip(base) {
        *byte = byte.wrapping_add(*old);
    }
    Ok(())
}

/// Appends `len` bytes of the stream, unless the output would pass `limit`.
fn append(
    stream: &mut impl Read,
    len: usize,
    limit: usize,
    new: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let start = new.len();
    if len > limit - start {
        return Err(CodecError::Malformed(
            "bsdiff control passes the new length",
        ));
    }
    new.resize(start + len, 0);
    stream
        .read_exact(&mut new[start..])
        .map_err(|_| CodecError::Malformed("bsdiff stream"))
}

/// A length at the front of `bytes`: an [`integer`] that must not be negative.
fn length(bytes: &[u8]) -> Result<usize, CodecError> {
    usize::try_from(integer(bytes)).map_err(|_| CodecError::Malformed("bsdiff length"))
}

/// The sign-magnitude integer in the first eight of `bytes`, which the callers' layouts guarantee.
fn integer(bytes: &[u8]) -> i64 {
    let raw = bytes
        .first_chunk()
        .map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let magnitude = (raw & i64::MAX as u64) as i64;
    if raw >> 63 == 0 {
        magnitude
    } else {
        -magnitude
    }
}
