//! What a thin pack leaves out: contents of the baseline that no event touched, that no
//! other content is built on, and that can be had elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::PackError;
use crate::db::{Db, Space, Value};
use crate::encode::{decode_version, encode_version};
use crate::key;
use crate::model::{Digest, FileId, MissingReason, Repr, Seq, SessionId, Version};
use crate::store::Store;
use crate::supply::Supply;

/// Files whose contents are left out; 16 bytes each are all that is kept in memory.
#[derive(Default)]
pub(super) struct Omitted(BTreeSet<(SessionId, FileId)>);

/// What could be left out of one session.
#[derive(Default)]
struct Candidates {
    /// Files with one version, that of the baseline: digest and length, bytes.
    files: BTreeMap<FileId, (Digest, u64)>,
    /// Files whose baseline others are built on.
    bases: BTreeSet<FileId>,
    last: Option<FileId>,
}

impl Omitted {
    /// Decides for the chosen sessions.
    pub(super) fn choose(
        store: &Store,
        sessions: &[SessionId],
        supply: &Supply,
    ) -> Result<Self, PackError> {
        let mut omitted = Self::default();
        for id in sessions {
            let reader = store.session(Some(*id))?;
            let found = Candidates::of(&store.db, *id)?;
            for (file, (digest, length)) in found.files {
                let Ok(Some(path)) = reader.path_of(file, Seq::BASELINE) else {
                    continue;
                };
                if !found.bases.contains(&file) && supply.find(&path, length, &digest).is_some() {
                    omitted.0.insert((*id, file));
                }
            }
        }
        Ok(omitted)
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The version as it is packed.
    pub(super) fn apply(&self, session: SessionId, file: FileId, version: Version) -> Version {
        if !self.0.contains(&(session, file)) {
            return version;
        }
        Version {
            repr: Repr::Missing(MissingReason::Omitted),
            ..version
        }
    }

    /// The stored form of a version that is left out; none if it stays as it is.
    pub(super) fn raw(&self, session: SessionId, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let (file, _) = key::file_at_parts(key).ok()?;
        if !self.0.contains(&(session, file)) {
            return None;
        }
        let version = self.apply(session, file, decode_version(value).ok()?);
        Some(encode_version(&version))
    }
}

impl Candidates {
    fn of(db: &Db, session: SessionId) -> Result<Self, PackError> {
        let mut found = Self::default();
        for record in db.prefix(Space::Version, &session.0.to_be_bytes()) {
            match record {
                Ok((key, value)) => found.add(&key, &value),
                // Its file must not be taken for unchanged, and which that is nobody knows.
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    fn add(&mut self, key: &[u8], value: &Value) {
        let (Ok((file, seq)), Ok(version)) = (key::file_at_parts(key), decode_version(value))
        else {
            return;
        };
        if let Some(base) = version.repr.base() {
            self.bases.insert(base.file);
        }
        if self.last == Some(file) {
            self.files.remove(&file);
        }
        self.last = Some(file);
        let alone = matches!(version.repr, Repr::Keyframe(_) | Repr::Chunks(_));
        if let Some(digest) = version.digest.filter(|_| alone && version.length > 0)
            && seq == Seq::BASELINE
        {
            self.files.insert(file, (digest, version.length));
        }
    }
}
