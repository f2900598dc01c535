//! Snapshots: the whole tree after a `Seq`, held in memory without its contents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::StoreError;
use crate::model::{FileId, Kind, Node, Seq, TracePath, UnixTime, Version, VersionRef};
use crate::reader::SessionReader;

/// The tree after one `Seq`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    seq: Seq,
    entries: Vec<Entry>,
}

/// A name in the tree with what it stands for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path from the top; empty for the top itself.
    pub path: TracePath,
    /// The file.
    pub file: FileId,
    /// Its state, shared by all its names.
    pub state: Arc<State>,
}

/// A node with its content.
#[derive(Clone, Debug)]
pub struct State {
    /// Attributes.
    pub node: Node,
    /// Content of a regular file and the `Seq` it dates from.
    pub version: Option<(Seq, Version)>,
    /// Last modification: that of the node or of its version, whichever is newer.
    pub mtime: UnixTime,
}

impl Entry {
    /// Where its content is found, for a regular file.
    #[must_use]
    pub fn content(&self) -> Option<VersionRef> {
        let (seq, _) = self.state.version.as_ref()?;
        Some(VersionRef {
            file: self.file,
            seq: *seq,
        })
    }

    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.path
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default()
    }
}

impl Snapshot {
    pub(crate) fn load(reader: &SessionReader<'_>, seq: Seq) -> Result<Self, StoreError> {
        let mut loader = Loader {
            reader,
            seq,
            states: HashMap::new(),
            open: HashSet::new(),
            entries: Vec::new(),
        };
        loader.visit(Vec::new(), FileId::TOP)?;
        let entries = loader.entries;
        Ok(Self { seq, entries })
    }

    /// The `Seq` it shows the state after.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// All entries; a directory stands before what it holds, neighbours are in the byte
    /// order of their names. The first is the top.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at a path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Entry> {
        let wanted = components(path);
        let at = self
            .entries
            .binary_search_by(|entry| components(&entry.path).cmp(wanted.clone()));
        self.entries.get(at.ok()?)
    }
}

/// The names of a path; comparing them one by one gives the order of a snapshot.
pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

struct Loader<'r> {
    reader: &'r SessionReader<'r>,
    seq: Seq,
    states: HashMap<FileId, Arc<State>>,
    /// Directories above the current one: none may contain itself.
    open: HashSet<FileId>,
    entries: Vec<Entry>,
}

impl Loader<'_> {
    fn visit(&mut self, path: TracePath, file: FileId) -> Result<(), StoreError> {
        let Some(state) = self.state(file)? else {
            return Ok(());
        };
        let is_dir = state.node.kind == Kind::Dir;
        self.entries.push(Entry {
            path: path.clone(),
            file,
            state,
        });
        if !is_dir {
            return Ok(());
        }
        if !self.open.insert(file) || self.open.len() > 4096 {
            return Err(StoreError::Loop);
        }
        for (name, child) in self.reader.children(file, self.seq)? {
            let mut below = path.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend(name);
            self.visit(below, child)?;
        }
        self.open.remove(&file);
        Ok(())
    }

    fn state(&mut self, file: FileId) -> Result<Option<Arc<State>>, StoreError> {
        if let Some(state) = self.states.get(&file) {
            return Ok(Some(state.clone()));
        }
        let Some((node_seq, node)) = self.reader.node_at(file, self.seq)? else {
            return Ok(None);
        };
        let version = match node.kind {
            Kind::File => self.reader.version_at(file, self.seq)?,
            _ => None,
        };
        let mtime = match &version {
            Some((seq, version)) if *seq > node_seq => version.mtime,
            _ => node.mtime,
        };
        let state = Arc::new(State {
            node,
            version,
            mtime,
        });
        self.states.insert(file, state.clone());
        Ok(Some(state))
    }
}
