//! Which events a filter takes: first those around the cursor, then all in order.

use diffkeeper_store::model::Seq;
use diffkeeper_store::{Paths, StoreError};

use super::Job;
use super::seek::first_from;
use crate::ask::{Answer, ScanAsk};
use crate::look::Look;

/// Events of one answer; a multiple of 64.
const PART: u64 = 8192;
/// Events around the cursor that come first.
const NEAR: u64 = 1024;

pub(super) fn work(ask: &ScanAsk, job: Job<'_>) {
    if ask.filter.is_empty() {
        return;
    }
    if let Err(error) = scan(ask, job) {
        job.fail(&error);
    }
}

fn scan(ask: &ScanAsk, job: Job<'_>) -> Result<(), StoreError> {
    let reader = job.reader;
    let (mut first, mut last) = (reader.start().next(), reader.progress().last_seq);
    first = first.max(ask.from);
    if let Some((from, to)) = ask.filter.seq_bounds() {
        (first, last) = (first.max(from), last.min(to));
    }
    if let Some((from, to)) = ask.filter.time_bounds() {
        first = first.max(first_from(reader, from)?);
        last = last.min(reader.seq_at(to)?);
    }
    let mut part = Part::new(ask, job);
    let near = Seq(ask.near.0.saturating_sub(NEAR / 2));
    let (from, to) = (near.max(first), Seq(near.0 + NEAR).min(last));
    part.collect(from, to, &mut Paths::new(reader))?;
    let mut paths = Paths::new(reader);
    let mut at = first;
    while at <= last && !job.is_stopped() {
        let end = Seq((at.0 / PART + 1) * PART - 1).min(last);
        part.done = at.0 - 1;
        part.collect(at, end, &mut paths)?;
        at = end.next();
    }
    part.done = reader.progress().last_seq.0;
    part.finish();
    Ok(())
}

/// A part of the answer.
struct Part<'a, 'e> {
    ask: &'a ScanAsk,
    job: Job<'e>,
    look: Look<'e>,
    done: u64,
    unsearched: u64,
}

impl<'a, 'e> Part<'a, 'e> {
    fn new(ask: &'a ScanAsk, job: Job<'e>) -> Self {
        Self {
            ask,
            job,
            look: Look::new(job.reader),
            done: 0,
            unsearched: ask.unsearched,
        }
    }

    /// Asks about some events and delivers those that match.
    fn collect(&mut self, from: Seq, to: Seq, paths: &mut Paths<'e>) -> Result<(), StoreError> {
        if from > to {
            return Ok(());
        }
        let first = usize::try_from(from.0 / 64).unwrap_or(usize::MAX);
        let words = usize::try_from(to.0 / 64 - from.0 / 64 + 1).unwrap_or(0);
        let mut words = vec![0_u64; words];
        for event in self.job.reader.events(from, to) {
            if self.job.is_stopped() {
                return Ok(());
            }
            let found = self.look.at(event?, paths);
            let seq = found.event.seq.0;
            let matches = self.ask.filter.matches(&found)?;
            self.unsearched += found.unsearched();
            let at = usize::try_from(seq / 64).unwrap_or(usize::MAX) - first;
            if matches && let Some(word) = words.get_mut(at) {
                *word |= 1 << (seq % 64);
            }
        }
        self.done += to.0 + 1 - from.0;
        self.deliver(first, words, false);
        Ok(())
    }

    fn finish(&self) {
        if !self.job.is_stopped() {
            self.deliver(0, Vec::new(), true);
        }
    }

    fn deliver(&self, first: usize, words: Vec<u64>, finished: bool) {
        self.job.answer(Answer::Matches {
            id: self.ask.id,
            first,
            words,
            done: self.done,
            finished,
            unsearched: self.unsearched,
        });
    }
}
