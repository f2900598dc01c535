//! Records that are fetched page by page: what a store needs of anything but the engine.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use super::{DbError, Raw, RawRecord, Space};

/// Which end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

/// A range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds(pub(crate) Bound<Vec<u8>>, pub(crate) Bound<Vec<u8>>);

impl RangeBounds<Vec<u8>> for Bounds {
    fn start_bound(&self) -> Bound<&Vec<u8>> {
        self.0.as_ref()
    }

    fn end_bound(&self) -> Bound<&Vec<u8>> {
        self.1.as_ref()
    }
}

impl Bounds {
    /// The keys that start with `prefix`.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        let mut after = prefix.to_vec();
        while after.pop_if(|last| *last == u8::MAX).is_some() {}
        let end = match after.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(after)
            }
            None => Bound::Unbounded,
        };
        Self(Bound::Included(prefix.to_vec()), end)
    }

    /// Whether no key can be in it; the engine panics on some of these.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.0, &self.1) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(first), Bound::Included(last)) => first > last,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
                a >= b
            }
        }
    }

    /// What is left of it behind `key`, seen from `end`.
    pub(crate) fn behind(self, key: Vec<u8>, end: End) -> Self {
        match end {
            End::Front => Self(Bound::Excluded(key), self.1),
            End::Back => Self(self.0, Bound::Excluded(key)),
        }
    }
}

/// Some records of a range, those nearest to the end that was asked from first.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) records: VecDeque<(Vec<u8>, Raw)>,
    /// What could not be read, behind the records.
    pub(crate) damage: Option<DbError>,
    /// Where the rest of the range is; none where the page is the last.
    pub(crate) rest: Option<Bounds>,
}

/// Bytes of a page of records, besides its first one.
const PAGE: usize = 128 << 10;

impl Page {
    /// Takes at most `most` records off one end.
    pub(crate) fn fill(
        mut records: impl DoubleEndedIterator<Item = RawRecord>,
        bounds: Bounds,
        end: End,
        most: usize,
    ) -> Result<Self, DbError> {
        let mut page = Self::default();
        let mut bytes = 0;
        while page.records.len() < most && bytes < PAGE {
            let next = match end {
                End::Front => records.next(),
                End::Back => records.next_back(),
            };
            let Some(record) = next else {
                return Ok(page);
            };
            let (key, raw) = record?;
            bytes += key.len() + raw.len();
            page.records.push_back((key, raw));
        }
        let last = page.records.back().map(|(key, _)| key.clone());
        page.rest = last.map(|key| bounds.behind(key, end));
        Ok(page)
    }
}

/// Where records can be had page by page. Nothing it gives is trusted: values are
/// checked above, and [`Paged`] sees to it that a range comes to an end.
pub(crate) trait Pages: Send + Sync {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Raw>, DbError>;

    fn contains(&self, space: Space, key: &[u8]) -> Result<bool, DbError>;

    /// At most `most` records from one end of a range, in order from there; none only
    /// where the range is at its end, or with damage.
    fn page(&self, space: Space, bounds: Bounds, end: End, most: usize) -> Result<Page, DbError>;

    /// Lets what has been written since be seen, where something writes.
    fn renew(&self) -> Result<(), DbError> {
        Ok(())
    }

    /// Whether a recorder is at work there.
    fn is_live(&self) -> bool {
        false
    }

    /// What is known to be wrong with the whole, in words.
    fn damage(&self) -> Option<String> {
        None
    }
}

/// A range over pages, from both ends.
pub(crate) struct Paged<'d> {
    pages: &'d dyn Pages,
    space: Space,
    most: usize,
    /// What no page was asked for yet.
    rest: Option<Bounds>,
    /// In the order of the keys.
    front: VecDeque<(Vec<u8>, Raw)>,
    /// In the order of the keys as well, behind all others.
    back: VecDeque<(Vec<u8>, Raw)>,
    damage: Option<DbError>,
}

impl<'d> Paged<'d> {
    pub(super) fn new(
        pages: &'d dyn Pages,
        space: Space,
        (first, last): (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Self {
        Self {
            pages,
            space,
            most: usize::MAX,
            rest: Some(Bounds(first, last)),
            front: VecDeque::new(),
            back: VecDeque::new(),
            damage: None,
        }
    }

    pub(super) const fn one_at_a_time(&mut self) {
        self.most = 1;
    }

    /// The next record from one end.
    pub(super) fn take(&mut self, end: End) -> Option<RawRecord> {
        loop {
            let found = match end {
                End::Front => self.front.pop_front(),
                End::Back => self.back.pop_back(),
            };
            if let Some(record) = found {
                return Some(Ok(record));
            }
            if let Some(damage) = self.damage.take() {
                return Some(Err(damage));
            }
            let Some(bounds) = self.rest.take().filter(|bounds| !bounds.is_empty()) else {
                // What the other end has in hand is all that is left.
                let last = match end {
                    End::Front => self.back.pop_front(),
                    End::Back => self.front.pop_back(),
                };
                return last.map(Ok);
            };
            if let Err(error) = self.fetch(bounds, end) {
                return Some(Err(error));
            }
        }
    }

    fn fetch(&mut self, bounds: Bounds, end: End) -> Result<(), DbError> {
        let page = self
            .pages
            .page(self.space, bounds.clone(), end, self.most)?;
        let in_order = |(a, b): (&Vec<u8>, &Vec<u8>)| match end {
            End::Front => a < b,
            End::Back => a > b,
        };
        let keys = || page.records.iter().map(|(key, _)| key);
        let sound = keys().zip(keys().skip(1)).all(in_order)
            && keys().all(|key| bounds.contains(key))
            && page
                .rest
                .as_ref()
                .is_none_or(|rest| shrinks(&bounds, rest, end));
        if !sound {
            return Err(DbError::OutOfOrder);
        }
        match end {
            End::Front => self.front.extend(page.records),
            End::Back => page
                .records
                .into_iter()
                .for_each(|record| self.back.push_front(record)),
        }
        self.damage = page.damage;
        self.rest = page.rest;
        Ok(())
    }
}

/// Whether `rest` is what is left of `bounds`, with at least one key less.
fn shrinks(bounds: &Bounds, rest: &Bounds, end: End) -> bool {
    match end {
        End::Front => rest.1 == bounds.1 && first(&rest.0) > first(&bounds.0),
        End::Back => rest.0 == bounds.0 && last(&rest.1) < last(&bounds.1),
    }
}

/// Where a range starts, in an order: behind a key is later than at it.
fn first(bound: &Bound<Vec<u8>>) -> Option<(&[u8], bool)> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(key) => Some((key, false)),
        Bound::Excluded(key) => Some((key, true)),
    }
}

/// Where a range ends, in an order: without bound is later than any.
fn last(bound: &Bound<Vec<u8>>) -> (bool, &[u8], bool) {
    match bound {
        Bound::Unbounded => (true, &[], false),
        Bound::Included(key) => (false, key, true),
        Bound::Excluded(key) => (false, key, false),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use super::*;

    /// Pages of at most three records, each from one map.
    struct Map(BTreeMap<Vec<u8>, Raw>);

    impl Pages for Map {
        fn get(&self, _: Space, key: &[u8]) -> Result<Option<Raw>, DbError> {
            Ok(self.0.get(key).cloned())
        }

        fn contains(&self, _: Space, key: &[u8]) -> Result<bool, DbError> {
            Ok(self.0.contains_key(key))
        }

        fn page(&self, _: Space, bounds: Bounds, end: End, most: usize) -> Result<Page, DbError> {
            let records = self.0.range(bounds.clone());
            let records = records.map(|(key, raw)| Ok((key.clone(), raw.clone())));
            Page::fill(records, bounds, end, most.min(3))
        }
    }

    fn map() -> Map {
        let record = |n: u8| (vec![n], Raw::from([n]));
        Map((0..20).map(record).collect())
    }

    fn paged(map: &Map, first: u8, last: u8) -> Paged<'_> {
        let bounds = (Bound::Included(vec![first]), Bound::Excluded(vec![last]));
        Paged::new(map, Space::Blob, bounds)
    }

    #[test]
    fn a_range_is_read_from_both_ends_and_every_record_once() {
        let map = map();
        for pattern in 0_u32..64 {
            let mut range = paged(&map, 2, 17);
            let (mut front, mut back) = (Vec::new(), Vec::new());
            for turn in (0..6).cycle() {
                let from_front = pattern >> turn & 1 == 0;
                let end = if from_front { End::Front } else { End::Back };
                let Some(record) = range.take(end) else { break };
                let (key, _) = record.unwrap();
                if from_front { &mut front } else { &mut back }.push(key[0]);
            }
            back.reverse();
            front.extend(back);
            assert_eq!(front, (2..17).collect::<Vec<u8>>());
        }
    }

    /// Says the same page over and over.
    struct Stuck;

    impl Pages for Stuck {
        fn get(&self, _: Space, _: &[u8]) -> Result<Option<Raw>, DbError> {
            Ok(None)
        }

        fn contains(&self, _: Space, _: &[u8]) -> Result<bool, DbError> {
            Ok(false)
        }

        fn page(&self, _: Space, bounds: Bounds, _: End, _: usize) -> Result<Page, DbError> {
            Ok(Page {
                rest: Some(bounds),
                ..Page::default()
            })
        }
    }

    #[test]
    fn a_range_ends_whatever_the_pages_say() {
        for end in [End::Front, End::Back] {
            let mut range = Paged::new(&Stuck, Space::Blob, (Bound::Unbounded, Bound::Unbounded));
            assert!(matches!(range.take(end), Some(Err(DbError::OutOfOrder))));
            assert!(range.take(end).is_none());
        }
    }

    #[test]
    fn a_prefix_ends_where_no_key_starts_with_it() {
        let end = |prefix: &[u8]| Bounds::prefix(prefix).1;
        assert_eq!(end(b"a"), Bound::Excluded(b"b".to_vec()));
        assert_eq!(end(b"a\xff\xff"), Bound::Excluded(b"b".to_vec()));
        assert_eq!(end(b"\xff"), Bound::Unbounded);
        assert_eq!(end(b""), Bound::Unbounded);
    }
}
