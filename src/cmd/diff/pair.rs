//! Changes between two trees as `diff` tells them: of git's kind, without times.

use diffkeeper_store::diff::{Meta, TreeChange, compare};
use diffkeeper_store::model::{Kind, TracePath};
use diffkeeper_store::{Entry, Snapshot};

/// An entry before and after; one of the two may be absent, never both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) before: Option<&'a Entry>,
    pub(super) after: Option<&'a Entry>,
    same_content: bool,
}

/// Everything that differs, in the order of the paths. Times are left out: they change
/// with everything else.
pub(super) fn pairs<'a>(before: &'a Snapshot, after: &'a Snapshot) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for change in compare(before, after) {
        push(&mut pairs, &change);
    }
    pairs
}

/// A change of type is an end and a beginning.
fn push<'a>(pairs: &mut Vec<Pair<'a>>, change: &TreeChange<'a>) {
    let kind = |entry: &Entry| entry.state.node.kind;
    let pair = |before, after, same_content| Pair {
        before,
        after,
        same_content,
    };
    match (change.old, change.new) {
        (Some(old), Some(new)) if kind(old) != kind(new) => {
            pairs.push(pair(change.old, None, false));
            pairs.push(pair(None, change.new, false));
        }
        (Some(old), Some(new)) => {
            let meta = Meta {
                mtime: false,
                ..change.meta
            };
            if change.content || meta.any() || old.path != new.path {
                let same = !change.content && !meta.target;
                pairs.push(pair(change.old, change.new, same));
            }
        }
        _ => pairs.push(pair(change.old, change.new, false)),
    }
}

impl<'a> Pair<'a> {
    /// The entry as it is, or as it was if it is gone.
    fn entry(&self) -> Option<&'a Entry> {
        self.after.or(self.before)
    }

    /// Its path.
    pub(super) fn path(&self) -> &'a [u8] {
        self.entry().map_or(&[], |entry| &entry.path)
    }

    /// Its type.
    pub(super) fn kind(&self) -> Kind {
        self.entry().map_or(Kind::File, |e| e.state.node.kind)
    }

    /// The paths it had and has.
    pub(super) fn paths(&self) -> impl Iterator<Item = &'a TracePath> + use<'a> {
        let sides = [self.before, self.after];
        sides.into_iter().flatten().map(|entry| &entry.path)
    }

    /// Whether parts of it are masked, before or after.
    pub(super) fn is_masked(&self) -> bool {
        let sides = [self.before, self.after];
        sides.into_iter().flatten().any(Entry::is_masked)
    }

    /// Whether it moved.
    pub(super) fn renamed(&self) -> bool {
        matches!((self.before, self.after), (Some(old), Some(new)) if old.path != new.path)
    }

    /// Whether both sides are there and hold the same bytes.
    pub(super) const fn same_content(&self) -> bool {
        self.same_content
    }
}
