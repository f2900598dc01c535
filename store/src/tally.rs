//! What a writer has stored and how: counts for those who watch a recorder.

use crate::model::{Data, PatchCodec, Repr, Version};

/// The stored forms that are counted, as users read them.
pub const FORMS: [&str; 8] = [
    "keyframe", "chunks", "extent", "slice", "ranges", "prefix", "bsdiff", "missing",
];

/// Counts since the writer began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Versions in each of [`FORMS`], in that order.
    pub versions: [u64; FORMS.len()],
    /// Lengths of all contents, bytes.
    pub plain_bytes: u64,
    /// What they took: blobs that were not there yet, as stored, and bytes in records.
    pub stored_bytes: u64,
    /// Blobs that were not there yet.
    pub new_blobs: u64,
    /// Blobs that were there already.
    pub shared_blobs: u64,
}

impl Tally {
    pub(crate) fn version(&mut self, version: &Version) {
        let form = match &version.repr {
            Repr::Keyframe(_) => 0,
            Repr::Chunks(_) => 1,
            Repr::Extent { .. } | Repr::Burst(_) => 2,
            Repr::Slice { .. } => 3,
            Repr::Patch { codec, .. } => match codec {
                PatchCodec::Ranges => 4,
                PatchCodec::Prefix => 5,
                PatchCodec::Bsdiff => 6,
            },
            Repr::Missing(_) => 7,
        };
        if let Some(count) = self.versions.get_mut(form) {
            *count += 1;
        }
        if form != 7 {
            self.plain_bytes += version.length;
        }
        if let Repr::Extent { data, .. } | Repr::Patch { payload: data, .. } = &version.repr
            && let Data::Inline(bytes) = data
        {
            self.stored_bytes += bytes.len() as u64;
        }
    }

    /// Bytes that were counted as in a record are in a blob instead, which is counted.
    pub(crate) fn in_blob(&mut self, bytes: usize) {
        self.stored_bytes = self.stored_bytes.saturating_sub(bytes as u64);
    }

    /// A blob that was not there yet, with its stored length, or one that was.
    pub(crate) fn blob(&mut self, stored: Option<usize>) {
        match stored {
            Some(bytes) => {
                self.new_blobs += 1;
                self.stored_bytes += bytes as u64;
            }
            None => self.shared_blobs += 1,
        }
    }
}
