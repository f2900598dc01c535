//! The lines above a change: names, and what is not content. They are git's wherever git
//! has a word; the others begin with `#`, which `patch` and `git apply` skip.

use std::io::Write;

use anstyle::{Effects, Style};
use diffkeeper_store::Entry;
use diffkeeper_store::model::{Kind, Node, Xattr, escape};

use super::named;
use super::pair::Pair;
use crate::error::CliError;
use crate::output::{Output, paint};

/// The style of these lines.
const BOLD: Style = Style::new().effects(Effects::BOLD);

/// Writes what happened to the entry itself.
///
/// # Errors
/// Those of `output`.
pub(super) fn write(pair: &Pair<'_>, output: &mut Output) -> Result<(), CliError> {
    let lines = match pair.kind() {
        Kind::File | Kind::Symlink => git_lines(pair),
        kind => vec![note_of(pair, kind)],
    };
    let redacted = pair.is_masked().then(|| "# redacted".to_owned());
    for line in lines.into_iter().chain(attributes(pair)).chain(redacted) {
        let line = paint(output.color(), BOLD, line).to_string();
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// Writes the names above a text diff.
///
/// # Errors
/// Those of `output`.
pub(super) fn write_names(pair: &Pair<'_>, output: &mut Output) -> Result<(), CliError> {
    let name = |prefix, entry: Option<&Entry>| {
        entry.map_or_else(|| "/dev/null".to_owned(), |e| named(prefix, &e.path))
    };
    for (mark, name) in [
        ("---", name("a", pair.before)),
        ("+++", name("b", pair.after)),
    ] {
        let line = paint(output.color(), BOLD, format_args!("{mark} {name}")).to_string();
        writeln!(output, "{line}")?;
    }
    Ok(())
}

fn git_lines(pair: &Pair<'_>) -> Vec<String> {
    let path = |entry: Option<&Entry>| entry.map_or(pair.path(), |e| &e.path).to_vec();
    let (old, new) = (path(pair.before), path(pair.after));
    let mut lines = vec![format!(
        "diff --git {} {}",
        named("a", &old),
        named("b", &new)
    )];
    match (pair.before, pair.after) {
        (Some(entry), None) => lines.push(format!("deleted file mode {}", mode(entry))),
        (None, Some(entry)) => lines.push(format!("new file mode {}", mode(entry))),
        (Some(a), Some(b)) if mode(a) != mode(b) => {
            lines.push(format!("old mode {}", mode(a)));
            lines.push(format!("new mode {}", mode(b)));
        }
        _ => {}
    }
    if pair.renamed() {
        if pair.same_content() {
            lines.push("similarity index 100%".to_owned());
        }
        lines.push(format!("rename from {}", escape(&old)));
        lines.push(format!("rename to {}", escape(&new)));
    }
    lines
}

/// As git has it: type and permissions in octal. Git itself only keeps 644 and 755.
fn mode(entry: &Entry) -> String {
    let node = &entry.state.node;
    let kind = match node.kind {
        Kind::File => 0o100_000,
        Kind::Symlink => 0o120_000,
        Kind::Dir => 0o040_000,
        Kind::Fifo => 0o010_000,
        Kind::Socket => 0o140_000,
        Kind::Block => 0o060_000,
        Kind::Char => 0o020_000,
    };
    // The permissions of a link mean nothing, and differ between systems.
    let bits = if node.kind == Kind::Symlink {
        0
    } else {
        node.mode
    };
    format!("{:06o}", kind | bits)
}

fn note_of(pair: &Pair<'_>, kind: Kind) -> String {
    let (kind, path) = (kind.word(), escape(pair.path()));
    match (pair.before, pair.after) {
        (Some(_), None) => format!("# deleted {kind} {path}"),
        (None, Some(entry)) => format!("# new {kind} {path} mode {:04o}", entry.state.node.mode),
        (Some(old), Some(_)) if pair.renamed() => {
            format!("# renamed {kind} {} to {path}", escape(&old.path))
        }
        _ => format!(
            "# changed {kind} {}",
            if pair.path().is_empty() {
                ".".to_owned()
            } else {
                path.to_string()
            }
        ),
    }
}

/// What git does not keep, where it differs.
fn attributes(pair: &Pair<'_>) -> Vec<String> {
    let (Some(old), Some(new)) = (pair.before, pair.after) else {
        return Vec::new();
    };
    let (a, b): (&Node, &Node) = (&old.state.node, &new.state.node);
    let mut lines = Vec::new();
    let is_git = matches!(a.kind, Kind::File | Kind::Symlink);
    if !is_git && a.mode != b.mode {
        lines.push(format!("# mode {:04o} -> {:04o}", a.mode, b.mode));
    }
    if (a.uid, a.gid) != (b.uid, b.gid) {
        lines.push(format!(
            "# owner {}:{} -> {}:{}",
            a.uid, a.gid, b.uid, b.gid
        ));
    }
    if a.rdev != b.rdev {
        lines.push(format!("# device {:#x} -> {:#x}", a.rdev, b.rdev));
    }
    lines.extend(xattrs(&a.xattrs, &b.xattrs));
    lines
}

fn xattrs(old: &[Xattr], new: &[Xattr]) -> Vec<String> {
    let find = |list: &[Xattr], name: &[u8]| {
        let found = list.iter().find(|xattr| xattr.name == name);
        found.map(|xattr| xattr.value.clone())
    };
    let mut names: Vec<&[u8]> = old.iter().chain(new).map(|x| &x.name[..]).collect();
    names.sort_unstable();
    names.dedup();
    let line = |name: &[u8]| {
        let shown = escape(name);
        match (find(old, name), find(new, name)) {
            (a, b) if a == b => None,
            (Some(_), None) => Some(format!("# removed xattr {shown}")),
            (None, Some(_)) => Some(format!("# new xattr {shown}")),
            _ => Some(format!("# changed xattr {shown}")),
        }
    };
    names.into_iter().filter_map(line).collect()
}
