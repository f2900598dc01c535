//! Following a trace that is being recorded: a thread of its own looks for what is new,
//! hands it to the workers, and tells the screen.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diffkeeper_store::{ContentError, DbError, StateDirError, Store, StoreError};

use crate::ask::Answer;
use crate::facts::Facts;
use crate::source::Source;
use crate::text::plain;
use crate::worker::{Deliver, Workers};

/// How long a look at what is new is put off after the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// How long nobody may answer until that is told: a recorder may need a while to close.
const PATIENCE: Duration = Duration::from_secs(30);

/// Follows until nothing more can come, or the workers are closed.
pub(crate) fn follow(source: &Source, state_dir: &Path, workers: &Workers, deliver: Deliver<'_>) {
    let mut known = source.facts(Vec::new()).ok();
    let mut missed = None;
    while workers.rest(PAUSE) {
        match look(source, state_dir, &mut known) {
            Ok(None) => missed = None,
            Ok(Some(facts)) => {
                missed = None;
                deliver(Answer::Grown(Ok(Box::new(facts))));
            }
            Err(error) if is_passing(&error) => {
                let (since, told) = missed.get_or_insert((Instant::now(), false));
                if since.elapsed() > PATIENCE && !*told {
                    *told = true;
                    deliver(Answer::Grown(Err(plain(&error.to_string()))));
                }
            }
            Err(error) => return deliver(Answer::Grown(Err(plain(&error.to_string())))),
        }
        // Nothing is to be followed in a trace that is this process's own.
        if !source.store().is_live() {
            return;
        }
    }
}

/// What is new, if anything is. A view stays as it is while workers read it, so each look
/// is a view of its own.
fn look(
    source: &Source,
    state_dir: &Path,
    known: &mut Option<Facts>,
) -> Result<Option<Facts>, StoreError> {
    let store = Store::open(state_dir, "tui")?;
    let reader = store.session(Some(source.session()))?;
    let facts = Facts::of(&reader, Vec::new());
    drop(reader);
    if store.is_live() && known.as_ref() == Some(&facts) {
        return Ok(None);
    }
    source.renew(Arc::new(store));
    *known = Some(facts.clone());
    Ok(Some(facts))
}

/// Whether it may be otherwise at the next look: the recorder is closing its trace.
fn is_passing(error: &StoreError) -> bool {
    is_gone(error) || matches!(error, StoreError::StateDir(StateDirError::Locked { .. }))
}

/// Whether the recorder has stopped answering: the trace is opened anew then.
pub(crate) const fn is_gone(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Db(DbError::RecorderGone)
            | StoreError::Content(ContentError::Db(DbError::RecorderGone))
    )
}
