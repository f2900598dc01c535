//! The newest state that can be brought back exactly: every name, attribute and content of
//! it is in the store, undamaged.
//!
//! A content that does not hold is one from its version on, so the state before that
//! version is the next one to ask about: nothing newer is passed over.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;

use crate::content::ContentError;
use crate::error::StoreError;
use crate::meter::Meter;
use crate::model::{Seq, Session, SessionId, TracePath, VersionRef, escape};
use crate::reader::SessionReader;
use crate::snapshot::Entry;
use crate::store::Store;

/// The newest exact state of a store.
#[derive(Clone, Debug)]
pub struct Newest {
    /// Its session.
    pub session: SessionId,
    /// The event after which it was.
    pub seq: Seq,
    /// Why newer ones were passed over, newest first.
    pub passed_over: Vec<Fault>,
}

/// Why a state cannot be brought back exactly.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its session.
    pub session: SessionId,
    /// From which event on, if that is known.
    pub since: Option<Seq>,
    /// The file, if it can be named.
    pub path: Option<TracePath>,
    /// What is wrong, with the digest that is damaged.
    pub text: String,
    /// The trace is damaged; else it never held the content.
    pub is_damage: bool,
    /// Parts were masked when it was recorded.
    pub is_masked: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "session {}", self.session.0)?;
        if let Some(since) = self.since {
            write!(f, " from #{} on", since.0)?;
        }
        if let Some(path) = &self.path {
            write!(f, ", {}", escape(path))?;
        }
        write!(f, ": {}", self.text)
    }
}

/// Why there is no state to bring back.
#[derive(Debug, thiserror::Error)]
pub enum NewestError {
    /// The newest state is damaged, and no older one was to be taken.
    #[error("the newest state is damaged: {0}")]
    Damaged(Box<Fault>),
    /// Parts of the newest state were masked, and no older one was to be taken.
    #[error("the newest state cannot be brought back: {0}")]
    Masked(Box<Fault>),
    /// No state is whole.
    #[error("no state can be restored exactly; the newest: {0}")]
    NoneExact(Box<Fault>),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds the newest exact state of the sessions that `belongs` takes; `None` if none of
/// them recorded a tree. A damaged one is passed over only with `last_good`.
///
/// # Errors
/// See [`NewestError`].
pub fn newest(
    store: &Store,
    belongs: &dyn Fn(&Session) -> bool,
    last_good: bool,
    meter: &dyn Meter,
) -> Result<Option<Newest>, NewestError> {
    let mut passed_over = Vec::new();
    for session in store.sessions()?.iter().rev().filter(|s| belongs(s)) {
        let reader = store.session(Some(session.id))?;
        if !reader.progress().baseline_done {
            // Its recorder died before the command began: the state is that before it.
            continue;
        }
        let mut search = Search {
            reader: &reader,
            sound: HashSet::new(),
            meter,
        };
        let mut at = Some(reader.progress().last_seq);
        while let Some(seq) = at {
            let faults = search.faults(seq);
            let Some(worst) = faults.first() else {
                return Ok(Some(Newest {
                    session: session.id,
                    seq,
                    passed_over,
                }));
            };
            let damage = faults.iter().find(|fault| fault.is_damage);
            if let (Some(damage), false) = (damage, last_good) {
                return Err(NewestError::Damaged(Box::new(damage.clone())));
            }
            let masked = faults.iter().find(|fault| fault.is_masked);
            if let (Some(masked), false) = (masked, last_good) {
                return Err(NewestError::Masked(Box::new(masked.clone())));
            }
            at = worst
                .since
                .and_then(|since| since.0.checked_sub(1))
                .map(Seq);
            passed_over.extend(faults);
        }
    }
    match passed_over.into_iter().next() {
        Some(fault) => Err(NewestError::NoneExact(Box::new(fault))),
        None => Ok(None),
    }
}

struct Search<'s> {
    reader: &'s SessionReader<'s>,
    /// Contents that were rebuilt and match.
    sound: HashSet<VersionRef>,
    meter: &'s dyn Meter,
}

impl Search<'_> {
    /// What keeps a state from being exact, what reaches back furthest first.
    fn faults(&mut self, seq: Seq) -> Vec<Fault> {
        let snapshot = match self.reader.salvage(seq) {
            Ok(snapshot) => snapshot,
            Err(error) => return vec![self.of_the_tree(None, error.to_string())],
        };
        let torn = snapshot.damage().iter();
        let torn: Vec<Fault> = torn
            .map(|(path, text)| self.of_the_tree(Some(path.clone()), text.clone()))
            .collect();
        if !torn.is_empty() {
            return torn;
        }
        let masked = snapshot.entries().iter().filter(|entry| entry.is_masked());
        let mut masked: Vec<Fault> = masked.map(|entry| self.masked(entry)).collect();
        if !masked.is_empty() {
            masked.sort_by_key(|fault| fault.since);
            return masked;
        }
        let contents: BTreeMap<VersionRef, usize> = snapshot
            .entries()
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| Some((entry.content()?, index)))
            .filter(|(at, _)| !self.sound.contains(at))
            .collect();
        self.meter.expect(contents.len() as u64);
        let checked: Vec<(VersionRef, usize, Result<(), ContentError>)> = contents
            .into_par_iter()
            .map(|(at, index)| (at, index, self.check(at)))
            .collect();
        let mut faults = Vec::new();
        for (at, index, result) in checked {
            let Err(error) = result else {
                self.sound.insert(at);
                continue;
            };
            let entry = snapshot.entries().get(index);
            let digest = entry.and_then(|entry| entry.state.version.as_ref()?.1.digest);
            faults.push(Fault {
                session: self.reader.id(),
                since: Some(at.seq),
                path: entry.map(|entry| entry.path.clone()),
                is_damage: !matches!(error, ContentError::Missing(_)),
                is_masked: false,
                text: match (digest, &error) {
                    (Some(digest), error) if !matches!(error, ContentError::Missing(_)) => {
                        format!("{error} (content {digest})")
                    }
                    _ => error.to_string(),
                },
            });
        }
        faults.sort_by_key(|fault| fault.since);
        faults
    }

    /// A name that is masked is so in all of the session, a content from its version on.
    fn masked(&self, entry: &Entry) -> Fault {
        let version = entry.state.version.as_ref();
        let version = version.filter(|(_, version)| version.redacted);
        Fault {
            session: self.reader.id(),
            since: version.map(|(seq, _)| *seq),
            path: Some(entry.path.clone()),
            text: "parts of it were masked when it was recorded".to_owned(),
            is_damage: false,
            is_masked: true,
        }
    }

    fn check(&self, at: VersionRef) -> Result<(), ContentError> {
        let checked = self
            .reader
            .content(at)?
            .stream(|_| Ok::<_, ContentError>(()));
        self.meter.advance(1);
        checked
    }

    /// Where a name or a node is damaged, no state of the session is known to be whole.
    fn of_the_tree(&self, path: Option<TracePath>, text: String) -> Fault {
        Fault {
            session: self.reader.id(),
            since: None,
            path,
            text,
            is_damage: true,
            is_masked: false,
        }
    }
}
