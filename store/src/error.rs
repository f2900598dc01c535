//! What can go wrong with a store as a whole.

use crate::content::ContentError;
use crate::db::DbError;
use crate::encode::Malformed;
use crate::loss::Loss;
use crate::model::{FileId, Seq, SessionId};
use crate::statedir::StateDirError;

/// A question to a store that has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be opened.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The database cannot be read or written.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A record is not what the format says.
    #[error("the trace is damaged: {0}")]
    Malformed(#[from] Malformed),
    /// A content cannot be rebuilt.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The store holds no session with this number.
    #[error("no session {} (there are: {known})", .wanted.0)]
    NoSuchSession {
        /// What was asked for.
        wanted: SessionId,
        /// What there is.
        known: String,
    },
    /// The store holds no session at all.
    #[error("the store holds no session yet")]
    Empty,
    /// The recorder died before it had seen the whole tree.
    #[error(
        "session {} ended before its baseline was complete: no state of it can be rebuilt",
        .0.0
    )]
    NoBaseline(SessionId),
    /// Something that was acknowledged is not there any more.
    #[error("the trace is damaged: {0}")]
    Lost(Loss),
    /// The state that was asked for was given up.
    #[error("session {} starts after #{}: what was before was given up", session.0, start.0)]
    BeforeStart {
        /// Which session.
        session: SessionId,
        /// Where it starts.
        start: Seq,
    },
    /// The disk cannot take a copy of what is to stay.
    #[error("{needed} bytes are needed for a copy of what stays, and {free} are free")]
    NoRoom {
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// Part of the event log is missing.
    #[error("the trace is damaged: no events from #{} on", .0.0)]
    MissingEvents(Seq),
    /// A name stands for a file of which nothing is known.
    #[error("the trace is damaged: nothing is known of file {}", .0.0)]
    NoNode(FileId),
    /// The trace as a whole is damaged, in words.
    #[error("the trace is damaged: {0}")]
    Damaged(String),
    /// A directory contains itself.
    #[error("the trace is damaged: a directory loop")]
    Loop,
}

impl StoreError {
    /// Whether other records can be read all the same. An engine that failed once may
    /// fail for ever.
    #[must_use]
    pub const fn is_of_one_record(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::NoNode(_))
            || matches!(self, Self::Db(error) if error.is_of_one_record())
    }
}
