//! The event log: without holes, as long as its session says, under its running hash.

use std::collections::HashSet;

use super::{Check, FindingKind, names::Replay};
use crate::db::Space;
use crate::encode::{Malformed, decode_block};
use crate::error::StoreError;
use crate::key;
use crate::model::{Counts, Digest, Event, FileId, OpKind, ProcessId, Seq, Timestamp};
use crate::states;
use crate::versions::Held;
use crate::writer::extend_chain;

/// How far the log was followed.
struct Log {
    last_seq: Seq,
    last_time: Timestamp,
    counts: Counts,
    chain: Digest,
    /// Whether every block so far was there and readable.
    whole: bool,
    held: Held,
    /// Processes that were looked for.
    processes: HashSet<ProcessId>,
}

/// Reads all events, replays their names, and compares what they sum up to.
pub(super) fn check(check: &mut Check<'_>, replay: &mut Replay) {
    let mut log = Log {
        last_seq: check.session.start(),
        last_time: check.session.start_time(),
        counts: Counts::default(),
        chain: check.session.start_chain(),
        whole: true,
        held: Held::default(),
        processes: HashSet::new(),
    };
    for record in check.records(Space::Event) {
        let block = record.and_then(|(key, value)| {
            let first = key::event_seq(&key)?;
            let (events, plain) = decode_block(&value)?;
            match events.first() {
                Some(event) if event.seq == first => Ok((events, plain)),
                _ => Err(StoreError::Malformed(Malformed("event block"))),
            }
        });
        match block {
            Ok((events, plain)) => {
                log.block(check, replay, &events);
                log.chain = extend_chain(&log.chain, &plain);
                check.report.events += events.len() as u64;
                check.meter.advance(events.len() as u64);
            }
            Err(error) => {
                log.whole = false;
                check.found(FindingKind::Event, Some(log.last_seq.next()), error);
            }
        }
    }
    log.compare(check);
    if !log.whole {
        replay.give_up();
    }
}

impl Log {
    fn block(&mut self, check: &mut Check<'_>, replay: &mut Replay, events: &[Event]) {
        for event in events {
            if event.seq != self.last_seq.next() {
                self.whole = false;
                let text = format!("no events from #{} on", self.last_seq.next().0);
                check.found(FindingKind::Event, Some(self.last_seq.next()), text);
            }
            if event.time < self.last_time {
                let text = "an event is earlier than the one before it";
                check.found(FindingKind::Event, Some(event.seq), text);
            }
            self.last_seq = event.seq;
            self.last_time = event.time;
            self.counts.add(event.op.kind(), 1);
            replay.apply(check, event);
            let states = state_of(check, &mut self.held, event);
            if let Err(error) = states.and_then(|()| self.process(check, event)) {
                check.found(FindingKind::Event, Some(event.seq), error);
            }
        }
    }

    /// Who did it is told once for every process.
    fn process(&mut self, check: &mut Check<'_>, event: &Event) -> Result<(), StoreError> {
        let Some(id) = event.process.filter(|id| !self.processes.contains(id)) else {
            return Ok(());
        };
        self.processes.insert(id);
        let key = key::process(check.session.id(), id);
        if !check.session.store.db.contains(Space::Process, &key)? {
            let text = "an event of a process that is not recorded";
            check.found(FindingKind::Process, Some(event.seq), text);
        }
        Ok(())
    }

    fn compare(&mut self, check: &mut Check<'_>) {
        let session = check.session;
        let progress = session.progress();
        if self.last_seq != progress.last_seq {
            self.whole = false;
            let text = format!(
                "the log ends at #{} and not at #{}",
                self.last_seq.0, progress.last_seq.0
            );
            check.found(FindingKind::Event, Some(self.last_seq), text);
        }
        // The sums of a log with holes say nothing that was not said.
        if self.whole {
            self.compare_sums(check);
        }
        if session
            .seal()
            .is_some_and(|seal| seal.root != progress.chain)
        {
            let text = "the seal does not match the running hash";
            check.found(FindingKind::Session, None, text);
        }
    }

    fn compare_sums(&self, check: &mut Check<'_>) {
        let progress = check.session.progress();
        if self.chain != progress.chain {
            let text = "the events do not match their running hash";
            check.found(FindingKind::Event, None, text);
        }
        if self.last_time != progress.last_time {
            let text = "the last event does not have the time the session says";
            check.found(FindingKind::Event, Some(self.last_seq), text);
        }
        for kind in OpKind::ALL {
            let (found, said) = (self.counts.get(*kind), progress.counts.get(*kind));
            if found != said {
                let text = format!("{found} {} events where {said} were counted", kind.word());
                check.found(FindingKind::Event, None, text);
            }
        }
    }
}

/// Some events never come without the states they led to.
fn state_of(check: &mut Check<'_>, held: &mut Held, event: &Event) -> Result<(), StoreError> {
    for state in states::of(check.session.id(), event) {
        if !state.is_there(&check.session.store.db, held)? {
            let (kind, text) = match state.space {
                Space::Version => (
                    FindingKind::Version,
                    "a change without the content it led to",
                ),
                Space::Name => (FindingKind::Name, "a name that changed without a record"),
                _ => (FindingKind::Node, "a name that changed without attributes"),
            };
            let file = event.file.unwrap_or(FileId::TOP);
            check.found_at(kind, file, event.seq, text);
        }
    }
    Ok(())
}
