//! Versions and blobs of one session, as contents ask for them.

use crate::blob;
use crate::content::{ContentError, Lookup};
use crate::db::Space;
use crate::key;
use crate::model::{Digest, SessionId, Version, VersionRef};
use crate::store::Store;
use crate::versions;

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
        let key = versions::key_of::<ContentError>(&self.store.db, self.session, at)?;
        Ok(key.is_some())
    }

    /// Whether there is such a blob, without reading it.
    pub(crate) fn has_blob(&self, digest: &Digest) -> Result<bool, ContentError> {
        Ok(self.store.db.contains(Space::Blob, &key::blob(digest))?)
    }
}

impl Lookup for SessionLookup<'_> {
    fn version(&self, at: VersionRef) -> Result<Option<Version>, ContentError> {
        versions::exact(&self.store.db, self.session, at)
    }

    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        blob::read(&self.store.db, digest)
    }
}
