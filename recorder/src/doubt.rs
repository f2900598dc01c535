//! Doubts: what was taken from announcements while the filesystem could not be asked,
//! because a directory above had moved on already. It is checked once no announcement
//! waits, when the trace has caught up with the filesystem.

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{FileId, Kind, Place};

use crate::look::Reading;
use crate::probe;
use crate::recording::Recording;

impl Recording<'_> {
    /// Whether a directory is where the trace has it, so that its names can be looked at.
    fn in_sight(&self, dir: FileId) -> bool {
        let path = self.tree.path(dir);
        let stat = path.and_then(|path| probe::stat(&path).ok().flatten());
        stat.is_some_and(|stat| self.is(dir, &stat))
    }

    /// Notes that the names in a directory may not be what the trace says, unless they
    /// could be looked at.
    pub(crate) fn doubt(&mut self, dir: FileId) {
        if !self.doubts.contains(&dir) && !self.in_sight(dir) {
            self.doubts.insert(dir);
        }
    }

    /// Checks what was doubted. To be called when no announcement is waiting.
    pub(crate) fn resolve_doubts(&mut self) -> Result<(), StoreError> {
        for dir in std::mem::take(&mut self.doubts) {
            // A directory that is not where it should be is found from above, or not at all.
            let mut at = Some(dir);
            while let Some(dir) = at.filter(|dir| !self.in_sight(*dir)) {
                let links = self.tree.get(dir).map(|known| &known.node.links);
                at = links.and_then(|links| Some(links.first()?.parent));
            }
            if let Some(dir) = at {
                self.list_again(dir, Reading::IfChanged)?;
            }
        }
        Ok(())
    }

    /// Looks at the directories whose names changed, once no announcement is waiting:
    /// the times that were seen along the way may not have been the last.
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
