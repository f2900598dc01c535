//! Owns the framing of a stored value: one form byte, then the bytes, raw or zstd.
//!
//! Layout: `u8 form | bytes`, form 0 = the plain bytes, form 1 = one zstd frame that states its
//! content size. The plain length is not part of the value: whoever refers to it knows it.

use std::cell::{Cell, RefCell};
use std::io::Cursor;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_frame_content_size};

use crate::patch::CodecError;

/// zstd level for everything encoded while the command runs.
pub const LEVEL_INLINE: i32 = 1;
/// zstd level for prefix patches, and for values rewritten in the background.
pub const LEVEL_DENSE: i32 = 3;

const FORM_RAW: u8 = 0;
const FORM_ZSTD: u8 = 1;

thread_local! {
    // A context costs page faults to create and is cheap to keep: about 1 MB a thread at level 1.
    static COMPRESS: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESS: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
    // One buffer that nobody needs: made anew for each value, most of the time goes into the
    // page faults of its first use.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Longest buffer that is kept, bytes.
const SPARE_MAX: usize = 1 << 20;

/// Takes back a buffer of plain bytes for a later [`decode`] of about that length.
pub(crate) fn recycle(buffer: Vec<u8>) {
    if buffer.capacity() <= SPARE_MAX {
        SPARE.set(buffer);
    }
}

/// An empty buffer for `len` bytes, not much longer than that.
fn buffer(len: usize) -> Vec<u8> {
    let mut spare = SPARE.take();
    if (len..=len.saturating_mul(2)).contains(&spare.capacity()) {
        spare.clear();
        return spare;
    }
    Vec::with_capacity(len)
}

/// Appends `plain` to `out` as a framed value; raw where zstd at `level` does not make it smaller.
pub fn encode(plain: &[u8], level: i32, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(FORM_ZSTD);
    let packed = append_frame(plain, level, out);
    if packed.is_none_or(|len| len >= plain.len()) {
        out.truncate(start);
        encode_raw(plain, out);
    }
}

/// Appends `plain` to `out` as a framed value without trying zstd: for what is compressed already.
pub fn encode_raw(plain: &[u8], out: &mut Vec<u8>) {
    out.push(FORM_RAW);
    out.extend_from_slice(plain);
}

/// Length in bytes that [`encode`] would append.
#[must_use]
pub fn encoded_len(plain: &[u8], level: i32) -> usize {
    let mut out = Vec::new();
    encode(plain, level, &mut out);
    out.len()
}

/// Unframes a value whose plain length must be exactly `expected_len` bytes.
///
/// Allocates at most `expected_len`, which the caller has bounded.
///
/// # Errors
/// An unknown form, a bad zstd frame, or any other length than the expected one.
pub fn decode(bytes: &[u8], expected_len: usize) -> Result<Vec<u8>, CodecError> {
    match bytes.split_first() {
        Some((&FORM_RAW, plain)) => {
            CodecError::check_len(expected_len as u64, plain.len() as u64)?;
            let mut bytes = buffer(expected_len);
            bytes.extend_from_slice(plain);
            Ok(bytes)
        }
        Some((&FORM_ZSTD, frame)) => DECOMPRESS.with_borrow_mut(|context| {
            bounded(frame, expected_len, |out| context.decompress(out, frame))
        }),
        Some(_) => Err(CodecError::Malformed("unknown value form")),
        None => Err(CodecError::Malformed("empty value")),
    }
}

/// Runs a one-shot zstd decoder into a buffer of exactly `expected_len` bytes.
///
/// The frame states its size, so that a lie is refused before anything is allocated.
pub(crate) fn bounded(
    frame: &[u8],
    expected_len: usize,
    decompress: impl FnOnce(&mut Vec<u8>) -> Result<usize, usize>,
) -> Result<Vec<u8>, CodecError> {
    let stated = get_frame_content_size(frame)
        .ok()
        .flatten()
        .ok_or(CodecError::Malformed("zstd frame without its content size"))?;
    CodecError::check_len(expected_len as u64, stated)?;
    let mut plain = buffer(expected_len);
    decompress(&mut plain).map_err(|_| CodecError::Malformed("zstd frame"))?;
    CodecError::check_len(expected_len as u64, plain.len() as u64)?;
    Ok(plain)
}

/// Appends one zstd frame; `None` (with an unspecified tail in `out`) if zstd refuses.
fn append_frame(plain: &[u8], level: i32, out: &mut Vec<u8>) -> Option<usize> {
    let start = out.len();
    out.reserve(compress_bound(plain.len()));
    let mut cursor = Cursor::new(out);
    cursor.set_position(start as u64);
    COMPRESS.with_borrow_mut(|context| {
        context
            .set_parameter(CParameter::CompressionLevel(level))
            .ok()?;
        context.compress2(&mut cursor, plain).ok()
    })
}
