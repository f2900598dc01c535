//! An open store: its sessions, and the way in for recorders.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::content::{self, ContentError, Prepared};
use crate::db::{Db, DbError, Durability, Pages, Reading, Space};
use crate::encode::decode_session;
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::live::Client;
use crate::loss::{self, Loss};
use crate::marks::{Known, Marks};
use crate::model::{Session, SessionId};
use crate::pack::PackFile;
use crate::prune;
use crate::reader::SessionReader;
use crate::reserve::Reserve;
use crate::statedir::{PATIENCE, StateDir};
use crate::writer::SessionWriter;

/// A trace: a state directory held by this process alone, one that a recorder serves, or
/// a packed file.
pub struct Store {
    pub(crate) db: Db,
    pub(crate) marks: Marks,
    pub(crate) known: Known,
    losses: Vec<Loss>,
    /// While it is recorded into.
    reserve: Option<Reserve>,
    /// Where it is and its lock, where the database is this process's own.
    dir: Option<StateDir>,
}

impl Store {
    /// Opens a state directory for recording, making it if it is not there.
    ///
    /// # Errors
    /// A foreign, newer, locked or damaged directory, or one that cannot be made.
    pub fn create(path: &Path, purpose: &str) -> Result<Self, StoreError> {
        let dir = StateDir::create(path, purpose)?;
        let reserve = dir.reserve();
        let mut store = Self::with(dir, Reading::Again)?;
        store.reserve = Some(Reserve::take(reserve));
        Ok(store)
    }

    /// What commits are to survive from now on; [`Durability::Crash`] otherwise.
    ///
    /// # Errors
    /// A trace that is not this process's own, or no thread to be had.
    pub fn set_durability(&mut self, durability: Durability) -> Result<(), StoreError> {
        Ok(self.db.set_durability(durability)?)
    }

    /// Opens a trace for reading: a state directory, through its recorder where one is at
    /// work in it, or a packed file.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub fn open(path: &Path, purpose: &str) -> Result<Self, StoreError> {
        Self::open_for(path, purpose, Reading::Again)
    }

    /// The same for who reads every content once.
    ///
    /// # Errors
    /// As [`Store::own`].
    pub fn open_once(path: &Path, purpose: &str) -> Result<Self, StoreError> {
        Self::open_for(path, purpose, Reading::Once)
    }

    fn open_for(path: &Path, purpose: &str, reading: Reading) -> Result<Self, StoreError> {
        if path.is_file() {
            return Ok(Self::of_pages(PackFile::open(path)?));
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let refused = match StateDir::open(path, purpose, Duration::ZERO) {
                // While it is recorded under sudo, its lock is not the reader's to look at.
                Err(error) if error.is_locked() || error.is_denied() => error,
                opened => return Self::with(opened?, reading),
            };
            if let Ok(client) = Client::connect(path) {
                return Ok(Self::of_pages(client));
            }
            if Instant::now() >= deadline || !refused.is_locked() {
                return Err(refused.into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn of_pages(pages: impl Pages + 'static) -> Self {
        let db = Db::Pages(Box::new(pages));
        Self {
            db,
            marks: Marks::new(PathBuf::new()),
            known: Known::default(),
            losses: Vec::new(),
            reserve: None,
            dir: None,
        }
    }

    /// Whether a recorder is at work in it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.db.pages().is_some_and(Pages::is_live)
    }

    /// Lets what was committed since it was opened be seen, if a recorder is at work.
    /// Readers of sessions that were made before stay as they are, and must not be used.
    ///
    /// # Errors
    /// The recorder has ended: then the trace can be opened anew.
    pub fn renew(&self) -> Result<(), StoreError> {
        Ok(self.db.pages().map_or(Ok(()), Pages::renew)?)
    }

    /// What is known to be wrong with it as a whole, in words. Other damage shows where it
    /// is met.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        self.db.pages().and_then(Pages::damage)
    }

    /// Opens an existing state directory to change what it holds. Waits a little if it
    /// is locked, as readers come and go quickly.
    ///
    /// # Errors
    /// An absent, foreign, newer, locked or damaged directory.
    pub fn own(path: &Path, purpose: &str) -> Result<Self, StoreError> {
        Self::with(StateDir::open(path, purpose, PATIENCE)?, Reading::Again)
    }

    fn with(dir: StateDir, reading: Reading) -> Result<Self, StoreError> {
        // A recorder that was killed leaves its reserve behind.
        let _ = std::fs::remove_file(dir.reserve());
        prune::clear(dir.path());
        let db = Db::open_for(&dir.db(), reading)?;
        let marks = Marks::new(dir.marks());
        let known = marks.read()?;
        let losses = loss::losses(&db, &known.marks)?;
        Ok(Self {
            db,
            marks,
            known,
            losses,
            reserve: None,
            dir: Some(dir),
        })
    }

    /// Where it is, if it is a directory of this process's own.
    pub(crate) fn state_dir(&self) -> Option<&Path> {
        self.dir.as_ref().map(StateDir::path)
    }

    /// The sessions that lost something of what was acknowledged. They cannot be opened until
    /// [`crate::repair::repair`] has cut them to what is whole.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Lets go of the database and keeps the lock.
    pub(crate) fn into_dir(self) -> Result<StateDir, StoreError> {
        self.db.close()?;
        Ok(self.dir.ok_or(DbError::ReadOnly)?)
    }

    fn loss_of(&self, id: SessionId) -> Result<(), StoreError> {
        match self.losses.iter().find(|loss| loss.session == id) {
            Some(loss) => Err(StoreError::Lost(*loss)),
            None => Ok(()),
        }
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
    /// None with that number, none at all, one that lost something, or a damaged record.
    pub fn session(&self, id: Option<SessionId>) -> Result<SessionReader<'_>, StoreError> {
        let sessions = self.sessions()?;
        // The last session may be the one that is gone.
        let marked = self.known.marks.iter().map(|mark| mark.session).max();
        let last = sessions.last().map(|last| last.id).max(marked);
        if let Some(id) = id.or(last) {
            self.loss_of(id)?;
        }
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
        // A number is never given twice, not even where the first one's own record is gone.
        let mut last = self.known.marks.iter().map(|mark| mark.session.0).max();
        for space in Space::OF_SESSIONS {
            if let Some(record) = self.db.range(space, ..).next_back() {
                last = last.max(Some(key::session_of(&record?.0)?.0));
            }
        }
        Ok(SessionId(last.unwrap_or(0).saturating_add(1)))
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
        drop(self.reserve);
        Ok(self.db.close()?)
    }
}
