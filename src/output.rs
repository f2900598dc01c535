//! The way to stdout and stderr: buffered, coloured by choice, and never with a control
//! byte that a terminal would obey.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anstyle::Style;
use diffkeeper_store::model::escape;
pub(crate) use diffkeeper_viewer::text::{counted, grouped, plain, shorten};

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

/// A path of this machine, escaped.
pub(crate) fn path_text(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::paint;
    use anstyle::AnsiColor;

    #[test]
    fn styles_are_written_by_choice() {
        let red = AnsiColor::Red.on_default();
        assert_eq!(paint(false, red, "x").to_string(), "x");
        assert_eq!(paint(true, red, "x").to_string(), "\u{1b}[31mx\u{1b}[0m");
    }
}
