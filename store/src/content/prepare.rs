//! Keyframes: a content that stands on nothing but itself, made ready on any thread.

use super::ContentError;
use crate::blob::{self, MAX_BLOB, PackedBlob};
use crate::chunk::{ChunkSizes, Chunker};
use crate::db::Db;
use crate::encode::encode_manifest;
use crate::model::{Digest, Repr};

/// A whole content, packed into blobs.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) length: u64,
    pub(crate) digest: Digest,
    pub(crate) repr: Repr,
    pub(crate) blobs: Vec<PackedBlob>,
}

impl Prepared {
    /// Bytes of the blobs as stored.
    pub(crate) fn cost(&self) -> u64 {
        self.blobs.iter().map(PackedBlob::cost).sum()
    }

    /// The digest of the content.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The length of the content, bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether the content is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Memory it holds, bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        let held = |blob: &PackedBlob| blob.value.as_ref().map_or(0, Vec::len);
        self.blobs.iter().map(held).sum()
    }
}

/// Packs a content that is in memory.
pub(crate) fn prepare(db: &Db, bytes: &[u8]) -> Result<Prepared, ContentError> {
    let length = bytes.len() as u64;
    if bytes.is_empty() {
        let digest = Digest::of(bytes);
        return Ok(Prepared {
            length,
            digest,
            repr: Repr::Keyframe(digest),
            blobs: Vec::new(),
        });
    }
    if bytes.len() <= MAX_BLOB {
        let blob = blob::pack(db, bytes, false)?;
        let digest = blob.digest;
        return Ok(Prepared {
            length,
            digest,
            repr: Repr::Keyframe(digest),
            blobs: vec![blob],
        });
    }
    let mut blobs = Vec::new();
    let mut pieces = Pieces::default();
    Chunker::new(ChunkSizes::LARGE).run(bytes, |_, chunk| {
        let blob = blob::pack(db, chunk, false)?;
        pieces.add(blob.digest, blob.plain_len);
        blobs.push(blob);
        Ok::<_, ContentError>(())
    })?;
    let repr = pieces.finish(db, |list| blobs.push(list))?;
    Ok(Prepared {
        length,
        digest: Digest::of(bytes),
        repr,
        blobs,
    })
}

/// The chunks of a content, in order, until they are written as lists.
#[derive(Default)]
pub(super) struct Pieces(Vec<(Digest, u32)>);

/// Chunks per list: keeps a list below the longest blob.
const PIECES_PER_LIST: usize = 16 * 1024;

impl Pieces {
    pub(super) fn add(&mut self, digest: Digest, len: u32) {
        self.0.push((digest, len));
    }

    pub(super) fn finish(
        self,
        db: &Db,
        mut sink: impl FnMut(PackedBlob),
    ) -> Result<Repr, ContentError> {
        let mut lists = Vec::new();
        for pieces in self.0.chunks(PIECES_PER_LIST) {
            let list = blob::pack(db, &encode_manifest(pieces), true)?;
            lists.push(list.digest);
            sink(list);
        }
        Ok(Repr::Chunks(lists))
    }
}
