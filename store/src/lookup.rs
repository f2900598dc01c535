//! Versions and blobs of one session, as contents ask for them.

use crate::blob;
use crate::content::{ContentError, Lookup};
use crate::db::Space;
use crate::encode::decode_version;
use crate::key;
use crate::model::{Digest, SessionId, Version, VersionRef};
use crate::store::Store;

/// See [`Lookup`].
#[derive(Clone, Copy)]
pub(crate) struct SessionLookup<'s> {
    store: &'s Store,
    session: SessionId,
}

impl<'s> SessionLookup<'s> {
    pub(crate) const fn new(store: &'s Store, session: SessionId) -> Self {
        Self { store, session }
    }

    /// Whether there is such a version, without reading it.
    pub(crate) fn has_version(&self, at: VersionRef) -> Result<bool, ContentError> {
        let key = key::file_at(self.session, at.file, at.seq);
        Ok(self.store.db.contains(Space::Version, &key)?)
    }

    /// Whether there is such a blob, without reading it.
    pub(crate) fn has_blob(&self, digest: &Digest) -> Result<bool, ContentError> {
        Ok(self.store.db.contains(Space::Blob, &key::blob(digest))?)
    }
}

impl Lookup for SessionLookup<'_> {
    fn version(&self, at: VersionRef) -> Result<Option<Version>, ContentError> {
        let key = key::file_at(self.session, at.file, at.seq);
        match self.store.db.get(Space::Version, &key)? {
            Some(value) => Ok(Some(decode_version(&value)?)),
            None => Ok(None),
        }
    }

    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        blob::read(&self.store.db, digest)
    }
}
