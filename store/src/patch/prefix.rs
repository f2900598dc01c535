//! Owns patches made by zstd with the old version as its prefix.
//!
//! Long-distance matching is what makes it work on edits that move whole blocks, and the window has
//! to span both versions: without either, most of the old version is out of the encoder's sight.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound};

use super::CodecError;
use crate::compress::bounded;

/// Largest old or new version, in bytes: what an encoder needs grows with both.
pub const PREFIX_MAX: usize = 8 << 20;

const WINDOW_LOG_MIN: u32 = 10;

/// Expresses `new` by `old` at a zstd level; `None` above [`PREFIX_MAX`] or if zstd refuses.
#[must_use]
pub fn encode(old: &[u8], new: &[u8], level: i32) -> Option<Vec<u8>> {
    if old.len() > PREFIX_MAX || new.len() > PREFIX_MAX {
        return None;
    }
    // The context borrows `old`, so it cannot outlive this call: no reuse here.
    let mut context = CCtx::try_create()?;
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::WindowLog(window_log(old.len() + new.len())),
        CParameter::EnableLongDistanceMatching(true),
    ] {
        context.set_parameter(parameter).ok()?;
    }
    context.ref_prefix(old).ok()?;
    let mut payload = Vec::with_capacity(compress_bound(new.len()));
    context.compress2(&mut payload, new).ok()?;
    payload.shrink_to_fit();
    Some(payload)
}

/// Rebuilds the new version, of exactly `expected_len` bytes.
///
/// Decodes in one shot into the output itself: no window is allocated, whatever the frame asks for,
/// and so there is no window limit to raise either.
///
/// # Errors
/// A damaged frame, or another length than the expected one.
pub fn apply(old: &[u8], payload: &[u8], expected_len: usize) -> Result<Vec<u8>, CodecError> {
    let mut context = DCtx::try_create().ok_or(CodecError::Malformed("zstd context"))?;
    context
        .ref_prefix(old)
        .map_err(|_| CodecError::Malformed("zstd prefix"))?;
    bounded(payload, expected_len, |out| {
        context.decompress(out, payload)
    })
}

/// Smallest window, as a power of two, that spans `len` bytes.
fn window_log(len: usize) -> u32 {
    len.next_power_of_two().ilog2().max(WINDOW_LOG_MIN)
}
