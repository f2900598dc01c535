//! The columns of the histogram: from the events themselves while they are few, so that
//! each stands in its very column, else from the counts that the store keeps.

use diffkeeper_store::model::{Event, Op, OpKind, Timestamp};
use diffkeeper_store::{RESOLUTIONS, StoreError};

use super::Job;
use super::seek::first_from;
use crate::ask::{Answer, Column, DensityAsk};

/// Most events that are read for a histogram.
const MAX_EVENTS: u64 = 20_000;
/// Most counts that are read for one.
const MAX_BUCKETS: u64 = 20_000;

pub(super) fn work(ask: DensityAsk, job: Job<'_>) {
    match columns(ask, job) {
        Ok(Some(columns)) => job.answer(Answer::Density(ask, columns)),
        Ok(None) => {}
        Err(error) => job.fail(&error),
    }
}

fn columns(ask: DensityAsk, job: Job<'_>) -> Result<Option<Vec<Column>>, StoreError> {
    let reader = job.reader;
    let mut tally = Tally::new(ask);
    let (first, last) = (first_from(reader, ask.from)?, reader.seq_at(ask.to)?);
    if last.0.saturating_sub(first.0) < MAX_EVENTS {
        for event in reader.events(first, last) {
            if job.is_stopped() {
                return Ok(None);
            }
            tally.event(&event?);
        }
        return Ok(Some(tally.finish()));
    }
    let span = ask.to.0.saturating_sub(ask.from.0);
    let fits = |width: &u64| span / *width <= MAX_BUCKETS;
    let resolution = RESOLUTIONS
        .iter()
        .position(fits)
        .unwrap_or(RESOLUTIONS.len() - 1);
    let resolution = u8::try_from(resolution).unwrap_or(0);
    for bucket in reader.density(resolution, ask.from, ask.to) {
        if job.is_stopped() {
            return Ok(None);
        }
        let (time, counts) = bucket?;
        for kind in OpKind::ALL {
            tally.count(time.max(ask.from), *kind, counts.get(*kind));
        }
    }
    Ok(Some(tally.finish()))
}

/// Counts of each column by what the eye is to see.
struct Tally {
    ask: DensityAsk,
    columns: Vec<Column>,
    /// Events of each column by the number of their kind.
    kinds: Vec<[u64; OpKind::ALL.len()]>,
}

impl Tally {
    fn new(ask: DensityAsk) -> Self {
        let columns = usize::from(ask.columns);
        Self {
            ask,
            columns: vec![Column::default(); columns],
            kinds: vec![[0; OpKind::ALL.len()]; columns],
        }
    }

    fn event(&mut self, event: &Event) {
        self.count(event.time, event.op.kind(), 1);
        let failed = matches!(event.op, Op::Exit(status) if !status.success());
        let at = column_of(self.ask, event.time);
        if let Some(column) = self.columns.get_mut(at) {
            column.failed |= failed;
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

    fn finish(mut self) -> Vec<Column> {
        for (column, kinds) in self.columns.iter_mut().zip(&self.kinds) {
            let weighed = OpKind::ALL.iter().filter_map(|kind| {
                let n = kinds.get(usize::from(kind.tag())).copied()?;
                let shown = n > 0 && *kind != OpKind::Gap;
                shown.then_some((changes(*kind), n, *kind))
            });
            column.kind = weighed.max().map(|(.., kind)| kind);
        }
        self.columns
    }
}

/// A change outweighs what changed nothing.
const fn changes(kind: OpKind) -> bool {
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
