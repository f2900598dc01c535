//! What was acknowledged and is not there: the high-water marks against the database.

use crate::db::{Db, DbError, Space};
use crate::encode::decode_progress;
use crate::key::{self, SessionPart};
use crate::marks::Mark;
use crate::model::{Progress, Seq, SessionId};

/// A session of which the database holds less than its recorder was told is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The session.
    pub session: SessionId,
    /// The last event that was acknowledged.
    pub acknowledged: Seq,
    /// The last event that the database knows of; `None` if the session is gone.
    pub found: Option<Seq>,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (session, last) = (self.session.0, self.acknowledged.0);
        match self.found {
            None => write!(f, "session {session} is gone, which had {last} events"),
            Some(found) if found < self.acknowledged => write!(
                f,
                "session {session} has lost what came after #{}: it was recorded up to #{last}",
                found.0
            ),
            Some(_) => write!(f, "session {session} has lost a part of its records"),
        }
    }
}

/// Every session that lost something.
pub(crate) fn losses(db: &Db, marks: &[Mark]) -> Result<Vec<Loss>, DbError> {
    let mut losses = Vec::new();
    for mark in marks {
        let progress = progress(db, mark.session)?;
        let seal = key::session(mark.session, SessionPart::Seal);
        if mark.exceeds(progress.as_ref(), db.contains(Space::Session, &seal)?) {
            losses.push(Loss {
                session: mark.session,
                acknowledged: mark.last_seq,
                found: progress.map(|progress| progress.last_seq),
            });
        }
    }
    Ok(losses)
}

/// How far the database says a session is committed; `None` if it does not know the session,
/// or what it says is damaged.
fn progress(db: &Db, session: SessionId) -> Result<Option<Progress>, DbError> {
    let get = |part| match db.get(Space::Session, &key::session(session, part)) {
        Err(DbError::Checksum(_)) => Ok(None),
        other => other,
    };
    if get(SessionPart::Info)?.is_none() {
        return Ok(None);
    }
    let progress = get(SessionPart::Progress)?;
    Ok(progress.and_then(|value| decode_progress(&value).ok()))
}
