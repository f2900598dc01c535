//! The content pane as data: what was asked, and the page that answers it. All texts of a
//! page are harmless.

use diffkeeper_store::model::{FileId, Seq, TracePath};

/// How a content is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PageView {
    /// Lines that went and came, one below the other.
    #[default]
    Inline,
    /// Both versions beside one another.
    Side,
    /// Rows of bytes.
    Hex,
    /// The content alone.
    Raw,
}

impl PageView {
    /// All, in the order in which a key goes through them.
    pub const ALL: [Self; 4] = [Self::Inline, Self::Side, Self::Hex, Self::Raw];

    /// The word that users read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Side => "side",
            Self::Hex => "hex",
            Self::Raw => "raw",
        }
    }

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Inline => Self::Side,
            Self::Side => Self::Hex,
            Self::Hex => Self::Raw,
            Self::Raw => Self::Inline,
        }
    }
}

/// What a content is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The version before.
    Previous,
    /// The state at a mark.
    Mark(char, Seq),
}

/// A page that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAsk {
    /// The state.
    pub seq: Seq,
    /// The file; `None` for that of the event.
    pub file: Option<(FileId, TracePath)>,
    /// How.
    pub view: PageView,
    /// Compared with what.
    pub base: Base,
    /// Lines around a change.
    pub context: usize,
    /// First byte of a long content; `None`: where it was changed.
    pub start: Option<u64>,
    /// Whether a long content is wanted whole.
    pub all: bool,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The file that is shown, if any.
    pub file: Option<(FileId, TracePath)>,
    /// Its name, or what the event was.
    pub title: String,
    /// `v3 of 3`, or nothing.
    pub version: String,
    /// `captured`, `observed`, `not recorded`, or nothing.
    pub known: String,
    /// Lines that came and went, where they are known.
    pub counts: Option<(usize, usize)>,
    /// How it is really shown.
    pub view: PageView,
    /// What is to be known of it: who wrote it, which attributes changed.
    pub facts: Vec<String>,
    /// The content.
    pub body: Body,
    /// The part of a long content that is shown.
    pub window: Option<Window>,
}

/// A part of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Bytes of the whole content.
    pub total: u64,
}

/// The lines of a page.
#[derive(Clone, Debug)]
pub enum Body {
    /// One below the other.
    Lines(Vec<Line>),
    /// Beside one another.
    Side(Vec<(Option<Line>, Option<Line>)>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

impl Body {
    /// Rows of it.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.len(),
            Self::Side(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row belongs to a change.
    #[must_use]
    pub fn is_change(&self, row: usize) -> bool {
        let changed = |line: &Line| matches!(line.tag, Tag::Added | Tag::Removed);
        match self {
            Self::Lines(lines) => lines.get(row).is_some_and(changed),
            Self::Side(rows) => rows.get(row).is_some_and(|(left, right)| {
                left.as_ref().is_some_and(changed) || right.as_ref().is_some_and(changed)
            }),
        }
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// In both versions.
    Same,
    /// Only in the new one.
    Added,
    /// Only in the old one.
    Removed,
    /// Not of the content: where a hunk begins, what is left out.
    Note,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub tag: Tag,
    /// Its number, or the offset of a row of bytes; none for what a line goes on with.
    pub number: Option<u64>,
    /// Its text.
    pub spans: Vec<Span>,
}

impl Line {
    /// A line that is not of the content.
    #[must_use]
    pub fn note(text: impl Into<String>) -> Self {
        Self {
            tag: Tag::Note,
            number: None,
            spans: vec![Span::plain(text)],
        }
    }

    /// All of its text.
    #[must_use]
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// A piece of a line in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Whether this is the part of the line that differs.
    pub strong: bool,
    /// What it is in its language.
    pub class: Class,
}

impl Span {
    /// Without any style.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            strong: false,
            class: Class::Plain,
        }
    }
}

/// What a piece of text is in its language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing special.
    #[default]
    Plain,
    /// A comment.
    Comment,
    /// A text or a character.
    Text,
    /// A number or another constant.
    Constant,
    /// A keyword.
    Keyword,
    /// A type, a tag, a section.
    Type,
    /// A function, a key.
    Name,
}
