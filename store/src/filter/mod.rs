//! Filters: one grammar to choose events by, in every command and in the viewer.
//!
//! ```text
//! filter = or ;  or = and { "or" and } ;  and = not { ["and"] not } ;
//! not    = { "not" | "-" } ( "(" or ")" | KEY op value | value ) ;
//! op     = ":" | "=" | "!=" | ">" | ">=" | "<" | "<=" ;
//! value  = word | '"' text with escapes '"' | "/" regular expression "/" ;
//! ```
//!
//! | key | value |
//! |---|---|
//! | `path` | glob from the top of the trace (`*` and `?` stay within a name, `**` does not); without wildcards a path and all below it; or a regex. The old or the new name of a rename |
//! | `op` | words of [`OpKind`](crate::model::OpKind), split by commas |
//! | `comm`, `exe` | name or glob or regex; an `exe` without `/` is the file name of the program |
//! | `ancestor` | pid, or as `comm`; of the process that acted or of any above it, by the recorded parents: a process with all its descendants |
//! | `pid`, `uid`, `size`, `len`, `offset`, `t`, `seq` | number, range `a..b` with both ends included, `a..`, `..b`, or a comparison |
//! | `provenance` (`prov`) | `captured`, `observed`, `missing`, split by commas |
//! | `reason`, `stream` | words of [`GapReason`](crate::model::GapReason), [`Stream`](crate::model::Stream), split by commas |
//! | `content` | text, or regex with `^` and `$` at lines, in the file as the event left it, or in the bytes of an output |
//! | none | text, or regex as above, in the path, or in the bytes of an output or marker |
//!
//! An event that lacks what a term asks for (no process, no size, unknown content) does
//! not match the term, and so matches its `not`.

mod ast;
mod error;
mod eval;
mod key;
mod lex;
mod needle;
mod parse;
mod range;
mod show;
#[cfg(test)]
mod tests;
mod value;

pub use ast::Known;
pub use error::FilterError;
pub use eval::Subject;
pub use needle::Needle;

use crate::model::{Seq, Timestamp};
use ast::{Expr, Field};

/// A parsed filter. Its `Display` is a normalised text that parses to an equal filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// `None` matches every event.
    root: Option<Expr>,
}

impl Filter {
    /// Longest text taken, bytes.
    pub const MAX_LEN: usize = 8 * 1024;
    /// Deepest nesting of parentheses.
    pub const MAX_DEPTH: usize = 64;
    /// Most texts, globs and regular expressions, each compiled to at most 1 MiB.
    pub const MAX_NEEDLES: usize = 64;

    /// Reads a filter; an empty text matches every event.
    ///
    /// # Errors
    /// [`FilterError`] for what is not in the grammar or above the limits.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let root = parse::parse(text)?;
        Ok(Self { root })
    }

    /// Whether an event matches. Terms that cost little to know are asked first,
    /// content last, and none once the answer stands.
    ///
    /// # Errors
    /// What the subject could not look up.
    pub fn matches<S: Subject + ?Sized>(&self, subject: &S) -> Result<bool, S::Error> {
        self.root
            .as_ref()
            .map_or(Ok(true), |root| root.matches(subject))
    }

    /// Whether it holds no term, so that every event matches.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Whether contents may have to be rebuilt to tell.
    #[must_use]
    pub fn needs_content(&self) -> bool {
        self.root.as_ref().is_some_and(Expr::needs_content)
    }

    /// Whether every term asks only who acted (`pid`, `uid`, `comm`, `exe`, `ancestor`),
    /// so that the answer is the same for all events of a process. So it is without terms.
    #[must_use]
    pub fn asks_only_who(&self) -> bool {
        self.root.as_ref().is_none_or(Expr::asks_only_who)
    }

    /// First and last time at which an event can match, both included; `None` if the
    /// filter does not say. Events inside need not match. The first is never above the
    /// last.
    #[must_use]
    pub fn time_bounds(&self) -> Option<(Timestamp, Timestamp)> {
        let range = self.root.as_ref()?.bounds(Field::Time)?;
        Some((Timestamp(range.first()), Timestamp(range.last())))
    }

    /// As [`Filter::time_bounds`], of positions.
    #[must_use]
    pub fn seq_bounds(&self) -> Option<(Seq, Seq)> {
        let range = self.root.as_ref()?.bounds(Field::Seq)?;
        Some((Seq(range.first()), Seq(range.last())))
    }
}
