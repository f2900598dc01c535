//! WHEN: how a user names a state of a session, and which state that is.

mod duration;

use std::fmt;

use chrono::DateTime;

pub use duration::{DurationError, format_duration, format_time, parse_duration, wall};

use crate::model::{Seq, Timestamp, UnixTime, escape};

/// A state of a session as the user named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `start`: before the first event.
    Start,
    /// `latest`: after the last event.
    Latest,
    /// `2m14s`: ns from the start.
    After(u64),
    /// `-5s`: ns before the end.
    BeforeEnd(u64),
    /// `#1234`: after this event.
    Seq(Seq),
    /// An RFC 3339 time.
    Wall(UnixTime),
}

/// What a session spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSpan {
    /// Wall clock at `Timestamp(0)`.
    pub start_wall: UnixTime,
    /// When it ended: the seal's time, or the last event's where there is no seal.
    pub end: Timestamp,
    /// The last event.
    pub last_seq: Seq,
    /// Where it starts: the first state that can be had, and its time.
    pub start: (Seq, Timestamp),
}

/// A state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// After this event.
    Seq(Seq),
    /// After every event with a time at or before this one.
    Time(Timestamp),
}

/// A WHEN that names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// It is not a WHEN.
    #[error("\"{}\" is not a time: {reason}", escape(.text.as_bytes()))]
    Syntax {
        /// What was given.
        text: String,
        /// What is wrong with it, on one line.
        reason: String,
    },
    /// It lies before the start or after the end.
    #[error("{when} is outside the session, which spans {span}")]
    Outside {
        /// What was asked for.
        when: When,
        /// What there is.
        span: SessionSpan,
    },
}

const EXPECTED: &str = "expected start, latest, a duration from the start such as 2m14s, \
    -5s before the end, #1234 or an RFC 3339 time";

impl When {
    /// Reads a WHEN; space around it is ignored.
    ///
    /// # Errors
    /// [`WhenError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, WhenError> {
        let text = text.trim();
        read(text).map_err(|reason| WhenError::Syntax {
            text: text.to_owned(),
            reason,
        })
    }

    /// The state it names in a session.
    ///
    /// # Errors
    /// [`WhenError::Outside`] before the start, after the end or above the last event.
    pub fn resolve(&self, span: &SessionSpan) -> Result<Target, WhenError> {
        self.target(span).ok_or(WhenError::Outside {
            when: *self,
            span: *span,
        })
    }

    fn target(&self, span: &SessionSpan) -> Option<Target> {
        let ns = match *self {
            Self::Start => return Some(Target::Seq(span.start.0)),
            Self::Latest => return Some(Target::Seq(span.last_seq)),
            Self::Seq(seq) => {
                let known = span.start.0 <= seq && seq <= span.last_seq;
                return known.then_some(Target::Seq(seq));
            }
            Self::After(ns) => ns,
            Self::BeforeEnd(ns) => span.end.0.checked_sub(ns)?,
            Self::Wall(time) => u64::try_from(time.as_nanos() - span.start_wall.as_nanos()).ok()?,
        };
        (span.start.1.0 <= ns && ns <= span.end.0).then_some(Target::Time(Timestamp(ns)))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Start => f.write_str("start"),
            Self::Latest => f.write_str("latest"),
            Self::After(ns) => f.write_str(&format_duration(ns)),
            Self::BeforeEnd(ns) => write!(f, "-{}", format_duration(ns)),
            Self::Seq(seq) => write!(f, "#{}", seq.0),
            Self::Wall(time) => f.write_str(&wall(time, Timestamp(0))),
        }
    }
}

impl fmt::Display for SessionSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} to {}, #{} to #{}, {} to {}",
            format_duration(self.start.1.0),
            format_duration(self.end.0),
            self.start.0.0,
            self.last_seq.0,
            wall(self.start_wall, self.start.1),
            wall(self.start_wall, self.end),
        )
    }
}

fn read(text: &str) -> Result<When, String> {
    match text {
        "start" => return Ok(When::Start),
        "latest" => return Ok(When::Latest),
        _ => {}
    }
    if let Some(number) = text.strip_prefix('#') {
        return read_seq(number);
    }
    if let Some(before) = text.strip_prefix('-') {
        return duration(before).map(When::BeforeEnd);
    }
    if is_date(text) {
        return read_wall(text);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return duration(text).map(When::After);
    }
    let near = ["start", "latest"]
        .into_iter()
        .find(|word| strsim::damerau_levenshtein(word, text) <= 2);
    Err(near.map_or_else(
        || EXPECTED.to_owned(),
        |word| format!("did you mean {word}?"),
    ))
}

fn read_seq(number: &str) -> Result<When, String> {
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| number.parse().ok())
        .flatten()
        .map(|number| When::Seq(Seq(number)))
        .ok_or_else(|| "expected the number of an event after #".to_owned())
}

fn duration(text: &str) -> Result<u64, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// Whether it begins like a date rather than a duration: `2026-`.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.get(4) == Some(&b'-') && bytes.iter().take(4).all(u8::is_ascii_digit)
}

fn read_wall(text: &str) -> Result<When, String> {
    let too_fine = text.split('.').nth(1).is_some_and(|fraction| {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit);
        digits.skip(9).any(|digit| digit != b'0')
    });
    if too_fine {
        return Err(DurationError::TooFine.to_string());
    }
    let date = DateTime::parse_from_rfc3339(text).map_err(|error| {
        format!("expected an RFC 3339 time such as 2026-01-31T09:30:00.5Z ({error})")
    })?;
    // A leap second comes as second 59 with 1e9 ns or more.
    let nsec = date.timestamp_subsec_nanos();
    Ok(When::Wall(UnixTime {
        sec: date.timestamp() + i64::from(nsec / 1_000_000_000),
        nsec: nsec % 1_000_000_000,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::{SessionSpan, Target, When, WhenError, wall};
    use crate::model::{Seq, Timestamp, UnixTime};
    use proptest::prelude::*;

    const SPAN: SessionSpan = SessionSpan {
        start: (Seq(0), Timestamp(0)),
        start_wall: UnixTime {
            sec: 1_700_000_000,
            nsec: 500_000_000,
        },
        end: Timestamp(134_003_000_000),
        last_seq: Seq(1234),
    };

    fn at(text: &str) -> Result<Target, WhenError> {
        When::parse(text)?.resolve(&SPAN)
    }

    fn refusal(text: &str) -> String {
        at(text).unwrap_err().to_string()
    }

    #[test]
    fn every_form_names_its_state() {
        let time = |ns| Ok(Target::Time(Timestamp(ns)));
        assert_eq!(at("start"), Ok(Target::Seq(Seq(0))));
        assert_eq!(at(" latest "), Ok(Target::Seq(Seq(1234))));
        assert_eq!(at("#0"), Ok(Target::Seq(Seq(0))));
        assert_eq!(at("#1234"), Ok(Target::Seq(Seq(1234))));
        assert_eq!(at("0s"), time(0));
        assert_eq!(at("2m14.003s"), time(134_003_000_000));
        assert_eq!(at("-0s"), time(134_003_000_000));
        assert_eq!(at("-5s"), time(129_003_000_000));
        assert_eq!(at("-2m14.003s"), time(0));
        assert_eq!(at("2023-11-14T22:13:20.5Z"), time(0));
        assert_eq!(at("2023-11-14T22:13:20.500000001Z"), time(1));
        assert_eq!(at("2023-11-14T23:13:21.5+01:00"), time(1_000_000_000));
        assert_eq!(at("2023-11-14T22:13:20.5000000010000Z"), time(1));
    }

    #[test]
    fn outside_the_session_states_its_range() {
        let range = "0s to 2m14.003s, #0 to #1234, \
            2023-11-14T22:13:20.500000000Z to 2023-11-14T22:15:34.503000000Z";
        for when in [
            "2m14.003000001s",
            "-2m14.003000001s",
            "#1235",
            "2023-11-14T22:13:20.499999999Z",
            "2023-11-14T22:15:34.503000001Z",
        ] {
            let line = format!("{when} is outside the session, which spans {range}");
            assert_eq!(refusal(when), line);
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "expected start, latest, a duration"),
            ("now", "expected start, latest, a duration"),
            ("lates", "did you mean latest?"),
            ("strat", "did you mean start?"),
            (
                "2",
                "expected a unit (d, h, m, s, ms, us or ns) after a number",
            ),
            ("1.5ns", "finer than a nanosecond"),
            ("#", "expected the number of an event"),
            ("#+1", "expected the number of an event"),
            ("#99999999999999999999", "expected the number of an event"),
            ("--5s", "expected a duration"),
            ("2023-11-14", "expected an RFC 3339 time"),
            ("2023-11-14T22:13:20", "expected an RFC 3339 time"),
            ("2023-11-14T22:13:20.0000000001Z", "finer than a nanosecond"),
        ] {
            let shown = refusal(text);
            assert!(
                shown.starts_with(&format!("\"{text}\" is not a time: {reason}")),
                "{shown}"
            );
        }
        assert!(!refusal("\u{1b}[2J\n").chars().any(char::is_control));
    }

    #[test]
    fn a_leap_second_is_the_second_after() {
        assert_eq!(
            When::parse("2016-12-31T23:59:60.25Z"),
            When::parse("2017-01-01T00:00:00.25Z")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text: String, near in "[-#0-9a-zTZ:.+]{0,40}") {
            for text in [text, near] {
                match at(&text) {
                    Ok(_) => {}
                    Err(error) => {
                        let shown = error.to_string();
                        prop_assert!(!shown.chars().any(char::is_control), "{shown}");
                    }
                }
            }
        }

        #[test]
        fn shown_times_read_back(ns: u64, sec in -62_167_219_200..253_402_300_800_i64, nsec in 0..1_000_000_000_u32) {
            let wall = When::Wall(UnixTime { sec, nsec });
            for when in [When::After(ns), When::BeforeEnd(ns), When::Seq(Seq(ns)), wall] {
                prop_assert_eq!(When::parse(&when.to_string()), Ok(when));
            }
        }

        #[test]
        fn a_shown_wall_time_names_its_instant(ns in 0..=SPAN.end.0) {
            let shown = wall(SPAN.start_wall, Timestamp(ns));
            prop_assert_eq!(at(&shown), Ok(Target::Time(Timestamp(ns))));
        }

        #[test]
        fn hostile_spans_are_answered(sec: i64, nsec: u32, end: u64, last: u64, ns: u64) {
            let span = SessionSpan {
                start: (Seq(0), Timestamp(0)),
                start_wall: UnixTime { sec, nsec },
                end: Timestamp(end),
                last_seq: Seq(last),
            };
            let earlier = When::Wall(UnixTime { sec: i64::MIN, nsec: 0 });
            for when in [When::After(ns), When::BeforeEnd(ns), When::Seq(Seq(ns)), earlier] {
                if let Err(error) = when.resolve(&span) {
                    prop_assert!(error.to_string().contains("outside the session"));
                }
            }
        }
    }
}
