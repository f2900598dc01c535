//! The keys of the grammar.

use super::ast::Field;

/// What stands before the sign of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Path,
    Op,
    Comm,
    Exe,
    Ancestor,
    Known,
    Reason,
    Stream,
    Content,
    Number(Field),
}

impl Key {
    /// The spellings; the first one of a key is the one shown.
    const SPELLINGS: [(&'static str, Self); 18] = [
        ("path", Self::Path),
        ("op", Self::Op),
        ("pid", Self::Number(Field::Pid)),
        ("comm", Self::Comm),
        ("exe", Self::Exe),
        ("ancestor", Self::Ancestor),
        ("uid", Self::Number(Field::Uid)),
        ("size", Self::Number(Field::Size)),
        ("len", Self::Number(Field::Len)),
        ("offset", Self::Number(Field::Offset)),
        ("t", Self::Number(Field::Time)),
        ("time", Self::Number(Field::Time)),
        ("seq", Self::Number(Field::Seq)),
        ("provenance", Self::Known),
        ("prov", Self::Known),
        ("reason", Self::Reason),
        ("stream", Self::Stream),
        ("content", Self::Content),
    ];

    /// Every spelling.
    pub(super) fn words() -> Vec<&'static str> {
        Self::SPELLINGS.iter().map(|(word, _)| *word).collect()
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::SPELLINGS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, key)| *key)
    }

    pub(super) fn word(self) -> &'static str {
        Self::SPELLINGS
            .iter()
            .find(|(_, key)| *key == self)
            .map_or("", |(word, _)| word)
    }
}
