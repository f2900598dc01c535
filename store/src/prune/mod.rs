//! Prune: history that is given up, decided first and then done. What stays is copied into a new
//! database, which then takes the place of the old one in one step: space returns to the disk for
//! certain, and a crash leaves the one or the other.

mod live;
mod rebuild;
mod start;
#[cfg(test)]
mod tests;
mod trim;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::db::Space;
use crate::error::StoreError;
use crate::key;
use crate::meter::Meter;
use crate::model::{Digest, Seq, SessionId, Timestamp};
use crate::store::Store;
pub(crate) use rebuild::clear;
pub(crate) use start::Start;

/// What is to be given up.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Sessions to remove.
    pub remove: Vec<SessionId>,
    /// The state that each of these sessions is to begin with at the latest.
    pub before: Vec<(SessionId, Seq)>,
}

/// What will be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// What happens to sessions, in their order; those that stay as they are are not named.
    pub steps: Vec<Step>,
    /// Blobs that nothing names then.
    pub blobs: u64,
    /// Their bytes as they are stored.
    pub bytes: u64,
    /// All blobs, before.
    pub all_blobs: u64,
    live: HashSet<Digest>,
    starts: BTreeMap<SessionId, Start>,
}

/// What happens to one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is removed.
    Remove {
        /// Which.
        session: SessionId,
        /// Its events.
        events: u64,
    },
    /// Its beginning is removed.
    Cut {
        /// Which.
        session: SessionId,
        /// The last event that goes; the session starts with the state after it.
        last: Seq,
        /// When that was, from the start of the session.
        time: Timestamp,
        /// How many events go.
        events: u64,
    },
}

impl Plan {
    /// Whether there is anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blobs == 0
    }

    fn removes(&self, session: SessionId) -> bool {
        let removes =
            |step: &Step| matches!(step, Step::Remove { session: s, .. } if *s == session);
        self.steps.iter().any(removes)
    }
}

/// Decides; changes nothing. An empty request only finds the blobs that nothing names.
///
/// # Errors
/// A session that is not there, one that lost something, or damage in what has to be read.
pub fn plan(store: &Store, request: &Request, meter: &dyn Meter) -> Result<Plan, StoreError> {
    let mut plan = Plan::default();
    let mut sessions = Vec::new();
    for session in store.sessions()? {
        sessions.push(session.id);
    }
    for wanted in request
        .remove
        .iter()
        .chain(request.before.iter().map(|(id, _)| id))
    {
        store.session(Some(*wanted))?;
    }
    for session in sessions {
        let reader = store.session(Some(session))?;
        if request.remove.contains(&session) {
            let events = reader.progress().counts.total();
            plan.steps.push(Step::Remove { session, events });
            continue;
        }
        let before = request.before.iter().find(|(id, _)| *id == session);
        let start = match before {
            Some((_, seq)) => start::at(&reader, *seq)?,
            None => None,
        };
        if let Some(start) = start {
            plan.steps.push(Step::Cut {
                session,
                last: start.base.seq,
                time: start.base.time,
                events: start.base.dropped - reader.base().map_or(0, |base| base.dropped),
            });
            plan.starts.insert(session, start);
        }
        live::mark(&reader, plan.starts.get(&session), &mut plan.live, meter)?;
    }
    count_blobs(store, &mut plan)?;
    Ok(plan)
}

fn count_blobs(store: &Store, plan: &mut Plan) -> Result<(), StoreError> {
    for key in store.db.keys(Space::Blob, &[]) {
        let key = key?;
        plan.all_blobs += 1;
        if !plan.live.contains(&key::blob_digest(&key)?) {
            plan.blobs += 1;
            plan.bytes += store
                .db
                .get(Space::Blob, &key)?
                .map_or(0, |value| value.len() as u64);
        }
    }
    Ok(())
}

/// Does what was decided; `store` must be the one that the plan is of, and not have changed.
///
/// # Errors
/// A disk without room for a copy of what stays, or damage. The trace is then as it was.
pub fn execute(
    store: Store,
    path: &Path,
    plan: &Plan,
    meter: &dyn Meter,
) -> Result<(), StoreError> {
    rebuild::run(store, path, plan, meter)
}
