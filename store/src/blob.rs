//! Blobs: plain bytes under their digest, compressed one by one.
//!
//! Value: plain length (varint), then the framing of `compress`. The digest is checked
//! at every read, so that damage never passes as data.

use crate::compress::{self, LEVEL_INLINE};
use crate::content::ContentError;
use crate::db::{Db, Space};
use crate::encode::{Put, Take};
use crate::key;
use crate::model::Digest;

/// Longest plain blob, bytes: larger values read and write several times slower.
pub(crate) const MAX_BLOB: usize = 1 << 20;

/// A blob that is ready to be stored.
#[derive(Clone, Debug)]
pub(crate) struct PackedBlob {
    pub(crate) digest: Digest,
    /// Stored value; `None` if the store holds it already.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) plain_len: u32,
}

impl PackedBlob {
    /// Bytes it adds to the store; for one that is there already, what it would.
    pub(crate) fn cost(&self) -> u64 {
        let plain = u64::from(self.plain_len);
        self.value
            .as_ref()
            .map_or(plain, |value| value.len() as u64)
    }
}

/// Packs plain bytes of at most [`MAX_BLOB`]; `dense` ones are not compressed again.
pub(crate) fn pack(db: &Db, plain: &[u8], dense: bool) -> Result<PackedBlob, ContentError> {
    let digest = Digest::of(plain);
    let known = db.contains(Space::Blob, &key::blob(&digest))?;
    let value = (!known).then(|| {
        let mut value = Vec::with_capacity(plain.len() / 2 + 8);
        value.var(plain.len() as u64);
        if dense {
            compress::encode_raw(plain, &mut value);
        } else {
            compress::encode(plain, LEVEL_INLINE, &mut value);
        }
        value
    });
    Ok(PackedBlob {
        digest,
        value,
        plain_len: u32::try_from(plain.len()).unwrap_or(u32::MAX),
    })
}

/// Reads a blob back and checks it.
pub(crate) fn read(db: &Db, digest: &Digest) -> Result<Vec<u8>, ContentError> {
    let value = db
        .get(Space::Blob, &key::blob(digest))?
        .ok_or(ContentError::NoBlob(*digest))?;
    unpack(digest, &value)
}

/// The plain bytes of a stored value.
pub(crate) fn unpack(digest: &Digest, value: &[u8]) -> Result<Vec<u8>, ContentError> {
    let damaged = || ContentError::DamagedBlob(*digest);
    let mut take = Take::new(value, "blob");
    let len: usize = take.num().map_err(|_| damaged())?;
    if len > MAX_BLOB {
        return Err(damaged());
    }
    let plain = compress::decode(take.rest(), len).map_err(|_| damaged())?;
    if Digest::of(&plain) == *digest {
        Ok(plain)
    } else {
        Err(damaged())
    }
}
