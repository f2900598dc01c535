//! The blobs that the versions of a session name.

use std::collections::HashSet;

use super::start::Start;
use crate::blob;
use crate::db::Space;
use crate::encode::{decode_manifest, decode_version};
use crate::error::StoreError;
use crate::key;
use crate::meter::Meter;
use crate::model::{Digest, Repr};
use crate::reader::SessionReader;

/// Adds every blob that is needed to rebuild what stays of a session.
pub(super) fn mark(
    reader: &SessionReader<'_>,
    start: Option<&Start>,
    live: &mut HashSet<Digest>,
    meter: &dyn Meter,
) -> Result<(), StoreError> {
    let db = &reader.store.db;
    for record in db.prefix(Space::Version, &reader.id().0.to_be_bytes()) {
        let (key, value) = record?;
        meter.advance(1);
        if start.is_some_and(|start| start.drops(Space::Version, &key)) {
            continue;
        }
        key::file_at_parts(&key)?;
        let version = decode_version(&value)?;
        live.extend(version.blobs());
        if let Repr::Chunks(lists) = &version.repr {
            for list in lists {
                let pieces = decode_manifest(&blob::read(db, list)?)?;
                live.extend(pieces.into_iter().map(|(digest, _)| digest));
            }
        }
    }
    Ok(())
}
