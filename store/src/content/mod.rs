//! Contents: from the plain bytes of a file to the stored form of a version and back.

mod burst;
mod capture;
mod encode;
mod head;
mod layers;
mod prepare;
mod read;
mod reroot;
mod spans;
#[cfg(test)]
mod tests;

pub(crate) use capture::Write;
pub(crate) use encode::Sink;
pub use encode::{Encoded, Seen};
pub(crate) use head::{Built, ContentEncoder};
pub use prepare::Prepared;
pub(crate) use prepare::prepare;
pub use read::Content;
pub(crate) use read::{Lookup, open, step};

use crate::db::DbError;
use crate::encode::Malformed;
use crate::model::{Digest, MissingReason, VersionRef};
use crate::patch::CodecError;

/// Files up to this many bytes are handled whole in memory; longer ones in windows.
pub const WHOLE_MAX: u64 = 8 << 20;

/// Why a content cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The recorder never had it.
    #[error("the content was not recorded: {}", .0.word())]
    Missing(MissingReason),
    /// A blob is not in the store.
    #[error("the trace is damaged: blob {0} is missing")]
    NoBlob(Digest),
    /// A blob does not match its digest.
    #[error("the trace is damaged: blob {0} is corrupt")]
    DamagedBlob(Digest),
    /// A version that others are built on is not in the store.
    #[error("the trace is damaged: version #{} of file {} is missing", .0.seq.0, .0.file.0)]
    NoVersion(VersionRef),
    /// The rebuilt bytes do not match the digest of the version.
    #[error("the trace is damaged: version #{} of file {} does not match its digest", .0.seq.0, .0.file.0)]
    Mismatch(VersionRef),
    /// The chain of versions makes no sense.
    #[error("the trace is damaged: the chain below version #{} of file {} is broken", .0.seq.0, .0.file.0)]
    BrokenChain(VersionRef),
    /// A payload cannot be applied.
    #[error("the trace is damaged: {0}")]
    Codec(#[from] CodecError),
    /// A record is not what the format says.
    #[error("the trace is damaged: {0}")]
    Malformed(#[from] Malformed),
    /// The database refused.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Reading the file or writing the result failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
