//! What the workload believes is on disk, so that its choices need no listing of directories
//! (whose order differs between filesystems).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::rng::Rng;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Dir,
    Symlink,
}

/// Names below a root, as full paths.
#[derive(Debug)]
pub(super) struct Model {
    root: PathBuf,
    names: BTreeMap<PathBuf, Kind>,
}

impl Model {
    /// An empty directory.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            names: BTreeMap::new(),
        }
    }

    /// Some name of this kind.
    pub(super) fn pick(&self, rng: &mut Rng, kind: Kind) -> Option<PathBuf> {
        let names: Vec<&PathBuf> = self
            .names
            .iter()
            .filter(|(_, of)| **of == kind)
            .map(|(path, _)| path)
            .collect();
        rng.pick(&names).map(|path| (*path).clone())
    }

    /// Some name.
    pub(super) fn pick_any(&self, rng: &mut Rng) -> Option<PathBuf> {
        let names: Vec<&PathBuf> = self.names.keys().collect();
        rng.pick(&names).map(|path| (*path).clone())
    }

    /// Some directory; now and then the root.
    pub(super) fn pick_dir(&self, rng: &mut Rng) -> PathBuf {
        let found = match rng.one_in(4) {
            true => None,
            false => self.pick(rng, Kind::Dir),
        };
        found.unwrap_or_else(|| self.root.clone())
    }

    /// What the name stands for, if it is there.
    pub(super) fn kind(&self, path: &Path) -> Option<Kind> {
        self.names.get(path).copied()
    }

    /// Names in all.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// A name that has come to be.
    pub(super) fn add(&mut self, path: PathBuf, kind: Kind) {
        self.names.insert(path, kind);
    }

    /// A name that is gone, with all below it.
    pub(super) fn remove(&mut self, path: &Path) {
        self.take(path);
    }

    /// A rename, over whatever stood at `to`. Two names of one file stay both, as rename(2) says.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        if fs::symlink_metadata(from).is_ok() {
            return;
        }
        self.take(to);
        let moved = self.take(from);
        self.put(from, to, moved);
    }

    /// Two names that have changed places.
    pub(super) fn exchange(&mut self, a: &Path, b: &Path) {
        let (from_a, from_b) = (self.take(a), self.take(b));
        self.put(a, b, from_a);
        self.put(b, a, from_b);
    }

    fn take(&mut self, path: &Path) -> Vec<(PathBuf, Kind)> {
        let below: Vec<PathBuf> = self
            .names
            .range(path.to_path_buf()..)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(path))
            .cloned()
            .collect();
        below
            .into_iter()
            .filter_map(|name| self.names.remove_entry(&name))
            .collect()
    }

    fn put(&mut self, from: &Path, to: &Path, moved: Vec<(PathBuf, Kind)>) {
        for (name, kind) in moved {
            let name = match name.strip_prefix(from) {
                Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
                _ => to.to_path_buf(),
            };
            self.names.insert(name, kind);
        }
    }
}
