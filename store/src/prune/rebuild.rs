//! A new database out of what stays of the old one, and the exchange of the two.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};

use super::{Plan, start};
use crate::db::{Batch, Db, DbError, Space};
use crate::encode::{encode_base, encode_progress};
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::marks::Mark;
use crate::meter::Meter;
use crate::model::SessionId;
use crate::pending::FULL_BATCH;
use crate::store::Store;

/// Where the new database grows, and where the old one ends.
fn beside(state: &Path) -> PathBuf {
    state.join("db.new")
}

/// Removes what an interrupted prune left: the new database before the exchange, or the old one
/// after it.
pub(crate) fn clear(state: &Path) {
    let _ = std::fs::remove_dir_all(beside(state));
}

pub(super) fn run(
    store: Store,
    state: &Path,
    plan: &Plan,
    meter: &dyn Meter,
) -> Result<(), StoreError> {
    clear(state);
    let new = beside(state);
    check_room(&state.join("db"), plan)?;
    let made = copy(&store, &new, plan, meter);
    if let Err(error) = made {
        clear(state);
        return Err(error);
    }
    // First the marks: a session that has none is not missed.
    store.marks.replace(&marks(&store, plan))?;
    let held = store.into_dir()?;
    exchange(&state.join("db"), &new)?;
    clear(state);
    drop(held);
    Ok(())
}

pub(super) fn io_error(path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    StoreError::Db(DbError::Io { path, source })
}

/// What stays has to be written once more beside what is there.
fn check_room(db: &Path, plan: &Plan) -> Result<(), StoreError> {
    let disk = statvfs(db).map_err(|error| io_error(db, error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let used = disk_usage(db).map_err(|source| io_error(db, source))?;
    let needed = used.saturating_sub(plan.bytes);
    if free < needed {
        return Err(StoreError::NoRoom { needed, free });
    }
    Ok(())
}

/// Bytes that a directory takes on the disk.
pub(crate) fn disk_usage(dir: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let data = match entry.metadata() {
            // A recorder that is at work replaces its tables.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            data => data?,
        };
        bytes += if data.is_dir() {
            disk_usage(&entry.path())?
        } else {
            data.blocks() * 512
        };
    }
    Ok(bytes)
}

fn exchange(old: &Path, new: &Path) -> Result<(), StoreError> {
    renameat_with(CWD, old, CWD, new, RenameFlags::EXCHANGE)
        .map_err(|error| io_error(new, error.into()))
}

fn marks(store: &Store, plan: &Plan) -> Vec<Mark> {
    let stays = store
        .known
        .marks
        .iter()
        .filter(|mark| !plan.removes(mark.session));
    stays
        .map(|mark| match plan.starts.get(&mark.session) {
            Some(start) => Mark {
                baseline: start.baseline,
                ..mark.clone()
            },
            None => mark.clone(),
        })
        .collect()
}

/// Records in batches of a bounded size.
struct Copy<'d> {
    db: &'d Db,
    batch: Batch<'d>,
}

impl Copy<'_> {
    fn flush_if_full(&mut self) -> Result<(), DbError> {
        if self.batch.bytes() > FULL_BATCH {
            std::mem::replace(&mut self.batch, self.db.batch()).commit()?;
        }
        Ok(())
    }
}

fn copy(store: &Store, new: &Path, plan: &Plan, meter: &dyn Meter) -> Result<(), StoreError> {
    let db = Db::open(new)?;
    let mut copy = Copy {
        batch: db.batch(),
        db: &db,
    };
    for space in Space::OF_SESSIONS {
        for record in store.db.raw_range(space, ..) {
            let (key, raw) = record?;
            let session = key::session_of(&key)?;
            let start = plan.starts.get(&session);
            if plan.removes(session) || start.is_some_and(|start| start.drops(space, &key)) {
                continue;
            }
            copy.batch.put_raw(space, key, raw);
            copy.flush_if_full()?;
        }
    }
    for (session, start) in &plan.starts {
        begin(&mut copy, store, *session, start)?;
    }
    for digest in &plan.live {
        let key = key::blob(digest);
        // One that is missing is missing after it as well, and named by whoever reads it.
        if let Some(raw) = store.db.raw(Space::Blob, &key)? {
            copy.batch.put_raw(Space::Blob, key, raw);
            copy.flush_if_full()?;
        }
        meter.advance(1);
    }
    copy.batch.commit()?;
    Ok(db.close()?)
}

/// The records of a session that starts later than it did.
fn begin(
    copy: &mut Copy<'_>,
    store: &Store,
    session: SessionId,
    start: &start::Start,
) -> Result<(), StoreError> {
    let key = |part| key::session(session, part);
    let progress = encode_progress(&start.progress);
    copy.batch.put(
        Space::Session,
        key(SessionPart::Base),
        encode_base(&start.base),
    );
    copy.batch
        .put(Space::Session, key(SessionPart::Progress), progress);
    let reader = store.session(Some(session))?;
    start::density(&reader, start, |density, now| {
        density.flush(session, now, &mut copy.batch);
        Ok(copy.flush_if_full()?)
    })?;
    Ok(())
}
