//! Iterators over records, checked or as they are stored.

use super::error::guard;
use super::pages::Paged;
use super::{DbError, End, Raw, Space, Value, unsealed};

/// A record's value, once its checksum holds.
pub(super) fn verified(space: Space, key: &[u8], bytes: Raw) -> Result<Value, DbError> {
    let Some(len) = unsealed(space, key, &bytes).map(<[u8]>::len) else {
        let name = Space::ALL.get(space as usize);
        return Err(DbError::Checksum(name.map_or("unknown", |(_, name)| name)));
    };
    Ok(Value { bytes, len })
}

/// An iterator over checked records.
pub(crate) struct Range<'d> {
    pub(super) space: Space,
    pub(super) inner: RawRange<'d>,
}

/// An iterator over records as they are stored.
pub(crate) enum RawRange<'d> {
    Engine(fjall::Iter),
    Pages(Paged<'d>),
}

/// A record as it is stored.
pub(crate) type RawRecord = Result<(Vec<u8>, Raw), DbError>;

impl RawRange<'_> {
    /// Tells that few records will be asked for.
    pub(super) const fn one_at_a_time(&mut self) {
        if let Self::Pages(pages) = self {
            pages.one_at_a_time();
        }
    }
}

fn parted(guarded: Result<Option<fjall::Guard>, DbError>) -> Option<RawRecord> {
    let pair = guarded.and_then(|found| guard(|| found.map(fjall::Guard::into_inner).transpose()));
    pair.transpose()
        .map(|pair| pair.map(|(key, raw)| (key.to_vec(), raw)))
}

impl Iterator for RawRange<'_> {
    type Item = RawRecord;

    fn next(&mut self) -> Option<RawRecord> {
        match self {
            Self::Engine(iter) => parted(guard(|| Ok(iter.next()))),
            Self::Pages(pages) => pages.take(End::Front),
        }
    }
}

impl DoubleEndedIterator for RawRange<'_> {
    fn next_back(&mut self) -> Option<RawRecord> {
        match self {
            Self::Engine(iter) => parted(guard(|| Ok(iter.next_back()))),
            Self::Pages(pages) => pages.take(End::Back),
        }
    }
}

impl Range<'_> {
    fn checked(&self, record: RawRecord) -> Result<(Vec<u8>, Value), DbError> {
        let (key, raw) = record?;
        let value = verified(self.space, &key, raw)?;
        Ok((key, value))
    }
}

impl Iterator for Range<'_> {
    type Item = Result<(Vec<u8>, Value), DbError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.inner.next()?;
        Some(self.checked(record))
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let record = self.inner.next_back()?;
        Some(self.checked(record))
    }
}
