//! What differs between two snapshots, entry by entry, without reading contents.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::iter::Peekable;

use crate::model::{Digest, FileId, Kind};
use crate::snapshot::{Entry, Snapshot, components};

/// An entry that is not the same in two snapshots; at least one side is there.
#[derive(Clone, Copy, Debug)]
pub struct TreeChange<'s> {
    /// What happened to it, in one word.
    pub kind: ChangeKind,
    /// What it was; under another path if it was renamed.
    pub old: Option<&'s Entry>,
    /// What it is.
    pub new: Option<&'s Entry>,
    /// Whether the contents differ, for regular files on both sides. Contents that
    /// cannot be compared (not recorded, not settled) count as different.
    pub content: bool,
    /// Which attributes differ, for the same type on both sides.
    pub meta: Meta,
}

/// The kind of a [`TreeChange`]; the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The path is new.
    Added,
    /// The path is gone.
    Removed,
    /// The file has this path instead of another; it may have changed as well.
    Renamed,
    /// Another type of file stands at the path.
    TypeChanged,
    /// The content is another; attributes may be as well.
    Modified,
    /// Attributes alone differ.
    Meta,
}

impl ChangeKind {
    /// The word users read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Renamed => "renamed",
            Self::TypeChanged => "type-changed",
            Self::Modified => "modified",
            Self::Meta => "meta",
        }
    }
}

/// Attributes that differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits.
    pub mode: bool,
    /// Owner or group.
    pub owner: bool,
    /// Extended attributes.
    pub xattrs: bool,
    /// Modification time.
    pub mtime: bool,
    /// Target of a symlink, or number of a device.
    pub target: bool,
}

impl Meta {
    fn between(old: &Entry, new: &Entry) -> Self {
        let (a, b) = (&old.state.node, &new.state.node);
        if a.kind != b.kind {
            return Self::default();
        }
        Self {
            mode: a.mode != b.mode,
            owner: (a.uid, a.gid) != (b.uid, b.gid),
            xattrs: a.xattrs != b.xattrs,
            mtime: old.state.mtime != new.state.mtime,
            target: (&a.target, a.rdev) != (&b.target, b.rdev),
        }
    }

    /// Whether anything differs.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl<'s> TreeChange<'s> {
    /// The path it is listed under: the new one, or the old one of a removed entry.
    #[must_use]
    pub fn path(&self) -> &'s [u8] {
        self.new.or(self.old).map_or(&[], |entry| &entry.path)
    }
}

/// Compares two trees; the changes come in the order of their paths.
///
/// Between snapshots of one session a file is known by its identity, so that renames
/// are told; between sessions only paths and digests count.
#[must_use]
pub fn compare<'s>(a: &'s Snapshot, b: &'s Snapshot) -> Vec<TreeChange<'s>> {
    let same_session = a.session() == b.session();
    let pairs = Pairs {
        old: a.entries().iter().peekable(),
        new: b.entries().iter().peekable(),
    };
    let mut changes: Vec<_> = pairs
        .filter_map(|(old, new)| change(old, new, same_session))
        .collect();
    if same_session {
        pair_renames(&mut changes);
    }
    changes
}

/// Entries of both trees, those of one path together.
struct Pairs<'s, I: Iterator<Item = &'s Entry>> {
    old: Peekable<I>,
    new: Peekable<I>,
}

impl<'s, I: Iterator<Item = &'s Entry>> Iterator for Pairs<'s, I> {
    type Item = (Option<&'s Entry>, Option<&'s Entry>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.old.peek(), self.new.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => components(&old.path).cmp(components(&new.path)),
        };
        let old = order.is_le().then(|| self.old.next()).flatten();
        let new = order.is_ge().then(|| self.new.next()).flatten();
        Some((old, new))
    }
}

fn change<'s>(
    old: Option<&'s Entry>,
    new: Option<&'s Entry>,
    same_session: bool,
) -> Option<TreeChange<'s>> {
    let (content, meta) = match (old, new) {
        (Some(old), Some(new)) => (
            content_differs(old, new, same_session),
            Meta::between(old, new),
        ),
        _ => (false, Meta::default()),
    };
    let kind = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Removed,
        (Some(old), Some(new)) if old.state.node.kind != new.state.node.kind => {
            ChangeKind::TypeChanged
        }
        _ if content => ChangeKind::Modified,
        _ if meta.any() => ChangeKind::Meta,
        _ => return None,
    };
    Some(TreeChange {
        kind,
        old,
        new,
        content,
        meta,
    })
}

fn content_differs(old: &Entry, new: &Entry, same_session: bool) -> bool {
    if old.state.node.kind != Kind::File || new.state.node.kind != Kind::File {
        return false;
    }
    if same_session && old.content().is_some() && old.content() == new.content() {
        return false;
    }
    match (digest(old), digest(new)) {
        (Some(old), Some(new)) => old != new,
        _ => true,
    }
}

/// A file that was made and not yet written is empty.
fn digest(entry: &Entry) -> Option<Digest> {
    match &entry.state.version {
        Some((_, version)) => version.digest,
        None => Some(Digest::of(b"")),
    }
}

/// Makes one change of a path that went and one that came, where both are the same file.
fn pair_renames(changes: &mut Vec<TreeChange<'_>>) {
    let mut gone: HashMap<FileId, VecDeque<usize>> = HashMap::new();
    for (index, change) in changes.iter().enumerate() {
        if let (ChangeKind::Removed, Some(old)) = (change.kind, change.old) {
            gone.entry(old.file).or_default().push_back(index);
        }
    }
    let mut taken = vec![false; changes.len()];
    for index in 0..changes.len() {
        let Some(TreeChange {
            new: Some(new),
            kind: ChangeKind::Added,
            ..
        }) = changes.get(index).copied()
        else {
            continue;
        };
        let from = gone.get_mut(&new.file).and_then(VecDeque::pop_front);
        let Some(old) = from.and_then(|from| {
            *taken.get_mut(from)? = true;
            changes.get(from)?.old
        }) else {
            continue;
        };
        if let Some(change) = changes.get_mut(index) {
            change.kind = ChangeKind::Renamed;
            change.old = Some(old);
            change.content = content_differs(old, new, true);
            change.meta = Meta::between(old, new);
        }
    }
    let mut taken = taken.into_iter();
    changes.retain(|_| !taken.next().unwrap_or(false));
}
