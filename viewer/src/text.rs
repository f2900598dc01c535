//! Text as terminals may be shown it: without bytes that one would obey, cut to its
//! place, numbers with separators; and the comparison of lines.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use diffkeeper_store::model::escape;
use similar::TextDiff;

/// After this long the rest is shown as replaced: exact still, only not the shortest.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lines of both sides, compared. A line ends at a newline and nowhere else.
pub fn compare<'a>(old: &'a [u8], new: &'a [u8]) -> TextDiff<'a, 'a, [u8]> {
    let lines = |bytes: &'a [u8]| bytes.split_inclusive(|b| *b == b'\n').collect::<Vec<_>>();
    TextDiff::configure()
        .timeout(PATIENCE)
        .diff_slices(&lines(old), &lines(new))
}

/// A text without control characters, on one line. Unlike [`escape`] it leaves
/// backslashes alone, so that what is escaped already stays as it is.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => shown.push('\\'),
            c => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "{}", escape(c.encode_utf8(&mut [0; 4]).as_bytes()));
            }
        }
    }
    shown
}

/// `text`, cut to `max` characters with a sign that it was.
#[must_use]
pub fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A whole number with separators: `58,113`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 event`, `1,204 events`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number))
}

/// A line as it is if no terminal would obey it (tabs are fine), else all of it escaped.
#[must_use]
pub fn harmless(line: &[u8]) -> Cow<'_, str> {
    let plain = |text: &str| {
        text.chars().all(|c| {
            matches!(c, '\t' | '\\' | ' '..='~')
                || (!c.is_ascii() && {
                    let shown = escape(c.encode_utf8(&mut [0; 4]).as_bytes()).to_string();
                    !shown.starts_with('\\')
                })
        })
    };
    match std::str::from_utf8(line) {
        Ok(text) if plain(text) => Cow::Borrowed(text),
        _ => Cow::Owned(escape(line).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped, harmless, plain, shorten};

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 58_113, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "58,113", "1,234,567"]);
        assert_eq!(counted(1, "gap"), "1 gap");
        assert_eq!(counted(0, "gap"), "0 gaps");
    }

    #[test]
    fn only_what_is_harmful_is_escaped() {
        for kept in ["let s = \"a\\n\";", "\tindented", "größe \u{1f600}", ""] {
            assert_eq!(harmless(kept.as_bytes()), kept);
        }
        assert_eq!(harmless(b"\x1b[2J\t\\"), "\\x1b[2J\\t\\\\");
        assert_eq!(harmless(b"cr\r"), "cr\\r");
        assert_eq!(harmless(b"\xff"), "\\xff");
        assert_eq!(harmless("\u{9b}2J".as_bytes()), "\\u{9b}2J");
    }

    #[test]
    fn messages_are_one_harmless_line() {
        assert_eq!(plain("a\n\u{1b}[2J\u{202e}"), "a\\n\\x1b[2J\\u{202e}");
        assert_eq!(plain("already \\x1b"), "already \\x1b");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("größe", 3), "grö...");
        assert_eq!(shorten("größe", 5), "größe");
    }
}
