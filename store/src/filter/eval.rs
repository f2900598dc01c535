//! Asking a filter's questions of an event.

use std::borrow::Cow;

use super::ast::{Expr, Field, Known, Term};
use super::needle::Needle;
use super::range::Range;
use crate::model::{Event, Op, Process};

/// What a reader knows of one event. Everything beside the event itself is asked for
/// only when the answer depends on it.
pub trait Subject {
    /// What goes wrong when the reader looks something up.
    type Error;

    /// The event.
    fn event(&self) -> &Event;

    /// The path it concerns, relative to the top: the old name of a rename, the path of
    /// a gap; `None` where there is no path.
    ///
    /// # Errors
    /// The reader's.
    fn path(&self) -> Result<Option<Cow<'_, [u8]>>, Self::Error>;

    /// The new path of a rename.
    ///
    /// # Errors
    /// The reader's.
    fn to(&self) -> Result<Option<Cow<'_, [u8]>>, Self::Error>;

    /// The process that acted, where it is known.
    ///
    /// # Errors
    /// The reader's.
    fn process(&self) -> Result<Option<&Process>, Self::Error>;

    /// The recorded processes above that one, itself not included.
    ///
    /// # Errors
    /// The reader's.
    fn ancestors(&self) -> Result<Vec<&Process>, Self::Error>;

    /// Length of the file after the event, bytes. Not asked for the operations that
    /// carry it.
    ///
    /// # Errors
    /// The reader's.
    fn size(&self) -> Result<Option<u64>, Self::Error>;

    /// How the content that the event left is known; `None` where it left none.
    ///
    /// # Errors
    /// The reader's.
    fn known(&self) -> Result<Option<Known>, Self::Error>;

    /// Whether the content of the file after the event holds the needle; `false` where
    /// there is no file or no known content. Not asked for output.
    ///
    /// # Errors
    /// The reader's.
    fn content_matches(&self, needle: &Needle) -> Result<bool, Self::Error>;
}

impl Expr {
    pub(super) fn matches<S: Subject + ?Sized>(&self, subject: &S) -> Result<bool, S::Error> {
        match self {
            Self::And(parts) => {
                for part in parts {
                    if !part.matches(subject)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.matches(subject)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(inner) => Ok(!inner.matches(subject)?),
            Self::Term(term) => term.matches(subject),
        }
    }
}

impl Term {
    fn matches<S: Subject + ?Sized>(&self, subject: &S) -> Result<bool, S::Error> {
        let op = &subject.event().op;
        Ok(match self {
            Self::Op(kinds) => kinds.contains(&op.kind()),
            Self::Stream(streams) => {
                matches!(op, Op::Output { stream, .. } if streams.contains(stream))
            }
            Self::Reason(reasons) => {
                matches!(op, Op::Gap { reason, .. } if reasons.contains(reason))
            }
            Self::Number(field, range) => in_range(*field, *range, subject)?,
            Self::Comm(needle) => subject
                .process()?
                .is_some_and(|process| needle.is_in(&process.comm)),
            Self::Exe(needle) => subject
                .process()?
                .is_some_and(|process| needle.is_in(&process.exe)),
            Self::Ancestor(needle) => in_lineage(subject, |who| needle.is_in(&who.comm))?,
            Self::AncestorPid(pid) => in_lineage(subject, |who| who.pid == *pid)?,
            Self::Known(list) => subject.known()?.is_some_and(|known| list.contains(&known)),
            Self::Path(needle) => in_path(needle, subject)?,
            Self::Word(needle) => match op {
                Op::Output { bytes: text, .. } | Op::Marker { label: text } => needle.is_in(text),
                _ => in_path(needle, subject)?,
            },
            Self::Content(needle) => match op {
                Op::Output { bytes, .. } => needle.is_in(bytes),
                _ => subject.content_matches(needle)?,
            },
        })
    }
}

/// Whether the process that acted, or one of those above it, is the one meant.
fn in_lineage<S: Subject + ?Sized>(
    subject: &S,
    is_meant: impl Fn(&Process) -> bool,
) -> Result<bool, S::Error> {
    if subject.process()?.is_some_and(&is_meant) {
        return Ok(true);
    }
    Ok(subject.ancestors()?.into_iter().any(is_meant))
}

fn in_path<S: Subject + ?Sized>(needle: &Needle, subject: &S) -> Result<bool, S::Error> {
    if subject.path()?.is_some_and(|path| needle.is_in(&path)) {
        return Ok(true);
    }
    Ok(matches!(subject.event().op, Op::Rename { .. })
        && subject.to()?.is_some_and(|path| needle.is_in(&path)))
}

fn in_range<S: Subject + ?Sized>(
    field: Field,
    range: Range,
    subject: &S,
) -> Result<bool, S::Error> {
    let event = subject.event();
    let number = match (field, &event.op) {
        (Field::Time, _) => Some(event.time.0),
        (Field::Seq, _) => Some(event.seq.0),
        (Field::Len, Op::Write { len, .. } | Op::Read { len, .. }) => Some(*len),
        (Field::Len, Op::Output { bytes, .. }) => Some(bytes.len() as u64),
        (Field::Offset, Op::Write { offset, .. } | Op::Read { offset, .. }) => Some(*offset),
        (Field::Len | Field::Offset, _) => None,
        (Field::Size, Op::Write { size, .. } | Op::Truncate { size }) => Some(*size),
        (Field::Size, _) => subject.size()?,
        (Field::Pid, _) => subject.process()?.map(|process| process.pid.into()),
        (Field::Uid, _) => subject.process()?.map(|process| process.uid.into()),
    };
    Ok(number.is_some_and(|number| range.contains(number)))
}
