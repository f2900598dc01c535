//! Density: how many events of each kind fell into each stretch of time, at several
//! resolutions, so that a histogram never reads events.

use std::collections::HashSet;

use crate::db::{Batch, Db, DbError, Space};
use crate::encode::{Malformed, Put, Take};
use crate::key;
use crate::model::{Counts, OpKind, SessionId, Timestamp};

/// Widths of the buckets, ns; the index is the resolution's number in keys.
pub const RESOLUTIONS: [u64; 3] = [10_000_000, 1_000_000_000, 100_000_000_000];

/// The buckets that events still fall into.
#[derive(Default)]
pub(crate) struct Density {
    /// Of each resolution, ascending: times hardly ever go back, so the last one is mostly it.
    open: [Vec<(u64, Counts)>; RESOLUTIONS.len()],
}

impl Density {
    pub(crate) fn add(&mut self, time: Timestamp, kind: OpKind) {
        for (open, width) in self.open.iter_mut().zip(RESOLUTIONS) {
            counts_of(open, time.0 / width).add(kind, 1);
        }
    }

    fn buckets(&self) -> impl Iterator<Item = (u8, &(u64, Counts))> {
        let resolutions = (0_u8..).zip(&self.open);
        resolutions.flat_map(|(resolution, open)| open.iter().map(move |own| (resolution, own)))
    }

    /// Removes the buckets of a session that are none of these.
    pub(crate) fn remove_others(
        &self,
        db: &Db,
        session: SessionId,
        batch: &mut Batch<'_>,
    ) -> Result<(), DbError> {
        let of = |(resolution, (bucket, _)): (u8, &(u64, Counts))| {
            key::density(session, resolution, *bucket)
        };
        let own: HashSet<Vec<u8>> = self.buckets().map(of).collect();
        for key in db.keys(Space::Density, &session.0.to_be_bytes()) {
            let key = key?;
            if !own.contains(&key) {
                batch.remove(Space::Density, key);
            }
        }
        Ok(())
    }

    /// Writes all buckets; those that time has passed are forgotten afterwards.
    pub(crate) fn flush(&mut self, session: SessionId, now: Timestamp, batch: &mut Batch<'_>) {
        for (resolution, (bucket, counts)) in self.buckets() {
            let key = key::density(session, resolution, *bucket);
            batch.put(Space::Density, key, encode(counts));
        }
        for (open, width) in self.open.iter_mut().zip(RESOLUTIONS) {
            open.retain(|(bucket, _)| now.0 / width == *bucket);
        }
    }
}

/// The counts of a bucket.
fn counts_of(open: &mut Vec<(u64, Counts)>, bucket: u64) -> &mut Counts {
    let at = match open.last() {
        Some((last, _)) if *last == bucket => open.len() - 1,
        _ => {
            let at = open.partition_point(|(other, _)| *other < bucket);
            if open.get(at).is_none_or(|(other, _)| *other != bucket) {
                open.insert(at, (bucket, Counts::default()));
            }
            at
        }
    };
    &mut open[at].1
}

/// Counts one event more than the database holds.
pub(crate) fn count(
    db: &Db,
    batch: &mut Batch<'_>,
    (session, time, kind): (SessionId, Timestamp, OpKind),
) -> Result<(), crate::StoreError> {
    for (resolution, width) in (0_u8..).zip(RESOLUTIONS) {
        let key = key::density(session, resolution, time.0 / width);
        let mut counts = match db.get(Space::Density, &key)? {
            Some(value) => decode(&value)?,
            None => Counts::default(),
        };
        counts.add(kind, 1);
        batch.put(Space::Density, key, encode(&counts));
    }
    Ok(())
}

fn encode(counts: &Counts) -> Vec<u8> {
    let used = OpKind::ALL.iter().filter(|kind| counts.get(**kind) > 0);
    let mut out = Vec::new();
    for kind in used {
        out.u8(kind.tag());
        out.var(counts.get(*kind));
    }
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Counts, Malformed> {
    let mut take = Take::new(bytes, "density record");
    let mut counts = Counts::default();
    while !take.is_empty() {
        counts.add(take.tagged(OpKind::from_tag)?, take.var()?);
    }
    Ok(counts)
}

/// A bucket's start and its counts.
pub type Bucket = (Timestamp, Counts);

pub(crate) fn bucket(
    resolution: u8,
    record: Result<(Vec<u8>, crate::db::Value), DbError>,
) -> Result<Bucket, crate::StoreError> {
    let (key, value) = record?;
    let width = RESOLUTIONS
        .get(usize::from(resolution))
        .copied()
        .unwrap_or(1);
    let start = key::density_bucket(&key)?.saturating_mul(width);
    Ok((Timestamp(start), decode(&value)?))
}
