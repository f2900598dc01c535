//! The way to stdout and stderr: buffered, coloured by choice, and never with a control
//! byte that a terminal would obey.

use std::fmt::{self, Display, Write as _};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anstyle::Style;
use diffkeeper_store::model::escape;

use crate::config::Config;
use crate::error::CliError;

/// Where results go: stdout, held for the length of a command.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    color: bool,
}

impl Output {
    /// Takes stdout.
    pub(crate) fn new(config: &Config) -> Self {
        Self::to(Box::new(io::stdout().lock()), config.color)
    }

    /// Takes another place to write to.
    pub(crate) fn to(out: Box<dyn Write>, color: bool) -> Self {
        let out = BufWriter::with_capacity(64 * 1024, out);
        Self { out, color }
    }

    /// Whether styles are written.
    pub(crate) const fn color(&self) -> bool {
        self.color
    }

    /// Writes what is held back, so that what follows on stderr stands after it.
    ///
    /// # Errors
    /// A closed pipe above all.
    pub(crate) fn finish(mut self) -> Result<(), CliError> {
        Ok(self.out.flush()?)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Shows `text` in a style, or plainly.
pub(crate) fn paint<T: Display>(color: bool, style: Style, text: T) -> impl Display {
    let style = if color { style } else { Style::new() };
    fmt::from_fn(move |f| write!(f, "{style}{text}{style:#}"))
}

/// Says something beside the result, unless the user wants quiet.
pub(crate) fn note(config: &Config, text: impl Display) {
    if !config.quiet {
        warn(text);
    }
}

/// Says something that the user must know.
pub(crate) fn warn(text: impl Display) {
    // There is nobody left to tell if stderr fails.
    let _ = writeln!(io::stderr(), "{}", plain(&text.to_string()));
}

/// A text without control characters, on one line. Unlike [`escape`] it leaves
/// backslashes alone, so that what is escaped already stays as it is.
pub(crate) fn plain(text: &str) -> String {
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

/// A path of this machine, escaped.
pub(crate) fn path_text(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).to_string()
}

/// `text`, cut to `max` characters with a sign that it was.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A whole number with separators: `58,113`.
pub(crate) fn grouped(number: u64) -> String {
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
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped, paint, plain, shorten};
    use anstyle::AnsiColor;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 58_113, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "58,113", "1,234,567"]);
        assert_eq!(counted(1, "gap"), "1 gap");
        assert_eq!(counted(0, "gap"), "0 gaps");
    }

    #[test]
    fn styles_are_written_by_choice() {
        let red = AnsiColor::Red.on_default();
        assert_eq!(paint(false, red, "x").to_string(), "x");
        assert_eq!(paint(true, red, "x").to_string(), "\u{1b}[31mx\u{1b}[0m");
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
