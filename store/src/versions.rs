//! Versions as they stand in the database: mostly one a record, several in that of a burst,
//! which stands where the last of them does.

use std::collections::HashMap;
use std::ops::Bound;

use crate::db::{Db, DbError, Space, Value};
use crate::encode::{Malformed, decode_version};
use crate::error::StoreError;
use crate::key;
use crate::model::{FileId, Repr, Seq, SessionId, Version, VersionRef};

type Found = (Seq, Version);

/// The errors of contents and of the store.
pub(crate) trait Fault: From<DbError> + From<Malformed> {}

impl<E: From<DbError> + From<Malformed>> Fault for E {}

/// The version of a file after `at.seq`, with the `Seq` it dates from.
pub(crate) fn floor(
    db: &Db,
    session: SessionId,
    at: VersionRef,
) -> Result<Option<Found>, StoreError> {
    if let Some((seq, version)) =
        next::<StoreError>(db, session, (at.file, Bound::Included(at.seq)))?
        && let Some(found) = version.as_of(seq, at.seq)
    {
        return Ok(Some(found));
    }
    let prefix = key::file(session, at.file);
    let key = key::file_at(session, at.file, at.seq);
    let found = db.floor(Space::Version, &prefix, key)?;
    found.map(|(key, value)| decoded(&key, &value)).transpose()
}

/// The version that stands exactly there.
pub(crate) fn exact<E: Fault>(
    db: &Db,
    session: SessionId,
    at: VersionRef,
) -> Result<Option<Version>, E> {
    if let Some(value) = db.get(Space::Version, &key::file_at(session, at.file, at.seq))? {
        return Ok(Some(decode_version(&value)?));
    }
    let Some((seq, version)) = next::<E>(db, session, (at.file, Bound::Excluded(at.seq)))? else {
        return Ok(None);
    };
    let found = version.as_of(seq, at.seq).filter(|found| found.0 == at.seq);
    Ok(found.map(|(_, version)| version))
}

/// The key of the record that a version stands in.
pub(crate) fn key_of<E: Fault>(
    db: &Db,
    session: SessionId,
    at: VersionRef,
) -> Result<Option<Vec<u8>>, E> {
    let key = key::file_at(session, at.file, at.seq);
    if db.contains(Space::Version, &key)? {
        return Ok(Some(key));
    }
    let Some((seq, version)) = next::<E>(db, session, (at.file, Bound::Excluded(at.seq)))? else {
        return Ok(None);
    };
    let found = (seq, version);
    Ok(holds(&found, at.seq).then(|| key::file_at(session, at.file, seq)))
}

/// The `Seq` of the first version of a file after `at.seq`.
pub(crate) fn after(
    db: &Db,
    session: SessionId,
    at: VersionRef,
) -> Result<Option<Seq>, StoreError> {
    let found = next::<StoreError>(db, session, (at.file, Bound::Excluded(at.seq)))?;
    Ok(found.map(|(seq, version)| {
        let Repr::Burst(burst) = &version.repr else {
            return seq;
        };
        let writes = burst.writes();
        let later = writes.partition_point(|write| write.seq <= at.seq);
        writes.get(later).map_or(seq, |write| write.seq)
    }))
}

/// The versions of a record.
pub(crate) fn of_record(
    key: &[u8],
    value: &Value,
) -> Result<impl DoubleEndedIterator<Item = Found> + use<>, StoreError> {
    let (seq, version) = decoded::<StoreError>(key, value)?;
    let before = match &version.repr {
        Repr::Burst(burst) => burst.writes().len().saturating_sub(1),
        _ => 0,
    };
    let last = (seq, version.clone());
    let before = (1..=before).filter_map(move |count| version.first(count));
    Ok(before.chain([last]))
}

/// Says whether versions are there. Neighbours are asked for one after the other, so the record
/// read last of each file is kept.
#[derive(Default)]
pub(crate) struct Held(HashMap<FileId, Found>);

/// Most files of which a record is kept.
const MAX_HELD: usize = 256;

impl Held {
    /// A record that cannot be read is there, and reading it says what is wrong with it.
    pub(crate) fn has(
        &mut self,
        db: &Db,
        session: SessionId,
        at: VersionRef,
    ) -> Result<bool, StoreError> {
        if self
            .0
            .get(&at.file)
            .is_some_and(|found| holds(found, at.seq))
        {
            return Ok(true);
        }
        match next(db, session, (at.file, Bound::Included(at.seq))) {
            Ok(None) => Ok(false),
            Ok(Some(found)) => {
                let has = holds(&found, at.seq);
                if self.0.len() >= MAX_HELD {
                    self.0.clear();
                }
                self.0.insert(at.file, found);
                Ok(has)
            }
            Err(error) if StoreError::is_of_one_record(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Whether a record has a version of that very `Seq`.
fn holds((seq, version): &Found, at: Seq) -> bool {
    match &version.repr {
        Repr::Burst(burst) => burst.writes().binary_search_by_key(&at, |w| w.seq).is_ok(),
        _ => *seq == at,
    }
}

/// The first record of a file from a `Seq` on.
fn next<E: Fault>(
    db: &Db,
    session: SessionId,
    (file, from): (FileId, Bound<Seq>),
) -> Result<Option<Found>, E> {
    let key = |seq| key::file_at(session, file, seq);
    let range = (from.map(key), Bound::Included(key(Seq(u64::MAX))));
    let found = db.first(Space::Version, range)?;
    found.map(|(key, value)| decoded(&key, &value)).transpose()
}

fn decoded<E: Fault>(key: &[u8], value: &Value) -> Result<Found, E> {
    let (_, seq) = key::file_at_parts(key)?;
    let version = decode_version(value)?;
    match &version.repr {
        // The last write makes the version that the record is of.
        Repr::Burst(burst) if burst.writes().last().is_none_or(|last| last.seq != seq) => {
            Err(Malformed("version record").into())
        }
        _ => Ok((seq, version)),
    }
}
