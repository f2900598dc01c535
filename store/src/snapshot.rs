//! Snapshots: the whole tree after a `Seq`, held in memory without its contents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::StoreError;
use crate::mask::is_masked;
use crate::model::{FileId, Kind, Node, Seq, SessionId, TracePath, UnixTime, Version, VersionRef};
use crate::reader::SessionReader;

/// The tree after one `Seq`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    session: SessionId,
    seq: Seq,
    entries: Vec<Entry>,
    damage: Vec<(TracePath, String)>,
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

    /// Whether a part of it is masked, so that it is not what was there.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        let node = &self.state.node;
        let mut xattrs = node.xattrs.iter();
        let version = self.state.version.as_ref();
        version.is_some_and(|(_, version)| version.redacted)
            || is_masked(self.name())
            || is_masked(&node.target)
            || xattrs.any(|xattr| is_masked(&xattr.name) || is_masked(&xattr.value))
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
    pub(crate) fn load(
        reader: &SessionReader<'_>,
        seq: Seq,
        salvage: bool,
    ) -> Result<Self, StoreError> {
        let mut loader = Loader {
            reader,
            seq,
            salvage,
            states: HashMap::new(),
            dirs: HashSet::new(),
            entries: Vec::new(),
            damage: Vec::new(),
        };
        loader.load()?;
        Ok(Self {
            session: reader.id(),
            seq,
            entries: loader.entries,
            damage: loader.damage,
        })
    }

    /// The session it belongs to.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// What could not be read, with its path; always empty unless it was salvaged.
    #[must_use]
    pub fn damage(&self) -> &[(TracePath, String)] {
        &self.damage
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

/// Deepest directory and longest path that are followed: bounds against a trace that
/// was made to fill the memory.
const MAX_DEPTH: usize = 4096;
const MAX_PATH: usize = 1 << 16;

struct Loader<'r> {
    reader: &'r SessionReader<'r>,
    seq: Seq,
    /// Whether damage is collected instead of being the end.
    salvage: bool,
    states: HashMap<FileId, Arc<State>>,
    /// A directory has one name: a second one would be a loop, or a tree that doubles at
    /// each level.
    dirs: HashSet<FileId>,
    entries: Vec<Entry>,
    damage: Vec<(TracePath, String)>,
}

/// A name that is still to be visited.
struct Pending {
    path: TracePath,
    file: FileId,
    depth: usize,
}

impl Loader<'_> {
    fn load(&mut self) -> Result<(), StoreError> {
        let top = Pending {
            path: Vec::new(),
            file: FileId::TOP,
            depth: 0,
        };
        let mut pending = vec![top];
        while let Some(next) = pending.pop() {
            let path = next.path.clone();
            if let Err(error) = self.visit(next, &mut pending) {
                self.damaged(path, error)?;
            }
        }
        Ok(())
    }

    fn damaged(&mut self, path: TracePath, error: StoreError) -> Result<(), StoreError> {
        if !self.salvage {
            return Err(error);
        }
        self.damage.push((path, error.to_string()));
        Ok(())
    }

    fn visit(&mut self, at: Pending, pending: &mut Vec<Pending>) -> Result<(), StoreError> {
        let Pending { path, file, depth } = at;
        let state = self.state(file)?;
        if state.node.kind == Kind::Dir {
            if !self.dirs.insert(file) || depth > MAX_DEPTH || path.len() > MAX_PATH {
                return Err(StoreError::Loop);
            }
            let mut damage = Vec::new();
            let children = self.reader.salvage_children(file, self.seq, &mut damage);
            for error in damage {
                self.damaged(path.clone(), error)?;
            }
            // The first name is to be popped first.
            pending.extend(children.into_iter().rev().map(|(name, file)| Pending {
                path: below(&path, &name),
                file,
                depth: depth + 1,
            }));
        }
        self.entries.push(Entry { path, file, state });
        Ok(())
    }

    fn state(&mut self, file: FileId) -> Result<Arc<State>, StoreError> {
        if let Some(state) = self.states.get(&file) {
            return Ok(state.clone());
        }
        let (node_seq, node) = self
            .reader
            .node_at(file, self.seq)?
            .ok_or(StoreError::NoNode(file))?;
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
        Ok(state)
    }
}

fn below(path: &[u8], name: &[u8]) -> TracePath {
    let mut below = Vec::with_capacity(path.len() + 1 + name.len());
    below.extend(path);
    if !path.is_empty() {
        below.push(b'/');
    }
    below.extend(name);
    below
}
