//! The last reconcile: the tree is compared with the trace, so that the end is exact
//! whatever the source missed. What it finds and nothing announced is a gap as well.

use std::collections::HashSet;
use std::path::PathBuf;

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{FileId, GapReason, Op};

use crate::look::Reading;
use crate::observation::Fact;
use crate::recording::Recording;

/// Where the reconcile found changes.
pub(crate) type Found = Vec<(FileId, PathBuf)>;

impl Recording<'_> {
    /// Compares everything. Files that changed during the session are read once more,
    /// as stores through a shared mapping need not have left a trace in their times.
    pub(crate) fn reconcile(&mut self) -> Result<Found, StoreError> {
        self.flush_all()?;
        self.read_deferred(true)?;
        self.found = Some(Vec::new());
        self.rescan(None, Reading::Final, u64::MAX)?;
        // A rename that was awaited did not come: what it concerned has been scanned.
        self.pending.clear();
        Ok(self.found.take().unwrap_or_default())
    }

    /// Notes a change while the reconcile runs.
    pub(crate) fn note(&mut self, file: FileId, op: &Op) {
        if self.found.is_none() || matches!(op, Op::Gap { .. }) {
            return;
        }
        let path = match op.place() {
            Some(place) => self.tree.place_path(place),
            None => self.tree.path(file),
        };
        if let (Some(found), Some(path)) = (&mut self.found, path) {
            found.push((file, path));
        }
    }

    /// Records a gap for each change that no fact has announced, not even late.
    pub(crate) fn report_unannounced(
        &mut self,
        found: Found,
        announced: &HashSet<PathBuf>,
    ) -> Result<(), StoreError> {
        for (file, path) in found {
            if !announced.contains(&path) {
                let file = self.tree.get(file).map(|_| file);
                self.gap(GapReason::Unannounced, file, Some(&path), Vec::new())?;
            }
        }
        Ok(())
    }
}

/// The paths that a fact names.
pub(crate) fn paths_of(fact: &Fact) -> impl Iterator<Item = &PathBuf> {
    let (first, second) = match fact {
        Fact::Touched { path, .. } => (Some(path), None),
        Fact::Renamed { from, to } => (Some(from), Some(to)),
        Fact::Watched { .. }
        | Fact::Lost { .. }
        | Fact::Record(_)
        | Fact::Unwatched { .. }
        | Fact::Overrun(_)
        | Fact::Synced(_) => (None, None),
    };
    first.into_iter().chain(second)
}
