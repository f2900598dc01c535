//! What an export will do: which directories, which files in which directory, which
//! further names. Pure.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::GlobSet;

use super::{ExportError, LeftOut, Why};
use crate::encode::is_name;
use crate::model::{FileId, Kind, TracePath};
use crate::snapshot::{Entry, Snapshot};

/// Most files one thread writes before it looks for more work.
const UNIT: usize = 128;
/// Bytes of content after which it looks as well: a few large files are shared out too.
const UNIT_BYTES: u64 = 512 << 10;

/// A decided export.
pub(crate) struct Plan<'s> {
    /// Parents before children; the first is the top.
    pub(crate) dirs: Vec<Slot<'s>>,
    pub(crate) units: Vec<Unit<'s>>,
    pub(crate) links: Vec<Link<'s>>,
    /// What cannot be exported, known beforehand.
    pub(crate) left_out: Vec<LeftOut>,
}

/// An entry and the directory, by its index in `dirs`, that it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'s> {
    pub(crate) dir: usize,
    pub(crate) entry: &'s Entry,
}

/// Entries of one directory.
pub(crate) struct Unit<'s> {
    pub(crate) dir: usize,
    entries: Vec<&'s Entry>,
    /// Length of their contents, bytes.
    bytes: u64,
}

/// A further name of a node.
pub(crate) struct Link<'s> {
    pub(crate) first: Slot<'s>,
    pub(crate) further: Slot<'s>,
}

impl<'s> Unit<'s> {
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot<'s>> {
        let dir = self.dir;
        self.entries.iter().map(move |entry| Slot { dir, entry })
    }

    pub(crate) const fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    const fn is_full(&self) -> bool {
        self.entries.len() >= UNIT || self.bytes >= UNIT_BYTES
    }

    fn push(&mut self, entry: &'s Entry) {
        let version = entry.state.version.as_ref();
        self.bytes = self
            .bytes
            .saturating_add(version.map_or(0, |(_, version)| version.length));
        self.entries.push(entry);
    }
}

impl<'s> Plan<'s> {
    pub(crate) fn new(
        snapshot: &'s Snapshot,
        paths: Option<&GlobSet>,
    ) -> Result<Self, ExportError> {
        let entries = snapshot.entries();
        let top = entries.first().ok_or(ExportError::NoTop)?;
        if !top.path.is_empty() || top.state.node.kind != Kind::Dir {
            return Err(ExportError::NoTop);
        }
        let parents = parents(entries);
        let wanted = wanted(entries, &parents, paths);
        let mut builder = Builder {
            plan: Self {
                dirs: vec![Slot { dir: 0, entry: top }],
                units: Vec::new(),
                links: Vec::new(),
                left_out: damaged(snapshot, paths),
            },
            dir_of: HashMap::from([(0, 0)]),
            open_unit: HashMap::new(),
            first_names: HashMap::new(),
        };
        for (index, entry) in entries.iter().enumerate().skip(1) {
            if wanted.get(index) == Some(&true) {
                let parent = parents.get(index).copied().unwrap_or(0);
                builder.add(index, entry, parent);
            }
        }
        Ok(builder.plan)
    }

    /// The path of a directory of the plan.
    pub(crate) fn dir_path(&self, dir: usize) -> &[u8] {
        self.dirs
            .get(dir)
            .map_or(&[], |slot| slot.entry.path.as_slice())
    }

    /// How many steps a meter will see.
    pub(crate) fn steps(&self) -> u64 {
        let files: u64 = self.units.iter().map(Unit::len).sum();
        files + (self.dirs.len() + self.links.len()) as u64
    }
}

/// Index of the directory that each entry stands in.
fn parents(entries: &[Entry]) -> Vec<usize> {
    let mut above: Vec<(usize, &Entry)> = Vec::new();
    let mut parents = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let holds = |dir: &Entry| match entry.path.strip_prefix(dir.path.as_slice()) {
            Some(rest) => dir.path.is_empty() || rest.first() == Some(&b'/'),
            None => false,
        };
        while above.last().is_some_and(|(_, dir)| !holds(dir)) {
            above.pop();
        }
        parents.push(above.last().map_or(0, |(parent, _)| *parent));
        if entry.state.node.kind == Kind::Dir {
            above.push((index, entry));
        }
    }
    parents
}

fn matches(paths: &GlobSet, path: &[u8]) -> bool {
    paths.is_match(OsStr::from_bytes(path))
}

/// Which entries to write: those that match, what is below them, and what is above.
fn wanted(entries: &[Entry], parents: &[usize], paths: Option<&GlobSet>) -> Vec<bool> {
    let Some(paths) = paths else {
        return vec![true; entries.len()];
    };
    let mut wanted: Vec<bool> = Vec::with_capacity(entries.len());
    for (entry, parent) in entries.iter().zip(parents) {
        let below = wanted.get(*parent).copied().unwrap_or(false);
        wanted.push(below || matches(paths, &entry.path));
    }
    for (index, parent) in parents.iter().enumerate().rev() {
        if wanted.get(index) == Some(&true)
            && let Some(above) = wanted.get_mut(*parent)
        {
            *above = true;
        }
    }
    wanted
}

/// Entries that the snapshot itself could not be told.
fn damaged(snapshot: &Snapshot, paths: Option<&GlobSet>) -> Vec<LeftOut> {
    let chosen = |path: &TracePath| {
        let above = std::iter::successors(Some(path.as_slice()), |path| {
            let cut = path.iter().rposition(|byte| *byte == b'/')?;
            path.get(..cut)
        });
        paths.is_none_or(|paths| above.into_iter().any(|path| matches(paths, path)))
    };
    let damage = snapshot.damage().iter();
    let damage = damage.filter(|(path, _)| chosen(path));
    damage
        .map(|(path, text)| LeftOut {
            path: path.clone(),
            why: Why::Damaged(text.clone()),
        })
        .collect()
}

struct Builder<'s> {
    plan: Plan<'s>,
    /// From the index of an entry to that of its directory in the plan.
    dir_of: HashMap<usize, usize>,
    /// The unit of each directory that still takes entries.
    open_unit: HashMap<usize, usize>,
    first_names: HashMap<FileId, Slot<'s>>,
}

impl<'s> Builder<'s> {
    fn add(&mut self, index: usize, entry: &'s Entry, parent: usize) {
        let dir = self.dir_of.get(&parent).copied();
        let Some(dir) = dir.filter(|_| is_name(entry.name())) else {
            let path = entry.path.clone();
            let why = Why::Damaged("the trace is damaged: malformed name".into());
            self.plan.left_out.push(LeftOut { path, why });
            return;
        };
        let slot = Slot { dir, entry };
        if entry.state.node.kind == Kind::Dir {
            self.dir_of.insert(index, self.plan.dirs.len());
            self.plan.dirs.push(slot);
            return;
        }
        match self.first_names.entry(entry.file) {
            std::collections::hash_map::Entry::Occupied(first) => {
                let (first, further) = (*first.get(), slot);
                self.plan.links.push(Link { first, further });
                return;
            }
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(slot);
            }
        }
        self.add_file(slot);
    }

    fn add_file(&mut self, slot: Slot<'s>) {
        let units = &mut self.plan.units;
        let open = self.open_unit.get(&slot.dir).copied();
        let open = open.filter(|index| units.get(*index).is_some_and(|unit| !unit.is_full()));
        let index = open.unwrap_or(units.len());
        if open.is_none() {
            self.open_unit.insert(slot.dir, index);
            units.push(Unit {
                dir: slot.dir,
                entries: Vec::new(),
                bytes: 0,
            });
        }
        if let Some(unit) = units.get_mut(index) {
            unit.push(slot.entry);
        }
    }
}
