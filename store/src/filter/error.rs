//! What is said about a text that is no filter.

use crate::model::escape;

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {at} of the filter)")]
pub struct FilterError {
    /// Where, in bytes from the start of the text.
    pub at: usize,
    /// What was expected, on one line without control characters.
    pub message: String,
}

impl FilterError {
    /// `message` may hold the user's bytes only through [`shown`].
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { at, message }
    }
}

/// A piece of the user's text for a message: escaped, in quotes, at most 40 characters.
pub(super) fn shown(text: &str) -> String {
    const MAX: usize = 40;
    let short: String = text.chars().take(MAX).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    format!("\"{}{more}\"", escape(short.as_bytes()))
}

/// The known word nearest to a mistyped one, if any is near enough to be meant.
pub(super) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let allowed = if word.len() < 4 { 1 } else { 2 };
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, &word), *candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// "did you mean x?" or else "expected one of all, known, words".
pub(super) fn hint(word: &str, known: &[&'static str]) -> String {
    nearest(word, known).map_or_else(
        || format!("expected one of {}", known.join(", ")),
        |near| format!("did you mean {near}?"),
    )
}
