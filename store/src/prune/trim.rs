//! Trim: history given up while it is being recorded. [`super::execute`] copies what stays, which
//! nobody can wait for who records; here what goes is removed where it stands, in one batch.
//! Space returns to the disk when the engine compacts, see [`Store::reclaim`].

use std::collections::HashSet;

use super::start::{self, Start};
use super::{live, rebuild};
use crate::db::{Batch, Space};
use crate::encode::{encode_base, encode_progress};
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::model::{Seq, SessionId};
use crate::reader::SessionReader;
use crate::repair;
use crate::store::Store;
use crate::writer::SessionWriter;

impl SessionWriter<'_> {
    /// Gives up the session's events up to `seq` or some fewer, because blocks go as a whole,
    /// and what only they needed. Gives how many went.
    ///
    /// # Errors
    /// A failing database, or damage in what has to be read. Nothing has gone then.
    pub fn give_up(&mut self, seq: Seq) -> Result<u64, StoreError> {
        self.commit_all()?;
        let store = self.store();
        let reader = store.session(Some(self.session()))?;
        let Some(start) = start::at(&reader, seq)? else {
            return Ok(0);
        };
        let gone = start.base.dropped - reader.base().map_or(0, |base| base.dropped);
        let mut batch = store.db.batch();
        records(&reader, &start, &mut batch)?;
        let key = key::session(reader.id(), SessionPart::Base);
        batch.put(Space::Session, key, encode_base(&start.base));
        let key = key::session(reader.id(), SessionPart::Progress);
        batch.put(Space::Session, key, encode_progress(&start.progress));
        let density = start::density(&reader, &start, |_, _| Ok(()))?;
        density.remove_others(&store.db, reader.id(), &mut batch)?;
        blobs(store, Some((&reader, &start)), &mut batch)?;
        self.restart(&start, density, batch)?;
        Ok(gone)
    }
}

/// Removes the records of a session that its new start does not need.
fn records(
    reader: &SessionReader<'_>,
    start: &Start,
    batch: &mut Batch<'_>,
) -> Result<(), StoreError> {
    for space in [Space::Event, Space::Name, Space::Node, Space::Version] {
        for key in reader.store.db.keys(space, &reader.id().0.to_be_bytes()) {
            let key = key?;
            if start.drops(space, &key) {
                batch.remove(space, key);
            }
        }
    }
    Ok(())
}

/// Removes the blobs that nothing names then.
fn blobs(
    store: &Store,
    cut: Option<(&SessionReader<'_>, &Start)>,
    batch: &mut Batch<'_>,
) -> Result<(), StoreError> {
    let mut named = HashSet::new();
    for session in store.sessions()? {
        let start = cut.filter(|(reader, _)| reader.id() == session.id);
        let reader = SessionReader::new(store, session)?;
        live::mark(&reader, start.map(|(_, start)| start), &mut named, &())?;
    }
    for key in store.db.keys(Space::Blob, &[]) {
        let key = key?;
        if !named.contains(&key::blob_digest(&key)?) {
            batch.remove(Space::Blob, key);
        }
    }
    Ok(())
}

impl Store {
    /// Removes a session that is not being recorded, with what only it needed.
    ///
    /// # Errors
    /// A failing database, or damage in what has to be read.
    pub fn remove_session(&self, session: SessionId) -> Result<(), StoreError> {
        // First the mark: a session that has none is not missed.
        self.marks.forget(session)?;
        repair::remove(&self.db, session)?;
        let mut batch = self.db.batch();
        blobs(self, None, &mut batch)?;
        Ok(batch.commit()?)
    }

    /// Bytes of its tables and blobs, those that are not on the disk yet included: about what
    /// it weighs once it is closed, and the journals are gone. None of a trace that is not this
    /// process's own.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn weight(&self) -> Result<u64, StoreError> {
        let Some(dir) = self.state_dir() else {
            return Ok(0);
        };
        let tables = dir.join("db").join("keyspaces");
        let written = rebuild::disk_usage(&tables);
        let written = written.map_err(|source| rebuild::io_error(&tables, source))?;
        Ok(written + self.db.in_memory())
    }

    /// Gives the space of what was removed back to the disk. Takes as long as writing what
    /// is there once more.
    ///
    /// # Errors
    /// A failing database.
    pub fn reclaim(&self) -> Result<(), StoreError> {
        Ok(self.db.compact()?)
    }
}
