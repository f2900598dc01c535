//! An open store: its sessions, and the way in for recorders.

use std::path::Path;
use std::time::Duration;

use crate::content::{self, ContentError, Prepared};
use crate::db::{Db, Space};
use crate::encode::decode_session;
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::model::{Session, SessionId};
use crate::reader::SessionReader;
use crate::statedir::StateDir;
use crate::writer::SessionWriter;

/// How long a reader waits for another reader to finish.
const READER_PATIENCE: Duration = Duration::from_secs(3);

/// One state directory, held by this process alone.
pub struct Store {
    pub(crate) db: Db,
    dir: StateDir,
}

impl Store {
    /// Opens a state directory for recording, making it if it is not there.
    ///
    /// # Errors
    /// A foreign, newer, locked or damaged directory, or one that cannot be made.
    pub fn create(path: &Path, purpose: &str) -> Result<Self, StoreError> {
        Self::with(StateDir::create(path, purpose)?)
    }

    /// Opens a trace for reading.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub fn open(path: &Path, purpose: &str) -> Result<Self, StoreError> {
        Self::own(path, purpose)
    }

    /// Opens an existing state directory to change what it holds. Waits a little if it
    /// is locked, as readers come and go quickly.
    ///
    /// # Errors
    /// An absent, foreign, newer, locked or damaged directory.
    pub fn own(path: &Path, purpose: &str) -> Result<Self, StoreError> {
        Self::with(StateDir::open(path, purpose, READER_PATIENCE)?)
    }

    fn with(dir: StateDir) -> Result<Self, StoreError> {
        let db = Db::open(&dir.db())?;
        Ok(Self { db, dir })
    }

    /// Where it is.
    pub(crate) fn state_dir(&self) -> &Path {
        self.dir.path()
    }

    /// All sessions, oldest first.
    ///
    /// # Errors
    /// A damaged record.
    pub fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        let info = |record: Result<(Vec<u8>, crate::db::Value), _>| {
            let (key, value) = match record {
                Ok(pair) => pair,
                Err(error) => return Some(Err(StoreError::Db(error))),
            };
            let is_info = key.last() == Some(&(SessionPart::Info as u8));
            is_info.then(|| Ok(decode_session(&value)?))
        };
        self.db.range(Space::Session, ..).filter_map(info).collect()
    }

    /// A session by number, or the last one.
    ///
    /// # Errors
    /// None with that number, none at all, or a damaged record.
    pub fn session(&self, id: Option<SessionId>) -> Result<SessionReader<'_>, StoreError> {
        let sessions = self.sessions()?;
        let found = match id {
            Some(id) => sessions.iter().find(|session| session.id == id),
            None => sessions.last(),
        };
        match (found, id) {
            (Some(session), _) => SessionReader::new(self, session.clone()),
            (None, Some(wanted)) if !sessions.is_empty() => {
                let known: Vec<_> = sessions.iter().map(|s| s.id.0.to_string()).collect();
                let known = known.join(", ");
                Err(StoreError::NoSuchSession { wanted, known })
            }
            _ => Err(StoreError::Empty),
        }
    }

    /// The number the next session will have.
    ///
    /// # Errors
    /// A failing database.
    pub fn next_session(&self) -> Result<SessionId, StoreError> {
        match self.db.range(Space::Session, ..).next_back() {
            None => Ok(SessionId(1)),
            Some(last) => Ok(SessionId(key::session_of(&last?.0)?.0.saturating_add(1))),
        }
    }

    /// Begins to record; `session.id` must be [`Store::next_session`].
    ///
    /// # Errors
    /// A failing database.
    pub fn begin(&self, session: &Session) -> Result<SessionWriter<'_>, StoreError> {
        SessionWriter::new(self, session)
    }

    /// Packs a content that stands on its own; any thread may.
    ///
    /// # Errors
    /// A failing database.
    pub fn prepare(&self, bytes: &[u8]) -> Result<Prepared, ContentError> {
        content::prepare(&self.db, bytes)
    }

    /// Closes in order: everything is in its final place afterwards.
    ///
    /// # Errors
    /// A failing database; what was committed stays committed.
    pub fn close(self) -> Result<(), StoreError> {
        Ok(self.db.close()?)
    }
}
