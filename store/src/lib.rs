//! The versioned-filesystem store of diffkeeper: names, nodes, versions and events of
//! recorded sessions in an LSM, and what can be asked of them.

mod blob;
pub mod chunk;
pub mod compress;
mod conclude;
mod content;
mod cursor;
#[allow(dead_code, reason = "the packed file and the live recorder follow")]
mod db;
mod decimal;
mod density;
pub mod diff;
mod encode;
mod error;
pub mod export;
pub mod filter;
mod key;
mod lookup;
mod loss;
mod marks;
mod meter;
pub mod model;
pub mod patch;
mod paths;
mod pending;
pub mod policy;
pub mod prune;
mod reader;
mod refine;
pub mod repair;
mod reserve;
pub mod restore;
pub mod size;
mod snapshot;
mod statedir;
mod states;
mod store;
pub mod verify;
pub mod when;
mod writer;

pub use conclude::conclude;
pub use content::{Content, ContentError, Encoded, Prepared, Seen, WHOLE_MAX};
pub use cursor::Cursor;
pub use db::{DbError, panic_is_guarded};
pub use density::{Bucket, RESOLUTIONS};
pub use encode::Malformed;
pub use error::StoreError;
pub use loss::Loss;
pub use meter::Meter;
pub use paths::{EventPaths, Paths};
pub use reader::{Events, SessionReader};
pub use refine::{Candidate, Refined};
pub use snapshot::{Entry, Snapshot, State, components};
pub use statedir::{FORMAT_VERSION, StateDirError};
pub use store::Store;
pub use writer::{Change, Checked, NewContent, Record, SessionWriter};
