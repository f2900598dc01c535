//! Owns the LEB128 integers of the ranges payload.

use super::CodecError;

/// Appends `value`, seven bits a byte, the lowest first.
pub(super) fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes one integer off the front of `bytes`.
pub(super) fn read(bytes: &mut &[u8]) -> Result<u64, CodecError> {
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes
            .split_first()
            .ok_or(CodecError::Malformed("cut integer"))?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit only.
        if bits > u64::MAX >> shift {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(CodecError::Malformed("integer over 64 bits"))
}
