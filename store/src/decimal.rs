//! Exact decimals: numbers such as `1.5` times a unit, in integers only, shared by
//! durations and sizes.

/// A decimal number at the start of a text.
pub(crate) struct Decimal<'a> {
    whole: &'a str,
    fraction: &'a str,
    /// What follows it.
    pub(crate) rest: &'a str,
}

/// A decimal times a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// The product, rounded to the nearest whole number.
    pub(crate) value: u64,
    /// Nothing was rounded.
    pub(crate) exact: bool,
}

/// Most digits kept after the point: with units below 2^64, products stay below 2^128.
const MAX_FRACTION: usize = 18;

impl<'a> Decimal<'a> {
    /// Reads digits, with a point and further digits or without; `None` if the text
    /// begins otherwise.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (whole, rest) = digits(text);
        let (fraction, rest) = match rest.strip_prefix('.').map(digits) {
            Some(("", _)) | None => ("", rest),
            Some(found) => found,
        };
        (!whole.is_empty()).then_some(Self {
            whole,
            fraction: fraction.trim_end_matches('0'),
            rest,
        })
    }

    /// The number times `unit`; `None` above `u64::MAX`.
    pub(crate) fn times(&self, unit: u64) -> Option<Scaled> {
        let whole = self.whole.parse::<u64>().ok()?.checked_mul(unit)?;
        let kept = self.fraction.get(..MAX_FRACTION).unwrap_or(self.fraction);
        let power = 10_u128.pow(kept.len().try_into().ok()?);
        let parts = kept.parse::<u128>().unwrap_or(0) * u128::from(unit);
        let rounded = (parts + power / 2) / power;
        Some(Scaled {
            value: whole.checked_add(rounded.try_into().ok()?)?,
            exact: parts % power == 0 && kept.len() == self.fraction.len(),
        })
    }
}

/// Splits the ASCII digits off the front.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{Decimal, Scaled};

    fn times(text: &str, unit: u64) -> Option<(u64, bool)> {
        let Scaled { value, exact } = Decimal::read(text)?.times(unit)?;
        Some((value, exact))
    }

    #[test]
    fn products_are_exact_or_say_so() {
        assert_eq!(times("1.5", 1000), Some((1500, true)));
        assert_eq!(times("1.500000000000000000000000", 10), Some((15, true)));
        assert_eq!(times("0.0005", 1000), Some((1, false)));
        assert_eq!(times("1.2", 1 << 20), Some((1_258_291, false)));
        assert_eq!(
            times("0.0000000000000000001", u64::MAX),
            Some((0, false)),
            "digits past the kept ones are not forgotten"
        );
        assert_eq!(times("18446744073709551615", 1), Some((u64::MAX, true)));
        assert_eq!(times("18446744073709551616", 1), None);
        assert_eq!(times("18446744073709551615.9", 1), None);
        assert_eq!(times(".5", 10), None);
    }

    #[test]
    fn the_rest_begins_after_the_number() {
        assert_eq!(Decimal::read("1.5ms").unwrap().rest, "ms");
        assert_eq!(Decimal::read("1..2").unwrap().rest, "..2");
        assert_eq!(Decimal::read("1.s").unwrap().rest, ".s");
    }
}
