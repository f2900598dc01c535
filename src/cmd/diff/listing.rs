//! Changes as JSON objects.

use diffkeeper_store::Entry;

use super::pair::Pair;
use super::side::Side;
use super::stat::Count;
use crate::error::CliError;
use crate::json::Object;

/// The object of a change: `change` is added, removed, renamed or modified; a rename
/// gives the path before as `from`.
///
/// # Errors
/// None so far; damage stands in the object.
#[expect(clippy::unnecessary_wraps, reason = "one of four forms")]
pub(super) fn object(
    pair: &Pair<'_>,
    old: &mut Side<'_>,
    new: &mut Side<'_>,
) -> Result<Object, CliError> {
    let mut object = Object::default();
    let change = match (pair.before, pair.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ if pair.renamed() => "renamed",
        _ => "modified",
    };
    object.set("change", change).set_bytes("path", pair.path());
    if let Some(before) = pair.before.filter(|_| pair.renamed()) {
        object.set_bytes("from", &before.path);
    }
    object.set("kind", pair.kind().word());
    for (entry, prefix) in [(pair.before, "old"), (pair.after, "new")] {
        if let Some(entry) = entry {
            side(&mut object, entry, prefix);
        }
    }
    match Count::of(pair, old, new) {
        Count::Lines(added, removed) => {
            object.set("added", added).set("removed", removed);
        }
        Count::Binary(..) => {
            object.set("binary", true);
        }
        Count::Unknown(why) => {
            object.set("unknown", why);
        }
        Count::None(_) => {}
    }
    Ok(object)
}

fn side(object: &mut Object, entry: &Entry, prefix: &str) {
    let node = &entry.state.node;
    object.set(&format!("{prefix}_mode"), node.mode);
    if let Some((_, version)) = &entry.state.version {
        object.set(&format!("{prefix}_size"), version.length);
        object.set(&format!("{prefix}_provenance"), version.provenance.word());
        if version.redacted {
            object.set(&format!("{prefix}_redacted"), true);
        }
    }
    if !node.target.is_empty() {
        object.set_bytes(&format!("{prefix}_target"), &node.target);
    }
}
