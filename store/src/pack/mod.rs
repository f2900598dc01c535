//! A packed trace: one file that holds chosen sessions and the blobs they need, made to
//! be handed on. `docs/format.md` gives every byte.
//!
//! The records stand in blocks, in the order of keyspace and key; an index tree of blocks
//! leads to them, its root is named at the end of the file. Every block says itself what
//! it is, so that a file that was cut or damaged can be read without its index.

mod block;
mod create;
pub(crate) mod fuzz;
mod inspect;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod thin;
mod unpack;
mod write;

use std::path::PathBuf;

pub use create::{PackOptions, PackReport, pack};
pub use inspect::{Inspector, Suspects};
pub(crate) use read::PackFile;
pub use unpack::{UnpackReport, unpack};

use crate::error::StoreError;

/// Why a trace could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The trace cannot be read, or the new one not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something else stands where the pack is to be.
    #[error("{} is there already and is no packed trace", .0.display())]
    Occupied(PathBuf),
    /// The directory to unpack into holds something.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// It holds what must not be handed on.
    #[error("{} records hold what looks like a secret", .0.total())]
    Suspect(Suspects),
    /// A record is longer than a pack takes.
    #[error("a record of {0} bytes is too long for a pack")]
    TooLong(usize),
    /// Records came in an order that they cannot have.
    #[error("the trace is damaged: its records are out of order")]
    OutOfOrder,
    /// A file could not be handled.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl From<crate::db::DbError> for PackError {
    fn from(error: crate::db::DbError) -> Self {
        Self::Store(error.into())
    }
}
