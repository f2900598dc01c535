//! `timeline --follow`: the events of a session as they are committed, up to its end.

use std::io::Write;
use std::time::Duration;

use diffkeeper_store::model::{Seq, SessionId};
use diffkeeper_store::{DbError, StateDirError, Store, StoreError};

use super::{Asked, Told, list};
use crate::config::Config;
use crate::error::CliError;
use crate::output::Output;
use crate::trace;

/// How long a look at what is new is put off after the one before.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a recorder that serves no longer may take to close its trace.
const CLOSING: Duration = Duration::from_secs(120);

/// Follows a session; gives the store and the session's number once that has ended.
pub(super) fn follow(
    asked: &Asked,
    config: &Config,
    output: &mut Output,
) -> Result<(Store, SessionId, Told), CliError> {
    let mut following = Following {
        asked,
        session: asked.session.session.map(SessionId),
        next: Seq(1),
        told: Told::default(),
    };
    let mut store = trace::open(config, "timeline")?;
    loop {
        let ended = match following.catch_up(&store, output) {
            Ok(ended) => ended,
            Err(error) if error.is_recorder_gone() => {
                drop(store);
                store = reopen(config)?;
                continue;
            }
            Err(error) => {
                following.told.warn();
                return Err(error);
            }
        };
        if let Some(session) = following.session.filter(|_| ended) {
            return Ok((store, session, following.told));
        }
        std::thread::sleep(PAUSE);
        if store.renew().is_err() {
            drop(store);
            store = reopen(config)?;
        }
    }
}

struct Following<'a> {
    asked: &'a Asked,
    session: Option<SessionId>,
    next: Seq,
    told: Told,
}

impl Following<'_> {
    /// Prints what is new; tells whether more can come.
    fn catch_up(&mut self, store: &Store, output: &mut Output) -> Result<bool, CliError> {
        let reader = match store.session(self.session) {
            Ok(reader) => reader,
            // A recorder that is just starting.
            Err(StoreError::Empty) if store.is_live() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.session = Some(reader.session().id);
        let mut plan = self.asked.plan(&reader)?;
        plan.range.0 = plan.range.0.max(self.next);
        let done = list(&reader, &plan, &mut self.told, output);
        output.flush()?;
        // An error in the middle leaves the rest to the next look.
        self.next = match &done {
            Ok(()) => reader.progress().last_seq.next(),
            Err(_) => self.told.last.map_or(self.next, Seq::next),
        };
        done?;
        Ok(!reader.is_live() || self.told.shown >= self.asked.limit)
    }
}

/// Opens a trace whose recorder has stopped serving it: it may need a while to close it.
fn reopen(config: &Config) -> Result<Store, CliError> {
    let started = std::time::Instant::now();
    loop {
        match Store::open(&config.state_dir, "timeline") {
            Err(StoreError::StateDir(StateDirError::Locked { .. }))
            | Err(StoreError::Db(DbError::RecorderGone))
                if started.elapsed() < CLOSING => {}
            opened => return Ok(opened?),
        }
    }
}
