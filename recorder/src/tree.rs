//! The tree as the trace shows it so far: which name stands for which file, and what was
//! last recorded of each file. Every change gives the records that say the same.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use diffkeeper_store::Change;
use diffkeeper_store::model::{FileId, Kind, Node, NodeIdent, Place, UnixTime};

use crate::probe::Stat;
use crate::scope::Scope;

/// The recorded tree.
pub(crate) struct Tree {
    scope: Arc<Scope>,
    files: HashMap<FileId, Known>,
    idents: BTreeMap<NodeIdent, FileId>,
    next: u64,
}

/// What is recorded of a file.
pub(crate) struct Known {
    pub(crate) node: Node,
    /// Entries of a directory.
    pub(crate) children: BTreeMap<Vec<u8>, FileId>,
    /// The file when its content was last recorded; `None` if it never was, or if a
    /// change since then is known of.
    pub(crate) read: Option<ReadState>,
    /// Changed during the session, so that the last reconcile reads it again.
    pub(crate) changed: bool,
    /// A loss of its content has been reported and it was not read since.
    pub(crate) lost: bool,
    /// How often in a row it changed under a read.
    pub(crate) torn: u32,
    /// When a directory was last listed, CLOCK_MONOTONIC, ns; 0 if never.
    pub(crate) listed: u64,
    /// When its content was last read, CLOCK_MONOTONIC, ns: what was written before is in it.
    pub(crate) seen: u64,
    /// Length after the last captured change, bytes; counts where `read` is `None`.
    pub(crate) size: u64,
    /// A captured change has left a hole in it.
    pub(crate) sparse: bool,
    /// ctime at the last look at its attributes.
    pub(crate) looked: Option<UnixTime>,
}

/// The state of a file when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadState {
    pub(crate) stat: Stat,
    /// A change right afterwards may have left the times as they were.
    pub(crate) racy: bool,
    /// When the read began, CLOCK_MONOTONIC, ns.
    pub(crate) begun: u64,
}

impl Tree {
    /// A tree with the top alone; with several roots, those are made below it.
    pub(crate) fn new(scope: Arc<Scope>, top: Node) -> Self {
        let mut tree = Self {
            scope,
            files: HashMap::new(),
            idents: BTreeMap::new(),
            next: FileId::TOP.0,
        };
        tree.insert(top);
        tree
    }

    fn insert(&mut self, node: Node) -> FileId {
        let file = FileId(self.next);
        self.next += 1;
        if node.ident != NodeIdent::default() {
            self.idents.insert(node.ident, file);
        }
        let known = Known {
            node,
            children: BTreeMap::new(),
            read: None,
            changed: false,
            lost: false,
            torn: 0,
            listed: 0,
            seen: 0,
            size: 0,
            sparse: false,
            looked: None,
        };
        self.files.insert(file, known);
        file
    }

    pub(crate) fn get(&self, file: FileId) -> Option<&Known> {
        self.files.get(&file)
    }

    pub(crate) fn get_mut(&mut self, file: FileId) -> Option<&mut Known> {
        self.files.get_mut(&file)
    }

    /// The file the kernel knows by this identity.
    pub(crate) fn by_ident(&self, ident: &NodeIdent) -> Option<FileId> {
        self.idents.get(ident).copied()
    }

    /// The last file that the kernel knew by this number, whatever its generation.
    pub(crate) fn by_number(&self, dev: u64, ino: u64) -> Option<FileId> {
        let of = |generation| NodeIdent {
            dev,
            ino,
            generation,
        };
        let found = self.idents.range(of(0)..=of(u64::MAX)).next_back();
        found.map(|(_, file)| *file)
    }

    pub(crate) fn child(&self, place: &Place) -> Option<FileId> {
        self.files
            .get(&place.parent)?
            .children
            .get(&place.name)
            .copied()
    }

    /// How many files and directories there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// The names in a directory with their files.
    pub(crate) fn children(&self, dir: FileId) -> Vec<(Vec<u8>, FileId)> {
        let known = self.files.get(&dir);
        known.map_or_else(Vec::new, |known| {
            known
                .children
                .iter()
                .map(|(name, file)| (name.clone(), *file))
                .collect()
        })
    }

    /// The directory of a root.
    pub(crate) fn root(&self, index: usize) -> Option<FileId> {
        let root = self.scope.roots().get(index)?;
        if root.label.is_empty() {
            return Some(FileId::TOP);
        }
        self.child(&Place {
            parent: FileId::TOP,
            name: root.label.clone(),
        })
    }

    /// How far a path below a root is known: the last known file on the way, and the
    /// names that are left.
    pub(crate) fn walk<'p>(&self, root: usize, relative: &'p [u8]) -> Option<(FileId, &'p [u8])> {
        let mut file = self.root(root)?;
        let mut rest = relative;
        while !rest.is_empty() {
            let (name, below) = match rest.iter().position(|byte| *byte == b'/') {
                Some(at) => (rest.get(..at)?, rest.get(at + 1..)?),
                None => (rest, rest.get(rest.len()..)?),
            };
            match self.files.get(&file)?.children.get(name) {
                Some(child) => file = *child,
                None => break,
            }
            rest = below;
        }
        Some((file, rest))
    }

    /// Where a file is found in the filesystem, by its oldest name.
    pub(crate) fn path(&self, file: FileId) -> Option<PathBuf> {
        let mut names = Vec::new();
        let mut at = file;
        while at != FileId::TOP {
            let place = self.files.get(&at)?.node.links.first()?;
            names.push(place.name.as_slice());
            at = place.parent;
        }
        let (root, below) = self.split_root(&names)?;
        let mut path = root;
        path.extend(below.iter().rev().map(|name| OsStr::from_bytes(name)));
        Some(path)
    }

    /// With several roots, the outermost name is the label of one.
    fn split_root<'n>(&self, names: &'n [&'n [u8]]) -> Option<(PathBuf, &'n [&'n [u8]])> {
        match self.scope.roots() {
            [root] => Some((root.path.clone(), names)),
            roots => {
                let (label, below) = names.split_last()?;
                let root = roots.iter().find(|root| root.label == *label)?;
                Some((root.path.clone(), below))
            }
        }
    }

    pub(crate) fn place_path(&self, place: &Place) -> Option<PathBuf> {
        if place.parent == FileId::TOP && self.scope.roots().len() > 1 {
            let mut roots = self.scope.roots().iter();
            let root = roots.find(|root| root.label == place.name)?;
            return Some(root.path.clone());
        }
        Some(
            self.path(place.parent)?
                .join(OsStr::from_bytes(&place.name)),
        )
    }

    /// A new file with its first name.
    pub(crate) fn add(&mut self, place: &Place, mut node: Node) -> (FileId, Vec<Change>) {
        node.links = vec![place.clone()];
        let file = self.insert(node);
        self.bind(place, Some(file));
        (
            file,
            vec![name_change(place, Some(file)), self.node_change(file)],
        )
    }

    /// A further name.
    pub(crate) fn link(&mut self, file: FileId, place: &Place) -> Vec<Change> {
        if let Some(known) = self.files.get_mut(&file) {
            known.node.links.push(place.clone());
        }
        self.bind(place, Some(file));
        vec![name_change(place, Some(file)), self.node_change(file)]
    }

    /// A name goes away; a file without names is forgotten.
    pub(crate) fn unlink(&mut self, place: &Place) -> Vec<Change> {
        let Some(file) = self.child(place) else {
            return Vec::new();
        };
        self.bind(place, None);
        if let Some(known) = self.files.get_mut(&file) {
            known.node.links.retain(|link| link != place);
        }
        let changes = vec![name_change(place, None), self.node_change(file)];
        self.forget_if_nameless(file);
        changes
    }

    /// A name moves; what stood at the new one loses it, or gets the old one if they
    /// swap.
    pub(crate) fn rename(&mut self, from: &Place, to: &Place, exchange: bool) -> Vec<Change> {
        let Some(file) = self.child(from) else {
            return Vec::new();
        };
        let other = self.child(to).filter(|other| *other != file);
        self.replace_link(file, from, Some(to));
        self.bind(from, other.filter(|_| exchange));
        self.bind(to, Some(file));
        let mut changes = vec![
            name_change(from, other.filter(|_| exchange)),
            name_change(to, Some(file)),
            self.node_change(file),
        ];
        if let Some(other) = other {
            self.replace_link(other, to, Some(from).filter(|_| exchange));
            changes.push(self.node_change(other));
            self.forget_if_nameless(other);
        }
        changes
    }

    fn replace_link(&mut self, file: FileId, old: &Place, new: Option<&Place>) {
        let Some(known) = self.files.get_mut(&file) else {
            return;
        };
        match (known.node.links.iter().position(|link| link == old), new) {
            (Some(at), Some(new)) => {
                if let Some(link) = known.node.links.get_mut(at) {
                    new.clone_into(link);
                }
            }
            (Some(at), None) => {
                known.node.links.remove(at);
            }
            (None, _) => {}
        }
    }

    fn bind(&mut self, place: &Place, file: Option<FileId>) {
        if let Some(dir) = self.files.get_mut(&place.parent) {
            match file {
                Some(file) => dir.children.insert(place.name.clone(), file),
                None => dir.children.remove(&place.name),
            };
        }
    }

    fn forget_if_nameless(&mut self, file: FileId) {
        let nameless = |known: &Known| known.node.links.is_empty();
        if file != FileId::TOP && self.files.get(&file).is_some_and(nameless) {
            self.forget(file);
        }
    }

    fn forget(&mut self, file: FileId) {
        if let Some(known) = self.files.remove(&file)
            && self.idents.get(&known.node.ident) == Some(&file)
        {
            self.idents.remove(&known.node.ident);
        }
    }

    /// Takes over the attributes that a look found; the names stay.
    pub(crate) fn set_node(&mut self, file: FileId, node: Node) -> Option<Change> {
        let known = self.files.get_mut(&file)?;
        if self.idents.get(&known.node.ident) == Some(&file) {
            self.idents.remove(&known.node.ident);
        }
        let links = std::mem::take(&mut known.node.links);
        known.node = Node { links, ..node };
        self.idents.insert(known.node.ident, file);
        Some(self.node_change(file))
    }

    /// The record of a file's node as it is now; for a file that was just forgotten the
    /// caller has made it before.
    pub(crate) fn node_change(&self, file: FileId) -> Change {
        let known = self.files.get(&file);
        let node = known.map_or_else(|| blank(Kind::File), |known| known.node.clone());
        Change::Node { file, node }
    }
}

/// A node of which nothing but its existence is known.
pub(crate) fn blank(kind: Kind) -> Node {
    Node {
        kind,
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: UnixTime::default(),
        rdev: 0,
        ident: NodeIdent::default(),
        target: Vec::new(),
        xattrs: Vec::new(),
        links: Vec::new(),
    }
}

fn name_change(place: &Place, child: Option<FileId>) -> Change {
    Change::Name {
        parent: place.parent,
        name: place.name.clone(),
        child,
    }
}
