//! What the writer collects until it is committed: one batch, and blobs ahead of it.

use std::collections::HashSet;

use crate::blob::PackedBlob;
use crate::content::{ContentError, Sink};
use crate::db::{Batch, Db, Space};
use crate::error::StoreError;
use crate::key;
use crate::model::Digest;
use crate::refine::Refinery;
use crate::tally::Tally;

/// A batch is committed once it holds this many bytes.
pub(crate) const FULL_BATCH: usize = 1 << 20;

/// The batch that is being filled.
pub(crate) struct Pending<'s> {
    db: &'s Db,
    pub(crate) batch: Batch<'s>,
    /// Blobs of this batch, so that none is written twice.
    blobs: HashSet<Digest>,
    pub(crate) refinery: Refinery,
    pub(crate) tally: Tally,
}

impl<'s> Pending<'s> {
    pub(crate) fn new(db: &'s Db) -> Self {
        Self {
            db,
            batch: db.batch(),
            blobs: HashSet::new(),
            refinery: Refinery::default(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.blobs.clear();
        let full = std::mem::replace(&mut self.batch, self.db.batch());
        Ok(full.commit()?)
    }
}

impl Sink for Pending<'_> {
    /// Blobs may be committed ahead of the records that name them, as nothing refers to
    /// them until then; so one content never has to fit in a batch.
    fn blob(&mut self, blob: PackedBlob) -> Result<(), ContentError> {
        match blob.value {
            Some(value) if self.blobs.insert(blob.digest) => {
                self.tally.blob(Some(value.len()));
                self.batch.put(Space::Blob, key::blob(&blob.digest), value);
            }
            // It may be the payload of a patch, which must then outlive that patch.
            Some(_) | None => {
                self.tally.blob(None);
                self.refinery.shared(blob.digest);
            }
        }
        Ok(())
    }
}

/// Commits blobs on the way, for contents that do not fit in memory.
pub(crate) struct Spill<'a, 's> {
    pending: &'a mut Pending<'s>,
    blobs: Vec<PackedBlob>,
    bytes: usize,
}

impl Sink for Spill<'_, '_> {
    fn blob(&mut self, blob: PackedBlob) -> Result<(), ContentError> {
        self.bytes += blob.value.as_ref().map_or(0, Vec::len);
        self.blobs.push(blob);
        if self.bytes > FULL_BATCH {
            self.spill()?;
        }
        Ok(())
    }
}

impl<'a, 's> Spill<'a, 's> {
    pub(crate) const fn new(pending: &'a mut Pending<'s>) -> Self {
        Self {
            pending,
            blobs: Vec::new(),
            bytes: 0,
        }
    }

    /// A batch of blobs alone: records that are pending stay pending.
    pub(crate) fn spill(&mut self) -> Result<(), ContentError> {
        let mut batch = self.pending.db.batch();
        for blob in self.blobs.drain(..) {
            self.pending.tally.blob(blob.value.as_ref().map(Vec::len));
            match blob.value {
                Some(value) => batch.put(Space::Blob, key::blob(&blob.digest), value),
                None => self.pending.refinery.shared(blob.digest),
            }
        }
        self.bytes = 0;
        batch.commit()?;
        Ok(())
    }
}
