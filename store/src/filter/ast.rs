//! The tree of a filter, and what can be told of it without an event.

use super::needle::Needle;
use super::range::Range;
use crate::model::{GapReason, OpKind, Provenance, Repr, Stream, Version};

/// How much is known of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Known {
    /// Exactly, and in order: see [`Provenance::Captured`].
    Captured,
    /// As it was read afterwards: see [`Provenance::Observed`].
    Observed,
    /// Not at all: see [`Repr::Missing`].
    Missing,
}

impl Known {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Captured, Self::Observed, Self::Missing];

    /// How much is known of a version.
    #[must_use]
    pub const fn of(version: &Version) -> Self {
        match (&version.repr, version.provenance) {
            (Repr::Missing(_), _) => Self::Missing,
            (_, Provenance::Captured) => Self::Captured,
            (_, Provenance::Observed) => Self::Observed,
        }
    }

    /// The word users read and type.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Captured => Provenance::Captured.word(),
            Self::Observed => Provenance::Observed.word(),
            Self::Missing => "missing",
        }
    }
}

/// What a filter asks. Lists have two entries or more, stand in order of cost, and no
/// list or `Not` stands directly in one of its own kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Term(Term),
}

/// A single question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Word(Needle),
    Path(Needle),
    Comm(Needle),
    Exe(Needle),
    Ancestor(Needle),
    AncestorPid(u32),
    Content(Needle),
    Number(Field, Range),
    Op(Vec<OpKind>),
    Stream(Vec<Stream>),
    Reason(Vec<GapReason>),
    Known(Vec<Known>),
}

/// What a number may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Pid,
    Uid,
    Size,
    Len,
    Offset,
    Time,
    Seq,
}

/// What it takes to answer, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// The event alone.
    Event,
    /// Its process, and nothing else.
    Process,
    /// A name, node or version record.
    Record,
    /// Its process and those above, and nothing else.
    Ancestors,
    /// A rebuilt content.
    Content,
}

impl Expr {
    /// All of `parts`; a single one stands for itself. `None` if there is none.
    pub(super) fn all(parts: Vec<Self>) -> Option<Self> {
        let parts = parts.into_iter().flat_map(|part| match part {
            Self::And(inner) => inner,
            other => vec![other],
        });
        combine(parts.collect(), Self::And)
    }

    /// Any of `parts`; a single one stands for itself. `None` if there is none.
    pub(super) fn any(parts: Vec<Self>) -> Option<Self> {
        let parts = parts.into_iter().flat_map(|part| match part {
            Self::Or(inner) => inner,
            other => vec![other],
        });
        combine(parts.collect(), Self::Or)
    }

    /// The opposite.
    pub(super) fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub(super) fn cost(&self) -> Cost {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().map(Self::cost).max().unwrap_or(Cost::Event)
            }
            Self::Not(inner) => inner.cost(),
            Self::Term(term) => term.cost(),
        }
    }

    pub(super) fn needs_content(&self) -> bool {
        self.cost() == Cost::Content
    }

    pub(super) fn asks_only_who(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().all(Self::asks_only_who),
            Self::Not(inner) => inner.asks_only_who(),
            Self::Term(term) => matches!(term.cost(), Cost::Process | Cost::Ancestors),
        }
    }

    /// Where `field` must lie for the expression to hold; `None` if anywhere. A `Not`
    /// is not looked into.
    pub(super) fn bounds(&self, field: Field) -> Option<Range> {
        match self {
            Self::And(parts) => parts
                .iter()
                .filter_map(|part| part.bounds(field))
                .reduce(Range::meet),
            Self::Or(parts) => parts
                .iter()
                .map(|part| part.bounds(field))
                .reduce(|one, other| Some(one?.join(other?)))?,
            Self::Term(Term::Number(of, range)) if *of == field => Some(*range),
            Self::Not(_) | Self::Term(_) => None,
        }
    }
}

fn combine(mut parts: Vec<Expr>, list: fn(Vec<Expr>) -> Expr) -> Option<Expr> {
    parts.sort_by_key(Expr::cost);
    if parts.len() > 1 {
        Some(list(parts))
    } else {
        parts.pop()
    }
}

impl Term {
    const fn cost(&self) -> Cost {
        match self {
            Self::Op(_) | Self::Stream(_) | Self::Reason(_) => Cost::Event,
            Self::Number(field, _) => field.cost(),
            Self::Comm(_) | Self::Exe(_) => Cost::Process,
            Self::Word(_) | Self::Path(_) | Self::Known(_) => Cost::Record,
            Self::Ancestor(_) | Self::AncestorPid(_) => Cost::Ancestors,
            Self::Content(_) => Cost::Content,
        }
    }
}

impl Field {
    const fn cost(self) -> Cost {
        match self {
            Self::Len | Self::Offset | Self::Time | Self::Seq => Cost::Event,
            Self::Pid | Self::Uid => Cost::Process,
            Self::Size => Cost::Record,
        }
    }
}
