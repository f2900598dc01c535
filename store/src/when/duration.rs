//! Durations and points on a session's clock as text, exact to the nanosecond.
//!
//! The friendly format of `jiff` was measured against this: it cuts `1.1234567ms` to
//! 1123456 ns without a word, and takes `5s ago` and `PT5S`, which mean nothing here.
//! Hence a parser of its own that refuses what it cannot give exactly.

use chrono::{DateTime, SecondsFormat};

use crate::decimal::Decimal;
use crate::model::{Timestamp, UnixTime, escape};

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The units, largest first, in ns.
const UNITS: [(&str, u64); 9] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLI),
    ("us", MICRO),
    ("µs", MICRO),
    ("μs", MICRO),
    ("ns", 1),
];

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number should stand here.
    #[error("expected a duration such as 2s, 500ms or 2m14s, found \"{}\"", escape(.0.as_bytes()))]
    Number(String),
    /// A number without a unit that is known.
    #[error("expected a unit (d, h, m, s, ms, us or ns) after a number, found \"{}\"", escape(.0.as_bytes()))]
    Unit(String),
    /// Units must fall from left to right.
    #[error("the unit {0} cannot stand after a smaller or the same one")]
    Order(&'static str),
    /// A part of a nanosecond.
    #[error("finer than a nanosecond")]
    TooFine,
    /// More than `u64::MAX` ns.
    #[error("longer than 584 years")]
    TooLong,
}

/// Reads a duration in ns: numbers with units, each smaller than the one before
/// (`2m14s`, `1.5s`, `1h2m`, `250us`); a `:` may stand between them, as
/// [`format_time`] writes it.
///
/// # Errors
/// See [`DurationError`]; nothing is ever rounded.
pub fn parse_duration(text: &str) -> Result<u64, DurationError> {
    let (mut total, mut bound, mut rest) = (0_u64, u64::MAX, text);
    loop {
        let number = Decimal::read(rest).ok_or_else(|| DurationError::Number(rest.to_owned()))?;
        let (name, unit, after) = read_unit(number.rest)?;
        if unit >= bound {
            return Err(DurationError::Order(name));
        }
        let part = number.times(unit).ok_or(DurationError::TooLong)?;
        if !part.exact {
            return Err(DurationError::TooFine);
        }
        total = total
            .checked_add(part.value)
            .ok_or(DurationError::TooLong)?;
        if after.is_empty() {
            return Ok(total);
        }
        bound = unit;
        rest = after.strip_prefix(':').unwrap_or(after);
    }
}

fn read_unit(text: &str) -> Result<(&'static str, u64, &str), DurationError> {
    let end = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    UNITS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(name, unit)| (*name, *unit, after))
        .ok_or_else(|| DurationError::Unit(word.to_owned()))
}

/// Shows a duration of `ns` exactly and short: `2m14.003s`, `1h2m`, `250us`, `0s`.
/// [`parse_duration`] reads it back.
#[must_use]
pub fn format_duration(ns: u64) -> String {
    let unit = match ns {
        0 | SECOND.. => SECOND,
        MILLI.. => MILLI,
        MICRO.. => MICRO,
        _ => 1,
    };
    let mut text = String::new();
    for (suffix, part) in [("h", ns / HOUR), ("m", ns % HOUR / MINUTE)] {
        if part > 0 {
            text += &format!("{part}{suffix}");
        }
    }
    let below = ns % MINUTE;
    if below > 0 || text.is_empty() {
        text += &decimal(below, unit);
        text += UNITS
            .iter()
            .find(|(_, known)| *known == unit)
            .map_or("", |(name, _)| name);
    }
    text
}

/// `value / unit` with as many decimals as it takes; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}", value / unit)
}

/// Shows a time as the timeline does, cut (not rounded) to ms: `00m:01.004s`, from the
/// first hour on `1h02m:03.004s`.
#[must_use]
pub fn format_time(time: Timestamp) -> String {
    let ns = time.0;
    let (hours, minutes) = (ns / HOUR, ns % HOUR / MINUTE);
    let (seconds, millis) = (ns % MINUTE / SECOND, ns % SECOND / MILLI);
    let hours = if hours > 0 {
        format!("{hours}h")
    } else {
        String::new()
    };
    format!("{hours}{minutes:02}m:{seconds:02}.{millis:03}s")
}

/// The wall clock at `time` of a session that began at `start_wall`, as RFC 3339 in UTC
/// with nine decimals. Outside the years 0 to 9999, which RFC 3339 cannot tell:
/// `unix:SECONDS.NANOSECONDS`.
#[must_use]
pub fn wall(start_wall: UnixTime, time: Timestamp) -> String {
    let ns = start_wall.as_nanos() + i128::from(time.0);
    let (sec, nsec) = (
        ns.div_euclid(i128::from(SECOND)),
        ns.rem_euclid(i128::from(SECOND)),
    );
    i64::try_from(sec)
        .ok()
        .zip(u32::try_from(nsec).ok())
        .and_then(|(sec, nsec)| DateTime::from_timestamp(sec, nsec))
        .map(|date| date.to_rfc3339_opts(SecondsFormat::Nanos, true))
        .filter(|text| text.as_bytes().first().is_some_and(u8::is_ascii_digit))
        .unwrap_or_else(|| format!("unix:{sec}.{nsec:09}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::{DurationError, format_duration, format_time, parse_duration, wall};
    use crate::model::{Timestamp, UnixTime};
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, ns) in [
            ("2s", 2_000_000_000),
            ("500ms", 500_000_000),
            ("2m14s", 134_000_000_000),
            ("1.5s", 1_500_000_000),
            ("1h2m", 3_720_000_000_000),
            ("250us", 250_000),
            ("250µs", 250_000),
            ("10ns", 10),
            ("0s", 0),
            ("1d", 86_400_000_000_000),
            ("0.123456789s", 123_456_789),
            ("00m:01.004s", 1_004_000_000),
            ("1h02m:03.004s", 3_723_004_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn durations_that_are_refused() {
        use DurationError::{Number, Order, TooFine, TooLong, Unit};
        for (text, error) in [
            ("", Number(String::new())),
            ("2", Unit(String::new())),
            ("2x", Unit("x".into())),
            ("2s5", Unit(String::new())),
            ("2s 5ms", Number(" 5ms".into())),
            ("s", Number("s".into())),
            ("14s2m", Order("m")),
            ("2m2m", Order("m")),
            ("1us1µs", Order("µs")),
            ("1.5ns", TooFine),
            ("1.1234567ms", TooFine),
            ("1.0000000001s", TooFine),
            ("600000d", TooLong),
            ("213503d86400s", TooLong),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_short() {
        for (ns, text) in [
            (0, "0s"),
            (10, "10ns"),
            (1_500, "1.5us"),
            (500_000_000, "500ms"),
            (1_000_000_000, "1s"),
            (134_003_000_000, "2m14.003s"),
            (3_720_000_000_000, "1h2m"),
            (3_600_500_000_000, "1h0.5s"),
        ] {
            assert_eq!(format_duration(ns), text);
        }
    }

    #[test]
    fn times_are_shown_as_in_the_timeline() {
        for (ns, text) in [
            (0, "00m:00.000s"),
            (1_004_999_999, "00m:01.004s"),
            (134_000_000_000, "02m:14.000s"),
            (3_723_004_000_000, "1h02m:03.004s"),
        ] {
            assert_eq!(format_time(Timestamp(ns)), text);
        }
    }

    #[test]
    fn the_wall_clock_has_nine_decimals() {
        let start = |sec, nsec| UnixTime { sec, nsec };
        let shown = |at, ns| wall(at, Timestamp(ns));
        assert_eq!(
            shown(start(1_700_000_000, 999_999_999), 2),
            "2023-11-14T22:13:21.000000001Z"
        );
        assert_eq!(shown(start(-1, 5), 0), "1969-12-31T23:59:59.000000005Z");
        assert_eq!(
            shown(start(i64::MAX, u32::MAX), u64::MAX),
            "unix:9223372055301519885.004518910"
        );
        assert_eq!(
            shown(start(253_402_300_800, 0), 0),
            "unix:253402300800.000000000"
        );
    }

    proptest! {
        #[test]
        fn shown_durations_read_back(ns: u64, shift in 0..64) {
            let ns = ns >> shift;
            prop_assert_eq!(parse_duration(&format_duration(ns)), Ok(ns));
        }

        #[test]
        fn shown_times_read_back_to_the_ms(ns: u64) {
            prop_assert_eq!(parse_duration(&format_time(Timestamp(ns))), Ok(ns / 1_000_000 * 1_000_000));
        }

        #[test]
        fn any_text_is_answered(text: String, near in "[0-9.dhmsun:µ-]{0,12}") {
            let _ = parse_duration(&text);
            let _ = parse_duration(&near);
        }
    }
}
