//! From tree to text: the normalised form of a filter.

use std::fmt;

use super::Filter;
use super::ast::{Expr, Field, Known, Term};
use super::key::Key;
use super::needle::{Needle, Source};
use super::range::Range;
use crate::model::{GapReason, OpKind, Stream, escape};
use crate::size::exact_bytes;
use crate::when::format_duration;

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root
            .as_ref()
            .map_or(Ok(()), |root| fmt::Display::fmt(root, f))
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(parts) => joined(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::And(parts) => joined(f, parts, " ", |part| {
                matches!(part, Self::Or(_) | Self::And(_))
            }),
            Self::Not(inner) if matches!(**inner, Self::Term(_)) => write!(f, "not {inner}"),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Term(term) => term.fmt(f),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expr],
    between: &str,
    needs_parentheses: fn(&Expr) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        if needs_parentheses(part) {
            write!(f, "({part})")?;
        } else {
            fmt::Display::fmt(part, f)?;
        }
    }
    Ok(())
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(needle) => write_needle(f, needle),
            Self::Path(needle) => keyed(f, Key::Path, needle),
            Self::Comm(needle) => keyed(f, Key::Comm, needle),
            Self::Exe(needle) => keyed(f, Key::Exe, needle),
            Self::Ancestor(needle) => keyed(f, Key::Ancestor, needle),
            Self::AncestorPid(pid) => write!(f, "{}:{pid}", Key::Ancestor.word()),
            Self::Content(needle) => keyed(f, Key::Content, needle),
            Self::Number(field, range) => write_range(f, *field, *range),
            Self::Op(list) => write_list(f, Key::Op, list, OpKind::word),
            Self::Stream(list) => write_list(f, Key::Stream, list, Stream::word),
            Self::Reason(list) => write_list(f, Key::Reason, list, GapReason::word),
            Self::Known(list) => write_list(f, Key::Known, list, Known::word),
        }
    }
}

fn keyed(f: &mut fmt::Formatter<'_>, key: Key, needle: &Needle) -> fmt::Result {
    write!(f, "{}:", key.word())?;
    match needle.source() {
        Source::Text(bytes) if bytes.is_empty() => f.write_str("."),
        _ => write_needle(f, needle),
    }
}

fn write_needle(f: &mut fmt::Formatter<'_>, needle: &Needle) -> fmt::Result {
    match needle.source() {
        Source::Regex(source) => write!(f, "/{source}/"),
        Source::Glob(source) if is_plain(source.as_bytes(), b"*?[]{}") => f.write_str(source),
        Source::Text(bytes) if is_plain(bytes, b"") => write!(f, "{}", escape(bytes)),
        Source::Glob(source) => write_quoted(f, source.as_bytes()),
        Source::Text(bytes) => write_quoted(f, bytes),
    }
}

/// Whether bytes can stand without quotes, before or after any key, and mean the same.
fn is_plain(bytes: &[u8], wildcards: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/+,@%-".contains(byte);
    let keyword = ["and", "or", "not"]
        .iter()
        .any(|word| bytes.eq_ignore_ascii_case(word.as_bytes()));
    bytes
        .iter()
        .all(|byte| plain(byte) || wildcards.contains(byte))
        && !bytes.iter().all(u8::is_ascii_digit)
        && !bytes.starts_with(b"-")
        && !bytes.starts_with(b"/")
        && !keyword
}

fn write_quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let text = escape(bytes).to_string().replace('"', "\\\"");
    write!(f, "\"{text}\"")
}

fn write_list<T: Copy>(
    f: &mut fmt::Formatter<'_>,
    key: Key,
    list: &[T],
    word: fn(T) -> &'static str,
) -> fmt::Result {
    let words: Vec<_> = list.iter().map(|item| word(*item)).collect();
    write!(f, "{}:{}", key.word(), words.join(","))
}

fn write_range(f: &mut fmt::Formatter<'_>, field: Field, range: Range) -> fmt::Result {
    let word = Key::Number(field).word();
    let (first, last) = (range.first(), range.last());
    match (first, last) {
        _ if first == last => write!(f, "{word}={}", number(field, first)),
        (_, u64::MAX) => write!(f, "{word}>={}", number(field, first)),
        (0, _) => write!(f, "{word}<={}", number(field, last)),
        _ => write!(
            f,
            "{word}:{}..{}",
            number(field, first),
            number(field, last)
        ),
    }
}

fn number(field: Field, number: u64) -> String {
    match field {
        Field::Size | Field::Len | Field::Offset => exact_bytes(number),
        Field::Time => format_duration(number),
        Field::Seq => format!("#{number}"),
        Field::Pid | Field::Uid => number.to_string(),
    }
}
