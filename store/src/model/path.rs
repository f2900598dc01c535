//! Paths of a trace: bytes, relative to the top, `/` between names; and the escaping
//! that every terminal output goes through.

use std::fmt;

/// A path relative to the top of a trace; empty for the top itself.
pub type TracePath = Vec<u8>;

/// Shows bytes so that no control byte reaches a terminal: valid UTF-8 stays as it is,
/// save control characters, bidirectional overrides and backslashes, which become
/// `\n`, `\t`, `\\`, `\x1b` or `\u{202e}`; other bytes become `\xff`.
#[must_use]
pub fn escape(bytes: &[u8]) -> Escaped<'_> {
    Escaped(bytes)
}

/// See [`escape`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| write_char(f, c))?;
            chunk
                .invalid()
                .iter()
                .try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    use fmt::Write;
    match c {
        '\n' => f.write_str("\\n"),
        '\t' => f.write_str("\\t"),
        '\r' => f.write_str("\\r"),
        '\\' => f.write_str("\\\\"),
        c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c)),
        c if c.is_control() || is_format(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
        c => f.write_char(c),
    }
}

/// Characters that change how their neighbours are shown, or show nothing.
const fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{61c}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn control_bytes_never_pass() {
        let hostile: Vec<u8> = (0..=255).collect();
        let shown = escape(&hostile).to_string();
        assert!(shown.chars().all(|c| !c.is_control()), "{shown}");
        assert_eq!(escape(b"\x1b[2J").to_string(), "\\x1b[2J");
        assert_eq!(escape("a\u{202e}b".as_bytes()).to_string(), "a\\u{202e}b");
        assert_eq!(escape("\u{9b}2J".as_bytes()).to_string(), "\\u{9b}2J");
    }

    #[test]
    fn plain_text_stays() {
        assert_eq!(
            escape("src/größe.rs".as_bytes()).to_string(),
            "src/größe.rs"
        );
        assert_eq!(escape(b"a\\b\xff").to_string(), "a\\\\b\\xff");
    }
}
