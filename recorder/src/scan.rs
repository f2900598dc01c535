//! Scans: looking at everything below a directory, after it appeared or after changes
//! may have gone by.

use std::collections::HashSet;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{FileId, GapReason, Kind, Place};

use crate::look::Reading;
use crate::observation::monotonic;
use crate::probe;
use crate::recording::Recording;

impl Recording<'_> {
    /// Looks at every name in a directory, then below. Gives whether it could: when a
    /// directory above has moved on, nothing can be said of the names here.
    pub(crate) fn scan(
        &mut self,
        dir: FileId,
        path: &Path,
        reading: Reading,
    ) -> Result<bool, StoreError> {
        if !self.in_sight(dir) {
            self.doubt_all();
            return Ok(false);
        }
        let started = monotonic();
        let names = match names(path) {
            Ok(names) => names,
            Err(error) if is_gone(&error) => {
                self.doubt_all();
                return Ok(false);
            }
            Err(error) => {
                tracing::debug!(?path, %error, "cannot list");
                self.gap(GapReason::Unreadable, None, Some(path), Vec::new())?;
                return Ok(false);
            }
        };
        if let Some(known) = self.tree.get_mut(dir) {
            known.listed = started;
        }
        for name in names {
            self.look_if_there(&Place { parent: dir, name }, reading)?;
        }
        Ok(true)
    }

    /// Looks again at everything below a directory, or everywhere, where directories
    /// were last listed before a point on the monotonic clock. Names that are there come
    /// before names that are gone, so that a move is seen as one.
    pub(crate) fn rescan(
        &mut self,
        path: Option<&Path>,
        reading: Reading,
        before: u64,
    ) -> Result<(), StoreError> {
        let scope = self.scope.clone();
        let starts: Vec<FileId> = match path {
            Some(path) => {
                let located = scope.locate(path);
                // What is not known yet is found by the nearest directory that is.
                let walked = located.and_then(|(root, relative)| self.tree.walk(root, relative));
                walked.map(|(file, _)| file).into_iter().collect()
            }
            None => (0..scope.roots().len())
                .filter_map(|index| self.tree.root(index))
                .collect(),
        };
        let mut listed = Vec::new();
        for start in starts {
            self.scan_known(start, (reading, before), &mut listed)?;
        }
        for dir in listed {
            self.remove_gone(dir)?;
        }
        Ok(())
    }

    /// As `scan`, going on into directories that are known already.
    fn scan_known(
        &mut self,
        dir: FileId,
        (reading, before): (Reading, u64),
        scanned: &mut Vec<FileId>,
    ) -> Result<(), StoreError> {
        let Some(known) = self.tree.get(dir).filter(|k| k.node.kind == Kind::Dir) else {
            return Ok(());
        };
        let due = known.listed < before;
        let inside: HashSet<FileId> = known.children.values().copied().collect();
        if due && let Some(path) = self.tree.path(dir) {
            if self.scan(dir, &path, reading)? {
                scanned.push(dir);
            }
            if let Ok(Some(stat)) = probe::stat(&path)
                && self.is(dir, &stat)
            {
                self.update(dir, &path, &stat, reading)?;
            }
        }
        // New ones have been scanned by the look that found them.
        for (_, file) in self.tree.children(dir) {
            if inside.contains(&file) {
                self.scan_known(file, (reading, before), scanned)?;
            }
        }
        Ok(())
    }

    /// Looks at the names of a directory that lead to another file than recorded.
    pub(crate) fn remove_gone(&mut self, dir: FileId) -> Result<(), StoreError> {
        for (name, file) in self.tree.children(dir) {
            let place = Place { parent: dir, name };
            if !self.leads_to(&place, file) && self.in_sight(dir) {
                self.look(&place, Reading::IfChanged)?;
            }
        }
        Ok(())
    }
}

/// The names in a directory.
pub(crate) fn names(path: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    std::fs::read_dir(path)?
        .map(|entry| Ok(entry?.file_name().into_vec()))
        .collect()
}

pub(crate) fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}
