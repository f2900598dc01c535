//! Versions: the content of one file after one `Seq`, and the form it is stored in.

use super::{Burst, Digest, FileId, Seq, UnixTime, event::tagged};

tagged! {
    /// How a content came to be known.
    Provenance {
        /// Taken in the kernel, in the order in which it was applied.
        Captured = 0 "captured",
        /// Read after the change; states in between may be missing.
        Observed = 1 "observed",
    }
}

tagged! {
    /// Why there is no content.
    MissingReason {
        /// It kept changing while it was read.
        Torn = 0 "torn",
        /// Permission or an I/O error stood in the way.
        Unreadable = 1 "unreadable",
        /// It was gone before it could be read.
        Vanished = 2 "vanished",
        /// It was left out on purpose (a size limit, a thin pack).
        Omitted = 3 "omitted",
    }
}

tagged! {
    /// How a patch encodes the difference to its base.
    PatchCodec {
        /// Bytes spliced in at the same offsets.
        Ranges = 0 "ranges",
        /// A zstd frame that needs the base as prefix.
        Prefix = 1 "prefix",
        /// A BSDIFF40 file.
        Bsdiff = 2 "bsdiff",
    }
}

/// A version of some file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionRef {
    /// The file.
    pub file: FileId,
    /// The `Seq` its version stands at.
    pub seq: Seq,
}

/// The content of one file after one `Seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Length, bytes.
    pub length: u64,
    /// blake3 of the whole content; `None` only for versions that are not settled.
    pub digest: Option<Digest>,
    /// How it is known.
    pub provenance: Provenance,
    /// The file's mtime with this content.
    pub mtime: UnixTime,
    /// The file had holes: exports write long runs of zeros as holes.
    pub sparse: bool,
    /// Parts were masked before they were stored.
    pub redacted: bool,
    /// The stored form.
    pub repr: Repr,
}

impl Version {
    /// The blobs that its record names; of chunks, their lists.
    pub(crate) fn blobs(&self) -> Vec<Digest> {
        match &self.repr {
            Repr::Keyframe(_) if self.length == 0 => Vec::new(),
            Repr::Keyframe(digest) => vec![*digest],
            Repr::Extent { data, .. } | Repr::Patch { payload: data, .. } => data.blobs(),
            Repr::Burst(burst) => burst.data().blobs(),
            Repr::Chunks(lists) => lists.clone(),
            Repr::Slice { .. } | Repr::Missing(_) => Vec::new(),
        }
    }

    /// The last of the versions in the record of this one that is at most `at`, where the
    /// record stands at `seq`; `None` if all are later.
    #[must_use]
    pub fn as_of(&self, seq: Seq, at: Seq) -> Option<(Seq, Self)> {
        if seq <= at {
            return Some((seq, self.clone()));
        }
        let Repr::Burst(burst) = &self.repr else {
            return None;
        };
        let count = burst.writes().partition_point(|write| write.seq <= at);
        self.first(count)
    }

    /// The version after the first `count` writes of a burst, and where it stands.
    pub(crate) fn first(&self, count: usize) -> Option<(Seq, Self)> {
        let Repr::Burst(burst) = &self.repr else {
            return None;
        };
        let is_all = burst.writes().len() == count;
        let burst = burst.first(count)?;
        let last = *burst.writes().last()?;
        let version = Self {
            length: burst.length(),
            digest: self.digest.filter(|_| is_all),
            mtime: last.mtime,
            repr: Repr::Burst(burst),
            ..*self
        };
        Some((last.seq, version))
    }
}

/// The stored form of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repr {
    /// The whole content as one blob (none for an empty file).
    Keyframe(Digest),
    /// The base cut or zero-extended to the version's length, then `data` at `offset`.
    Extent {
        /// What it changes.
        base: VersionRef,
        /// Where the data goes.
        offset: u64,
        /// The bytes.
        data: Data,
    },
    /// As `Extent`, the bytes being those of `settled` at the same offset.
    Slice {
        /// What it changes.
        base: VersionRef,
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// The later version of the same file that holds the bytes.
        settled: Seq,
    },
    /// A difference to another version.
    Patch {
        /// What it applies to.
        base: VersionRef,
        /// How it is encoded.
        codec: PatchCodec,
        /// The encoded difference.
        payload: Data,
    },
    /// The content cut into pieces; each digest names a blob that lists them.
    Chunks(Vec<Digest>),
    /// No content is known.
    Missing(MissingReason),
    /// Several writes, with the versions between them.
    Burst(Burst),
}

impl Repr {
    /// The version this one is built on, if any.
    #[must_use]
    pub fn base(&self) -> Option<VersionRef> {
        match self {
            Self::Extent { base, .. } | Self::Slice { base, .. } | Self::Patch { base, .. } => {
                Some(*base)
            }
            Self::Burst(burst) => Some(burst.base()),
            Self::Keyframe(_) | Self::Chunks(_) | Self::Missing(_) => None,
        }
    }
}

/// Bytes that belong to a version, in its record while they are few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// In place, at most [`Data::MAX_INLINE`] bytes.
    Inline(Vec<u8>),
    /// Split into blobs (digest, plain length), in order.
    Blobs(Vec<(Digest, u32)>),
}

impl Data {
    /// Longest data kept inside a record, bytes.
    pub const MAX_INLINE: usize = 512;

    /// Plain length, bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blobs(blobs) => blobs.iter().map(|(_, len)| u64::from(*len)).sum(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The blobs that hold them, if they are not in place.
    fn blobs(&self) -> Vec<Digest> {
        match self {
            Self::Inline(_) => Vec::new(),
            Self::Blobs(blobs) => blobs.iter().map(|(digest, _)| *digest).collect(),
        }
    }
}
