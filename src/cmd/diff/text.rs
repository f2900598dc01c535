//! Unified text.

use std::borrow::Cow;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use diffkeeper_viewer::text::{compare, harmless};
use similar::ChangeTag;

use crate::error::CliError;
use crate::output::{Output, paint};

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

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn lines_end_at_newlines_only() {
        assert_eq!(count(b"a\rb\n", b"a\rc\n"), (1, 1));
        assert_eq!(count(b"a\nb", b"a\nb\n"), (1, 1));
        assert_eq!(count(b"", b"1\n2\n"), (2, 0));
        assert_eq!(count(b"1\n2\n3\n", b"1\n3\n"), (0, 1));
    }
}
