//! A later start of a session: which of its records the state there stands on.
//!
//! Nothing is rewritten. A state holds until the next record under its key, so the record that
//! is the newest at the new start stays with its own `Seq`, and those before it go. Versions that
//! a version that stays is built on stay as well.

use std::collections::HashSet;

use crate::content::Lookup;
use crate::db::Space;
use crate::density::Density;
use crate::encode::{BlockHead, decode_block, decode_name, decode_node, decode_version};
use crate::error::StoreError;
use crate::key;
use crate::lookup::SessionLookup;
use crate::model::{Base, Counts, FileId, Progress, Repr, Seq, Timestamp, VersionRef};
use crate::reader::SessionReader;
use crate::versions;
use crate::writer::extend_chain;

/// What a session is to start with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) base: Base,
    /// As it is then.
    pub(crate) progress: Progress,
    /// Names and versions at or before the start that stay.
    pub(crate) baseline: u64,
    dropped: HashSet<(Space, Vec<u8>)>,
}

impl Start {
    /// Whether a record goes.
    pub(crate) fn drops(&self, space: Space, key: &[u8]) -> bool {
        match space {
            Space::Event => key::event_seq(key).is_ok_and(|seq| seq <= self.base.seq),
            Space::Density => true,
            // Looking up needs an owned pair; keys are short.
            Space::Name | Space::Node | Space::Version => {
                self.dropped.contains(&(space, key.to_vec()))
            }
            _ => false,
        }
    }
}

/// The start at the end of the last block that ends at or before `seq`; `None` if that is where
/// the session starts already.
pub(super) fn at(reader: &SessionReader<'_>, seq: Seq) -> Result<Option<Start>, StoreError> {
    let Some(base) = base(reader, seq)? else {
        return Ok(None);
    };
    let before = reader.base().map_or(0, |base| base.dropped);
    let mut progress = reader.progress().clone();
    progress.counts = Counts::default();
    for event in reader.events(base.seq.next(), progress.last_seq) {
        progress.counts.add(event?.op.kind(), 1);
    }
    let all = reader.progress().counts.total();
    let base = Base {
        dropped: before + all.saturating_sub(progress.counts.total()),
        ..base
    };
    let mut start = Start {
        base,
        progress,
        baseline: 0,
        dropped: HashSet::new(),
    };
    let files = files_after(reader, start.base.seq)?;
    names(reader, &mut start)?;
    let gone = nodes(reader, &mut start, &files)?;
    versions(reader, &mut start, &gone)?;
    Ok(Some(start))
}

/// The end of the last whole block before the start, with the running hash there.
fn base(reader: &SessionReader<'_>, seq: Seq) -> Result<Option<Base>, StoreError> {
    let old = reader.base();
    let mut chain = reader.start_chain();
    let mut found = None;
    for record in reader
        .store
        .db
        .prefix(Space::Event, &reader.id().0.to_be_bytes())
    {
        let (_, value) = record?;
        let head = BlockHead::decode(&value)?;
        if head.last_seq() > seq {
            break;
        }
        let (_, plain) = decode_block(&value)?;
        chain = extend_chain(&chain, &plain);
        found = Some(Base {
            seq: head.last_seq(),
            time: head.last_time,
            chain,
            dropped: 0,
        });
    }
    Ok(found.filter(|base| old.is_none_or(|old| base.seq > old.seq)))
}

/// The files that have a state of their own after the start.
fn files_after(reader: &SessionReader<'_>, start: Seq) -> Result<HashSet<FileId>, StoreError> {
    let mut files = HashSet::from([FileId::TOP]);
    for space in [Space::Node, Space::Version] {
        for key in reader.store.db.keys(space, &reader.id().0.to_be_bytes()) {
            let (file, seq) = key::file_at_parts(&key?)?;
            if seq > start {
                files.insert(file);
            }
        }
    }
    Ok(files)
}

/// Drops what was superseded at the start: of the records of one key without `Seq`, all but the
/// newest.
struct Groups<'p> {
    start: &'p mut Start,
    space: Space,
    newest: Option<Vec<u8>>,
}

impl<'p> Groups<'p> {
    const fn new(start: &'p mut Start, space: Space) -> Self {
        Self {
            start,
            space,
            newest: None,
        }
    }

    /// Takes a record at or before the start; drops the one before it if it is of the same group.
    fn take(&mut self, key: Vec<u8>) {
        let group = |key: &[u8]| key.get(..key.len().saturating_sub(8)).map(<[u8]>::to_vec);
        if let Some(before) = self.newest.take()
            && group(&before) == group(&key)
        {
            self.drop(before);
        }
        self.newest = Some(key);
        self.start.baseline += 1;
    }

    /// Drops the record that was taken last.
    fn drop_newest(&mut self) {
        if let Some(newest) = self.newest.take() {
            self.drop(newest);
        }
    }

    fn drop(&mut self, key: Vec<u8>) {
        self.start.baseline = self.start.baseline.saturating_sub(1);
        self.start.dropped.insert((self.space, key));
    }
}

fn names(reader: &SessionReader<'_>, start: &mut Start) -> Result<(), StoreError> {
    let base = start.base.seq;
    let mut groups = Groups::new(start, Space::Name);
    // A name that was gone at the start is known by having no record.
    let mut is_gone = false;
    let mut group: Vec<u8> = Vec::new();
    for record in reader
        .store
        .db
        .prefix(Space::Name, &reader.id().0.to_be_bytes())
    {
        let (key, value) = record?;
        let (_, seq) = key::name_parts(&key)?;
        let own = key.get(..key.len() - 8).unwrap_or_default().to_vec();
        if own != group && is_gone {
            groups.drop_newest();
        }
        if own != group {
            is_gone = false;
            group = own;
        }
        if seq <= base {
            groups.take(key);
            is_gone = decode_name(&value)?.is_none();
        }
    }
    if is_gone {
        groups.drop_newest();
    }
    Ok(())
}

/// Gives the files that are gone for good: without a name at the start, and never seen after it.
fn nodes(
    reader: &SessionReader<'_>,
    start: &mut Start,
    files: &HashSet<FileId>,
) -> Result<HashSet<FileId>, StoreError> {
    let (base, session) = (start.base.seq, reader.id());
    let mut gone = HashSet::new();
    // Of each file the newest record, and the newest one with a name: that is its path.
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut last: Option<FileId> = None;
    for record in reader
        .store
        .db
        .prefix(Space::Node, &session.0.to_be_bytes())
    {
        let (key, value) = record?;
        let (file, seq) = key::file_at_parts(&key)?;
        if seq > base {
            continue;
        }
        if last != Some(file) {
            settle(start, &mut kept, last, (files, &mut gone));
            last = Some(file);
        }
        let node = decode_node(&value)?;
        let has_name = !node.links.is_empty() || file == FileId::TOP;
        if has_name {
            drop_all(start, &mut kept);
        } else if kept.len() > 1 {
            let before = kept.pop();
            drop_all(start, &mut before.into_iter().collect());
        }
        kept.push(key);
    }
    settle(start, &mut kept, last, (files, &mut gone));
    Ok(gone)
}

/// The records that are left of a file: two if it has no name any more.
fn settle(
    start: &mut Start,
    kept: &mut Vec<Vec<u8>>,
    file: Option<FileId>,
    (files, gone): (&HashSet<FileId>, &mut HashSet<FileId>),
) {
    let nameless = kept.len() > 1;
    if let Some(file) = file
        && nameless
        && !files.contains(&file)
    {
        gone.insert(file);
        drop_all(start, kept);
    }
    kept.clear();
}

fn drop_all(start: &mut Start, keys: &mut Vec<Vec<u8>>) {
    for key in keys.drain(..) {
        start.dropped.insert((Space::Node, key));
    }
}

fn versions(
    reader: &SessionReader<'_>,
    start: &mut Start,
    gone: &HashSet<FileId>,
) -> Result<(), StoreError> {
    let (base, prefix) = (start.base.seq, reader.id().0.to_be_bytes());
    let mut groups = Groups::new(start, Space::Version);
    for key in reader.store.db.keys(Space::Version, &prefix) {
        let key = key?;
        let (file, seq) = key::file_at_parts(&key)?;
        if seq > base {
            continue;
        }
        groups.take(key);
        if gone.contains(&file) {
            groups.drop_newest();
        }
    }
    let mut needed = Vec::new();
    for record in reader.store.db.prefix(Space::Version, &prefix) {
        let (key, value) = record?;
        if !start.drops(Space::Version, &key) {
            let (file, _) = key::file_at_parts(&key)?;
            needed.extend(stands_on(file, &decode_version(&value)?.repr));
        }
    }
    bring_back(reader, start, needed)
}

/// The versions that one is rebuilt from.
fn stands_on(file: FileId, repr: &Repr) -> impl Iterator<Item = VersionRef> {
    let settled = match repr {
        Repr::Slice { settled, .. } => Some(VersionRef {
            file,
            seq: *settled,
        }),
        _ => None,
    };
    repr.base().into_iter().chain(settled)
}

fn bring_back(
    reader: &SessionReader<'_>,
    start: &mut Start,
    mut needed: Vec<VersionRef>,
) -> Result<(), StoreError> {
    let lookup = SessionLookup::new(reader.store, reader.id());
    while let Some(at) = needed.pop() {
        let Some(key) = versions::key_of::<StoreError>(&reader.store.db, reader.id(), at)? else {
            continue;
        };
        // What was not dropped is in place, and what it stands on was looked at.
        if start.dropped.remove(&(Space::Version, key)) {
            start.baseline += 1;
            if let Some(version) = lookup.version(at)? {
                needed.extend(stands_on(at.file, &version.repr));
            }
        }
    }
    Ok(())
}

/// The histogram of what is left. `flush` is called on the way, with the time it is for.
pub(super) fn density(
    reader: &SessionReader<'_>,
    start: &Start,
    mut flush: impl FnMut(&mut Density, Timestamp) -> Result<(), StoreError>,
) -> Result<Density, StoreError> {
    let mut density = Density::default();
    let mut last = Timestamp::default();
    for (number, event) in
        (1_u64..).zip(reader.events(start.base.seq.next(), start.progress.last_seq))
    {
        let event = event?;
        density.add(event.time, event.op.kind());
        last = event.time;
        if number % 4096 == 0 {
            flush(&mut density, last)?;
        }
    }
    flush(&mut density, last)?;
    Ok(density)
}
