//! A window of the tree at an instant: only directories that are open are listed, and only
//! rows that are shown are looked up.

use std::collections::BTreeMap;

use diffkeeper_store::model::{Digest, FileId, Kind, Node, Seq, TracePath, Version, escape};
use diffkeeper_store::{SessionReader, StoreError};

use super::Job;
use crate::ask::{Answer, Tree, TreeAsk, TreeNode};

/// Most rows of all open directories.
const MAX_ROWS: usize = 200_000;
/// Deepest directory that is opened.
const MAX_DEPTH: usize = 256;

pub(super) fn work(ask: TreeAsk, job: Job<'_>) {
    match tree(&ask, job) {
        Ok(Some(tree)) => job.answer(Answer::Tree(ask, tree)),
        Ok(None) => {}
        Err(error) => job.fail(&error),
    }
}

/// A name in one of the two states, or in both.
struct Name {
    path: TracePath,
    depth: usize,
    now: Option<FileId>,
    before: Option<FileId>,
}

fn tree(ask: &TreeAsk, job: Job<'_>) -> Result<Option<Tree>, StoreError> {
    let mut names = Vec::new();
    let mut pending = vec![Name {
        path: Vec::new(),
        depth: 0,
        now: Some(FileId::TOP),
        before: Some(FileId::TOP),
    }];
    while let Some(name) = pending.pop() {
        if job.is_stopped() || names.len() > MAX_ROWS {
            break;
        }
        let is_top = name.path.is_empty();
        if (is_top || ask.open.contains(&name.path)) && name.depth < MAX_DEPTH {
            pending.extend(children(job.reader, ask, &name)?.into_iter().rev());
        }
        if !is_top {
            names.push(name);
        }
    }
    if job.is_stopped() {
        return Ok(None);
    }
    let total = names.len();
    let shown = names.iter().skip(ask.first).take(ask.rows);
    let nodes: Result<Vec<_>, _> = shown.map(|name| node(job.reader, ask, name)).collect();
    let nodes = nodes?;
    Ok(Some(Tree { total, nodes }))
}

fn children(
    reader: &SessionReader<'_>,
    ask: &TreeAsk,
    dir: &Name,
) -> Result<Vec<Name>, StoreError> {
    let list = |file: Option<FileId>, at| match file {
        Some(file) => reader.children(file, at),
        None => Ok(Vec::new()),
    };
    let mut names: BTreeMap<Vec<u8>, (Option<FileId>, Option<FileId>)> = BTreeMap::new();
    for (name, file) in list(dir.before, ask.base)? {
        names.entry(name).or_default().1 = Some(file);
    }
    for (name, file) in list(dir.now, ask.at)? {
        names.entry(name).or_default().0 = Some(file);
    }
    let depth = if dir.path.is_empty() {
        0
    } else {
        dir.depth + 1
    };
    let below = |name: Vec<u8>| match dir.path.as_slice() {
        b"" => name,
        path => [path, b"/", &name].concat(),
    };
    let names = names.into_iter().map(|(name, (now, before))| Name {
        path: below(name),
        depth,
        now,
        before,
    });
    Ok(names.collect())
}

fn node(reader: &SessionReader<'_>, ask: &TreeAsk, name: &Name) -> Result<TreeNode, StoreError> {
    let (file, at) = match (name.now, name.before) {
        (Some(now), _) => (now, ask.at),
        (None, before) => (before.unwrap_or(FileId::TOP), ask.base),
    };
    let node = reader.node_at(file, at)?.map(|(_, node)| node);
    let kind = node.as_ref().map(|node| node.kind);
    let last = name.path.rsplit(|byte| *byte == b'/').next();
    let mut text = escape(last.unwrap_or_default()).to_string();
    if let Some(node) = node.as_ref().filter(|node| node.kind == Kind::Symlink) {
        text += &format!(" -> {}", escape(&node.target));
    }
    Ok(TreeNode {
        path: name.path.clone(),
        name: text,
        depth: name.depth,
        file,
        is_dir: kind == Some(Kind::Dir),
        mark: mark(reader, ask, name)?,
    })
}

fn mark(reader: &SessionReader<'_>, ask: &TreeAsk, name: &Name) -> Result<char, StoreError> {
    let (now, before) = match (name.now, name.before) {
        (None, _) => return Ok('D'),
        (Some(now), None) => {
            let had_a_name = reader.node_at(now, ask.base)?;
            let moved = had_a_name.is_some_and(|(_, node)| !node.links.is_empty());
            return Ok(if moved { 'R' } else { 'A' });
        }
        (Some(now), Some(before)) => (now, before),
    };
    let state = |file, at| -> Result<Option<State>, StoreError> {
        let node = reader.node_at(file, at)?;
        let version = reader.version_at(file, at)?.map(|(_, version)| version);
        Ok(node.map(|(_, node)| (node, version)))
    };
    if now == before && !has_changed(reader, now, ask)? {
        return Ok(' ');
    }
    Ok(match (state(now, ask.at)?, state(before, ask.base)?) {
        (Some(now), Some(before)) => compare(&now, &before),
        _ => ' ',
    })
}

type State = (Node, Option<Version>);

/// Whether there is any record between the two states.
fn has_changed(
    reader: &SessionReader<'_>,
    file: FileId,
    ask: &TreeAsk,
) -> Result<bool, StoreError> {
    let since = |seq: Option<Seq>| seq.is_some_and(|seq| seq > ask.base.min(ask.at));
    let late = ask.at.max(ask.base);
    let node = reader.node_at(file, late)?.map(|(seq, _)| seq);
    let version = reader.version_at(file, late)?.map(|(seq, _)| seq);
    Ok(since(node) || since(version))
}

fn compare((now, new): &State, (before, old): &State) -> char {
    let digest = |version: &Option<Version>| match version {
        Some(version) => version.digest,
        None => Some(Digest::of(b"")),
    };
    let (new, old) = (digest(new), digest(old));
    let same_content = now.kind != Kind::File || (new.is_some() && new == old);
    if now.kind != before.kind {
        'T'
    } else if !same_content || now.target != before.target {
        'M'
    } else if (now.mode, now.uid, now.gid, &now.xattrs)
        != (before.mode, before.uid, before.gid, &before.xattrs)
    {
        'm'
    } else {
        ' '
    }
}
