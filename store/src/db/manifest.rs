//! The list of a keyspace's tables (lsm-tree 3): `vN`, named by `current`. Made anew from the
//! tables themselves where it is damaged, or where it names one that is.
//!
//! A list is a file of named sections (crate `sfa`). Numbers are little-endian:
//!
//! ```text
//! tables     = levels u8 | (runs u8 | (tables u32 | (id u64 | 0 | XXH3-128 u128 | seqno u64)*)*)*
//! blob_files = files u32 | (id u64 | 0 | XXH3-128 u128)*
//! ```
//!
//! Runs stand in the order in which they are asked: a newer entry of a key before an older one.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lsm_tree::{Cache, Checksum, Table};
use xxhash_rust::xxh3::Xxh3Default;

use super::error::GUARDED;
use super::{DbError, files};

const LEVELS: u8 = 7;
/// Runs of a level that the format has room for.
const MAX_RUNS: usize = 255;

/// What a keyspace consists of besides its list.
struct Parts {
    tables: Vec<Table>,
    blob_files: Vec<u64>,
    /// Files that cannot be opened.
    bad: Vec<PathBuf>,
}

/// Makes a keyspace one that the engine opens: moves what cannot be opened into `aside`, and
/// lists the rest anew. Says what was done; nothing where nothing was wrong.
pub(super) fn mend(keyspace: &Path, separated: bool, aside: &Path) -> Result<Vec<String>, DbError> {
    let io = |source| io(keyspace, source);
    let listed = files::check_manifest(keyspace).is_ok() && keyspace.join("current").exists();
    let parts = parts(keyspace).map_err(io)?;
    if listed && parts.bad.is_empty() && is_complete(keyspace) {
        return Ok(Vec::new());
    }
    let name = keyspace.file_name().unwrap_or_default().to_string_lossy();
    let mut done = Vec::new();
    if !listed {
        done.push(format!("keyspace {name}: its list of tables was made anew"));
    }
    for bad in &parts.bad {
        let file = bad.strip_prefix(keyspace).unwrap_or(bad);
        done.push(format!(
            "keyspace {name}: {} cannot be read and was left out",
            file.display()
        ));
        let to = aside.join(format!("{name}-{}", file.display()).replace('/', "-"));
        std::fs::rename(bad, to).map_err(io)?;
    }
    if listed && parts.bad.is_empty() {
        done.push(format!(
            "keyspace {name}: tables that its list names are gone"
        ));
    }
    write(keyspace, &parts, separated).map_err(io)?;
    Ok(done)
}

fn io(path: &Path, source: std::io::Error) -> DbError {
    let path = path.to_owned();
    DbError::Io { path, source }
}

/// Whether all that the list names is there; the engine refuses where it is not.
fn is_complete(keyspace: &Path) -> bool {
    let tree = || {
        let config = lsm_tree::Config::new(
            keyspace,
            lsm_tree::SequenceNumberCounter::default(),
            lsm_tree::SequenceNumberCounter::default(),
        );
        let blobs = keyspace.join("blobs").exists();
        let separation = blobs.then(lsm_tree::KvSeparationOptions::default);
        config.with_kv_separation(separation).open().is_ok()
    };
    guarded(tree).unwrap_or(false)
}

fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    result.ok()
}

fn parts(keyspace: &Path) -> std::io::Result<Parts> {
    let mut parts = Parts {
        tables: Vec::new(),
        blob_files: Vec::new(),
        bad: Vec::new(),
    };
    for path in entries(&keyspace.join("tables"))? {
        match table(&path) {
            Some(table) => parts.tables.push(table),
            None => parts.bad.push(path),
        }
    }
    for path in entries(&keyspace.join("blobs"))? {
        match number(&path).filter(|_| is_blob_file(&path)) {
            Some(id) => parts.blob_files.push(id),
            None => parts.bad.push(path),
        }
    }
    parts.blob_files.sort_unstable();
    Ok(parts)
}

fn entries(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

/// A table, if the engine can open it and it has the number of its name.
fn table(path: &Path) -> Option<Table> {
    let id = number(path)?;
    let sum = Checksum::from_raw(checksum(path).ok()?);
    let cache = Arc::new(Cache::with_capacity_bytes(0));
    let open = || Table::recover(path.to_owned(), sum, 0, 0, cache, None, false, false);
    let table = guarded(open)?.ok()?;
    (table.metadata.id == id).then_some(table)
}

/// Whether a file of separated values has its trailer.
fn is_blob_file(path: &Path) -> bool {
    let open =
        || sfa::Reader::new(path).is_ok_and(|reader| reader.toc().section(b"meta").is_some());
    guarded(open).unwrap_or(false)
}

fn checksum(path: &Path) -> std::io::Result<u128> {
    let mut hasher = Hashing(Xxh3Default::new());
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.0.digest128())
}

struct Hashing(Xxh3Default);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Tables in runs without overlaps, newest first, so that all of them may stand in the first
/// level, whichever they came from.
fn runs(mut tables: Vec<&Table>) -> Vec<Vec<&Table>> {
    tables.sort_by_key(|table| std::cmp::Reverse((table.get_highest_seqno(), table.metadata.id)));
    let mut runs: Vec<Vec<&Table>> = Vec::new();
    for table in tables {
        let range = &table.metadata.key_range;
        let apart = |other: &&Table| {
            let other = &other.metadata.key_range;
            other.max() < range.min() || range.max() < other.min()
        };
        match runs.last_mut() {
            Some(run) if run.iter().all(apart) => run.push(table),
            _ => runs.push(vec![table]),
        }
    }
    for run in &mut runs {
        run.sort_by(|a, b| a.metadata.key_range.min().cmp(b.metadata.key_range.min()));
    }
    runs
}

fn write(keyspace: &Path, parts: &Parts, separated: bool) -> std::io::Result<()> {
    let runs = runs(parts.tables.iter().collect());
    if runs.len() > MAX_RUNS {
        return Err(std::io::Error::other("too many tables that overlap"));
    }
    std::fs::create_dir_all(keyspace.join("tables"))?;
    let versions = entries(keyspace)?.into_iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?.to_owned();
        name.strip_prefix('v')?.parse::<u64>().ok()
    });
    let version = versions.max().map_or(0, |last| last.saturating_add(1));
    let path = keyspace.join(format!("v{version}"));
    let file = File::create(&path)?;
    let mut writer = sfa::Writer::from_writer(&file);
    sections(&mut writer, &runs, &parts.blob_files, separated)?;
    writer
        .finish()
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    file.sync_all()?;
    let mut current = version.to_le_bytes().to_vec();
    current.extend(xxhash_rust::xxh3::xxh3_128(&std::fs::read(&path)?).to_le_bytes());
    current.push(0);
    let new = keyspace.join("current.new");
    std::fs::write(&new, current)?;
    std::fs::rename(new, keyspace.join("current"))
}

fn sections(
    writer: &mut sfa::Writer<&File>,
    runs: &[Vec<&Table>],
    blob_files: &[u64],
    separated: bool,
) -> std::io::Result<()> {
    let simple: [(&str, &[u8]); 5] = [
        ("format_version", &[3]),
        ("crate_version", b"3.1.10"),
        ("tree_type", &[u8::from(separated)]),
        ("level_count", &[LEVELS]),
        ("filter_hash_type", &[0]),
    ];
    for (name, bytes) in simple {
        writer.start(name)?;
        writer.write_all(bytes)?;
    }
    writer.start("tables")?;
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    writer.write_all(&[LEVELS, u8::try_from(runs.len()).unwrap_or(u8::MAX)])?;
    for run in runs {
        writer.write_all(&count(run.len()).to_le_bytes())?;
        for table in run {
            writer.write_all(&table.metadata.id.to_le_bytes())?;
            writer.write_all(&[0])?;
            writer.write_all(&table.checksum().into_u128().to_le_bytes())?;
            writer.write_all(&table.global_seqno().to_le_bytes())?;
        }
    }
    writer.write_all(&[0; LEVELS as usize - 1])?;
    writer.start("blob_files")?;
    writer.write_all(&count(blob_files.len()).to_le_bytes())?;
    for id in blob_files {
        writer.write_all(&id.to_le_bytes())?;
        // The engine never compares it.
        writer.write_all(&[0; 17])?;
    }
    writer.start("blob_gc_stats")?;
    writer.write_all(&0_u32.to_le_bytes())
}
