//! Rows of the event list.

use diffkeeper_store::filter::Known;
use diffkeeper_store::model::{Event, Seq};
use diffkeeper_store::{Paths, StoreError};

use super::Job;
use crate::ask::{Actor, Answer, Row};
use crate::describe;
use crate::look::{Found, Look};
use crate::processes::name;
use crate::sign;

pub(super) fn work(wanted: &[Seq], job: Job<'_>) {
    let look = Look::new(job.reader);
    let mut rows = Vec::with_capacity(wanted.len());
    for run in wanted.chunk_by(|a, b| a.next() == *b) {
        // What is known already is of use, whatever is asked next.
        if job.is_stopped() {
            break;
        }
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let mut paths = Paths::new(job.reader);
        for event in job.reader.events(*first, *last) {
            match event.and_then(|event| row(&look.at(event, &mut paths))) {
                Ok(row) => rows.push(row),
                Err(error) => return job.fail(&error),
            }
        }
    }
    job.answer(Answer::Rows(rows));
}

fn row(found: &Found<'_>) -> Result<Row, StoreError> {
    let event: &Event = &found.event;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = describe::write_path(&mut text, found);
    let _ = describe::write_details(&mut text, &event.op);
    if found.damaged() {
        text.push_str("  (damaged)");
    }
    Ok(Row {
        seq: event.seq,
        time: event.time,
        sign: sign::of(&event.op),
        kind: event.op.kind(),
        text: text.trim_start().to_owned(),
        who: found
            .who()
            .map_or_else(String::new, |who| name(who).to_string()),
        file: event.file,
        process: event.process,
        actor: found.who().map(Actor::of),
        known: known(found)?,
    })
}

fn known(found: &Found<'_>) -> Result<char, StoreError> {
    let Some(version) = found.version()? else {
        return Ok(' ');
    };
    Ok(match Known::of(&version) {
        _ if version.redacted => 'r',
        Known::Captured => ' ',
        Known::Observed => '?',
        Known::Missing => 'x',
    })
}
