//! The one module that names fjall: checked records, atomic batches.
//!
//! Records come from the engine, or page by page from elsewhere ([`Pages`]): a packed
//! file, or a recorder that is at work. Readers do not know which.
//!
//! Every value save blobs (their digest covers them) ends with the first four bytes of
//! blake3 over keyspace, key and value, so that a record that was damaged, or stands
//! under a key that is not its own, is an error and never data.

mod error;
mod files;
mod journal;
mod manifest;
pub(crate) mod mend;
mod pages;
mod range;
mod space;
mod sync;

use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode,
    Readable,
};

pub use error::{DbError, panic_is_guarded};
pub(crate) use space::{Space, sealed, unsealed};
pub use sync::Durability;

use error::guard;
use pages::Paged;
pub(crate) use pages::{Bounds, End, Page, Pages};
use range::verified;
pub(crate) use range::{Range, RawRange, RawRecord};
use sync::Syncer;

/// The bytes of a value as they are stored, checksum and all.
pub(crate) type Raw = fjall::Slice;

/// A value as read, its checksum verified.
#[derive(Clone)]
pub(crate) struct Value {
    bytes: Raw,
    len: usize,
}

impl std::ops::Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Where records are read from, and with the engine written to.
pub(crate) enum Db {
    /// A database of this process's own.
    Engine(Engine),
    /// Something that can only be read.
    Pages(Box<dyn Pages>),
}

/// How contents are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Here and there, and again.
    Again,
    /// Each once: those that were read would be kept in vain, each in memory of its own.
    Once,
}

impl Reading {
    /// What the engine may keep of what was read, bytes.
    const fn cache(self) -> u64 {
        match self {
            Self::Again => CACHE,
            Self::Once => PASSING_CACHE,
        }
    }
}

/// An open database.
pub(crate) struct Engine {
    path: PathBuf,
    database: Database,
    spaces: Vec<Keyspace>,
    /// Bytes of blobs since their memtable was last handed over.
    unwritten: AtomicU64,
    /// Whether blobs were handed over that the engine may hold on to.
    held: AtomicBool,
    /// Where commits are to survive the loss of power.
    syncer: Option<Syncer>,
}

const MEMTABLE: u64 = 8 << 20;
/// A key under which nothing stands.
const NOTHING: &str = "nothing";
const CACHE: u64 = 8 << 20;
/// As much as the records need that lead to contents.
const PASSING_CACHE: u64 = 1 << 20;
const JOURNAL: u64 = 64 << 20;
/// Blobs from this size on live outside the tree, so that compactions leave them alone.
const SEPARATE: u32 = 1024;
/// A file of blobs is written anew when a quarter of it has been removed.
const BLOB_FILE: u64 = 16 << 20;

fn options(space: Space) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
    if space == Space::Blob {
        let separation = KvSeparationOptions::default()
            .separation_threshold(SEPARATE)
            .age_cutoff(1.0)
            .file_target_size(BLOB_FILE)
            .compression(CompressionType::None);
        return options
            .data_block_compression_policy(CompressionPolicy::disabled())
            .with_kv_separation(Some(separation));
    }
    options
}

impl Db {
    /// Opens or creates the database in `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, DbError> {
        Self::open_for(path, Reading::Again)
    }

    /// The same, for a way of reading.
    pub(crate) fn open_for(path: &Path, reading: Reading) -> Result<Self, DbError> {
        Engine::open(path, reading).map(Self::Engine)
    }

    /// Closes in order; see [`Engine::close`].
    pub(crate) fn close(self) -> Result<(), DbError> {
        match self {
            Self::Engine(engine) => engine.close(),
            Self::Pages(_) => Ok(()),
        }
    }

    /// What commits are to survive from now on.
    pub(crate) fn set_durability(&mut self, durability: Durability) -> Result<(), DbError> {
        match self {
            Self::Engine(engine) => engine.set_durability(durability),
            Self::Pages(_) => Err(DbError::ReadOnly),
        }
    }

    /// The engine, if it is here.
    pub(crate) const fn engine(&self) -> Option<&Engine> {
        match self {
            Self::Engine(engine) => Some(engine),
            Self::Pages(_) => None,
        }
    }

    /// What stands in for it, if that is what is here.
    pub(crate) fn pages(&self) -> Option<&dyn Pages> {
        match self {
            Self::Engine(_) => None,
            Self::Pages(pages) => Some(pages.as_ref()),
        }
    }

    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Value>, DbError> {
        let found = match self {
            Self::Engine(engine) => guard(|| engine.space(space).get(key))?,
            Self::Pages(pages) => pages.get(space, key)?,
        };
        found.map(|raw| verified(space, key, raw)).transpose()
    }

    pub(crate) fn contains(&self, space: Space, key: &[u8]) -> Result<bool, DbError> {
        match self {
            Self::Engine(engine) => guard(|| engine.space(space).contains_key(key)),
            Self::Pages(pages) => pages.contains(space, key),
        }
    }

    /// The records of a range, from both ends.
    pub(crate) fn range(&self, space: Space, range: impl RangeBounds<Vec<u8>>) -> Range<'_> {
        Range {
            space,
            inner: self.raw_range(space, range),
        }
    }

    pub(crate) fn prefix(&self, space: Space, prefix: &[u8]) -> Range<'_> {
        self.range(space, Bounds::prefix(prefix))
    }

    /// The last record that starts with `prefix` and whose key is at most `key`.
    pub(crate) fn floor(
        &self,
        space: Space,
        prefix: &[u8],
        key: Vec<u8>,
    ) -> Result<Option<(Vec<u8>, Value)>, DbError> {
        let range = (Bound::Included(prefix.to_vec()), Bound::Included(key));
        let mut range = self.range(space, range);
        range.inner.one_at_a_time();
        range.next_back().transpose()
    }

    /// The first record of a range.
    pub(crate) fn first(
        &self,
        space: Space,
        range: impl RangeBounds<Vec<u8>>,
    ) -> Result<Option<(Vec<u8>, Value)>, DbError> {
        let mut range = self.range(space, range);
        range.inner.one_at_a_time();
        range.next().transpose()
    }

    /// The records of a range just as they are stored, whatever their checksums say.
    pub(crate) fn raw_range(&self, space: Space, range: impl RangeBounds<Vec<u8>>) -> RawRange<'_> {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        match self {
            Self::Engine(engine) => RawRange::Engine(engine.space(space).range(bounds)),
            Self::Pages(pages) => RawRange::Pages(Paged::new(pages.as_ref(), space, bounds)),
        }
    }

    /// A record just as it is stored.
    pub(crate) fn raw(&self, space: Space, key: &[u8]) -> Result<Option<Raw>, DbError> {
        match self {
            Self::Engine(engine) => guard(|| engine.space(space).get(key)),
            Self::Pages(pages) => pages.get(space, key),
        }
    }

    /// The keys that start with `prefix`, those of damaged records too.
    pub(crate) fn keys<'d>(
        &'d self,
        space: Space,
        prefix: &[u8],
    ) -> Box<dyn Iterator<Item = Result<Vec<u8>, DbError>> + 'd> {
        let Self::Engine(engine) = self else {
            let records = self.raw_range(space, Bounds::prefix(prefix));
            return Box::new(records.map(|record| Ok(record?.0)));
        };
        // The engine gives a key without reading what stands under it.
        let mut inner = engine.space(space).prefix(prefix);
        Box::new(std::iter::from_fn(move || {
            let key = guard(|| inner.next().map(fjall::Guard::key).transpose());
            key.transpose().map(|key| key.map(|key| key.to_vec()))
        }))
    }

    /// Bytes that were committed and are not in tables yet.
    pub(crate) fn in_memory(&self) -> u64 {
        self.engine()
            .map_or(0, |engine| engine.database.write_buffer_size())
    }

    /// See [`Engine::rest`]; nothing where nothing can be written.
    pub(crate) fn rest(&self) -> Result<(), DbError> {
        self.engine().map_or(Ok(()), Engine::rest)
    }

    /// See [`Engine::let_go_of_written`].
    pub(crate) fn let_go(&self) -> Result<bool, DbError> {
        self.engine().map_or(Ok(true), Engine::let_go_of_written)
    }

    /// Gives the space of removed records back to the disk.
    pub(crate) fn compact(&self) -> Result<(), DbError> {
        self.engine().ok_or(DbError::ReadOnly)?.compact()
    }

    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            engine: self.engine(),
            inner: self.engine().map(|engine| engine.database.batch()),
            bytes: 0,
            blobs: 0,
        }
    }
}

impl Engine {
    fn open(path: &Path, reading: Reading) -> Result<Self, DbError> {
        files::check(path)?;
        files::clear_unfinished(path)?;
        let database = guard(|| {
            let builder = Database::builder(path)
                .cache_size(reading.cache())
                .worker_threads(2)
                .max_journaling_size(JOURNAL)
                .journal_compression(CompressionType::Lz4);
            builder.open()
        })?;
        check_spaces(path, &database)?;
        guard(|| {
            let spaces = Space::ALL
                .iter()
                .map(|(space, name)| database.keyspace(name, || options(*space)))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Self {
                path: path.to_owned(),
                database,
                spaces,
                unwritten: AtomicU64::new(0),
                held: AtomicBool::new(false),
                syncer: None,
            })
        })
    }

    fn set_durability(&mut self, durability: Durability) -> Result<(), DbError> {
        let database = self.database.clone();
        let sync = move || guard(|| database.persist(PersistMode::SyncData));
        self.syncer = match durability {
            Durability::Crash => None,
            Durability::Power => Some(Syncer::start(sync).map_err(|source| DbError::Io {
                path: self.path.clone(),
                source,
            })?),
        };
        Ok(())
    }

    #[allow(
        clippy::indexing_slicing,
        reason = "open() fills one keyspace per Space"
    )]
    fn space(&self, space: Space) -> &Keyspace {
        &self.spaces[space as usize]
    }

    /// The database as it is now, whatever is written afterwards.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            engine: self,
            snapshot: self.database.snapshot(),
        }
    }

    /// Hands the blobs that are in memory to the thread that writes them out, once there
    /// are as many as a memtable may hold, and waits while that thread is behind. The
    /// engine asks its threads to do the first, and they ask when they get to it: while
    /// they wait for a slow disk, memory would grow without bound.
    fn make_room(&self, added: u64) -> Result<(), DbError> {
        const PATIENCE: Duration = Duration::from_secs(60);
        if self.unwritten.fetch_add(added, Ordering::Relaxed) + added < MEMTABLE {
            return Ok(());
        }
        let blobs = self.hand_over()?;
        let started = std::time::Instant::now();
        while blobs.sealed_memtable_count() > 1 && started.elapsed() < PATIENCE && self.is_alive() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn hand_over(&self) -> Result<&Keyspace, DbError> {
        self.unwritten.store(0, Ordering::Relaxed);
        self.held.store(true, Ordering::Relaxed);
        let blobs = self.space(Space::Blob);
        guard(|| blobs.rotate_memtable())?;
        Ok(blobs)
    }

    /// Hands over what is in memory of blobs although there is room for more, unless it is
    /// hardly anything: each time makes a file.
    fn rest(&self) -> Result<(), DbError> {
        if self.unwritten.load(Ordering::Relaxed) >= MEMTABLE / 8 {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Lets go of what was handed over once all of it is written; whether it is.
    fn let_go_of_written(&self) -> Result<bool, DbError> {
        let written = self.is_written() || !self.is_alive();
        if written && self.held.swap(false, Ordering::Relaxed) {
            self.let_go()?;
        }
        Ok(written)
    }

    /// Has the engine let go of tables that were replaced, in memory or on disk: it does so
    /// when it next hands a memtable over, and hands over none that is empty.
    fn let_go(&self) -> Result<(), DbError> {
        let meta = self.space(Space::Meta);
        guard(|| meta.remove(NOTHING))?;
        guard(|| meta.rotate_memtable()).map(drop)
    }

    /// Writes all memtables out, closes, and empties the journals, which then repeat
    /// only what the tables hold.
    fn close(mut self) -> Result<(), DbError> {
        let synced = self.syncer.take().map_or(Ok(()), Syncer::finish);
        self.rotate()?;
        let flushed = self.wait_for_flush();
        let path = self.path.clone();
        drop(self);
        if flushed {
            files::empty_journals(&path)?;
        }
        synced
    }

    /// Writes all memtables out, so that the journals can go, and all tables anew.
    fn compact(&self) -> Result<(), DbError> {
        self.rotate()?;
        self.wait_for_flush();
        guard(|| self.spaces.iter().try_for_each(Keyspace::major_compact))?;
        self.let_go()?;
        self.wait_for_flush();
        Ok(())
    }

    fn rotate(&self) -> Result<(), DbError> {
        guard(|| {
            for space in &self.spaces {
                space.rotate_memtable()?;
            }
            Ok(())
        })
    }

    fn wait_for_flush(&self) -> bool {
        const PATIENCE: Duration = Duration::from_secs(60);
        let started = std::time::Instant::now();
        while !self.is_written() {
            if started.elapsed() > PATIENCE || !self.is_alive() {
                return false;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        true
    }

    fn is_written(&self) -> bool {
        self.spaces.iter().all(|s| s.sealed_memtable_count() == 0)
    }

    /// Whether the engine still writes: after a failed write, as on a full disk, it takes
    /// nothing more and nothing that waits will ever be written out.
    fn is_alive(&self) -> bool {
        guard(|| self.database.persist(PersistMode::Buffer)).is_ok()
    }
}

/// Keyspaces are made in their order, so that a missing one before one that is there
/// has been lost.
fn check_spaces(path: &Path, database: &Database) -> Result<(), DbError> {
    let exists = |(_, name): &(Space, &str)| guard(|| Ok(database.keyspace_exists(name)));
    let exist: Vec<bool> = Space::ALL.iter().map(exists).collect::<Result<_, _>>()?;
    if exist.is_sorted_by(|before, after| before >= after) {
        return Ok(());
    }
    let lost = Space::ALL.iter().zip(exist).find(|(_, exists)| !exists);
    let name = lost.map_or("", |((_, name), _)| name);
    Err(DbError::Lost(path.join(name)))
}

/// The database at one moment, to be read while it is written.
pub(crate) struct View<'e> {
    engine: &'e Engine,
    snapshot: fjall::Snapshot,
}

impl Pages for View<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Raw>, DbError> {
        guard(|| self.snapshot.get(self.engine.space(space), key))
    }

    fn contains(&self, space: Space, key: &[u8]) -> Result<bool, DbError> {
        guard(|| self.snapshot.contains_key(self.engine.space(space), key))
    }

    fn page(&self, space: Space, bounds: Bounds, end: End, most: usize) -> Result<Page, DbError> {
        let range = self
            .snapshot
            .range(self.engine.space(space), bounds.clone());
        Page::fill(RawRange::Engine(range), bounds, end, most)
    }
}

/// Records that become visible together or not at all.
pub(crate) struct Batch<'db> {
    /// None where nothing can be written.
    engine: Option<&'db Engine>,
    inner: Option<fjall::OwnedWriteBatch>,
    bytes: usize,
    /// Of those, the values of blobs.
    blobs: u64,
}

impl Batch<'_> {
    pub(crate) fn put(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        let raw = sealed(space, &key, value);
        self.put_raw(space, key, raw.into());
    }

    /// Puts a record just as it was stored elsewhere.
    pub(crate) fn put_raw(&mut self, space: Space, key: Vec<u8>, raw: Raw) {
        if space == Space::Blob {
            self.blobs += raw.len() as u64;
        }
        self.bytes += key.len() + raw.len();
        if let (Some(engine), Some(batch)) = (self.engine, &mut self.inner) {
            batch.insert(engine.space(space), key, raw);
        }
    }

    pub(crate) fn remove(&mut self, space: Space, key: Vec<u8>) {
        if let (Some(engine), Some(batch)) = (self.engine, &mut self.inner) {
            batch.remove(engine.space(space), key);
        }
    }

    /// Key and value bytes collected so far.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands the batch to the operating system: it survives the death of this process,
    /// not yet that of the machine. Waits while too much is still to be written to disk.
    pub(crate) fn commit(self) -> Result<(), DbError> {
        let (Some(engine), Some(batch)) = (self.engine, self.inner) else {
            return Err(DbError::ReadOnly);
        };
        let batch = batch.durability(Some(PersistMode::Buffer));
        guard(|| batch.commit())?;
        if let Some(syncer) = &engine.syncer {
            syncer.committed(self.bytes as u64)?;
        }
        engine.make_room(self.blobs)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn who_rests_holds_no_blobs_and_the_next_ones_find_room() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("db")).unwrap();
        let engine = db.engine().unwrap();
        for number in 0_u64..3 {
            let mut batch = db.batch();
            batch.put(Space::Blob, number.to_be_bytes().to_vec(), vec![7; 1 << 20]);
            batch.commit().unwrap();
            db.rest().unwrap();
            assert!(engine.wait_for_flush());
            // What was written out is taken from the sum a moment later.
            let begun = std::time::Instant::now();
            while engine.database.write_buffer_size() > 1 << 20 {
                assert!(begun.elapsed() < Duration::from_secs(30), "{number}");
            }
            let tables = engine.space(Space::Meta).table_count();
            assert!(db.let_go().unwrap() && engine.wait_for_flush());
            assert_eq!(engine.space(Space::Meta).table_count(), tables + 1);
            // There is nothing more to let go of, and so no table for it.
            assert!(db.let_go().unwrap() && engine.wait_for_flush());
            assert_eq!(engine.space(Space::Meta).table_count(), tables + 1);
        }
        let read = db.get(Space::Blob, &1_u64.to_be_bytes()).unwrap();
        assert_eq!(read.unwrap().len(), 1 << 20);
        db.close().unwrap();
    }

    #[test]
    fn blobs_in_memory_stay_few_however_fast_they_come() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("db")).unwrap();
        for number in 0_u64..128 {
            let mut batch = db.batch();
            batch.put(Space::Blob, number.to_be_bytes().to_vec(), vec![7; 1 << 20]);
            batch.commit().unwrap();
            // One that fills, one that waits, and one that is being written.
            let engine = db.engine().unwrap();
            assert!(engine.database.write_buffer_size() <= 4 * MEMTABLE);
        }
        db.close().unwrap();
    }
}
