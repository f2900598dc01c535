//! Unified text.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use diffkeeper_store::model::escape;
use similar::{ChangeTag, TextDiff};

use crate::error::CliError;
use crate::output::{Output, paint};

/// After this long the rest is shown as replaced: exact still, only not the shortest.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lines of both sides, compared. A line ends at a newline and nowhere else.
pub(super) fn compare<'a>(old: &'a [u8], new: &'a [u8]) -> TextDiff<'a, 'a, [u8]> {
    let lines = |bytes: &'a [u8]| bytes.split_inclusive(|b| *b == b'\n').collect::<Vec<_>>();
    TextDiff::configure()
        .timeout(PATIENCE)
        .diff_slices(&lines(old), &lines(new))
}

/// Lines that came and went.
pub(super) fn count(old: &[u8], new: &[u8]) -> (u64, u64) {
    let diff = compare(old, new);
    let tags = diff.iter_all_changes().map(|change| change.tag());
    tags.fold((0, 0), |(added, removed), tag| match tag {
        ChangeTag::Insert => (added + 1, removed),
        ChangeTag::Delete => (added, removed + 1),
        ChangeTag::Equal => (added, removed),
    })
}

/// Writes the hunks; returns how many lines had to be escaped.
///
/// # Errors
/// Those of `output`.
pub(super) fn write(
    old: &[u8],
    new: &[u8],
    context: usize,
    output: &mut Output,
) -> Result<u64, CliError> {
    let (color, mut escaped) = (output.color(), 0);
    let diff = compare(old, new);
    let mut unified = diff.unified_diff();
    for hunk in unified.context_radius(context).iter_hunks() {
        let header = paint(color, AnsiColor::Cyan.on_default(), hunk.header()).to_string();
        writeln!(output, "{header}")?;
        for change in hunk.iter_changes() {
            let (mark, style) = match change.tag() {
                ChangeTag::Delete => ('-', AnsiColor::Red.on_default()),
                ChangeTag::Insert => ('+', AnsiColor::Green.on_default()),
                ChangeTag::Equal => (' ', Style::new()),
            };
            let whole = change.value();
            let line = whole.strip_suffix(b"\n").unwrap_or(whole);
            let shown = harmless(line);
            escaped += u64::from(matches!(shown, Cow::Owned(_)));
            let line = paint(color, style, format_args!("{mark}{shown}")).to_string();
            writeln!(output, "{line}")?;
            if !whole.ends_with(b"\n") {
                writeln!(output, "\\ No newline at end of file")?;
            }
        }
    }
    Ok(escaped)
}

/// A line as it is if no terminal would obey it (tabs are fine), else all of it escaped.
fn harmless(line: &[u8]) -> Cow<'_, str> {
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
    use super::{count, harmless};

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
    fn lines_end_at_newlines_only() {
        assert_eq!(count(b"a\rb\n", b"a\rc\n"), (1, 1));
        assert_eq!(count(b"a\nb", b"a\nb\n"), (1, 1));
        assert_eq!(count(b"", b"1\n2\n"), (2, 0));
        assert_eq!(count(b"1\n2\n3\n", b"1\n3\n"), (0, 1));
    }
}
