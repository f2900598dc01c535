//! Repair: a copy aside, then a trace that opens and says what it has lost.
//!
//! The database is first made one that the engine opens. It then may hold some keyspaces up to a
//! later event than others, so each session is cut where the first state is missing that its
//! events led to: what is left is whole. A gap event stands where it was cut.

mod aside;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::db::{Db, DbError, Space, mend};
use crate::error::StoreError;
use crate::key;
use crate::loss;
use crate::marks::{Known, Mark, Marks};
use crate::model::{Seq, SessionId};
use crate::statedir::{PATIENCE, StateDir};
pub(crate) use session::{gap_event, put_block, remove};

/// What was done to a trace.
#[derive(Clone, Debug, Default)]
pub struct RepairReport {
    /// Where the trace as it was is kept; `None` if nothing had to be done.
    pub aside: Option<PathBuf>,
    /// What was done to the database's own files, for people.
    pub mended: Vec<String>,
    /// The sessions that lost something.
    pub cut: Vec<Cut>,
}

/// What is left of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The session.
    pub session: SessionId,
    /// The last event that was acknowledged, if that is known.
    pub acknowledged: Option<Seq>,
    /// The last event that is left; `None` if nothing of the session is.
    pub kept: Option<Seq>,
    /// Whether its trees can be rebuilt: not if a part of its baseline is lost.
    pub tree: bool,
}

/// Repairs the trace in `path`. Does nothing to one that is whole.
///
/// # Errors
/// No trace, a locked one, or one that cannot be written. Damage of single records or contents
/// is not repaired: [`crate::verify::verify`] names it.
pub fn repair(path: &Path) -> Result<RepairReport, StoreError> {
    let dir = StateDir::open(path, "verify", PATIENCE)?;
    let mut report = RepairReport::default();
    let db = match Db::open(&dir.db()) {
        Ok(db) => db,
        Err(error) if error.is_damage() && !error.is_disk_full() => {
            let aside = aside::copy(path)?;
            report.mended = mend::mend(&dir.db(), &aside)?;
            report.aside = Some(aside);
            Db::open(&dir.db())?
        }
        Err(error) => return Err(error.into()),
    };
    let marks = Marks::new(dir.marks());
    let known = marks.read()?;
    let suspects = suspects(&db, &known, report.aside.is_some())?;
    if suspects.is_empty() && known.damaged == 0 {
        drop(db);
        return Ok(report);
    }
    let db = match report.aside {
        Some(_) => db,
        // The copy is made of a database that nobody writes to.
        None => {
            drop(db);
            report.aside = Some(aside::copy(path)?);
            Db::open(&dir.db())?
        }
    };
    for session in suspects {
        let mark = known.marks.iter().find(|mark| mark.session == session);
        report.cut.extend(session::cut(&db, session, mark)?);
    }
    marks.replace(&renewed(&db, &known)?)?;
    db.close()?;
    Ok(report)
}

/// The sessions that may have lost something: those that have by their marks, and all of a
/// database that had to be mended.
fn suspects(db: &Db, known: &Known, mended: bool) -> Result<BTreeSet<SessionId>, StoreError> {
    let losses = loss::losses(db, &known.marks)?;
    let mut suspects: BTreeSet<_> = losses.iter().map(|loss| loss.session).collect();
    if mended {
        suspects.extend(known.marks.iter().map(|mark| mark.session));
        for space in Space::OF_SESSIONS {
            suspects.extend(sessions_in(db, space)?);
        }
    }
    Ok(suspects)
}

/// The sessions that have records in a keyspace; one read a session.
fn sessions_in(db: &Db, space: Space) -> Result<Vec<SessionId>, StoreError> {
    let mut found = Vec::new();
    let mut from = Vec::new();
    while let Some(record) = db.range(space, from..).next() {
        let key = match record {
            Ok((key, _)) => key,
            // A damaged record is not one that is lost.
            Err(DbError::Checksum(_)) => break,
            Err(error) => return Err(error.into()),
        };
        let session = key::session_of(&key)?;
        found.push(session);
        let Some(next) = session.0.checked_add(1) else {
            break;
        };
        from = next.to_be_bytes().to_vec();
    }
    Ok(found)
}

/// The marks as the database now is; those of sessions that are gone are dropped.
fn renewed(db: &Db, known: &Known) -> Result<Vec<Mark>, StoreError> {
    let mut marks = Vec::new();
    for session in sessions_in(db, Space::Session)? {
        let old = known.marks.iter().find(|mark| mark.session == session);
        marks.extend(session::mark(db, session, old)?);
    }
    Ok(marks)
}
