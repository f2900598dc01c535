//! Sizes in bytes, as people read and write them.

use crate::decimal::Decimal;
use crate::model::escape;

/// The binary units above the byte, smallest first.
const BINARY: [(&str, u64); 6] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
];

/// The other units that [`parse_bytes`] takes.
const OTHERS: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
];

/// A text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// It does not begin with a number.
    #[error("expected a size such as 4096, 13B or 1.5MiB, found \"{}\"", escape(.0.as_bytes()))]
    Number(String),
    /// The number is followed by something else than a unit.
    #[error("\"{}\" is not a unit of size: expected B, KiB, MiB, GiB, TiB, PiB, EiB, or KB to EB", escape(.0.as_bytes()))]
    Unit(String),
    /// It is above `u64::MAX` bytes.
    #[error("a size above {} bytes", u64::MAX)]
    TooLarge,
}

/// Shows a size: whole bytes below 1 KiB (`13B`), else the largest binary unit with one
/// decimal, rounded to the nearest (`4.0KiB`, `1.2MiB`).
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    for (name, unit) in BINARY {
        let unit = u128::from(unit);
        let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
        if tenths < 10_240 {
            return format!("{}.{}{name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes}B")
}

/// Reads a size in bytes: a decimal number and a unit, which may be left out for bytes
/// (`4096`, `13B`, `1.5 MiB`, `4KB`); the case of the letters does not matter. A product
/// that is no whole number of bytes is rounded to the nearest.
///
/// # Errors
/// See [`SizeError`].
pub fn parse_bytes(text: &str) -> Result<u64, SizeError> {
    let number = Decimal::read(text).ok_or_else(|| SizeError::Number(text.to_owned()))?;
    let name = number.rest.trim();
    let unit = BINARY
        .iter()
        .chain(&OTHERS)
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or_else(|| name.is_empty().then_some(1), |(_, unit)| Some(*unit))
        .ok_or_else(|| SizeError::Unit(name.to_owned()))?;
    Ok(number.times(unit).ok_or(SizeError::TooLarge)?.value)
}

/// A text that [`parse_bytes`] reads back as exactly `bytes`, with the largest binary
/// unit that divides it.
pub(crate) fn exact_bytes(bytes: u64) -> String {
    BINARY
        .iter()
        .rev()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(name, unit)| format!("{}{name}", bytes / unit),
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::{SizeError, exact_bytes, format_bytes, parse_bytes};
    use proptest::prelude::*;

    #[test]
    fn sizes_are_shown_short() {
        for (bytes, shown) in [
            (0, "0B"),
            (13, "13B"),
            (1023, "1023B"),
            (1024, "1.0KiB"),
            (4096, "4.0KiB"),
            (1_048_575, "1.0MiB"),
            (1_258_291, "1.2MiB"),
            (5 << 40, "5.0TiB"),
            ((1 << 50) - 1, "1.0PiB"),
            (u64::MAX, "16.0EiB"),
        ] {
            assert_eq!(format_bytes(bytes), shown);
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("13B", 13),
            ("1MiB", 1 << 20),
            ("1mib", 1 << 20),
            ("1.5 KiB", 1536),
            ("4KB", 4000),
            ("2GB", 2_000_000_000),
            ("1.2MiB", 1_258_291),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        assert_eq!(parse_bytes("1M"), Err(SizeError::Unit("M".into())));
        assert_eq!(parse_bytes("-1"), Err(SizeError::Number("-1".into())));
        assert_eq!(parse_bytes(""), Err(SizeError::Number(String::new())));
        assert_eq!(parse_bytes("16EiB"), Err(SizeError::TooLarge));
        assert_eq!(
            parse_bytes("1\u{1b}[2J").unwrap_err().to_string(),
            "\"\\x1b[2J\" is not a unit of size: expected B, KiB, MiB, GiB, TiB, PiB, EiB, or KB to EB"
        );
    }

    proptest! {
        #[test]
        fn exact_texts_read_back(bytes: u64, shift in 0..64) {
            let bytes = bytes >> shift;
            prop_assert_eq!(parse_bytes(&exact_bytes(bytes)), Ok(bytes));
        }

        #[test]
        fn shown_sizes_are_within_half_a_tenth(bytes in 0..15_u64 << 60, shift in 0..64) {
            let bytes = bytes >> shift;
            let back = parse_bytes(&format_bytes(bytes)).unwrap();
            prop_assert!(back.abs_diff(bytes) <= bytes / 20, "{bytes} {back}");
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = parse_bytes(&text);
        }
    }
}
