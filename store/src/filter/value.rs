//! What the values of the keys mean: paths, names, words and numbers.

use super::FilterError;
use super::ast::Field;
use super::error::{hint, shown};
use super::key::Key;
use super::lex::{Form, Value};
use super::needle::{Fit, Needle};
use super::range::{Range, Sign};
use crate::size::parse_bytes;
use crate::when::parse_duration;

type Result<T> = std::result::Result<T, FilterError>;

/// A result that does not yet know where in the filter it stands.
type Made<T> = std::result::Result<T, String>;

pub(super) fn name(bytes: &[u8], fit: Fit) -> Made<Needle> {
    if bytes.is_empty() {
        return Err("an empty name".to_owned());
    }
    if !has_wildcard(bytes) {
        return Needle::new_text(bytes.to_vec(), fit);
    }
    Needle::new_glob(glob_text(bytes)?, fit)
}

/// A path or glob from the top. A glob that ends in `/` means all below.
pub(super) fn path(bytes: &[u8]) -> Made<Needle> {
    if bytes.starts_with(b"/") || bytes.split(|b| *b == b'/').any(|name| name == b"..") {
        return Err("a path is relative to the recorded directory, without ..".to_owned());
    }
    if bytes.is_empty() {
        return Err("an empty path: write . for the recorded directory".to_owned());
    }
    let names: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .collect();
    let mut plain = names.join(&b'/');
    if !has_wildcard(bytes) {
        return Needle::new_text(plain, Fit::Below);
    }
    if bytes.ends_with(b"/") {
        plain.extend_from_slice(b"/**");
    }
    Needle::new_glob(glob_text(&plain)?, Fit::Whole)
}

fn has_wildcard(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| b"*?[{}\\".contains(byte))
}

fn glob_text(bytes: &[u8]) -> Made<&str> {
    str::from_utf8(bytes).map_err(|_| {
        "a pattern with wildcards must be UTF-8: use /(?-u:\\xff)/ for other bytes".to_owned()
    })
}

/// Words split by commas, sorted, each once.
pub(super) fn list<T: Copy + Ord>(
    value: &Value,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<Vec<T>> {
    let words: Vec<&'static str> = all.iter().map(|item| word(*item)).collect();
    let text = value.text().unwrap_or_default();
    let mut found = text
        .split(',')
        .map(|part| {
            let known = all.iter().copied().find(|item| word(*item) == part);
            known.ok_or_else(|| {
                let message = format!("unknown word {}: {}", shown(part), hint(part, &words));
                value.error(message)
            })
        })
        .collect::<Result<Vec<T>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A pid written as a bare number; quotes make it a name.
pub(super) fn bare_number(value: &Value) -> Option<Result<u32>> {
    match value.form {
        Form::Bare(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            let pid = text.parse().ok();
            Some(pid.ok_or_else(|| value.error(format!("{} is not a pid", shown(text)))))
        }
        _ => None,
    }
}

pub(super) fn range(field: Field, sign: Sign, value: &Value) -> Result<Range> {
    let text = value
        .text()
        .ok_or_else(|| value.error(format!("{} takes a number", Key::Number(field).word())))?;
    match text.split_once("..") {
        Some(_) if sign.is_order() => Err("a range a..b goes with : or = or !=".to_owned()),
        Some(ends) => between(field, ends),
        None => number(field, text).and_then(|bound| {
            Range::compare(sign, bound)
                .ok_or_else(|| "no number is below 0 or above the largest".to_owned())
        }),
    }
    .map_err(|message| value.error(message))
}

/// The range between two ends, of which one may be empty.
fn between(field: Field, ends: (&str, &str)) -> Made<Range> {
    let (first, last) = match ends {
        ("", "") => return Err("a range has at least one end: a..b, a.. or ..b".to_owned()),
        ("", last) => (0, number(field, last)?),
        (first, "") => (number(field, first)?, u64::MAX),
        (first, last) => (number(field, first)?, number(field, last)?),
    };
    Range::new(first, last).ok_or_else(|| "the range ends before it begins".to_owned())
}

fn number(field: Field, text: &str) -> Made<u64> {
    match field {
        Field::Size | Field::Len | Field::Offset => {
            parse_bytes(text).map_err(|error| error.to_string())
        }
        Field::Time => parse_duration(text).map_err(|error| error.to_string()),
        Field::Seq => digits(text.strip_prefix('#').unwrap_or(text)),
        Field::Pid | Field::Uid => digits(text),
    }
}

fn digits(text: &str) -> Made<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("expected a number, found {}", shown(text)))
}
