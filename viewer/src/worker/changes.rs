//! All that changed between two states, from their snapshots; the base is kept, as the
//! cursor moves and it does not.

use std::sync::Arc;

use diffkeeper_store::diff::{ChangeKind, TreeChange, compare};
use diffkeeper_store::model::Seq;
use diffkeeper_store::{Snapshot, StoreError};

use super::Job;
use crate::ask::{Answer, Changed};

/// The snapshot of the base.
#[derive(Default)]
pub(super) struct State {
    base: Option<Snapshot>,
}

impl State {
    pub(super) fn work(&mut self, base: Seq, at: Seq, job: Job<'_>) {
        match self.changes(base, at, job) {
            Ok(changes) => job.answer(Answer::Changes(base, at, Arc::new(changes))),
            Err(error) => job.fail(&error),
        }
    }

    fn changes(&mut self, base: Seq, at: Seq, job: Job<'_>) -> Result<Vec<Changed>, StoreError> {
        let kept = self.base.take().filter(|kept| kept.seq() == base);
        let before = match kept {
            Some(kept) => kept,
            None => job.reader.salvage(base)?,
        };
        let after = job.reader.salvage(at)?;
        let changes = compare(&before, &after);
        let changed = changes.iter().filter_map(changed).collect();
        self.base = Some(before);
        Ok(changed)
    }
}

fn changed(change: &TreeChange<'_>) -> Option<Changed> {
    let mark = match change.kind {
        ChangeKind::Added => 'A',
        ChangeKind::Removed => 'D',
        ChangeKind::Renamed => 'R',
        ChangeKind::TypeChanged => 'T',
        ChangeKind::Modified => 'M',
        // That a directory has another time says no more than the marks below it.
        ChangeKind::Meta if is_only_time_of_dir(change) => return None,
        ChangeKind::Meta => 'm',
    };
    let file = change.new.or(change.old)?.file;
    let path = change.path().to_vec();
    Some(Changed { mark, path, file })
}

fn is_only_time_of_dir(change: &TreeChange<'_>) -> bool {
    let is_dir = change
        .new
        .is_some_and(|new| new.state.node.kind == diffkeeper_store::model::Kind::Dir);
    let meta = change.meta;
    is_dir && meta.mtime && !(meta.mode || meta.owner || meta.xattrs || meta.target)
}
