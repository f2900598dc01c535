//! Reading a pack: from the root of the index down to a block, block by block.

use std::fs::File;
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::block::{
    Block, Entry, FILE_END, FILE_HEAD, FIXED, Head, MAGIC, MAGIC_NAME, Records, decode_end,
};
use super::scan;
use crate::db::{Bounds, DbError, End, Page, Pages, Raw, Space};
use crate::statedir::{self, StateDirError};

/// Blocks kept at hand: how many, and how many bytes.
const KEPT: usize = 1024;
const KEPT_BYTES: u64 = 16 << 20;

#[derive(Clone)]
struct Weight;

impl Weighter<u64, Arc<Block>> for Weight {
    fn weight(&self, _: &u64, block: &Arc<Block>) -> u64 {
        block.weight()
    }
}

/// An open pack.
pub(crate) struct PackFile {
    pub(super) file: File,
    path: PathBuf,
    pub(super) len: u64,
    /// Where the end of the file says that the root is.
    root: Option<u64>,
    /// Set once a block of the index could not be read.
    broken: AtomicBool,
    /// The index as the blocks themselves give it, made where the real one is damaged.
    found: OnceLock<Arc<Block>>,
    kept: Cache<u64, Arc<Block>, Weight>,
}

/// The part of the keys that one block holds.
struct Leaf {
    first: Vec<u8>,
    at: Option<u64>,
    /// First key behind it.
    next: Option<Vec<u8>>,
}

impl PackFile {
    /// Opens a pack. Only its head and its end are read.
    pub(crate) fn open(path: &Path) -> Result<Self, StateDirError> {
        let io = |source| StateDirError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut head = [0; FILE_HEAD];
        let foreign = |_| StateDirError::Foreign(path.to_owned());
        file.read_exact_at(&mut head, 0).map_err(foreign)?;
        let head = String::from_utf8_lossy(&head);
        match head.lines().next() {
            Some(line) if line != MAGIC && line.starts_with(MAGIC_NAME) => {
                let (path, found) = (path.to_owned(), line.to_owned());
                return Err(StateDirError::Newer { path, found });
            }
            _ => statedir::parse_marker(path, MAGIC, &head)?,
        }
        let mut end = [0; FILE_END];
        let at = len.saturating_sub(FILE_END as u64);
        let root = file
            .read_exact_at(&mut end, at)
            .ok()
            .and_then(|()| decode_end(&end));
        Ok(Self {
            file,
            path: path.to_owned(),
            len,
            broken: AtomicBool::new(root.is_none()),
            root,
            found: OnceLock::new(),
            kept: Cache::with_weighter(KEPT, KEPT_BYTES, Weight),
        })
    }

    /// What is wrong with the file as a whole, as far as it is known by now.
    fn whole_damage(&self) -> Option<String> {
        if !self.broken.load(Ordering::Relaxed) {
            return None;
        }
        let what = if self.root.is_none() {
            "is cut short or damaged at its end"
        } else {
            "has a damaged index"
        };
        Some(format!("{} {what}", self.path.display()))
    }

    /// The head of the block at an offset.
    pub(super) fn head(&self, at: u64) -> Result<Head, DbError> {
        let damaged = || DbError::PackBlock(at);
        let mut bytes = vec![0; FIXED];
        self.fill(&mut bytes, at)?;
        let len = Head::len_of(&bytes).map_err(|_| damaged())?;
        bytes.resize(len, 0);
        self.fill(&mut bytes, at)?;
        Head::decode(&bytes).map_err(|_| damaged())
    }

    fn fill(&self, bytes: &mut [u8], at: u64) -> Result<(), DbError> {
        let end = at.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(DbError::PackBlock(at));
        }
        self.file
            .read_exact_at(bytes, at)
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::UnexpectedEof => DbError::PackBlock(at),
                _ => DbError::Io {
                    path: self.path.clone(),
                    source,
                },
            })
    }

    /// The block at an offset, which must be of this level and begin with this key.
    fn block(
        &self,
        at: u64,
        level: Option<u8>,
        first: Option<&[u8]>,
    ) -> Result<Arc<Block>, DbError> {
        if let Some(block) = self.kept.get(&at) {
            return Ok(block);
        }
        let damaged = |_| DbError::PackBlock(at);
        let head = self.head(at)?;
        let is_it = level.is_none_or(|level| level == head.level)
            && first.is_none_or(|first| first == head.first);
        if !is_it || head.block_len() > self.len.saturating_sub(at) {
            return Err(DbError::PackBlock(at));
        }
        let mut stored = vec![0; head.stored_len];
        self.fill(&mut stored, at + head.len() as u64)?;
        let plain = head.open(&stored).map_err(damaged)?;
        let block = Arc::new(Block::decode(&head, plain).map_err(damaged)?);
        self.kept.insert(at, block.clone());
        Ok(block)
    }

    /// The last key of a block of records.
    pub(super) fn last_key(&self, at: u64) -> Option<Vec<u8>> {
        match self.block(at, Some(0), None).as_deref() {
            Ok(Block::Records(records)) => {
                Some(records.key(records.len().checked_sub(1)?).to_vec())
            }
            _ => None,
        }
    }

    /// The top of the index and its level.
    fn top(&self) -> Result<(Arc<Block>, u8), DbError> {
        if let Some(at) = self.root.filter(|_| !self.broken.load(Ordering::Relaxed)) {
            let root = self.head(at).and_then(|head| {
                let block = self.block(at, Some(head.level), None)?;
                Ok((block, head.level))
            });
            match root {
                Ok((block, level)) if level > 0 => return Ok((block, level)),
                _ => self.broken.store(true, Ordering::Relaxed),
            }
        }
        let found = self
            .found
            .get_or_init(|| Arc::new(Block::Index(scan::index(self))));
        Ok((found.clone(), 1))
    }

    /// The leaf with the greatest first key that is at most `key` (below it, if `strict`);
    /// else the first leaf of all, if it is wanted.
    fn leaf(&self, key: &[u8], strict: bool, or_first: bool) -> Result<Option<Leaf>, DbError> {
        let was_broken = self.broken.load(Ordering::Relaxed);
        let mut leaf = self.descend(key, strict, or_first);
        if matches!(leaf, Err(Lost::Index)) && !was_broken {
            self.broken.store(true, Ordering::Relaxed);
            leaf = self.descend(key, strict, or_first);
        }
        leaf.map_err(|lost| match lost {
            Lost::Index => DbError::PackLost,
            Lost::Other(error) => error,
        })
    }

    fn descend(&self, key: &[u8], strict: bool, or_first: bool) -> Result<Option<Leaf>, Lost> {
        let (mut block, mut level) = self.top().map_err(Lost::Other)?;
        let mut next: Option<Vec<u8>> = None;
        loop {
            let Block::Index(entries) = block.as_ref() else {
                return Err(Lost::Index);
            };
            let Some((entry, after)) = choose(entries, key, strict, or_first) else {
                return Ok(None);
            };
            next = after.map(|after| after.first.clone()).or(next);
            let first = entry.first.clone();
            level -= 1;
            let at = match entry.at {
                Some(at) if level > 0 => at,
                at => return Ok(Some(Leaf { first, at, next })),
            };
            block = match self.block(at, Some(level), Some(&first)) {
                Ok(block) => block,
                Err(DbError::PackBlock(_)) => return Err(Lost::Index),
                Err(error) => return Err(Lost::Other(error)),
            };
        }
    }

    fn records(&self, leaf: &Leaf) -> Result<Arc<Block>, DbError> {
        let at = leaf.at.ok_or(DbError::PackLost)?;
        self.block(at, Some(0), Some(&leaf.first))
    }

    fn find(&self, space: Space, key: &[u8]) -> Result<Option<(Arc<Block>, usize)>, DbError> {
        let key = full(space, key);
        let Some(leaf) = self.leaf(&key, false, false)? else {
            return Ok(None);
        };
        let block = self.records(&leaf)?;
        let Block::Records(records) = block.as_ref() else {
            return Ok(None);
        };
        let at = records.partition(|other| other < key.as_slice());
        let found = at < records.len() && records.key(at) == key;
        Ok(found.then_some((block, at)))
    }
}

enum Lost {
    Index,
    Other(DbError),
}

/// The entry that leads to a key, and the one behind it.
fn choose<'e>(
    entries: &'e [Entry],
    key: &[u8],
    strict: bool,
    or_first: bool,
) -> Option<(&'e Entry, Option<&'e Entry>)> {
    let upto = entries
        .partition_point(|entry| entry.first.as_slice() < key || (!strict && entry.first == key));
    let at = match upto.checked_sub(1) {
        Some(at) => at,
        None if or_first => 0,
        None => return None,
    };
    Some((entries.get(at)?, entries.get(at + 1)))
}

/// A key with its keyspace before it.
fn full(space: Space, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(key.len() + 1);
    full.push(space as u8);
    full.extend(key);
    full
}

/// A key without its keyspace, if it is this one.
fn part(space: Space, full: &[u8]) -> Option<Vec<u8>> {
    let (tag, key) = full.split_first()?;
    (*tag == space as u8).then(|| key.to_vec())
}

impl Pages for PackFile {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Raw>, DbError> {
        let found = self.find(space, key)?;
        Ok(found.and_then(|(block, at)| match block.as_ref() {
            Block::Records(records) => Some(records.value(at)),
            Block::Index(_) => None,
        }))
    }

    fn contains(&self, space: Space, key: &[u8]) -> Result<bool, DbError> {
        Ok(self.find(space, key)?.is_some())
    }

    fn page(&self, space: Space, bounds: Bounds, end: End, most: usize) -> Result<Page, DbError> {
        let leaf = match end {
            End::Front => self.leaf(&start(space, &bounds), false, true)?,
            End::Back => match &bounds.1 {
                Bound::Included(key) => self.leaf(&full(space, key), false, false)?,
                Bound::Excluded(key) => self.leaf(&full(space, key), true, false)?,
                Bound::Unbounded => self.leaf(&[space as u8 + 1], true, false)?,
            },
        };
        let Some(leaf) = leaf else {
            return Ok(Page::default());
        };
        let rest = beyond(space, &bounds, &leaf, end);
        let block = match self.records(&leaf) {
            Ok(block) => block,
            Err(error @ (DbError::PackBlock(_) | DbError::PackLost)) => {
                // A lost part of which nothing can be of this range is nobody's loss.
                let touches = touches(space, &bounds, &leaf);
                let damage = touches.then_some(error);
                return Ok(Page {
                    damage,
                    rest,
                    ..Page::default()
                });
            }
            Err(error) => return Err(error),
        };
        let Block::Records(records) = block.as_ref() else {
            return Err(DbError::PackLost);
        };
        let span = span(space, records, &bounds);
        let record = |at| {
            Ok((
                part(space, records.key(at)).unwrap_or_default(),
                records.value(at),
            ))
        };
        let mut page = Page::fill(span.map(record), bounds, end, most)?;
        page.rest = page.rest.or(rest);
        Ok(page)
    }

    fn damage(&self) -> Option<String> {
        self.whole_damage()
    }
}

/// The least key a range can hold, or one before it.
fn start(space: Space, bounds: &Bounds) -> Vec<u8> {
    match &bounds.0 {
        Bound::Included(key) | Bound::Excluded(key) => full(space, key),
        Bound::Unbounded => vec![space as u8],
    }
}

/// The records of a block that are in a range.
fn span(space: Space, records: &Records, bounds: &Bounds) -> std::ops::Range<usize> {
    let from = match &bounds.0 {
        Bound::Included(key) => records.partition(|k| k < full(space, key).as_slice()),
        Bound::Excluded(key) => records.partition(|k| k <= full(space, key).as_slice()),
        Bound::Unbounded => records.partition(|k| k < [space as u8].as_slice()),
    };
    let to = match &bounds.1 {
        Bound::Included(key) => records.partition(|k| k <= full(space, key).as_slice()),
        Bound::Excluded(key) => records.partition(|k| k < full(space, key).as_slice()),
        Bound::Unbounded => records.partition(|k| k < [space as u8 + 1].as_slice()),
    };
    from..to.max(from)
}

/// Whether the keys of a leaf can be in a range.
fn touches(space: Space, bounds: &Bounds, leaf: &Leaf) -> bool {
    let behind = leaf
        .next
        .as_ref()
        .is_some_and(|next| *next <= start(space, bounds));
    let before = match &bounds.1 {
        Bound::Included(key) => leaf.first > full(space, key),
        Bound::Excluded(key) => leaf.first >= full(space, key),
        Bound::Unbounded => leaf.first.as_slice() >= [space as u8 + 1].as_slice(),
    };
    !behind && !before
}

/// What of a range lies behind a leaf, seen from `end`.
fn beyond(space: Space, bounds: &Bounds, leaf: &Leaf, end: End) -> Option<Bounds> {
    match end {
        End::Front => {
            let next = part(space, leaf.next.as_ref()?)?;
            Some(Bounds(Bound::Included(next), bounds.1.clone()))
        }
        End::Back => {
            let first = part(space, &leaf.first)?;
            Some(Bounds(bounds.0.clone(), Bound::Excluded(first)))
        }
    }
}
