//! Finding a place in time: the next match, the next trouble, another version, a time.

use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{Op, Seq, Timestamp};
use diffkeeper_store::{Paths, SessionReader, StoreError};

use super::Job;
use crate::ask::{Answer, SeekAsk, Sought};
use crate::look::Look;

/// Events that are looked at together. Backwards each stretch is read forwards, as names
/// are followed that way only.
const STRETCH: u64 = 1024;
/// Events before the end among which the first screen looks for a failure.
const LANDING: u64 = 1 << 16;

pub(super) fn work(ask: SeekAsk, job: Job<'_>) {
    match find(&ask, job) {
        Ok(_) if job.is_stopped() => {}
        Ok(found) => job.answer(Answer::Found(ask, found)),
        Err(error) => job.fail(&error),
    }
}

fn find(ask: &SeekAsk, job: Job<'_>) -> Result<Option<Seq>, StoreError> {
    let reader = job.reader;
    match &ask.what {
        Sought::Time(time) => reader.seq_at(*time).map(Some),
        Sought::Landing => landing(job).map(Some),
        Sought::Version(file) => {
            let mut cursor = reader.cursor(ask.from);
            if ask.forward {
                cursor.next_version(*file)
            } else {
                cursor.previous_version(*file)
            }
        }
        Sought::Trouble => scan(ask, job, is_trouble),
        Sought::Match(filter) => {
            let wanted = |found: &crate::look::Found<'_>| filter.matches(found);
            scan_matches(ask, job, &wanted)
        }
    }
}

const fn is_trouble(op: &Op) -> bool {
    match op {
        Op::Gap { .. } => true,
        Op::Exit(status) => !status.success(),
        _ => false,
    }
}

/// Stretches from the place of the question on, each in ascending order.
fn stretches(ask: &SeekAsk, last: Seq) -> impl Iterator<Item = (Seq, Seq)> {
    let (from, forward) = (ask.from.0, ask.forward);
    let mut at = from;
    std::iter::from_fn(move || {
        if forward {
            let first = at + 1;
            at = at.saturating_add(STRETCH).min(last.0);
            (first <= last.0).then_some((Seq(first), Seq(at)))
        } else {
            let end = at.checked_sub(1).filter(|end| *end > 0)?;
            at = end.saturating_sub(STRETCH - 1).max(1);
            Some((Seq(at), Seq(end)))
        }
    })
}

fn scan(
    ask: &SeekAsk,
    job: Job<'_>,
    wanted: impl Fn(&Op) -> bool,
) -> Result<Option<Seq>, StoreError> {
    let within = ask.within.as_deref();
    if within.is_some_and(|within| !within.is_empty()) {
        return scan_matches(ask, job, &|found| Ok(wanted(&found.event.op)));
    }
    for (first, last) in stretches(ask, job.reader.progress().last_seq) {
        if job.is_stopped() {
            return Ok(None);
        }
        let mut best = None;
        for event in job.reader.events(first, last) {
            let event = event?;
            if wanted(&event.op) {
                best = Some(event.seq);
                if ask.forward {
                    return Ok(best);
                }
            }
        }
        if best.is_some() {
            return Ok(best);
        }
    }
    Ok(None)
}

type Wanted<'a> = dyn Fn(&crate::look::Found<'_>) -> Result<bool, StoreError> + 'a;

fn scan_matches(
    ask: &SeekAsk,
    job: Job<'_>,
    wanted: &Wanted<'_>,
) -> Result<Option<Seq>, StoreError> {
    let look = Look::new(job.reader);
    let everything = Filter::default();
    let within = ask.within.as_deref().unwrap_or(&everything);
    let mut paths = Paths::new(job.reader);
    for (first, last) in stretches(ask, job.reader.progress().last_seq) {
        if !ask.forward {
            paths = Paths::new(job.reader);
        }
        let mut best = None;
        for event in job.reader.events(first, last) {
            if job.is_stopped() {
                return Ok(None);
            }
            let found = look.at(event?, &mut paths);
            if wanted(&found)? && within.matches(&found)? {
                best = Some(found.event.seq);
                if ask.forward {
                    return Ok(best);
                }
            }
        }
        if best.is_some() {
            return Ok(best);
        }
    }
    Ok(None)
}

/// The last process that failed, if that is near the end; else the last write; else the
/// end.
fn landing(job: Job<'_>) -> Result<Seq, StoreError> {
    let last = job.reader.progress().last_seq;
    let first = Seq(last.0.saturating_sub(LANDING).max(1));
    let mut write = None;
    for event in job.reader.events(first, last).rev() {
        let event = event?;
        match event.op {
            Op::Exit(status) if !status.success() => return Ok(event.seq),
            Op::Write { .. } if write.is_none() => write = Some(event.seq),
            _ => {}
        }
        if write.is_some() && job.is_stopped() {
            break;
        }
    }
    Ok(write.unwrap_or(last))
}

/// The first event at or after a time.
pub(super) fn first_from(reader: &SessionReader<'_>, time: Timestamp) -> Result<Seq, StoreError> {
    match time.0.checked_sub(1) {
        None => Ok(Seq(1)),
        Some(before) => Ok(reader.seq_at(Timestamp(before))?.next()),
    }
}
