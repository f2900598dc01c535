//! The columns of the histogram: from the events themselves while they are few, so that
//! each stands in its very column, else from the counts that the store keeps.

use std::time::{Duration, Instant};

use diffkeeper_store::model::{Event, Op, OpKind, Timestamp};
use diffkeeper_store::{RESOLUTIONS, StoreError};

use super::Job;
use super::seek::first_from;
use crate::ask::{Answer, Column, DensityAsk, Exits};

/// Most events that are read for a histogram before it is shown.
const MAX_EVENTS: u64 = 20_000;
/// Most counts that are read for one.
const MAX_BUCKETS: u64 = 20_000;
/// Time between two answers.
const PACE: Duration = Duration::from_millis(100);

pub(super) fn work(ask: DensityAsk, job: Job<'_>) {
    if let Err(error) = columns(ask, job) {
        job.fail(&error);
    }
}

fn columns(ask: DensityAsk, job: Job<'_>) -> Result<(), StoreError> {
    let reader = job.reader;
    let mut tally = Tally::new(ask);
    let (first, last) = (first_from(reader, ask.from)?, reader.seq_at(ask.to)?);
    if last.0.saturating_sub(first.0) < MAX_EVENTS {
        for event in reader.events(first, last) {
            if job.is_stopped() {
                return Ok(());
            }
            tally.event(&event?);
        }
    } else {
        let stretches = count(&mut tally, job)?;
        read_exits(&mut tally, &stretches, job)?;
    }
    tally.unread = usize::MAX;
    tally.deliver(job);
    Ok(())
}

/// Counts by the buckets of the store; gives those stretches of time that hold exits.
fn count(tally: &mut Tally, job: Job<'_>) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
    let ask = tally.ask;
    let span = ask.to.0.saturating_sub(ask.from.0);
    let fits = |width: &u64| span / *width <= MAX_BUCKETS;
    let resolution = RESOLUTIONS.iter().position(fits);
    let resolution = resolution.unwrap_or(RESOLUTIONS.len() - 1);
    let width = RESOLUTIONS.get(resolution).copied().unwrap_or(1);
    let resolution = u8::try_from(resolution).unwrap_or(0);
    let mut stretches: Vec<(Timestamp, Timestamp)> = Vec::new();
    for bucket in job.reader.density(resolution, ask.from, ask.to) {
        if job.is_stopped() {
            break;
        }
        let (time, counts) = bucket?;
        let (from, to) = (time.max(ask.from), Timestamp(time.0.saturating_add(width)));
        for kind in OpKind::ALL {
            tally.count(from, *kind, counts.get(*kind));
        }
        if counts.get(OpKind::Exit) > 0 {
            tally.leave_unread(from);
            match stretches.last_mut().filter(|(_, end)| *end == time) {
                Some((_, end)) => *end = to,
                None => stretches.push((from, to)),
            }
        }
    }
    Ok(stretches)
}

/// Counts do not tell how processes ended, so the events of those stretches are read; the
/// histogram is shown meanwhile.
fn read_exits(
    tally: &mut Tally,
    stretches: &[(Timestamp, Timestamp)],
    job: Job<'_>,
) -> Result<(), StoreError> {
    let (reader, to) = (job.reader, tally.ask.to);
    tally.deliver(job);
    let mut told = Instant::now();
    for (from, end) in stretches {
        let before_end = Timestamp(end.0.saturating_sub(1)).min(to);
        for event in reader.events(first_from(reader, *from)?, reader.seq_at(before_end)?) {
            if job.is_stopped() {
                return Ok(());
            }
            let event = event?;
            tally.read(&event);
            if told.elapsed() >= PACE {
                tally.unread = column_of(tally.ask, event.time);
                tally.deliver(job);
                told = Instant::now();
            }
        }
    }
    Ok(())
}

/// Counts of each column by what the eye is to see.
struct Tally {
    ask: DensityAsk,
    columns: Vec<Column>,
    /// Events of each column by the number of their kind.
    kinds: Vec<[u64; OpKind::ALL.len()]>,
    /// Exits of each column that were read.
    exits: Vec<Exits>,
    /// The first column of which more may be to read.
    unread: usize,
}

impl Tally {
    fn new(ask: DensityAsk) -> Self {
        let columns = usize::from(ask.columns);
        Self {
            ask,
            columns: vec![Column::default(); columns],
            kinds: vec![[0; OpKind::ALL.len()]; columns],
            exits: vec![Exits::None; columns],
            unread: 0,
        }
    }

    fn event(&mut self, event: &Event) {
        self.count(event.time, event.op.kind(), 1);
        self.read(event);
    }

    /// Learns how a process ended.
    fn read(&mut self, event: &Event) {
        let exits = match event.op {
            Op::Exit(status) if status.success() => Exits::Well,
            Op::Exit(_) => Exits::Failed,
            _ => return,
        };
        let at = column_of(self.ask, event.time);
        if let Some(known) = self.exits.get_mut(at) {
            *known = exits.max(*known);
        }
    }

    /// Processes ended here, and it is to be read yet how.
    fn leave_unread(&mut self, time: Timestamp) {
        let at = column_of(self.ask, time);
        if let Some(column) = self.columns.get_mut(at) {
            column.exits = Exits::Unread;
        }
    }

    fn count(&mut self, time: Timestamp, kind: OpKind, n: u64) {
        let at = column_of(self.ask, time);
        let Some(column) = self.columns.get_mut(at).filter(|_| n > 0) else {
            return;
        };
        match kind {
            OpKind::Gap => column.gaps += n,
            _ => column.events += n,
        }
        let kinds = self.kinds.get_mut(at);
        if let Some(slot) = kinds.and_then(|kinds| kinds.get_mut(usize::from(kind.tag()))) {
            *slot += n;
        }
    }

    fn deliver(&self, job: Job<'_>) {
        let known = self.columns.iter().zip(&self.kinds).zip(&self.exits);
        let columns = known.enumerate().map(|(at, ((column, kinds), exits))| {
            let exits = match at < self.unread {
                true => *exits,
                false => column.exits.max(*exits),
            };
            Column {
                kind: outstanding(kinds),
                exits,
                ..*column
            }
        });
        if !job.is_stopped() {
            job.answer(Answer::Density(self.ask, columns.collect()));
        }
    }
}

/// The kind of event that outweighs in a column; a gap has a mark of its own.
fn outstanding(kinds: &[u64; OpKind::ALL.len()]) -> Option<OpKind> {
    let weighed = OpKind::ALL.iter().filter_map(|kind| {
        let n = kinds.get(usize::from(kind.tag())).copied()?;
        let shown = n > 0 && *kind != OpKind::Gap;
        shown.then_some((changes(*kind), n, *kind))
    });
    weighed.max().map(|(.., kind)| kind)
}

/// A change outweighs what changed nothing.
pub(crate) const fn changes(kind: OpKind) -> bool {
    !matches!(
        kind,
        OpKind::Open | OpKind::Read | OpKind::Exec | OpKind::Output | OpKind::Exit
    )
}

/// The column that a time falls into; beyond the last if it is outside.
pub(crate) fn column_of(ask: DensityAsk, time: Timestamp) -> usize {
    if time < ask.from || time > ask.to {
        return usize::MAX;
    }
    let span = u128::from(ask.to.0.saturating_sub(ask.from.0)) + 1;
    let at = u128::from(time.0 - ask.from.0) * u128::from(ask.columns) / span;
    usize::try_from(at).unwrap_or(usize::MAX)
}
