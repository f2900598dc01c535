//! Scans: looking at everything below a directory, after it appeared or after changes
//! may have gone by.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{FileId, GapReason, Kind, Place};

use crate::look::Reading;
use crate::recording::Recording;

impl Recording<'_> {
    /// Looks at every name in a directory, then below.
    pub(crate) fn scan(
        &mut self,
        dir: FileId,
        path: &Path,
        reading: Reading,
    ) -> Result<(), StoreError> {
        let names = match names(path) {
            Ok(names) => names,
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => {
                tracing::debug!(?path, %error, "cannot list");
                return self.gap(GapReason::Unreadable, None, Some(path), Vec::new());
            }
        };
        for name in names {
            self.look(&Place { parent: dir, name }, reading)?;
        }
        Ok(())
    }

    /// Looks again at everything below a directory, or everywhere. Names that are there
    /// come before names that are gone, so that a move is seen as one.
    pub(crate) fn rescan(
        &mut self,
        path: Option<&Path>,
        reading: Reading,
    ) -> Result<(), StoreError> {
        let scope = self.scope.clone();
        let starts: Vec<FileId> = match path {
            Some(path) => {
                let located = scope.locate(path);
                let walked = located.and_then(|(root, relative)| self.tree.walk(root, relative));
                match walked {
                    Some((file, [])) => vec![file],
                    // It is not known yet: the nearest known directory finds it.
                    Some((file, _)) => vec![file],
                    None => Vec::new(),
                }
            }
            None => (0..scope.roots().len())
                .filter_map(|index| self.tree.root(index))
                .collect(),
        };
        for start in &starts {
            self.scan_known(*start, reading)?;
        }
        for start in starts {
            self.remove_gone(start)?;
        }
        Ok(())
    }

    /// As `scan`, going on into directories that are known already.
    fn scan_known(&mut self, dir: FileId, reading: Reading) -> Result<(), StoreError> {
        let is_dir = self.tree.get(dir).is_some_and(|k| k.node.kind == Kind::Dir);
        let Some(path) = self.tree.path(dir).filter(|_| is_dir) else {
            return Ok(());
        };
        let before: std::collections::HashSet<FileId> = self
            .tree
            .children(dir)
            .into_iter()
            .map(|(_, file)| file)
            .collect();
        let Ok(listed) = names(&path) else {
            return Ok(());
        };
        for name in listed {
            self.look(&Place { parent: dir, name }, reading)?;
        }
        let inside = self.tree.children(dir);
        for (_, file) in inside.into_iter().filter(|(_, file)| before.contains(file)) {
            self.scan_known(file, reading)?;
        }
        if let Ok(Some(stat)) = crate::probe::stat(&path) {
            self.update(dir, &path, &stat, reading)?;
        }
        Ok(())
    }

    fn remove_gone(&mut self, dir: FileId) -> Result<(), StoreError> {
        for (name, file) in self.tree.children(dir) {
            let place = Place { parent: dir, name };
            if !self.leads_to(&place, file) {
                self.look(&place, Reading::IfChanged)?;
            }
            if self
                .tree
                .get(file)
                .is_some_and(|k| k.node.kind == Kind::Dir)
            {
                self.remove_gone(file)?;
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
