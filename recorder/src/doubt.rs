//! Doubt: announcements that came while the filesystem could not be asked, because a
//! directory above had moved on already, are applied on trust or cannot be applied at
//! all. Once no announcement waits, everything is looked at again.

use std::time::{Duration, Instant};

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{FileId, Kind, Place};

use crate::look::Reading;
use crate::probe;
use crate::recording::Recording;

/// Looking at everything may take one part in this many of the time.
const SHARE: u32 = 10;
/// A directory that was announced may take this long to be found.
const SOON: Duration = Duration::from_millis(5);

impl Recording<'_> {
    /// Whether a directory is where the trace has it, so that its names can be looked at.
    pub(crate) fn in_sight(&self, dir: FileId) -> bool {
        let path = self.tree.path(dir);
        let stat = path.and_then(|path| probe::stat(&path).ok().flatten());
        stat.is_some_and(|stat| self.is(dir, &stat))
    }

    /// Notes that the names in a directory may not be what the trace says, unless they
    /// could be looked at.
    pub(crate) fn doubt(&mut self, dir: FileId) {
        if self.doubtful.is_none() && !self.in_sight(dir) {
            self.doubt_all();
        }
    }

    /// Notes that the trace and the filesystem have drifted apart.
    pub(crate) fn doubt_all(&mut self) {
        let due = Instant::now() + SOON;
        self.doubtful = Some(self.not_again_before.map_or(due, |before| before.max(due)));
    }

    /// Checks everything if there is doubt. To be called when no announcement waits.
    pub(crate) fn resolve_doubt(&mut self) -> Result<(), StoreError> {
        let started = Instant::now();
        if self.doubtful.take_if(|due| *due <= started).is_none() {
            return Ok(());
        }
        self.rescan(None, Reading::IfChanged, u64::MAX)?;
        // What they stood for has been found under another name, or is gone.
        self.pending.clear();
        self.not_again_before = Some(Instant::now() + started.elapsed() * SHARE);
        Ok(())
    }

    /// Looks at the directories whose names changed, once no announcement waits: the
    /// times that were seen along the way may not have been the last.
    pub(crate) fn settle_dirs(&mut self) -> Result<(), StoreError> {
        for dir in std::mem::take(&mut self.touched_dirs) {
            if let Some(path) = self.tree.path(dir)
                && let Ok(Some(stat)) = probe::stat(&path)
                && self.is(dir, &stat)
            {
                self.update(dir, &path, &stat, Reading::IfChanged)?;
            }
        }
        Ok(())
    }

    /// Whether a move onto a name can only have been an exchange: what stood there could
    /// not have been replaced.
    pub(crate) fn must_be_exchange(&self, file: FileId, to: &Place) -> bool {
        let kind = |file: FileId| self.tree.get(file).map(|known| known.node.kind);
        let Some(other) = self.tree.child(to).filter(|other| *other != file) else {
            return false;
        };
        let full_dir = self.tree.get(other).is_some_and(|k| !k.children.is_empty());
        full_dir || (kind(file) == Some(Kind::Dir)) != (kind(other) == Some(Kind::Dir))
    }
}
