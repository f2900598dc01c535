//! Needles: what is looked for in bytes. Every form becomes one regular expression
//! over bytes, with a bound on what it compiles to.

use std::fmt::Write;

use globset::GlobBuilder;
use regex::bytes::{Regex, RegexBuilder};

use crate::model::escape;

/// Something to be found in bytes.
#[derive(Clone, Debug)]
pub struct Needle {
    source: Source,
    regex: Regex,
}

/// What a needle was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Text(Vec<u8>),
    Glob(String),
    Regex(String),
}

/// How the bytes of a text must lie in the bytes it is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Anywhere.
    Inside,
    /// They are the same.
    Whole,
    /// The same, or the beginning up to a `/`.
    Below,
    /// The same, or the end after a `/`.
    Last,
}

/// Most that one needle may compile to, bytes.
const MAX_COMPILED: usize = 1 << 20;

/// Most alternatives (`{`) in a glob; globset walks them by recursion.
const MAX_ALTERNATIVES: usize = 32;

impl Needle {
    /// Whether `bytes` holds it.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }

    /// The bytes looked for, if it is plain text: a reader may then look at a content
    /// piece by piece, each overlapping the one before by this length less one.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Text(bytes) => Some(bytes),
            Source::Glob(_) | Source::Regex(_) => None,
        }
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Plain bytes.
    pub(super) fn new_text(bytes: Vec<u8>, fit: Fit) -> Result<Self, String> {
        let mut pattern = String::from("(?-u)");
        pattern += match fit {
            Fit::Inside => "",
            Fit::Whole | Fit::Below => r"\A",
            Fit::Last => r"(?:\A|/)",
        };
        for byte in &bytes {
            let _ = write!(pattern, r"\x{byte:02x}");
        }
        pattern += match fit {
            Fit::Inside => "",
            Fit::Whole | Fit::Last => r"\z",
            Fit::Below if bytes.is_empty() => "",
            Fit::Below => r"(?:/|\z)",
        };
        let regex = compile(&pattern, false)?;
        Ok(Self {
            source: Source::Text(bytes),
            regex,
        })
    }

    /// A regular expression; with `lines`, `^` and `$` stand for the ends of lines.
    pub(super) fn new_regex(source: &str, lines: bool) -> Result<Self, String> {
        Ok(Self {
            source: Source::Regex(source.to_owned()),
            regex: compile(source, lines)?,
        })
    }

    /// A glob for whole paths, or with [`Fit::Last`] for the last name of a path.
    pub(super) fn new_glob(source: &str, fit: Fit) -> Result<Self, String> {
        check_glob(source)?;
        let anchored = match fit {
            Fit::Last => format!("**/{source}"),
            Fit::Inside | Fit::Whole | Fit::Below => source.to_owned(),
        };
        let glob = GlobBuilder::new(&anchored)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| escape(error.kind().to_string().as_bytes()).to_string())?;
        Ok(Self {
            source: Source::Glob(source.to_owned()),
            regex: compile(glob.regex(), false)?,
        })
    }
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// Refuses what globset would take and then match otherwise than meant: it works on
/// bytes, so a character of several bytes in `[...]` would never match.
fn check_glob(glob: &str) -> Result<(), String> {
    if glob.matches('{').count() > MAX_ALTERNATIVES {
        return Err(format!("more than {MAX_ALTERNATIVES} alternatives"));
    }
    let in_class = glob
        .split('[')
        .skip(1)
        .any(|class| !class.split(']').next().unwrap_or(class).is_ascii());
    if in_class {
        return Err("[...] takes ASCII only: write {ä,ö} for other characters".to_owned());
    }
    Ok(())
}

fn compile(pattern: &str, lines: bool) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .multi_line(lines)
        .dot_matches_new_line(!lines)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "too large: over 1 MiB compiled".to_owned(),
            other => reason(&other.to_string()),
        })
}

/// The last line of an error of the regex crate, which says what is wrong; the lines
/// above it draw where.
fn reason(error: &str) -> String {
    let line = error.lines().last().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    escape(line.as_bytes()).to_string()
}
