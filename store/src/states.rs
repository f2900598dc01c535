//! The states that an event never comes without: what is missing here was lost.

use crate::db::{Db, Space};
use crate::error::StoreError;
use crate::key;
use crate::model::{Event, FileId, Op, Place, Seq, SessionId, VersionRef};
use crate::versions::Held;

/// A record that an event led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) space: Space,
    pub(crate) key: Vec<u8>,
}

impl Expected {
    /// Whether it is there. A version may stand in the record of a later one.
    pub(crate) fn is_there(&self, db: &Db, held: &mut Held) -> Result<bool, StoreError> {
        if self.space != Space::Version {
            return Ok(db.contains(self.space, &self.key)?);
        }
        let session = key::session_of(&self.key)?;
        let (file, seq) = key::file_at_parts(&self.key)?;
        held.has(db, session, VersionRef { file, seq })
    }
}

/// The records that must stand at the `Seq` of an event.
pub(crate) fn of(session: SessionId, event: &Event) -> Vec<Expected> {
    let Some(file) = event.file else {
        return Vec::new();
    };
    let at = At {
        session,
        seq: event.seq,
    };
    match &event.op {
        Op::Create(place)
        | Op::Mkdir(place)
        | Op::Mknod(place)
        | Op::Symlink(place)
        | Op::Link(place)
        | Op::Unlink(place)
        | Op::Rmdir(place) => vec![at.name(place), at.file(Space::Node, file)],
        Op::Rename { from, to, .. } => {
            vec![at.name(from), at.name(to), at.file(Space::Node, file)]
        }
        Op::Write { .. } | Op::Truncate { .. } => vec![at.file(Space::Version, file)],
        // One look may find several attributes changed: only one of its events has the node.
        _ => Vec::new(),
    }
}

struct At {
    session: SessionId,
    seq: Seq,
}

impl At {
    fn name(&self, place: &Place) -> Expected {
        let key = key::name(self.session, place.parent, &place.name, self.seq);
        let space = Space::Name;
        Expected { space, key }
    }

    fn file(&self, space: Space, file: FileId) -> Expected {
        let key = key::file_at(self.session, file, self.seq);
        Expected { space, key }
    }
}
