//! `pack`: from a trace to one file, in one go from front to back.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::PackError;
use super::block::MAGIC;
use super::inspect::{Inspector, Suspects};
use super::thin::Omitted;
use super::write::Writer;
use crate::content::Lookup;
use crate::db::{Space, sealed, unsealed};
use crate::encode::{decode_manifest, decode_version, encode_supply};
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::lookup::SessionLookup;
use crate::meter::Meter;
use crate::model::{Digest, Repr, SessionId, Version};
use crate::store::Store;
use crate::supply::Supply;

/// Digests of blobs that are known at a time: the blobs are written in as many passes
/// over the versions as it takes. 32 bytes each.
const WANTED: usize = 512 << 10;

/// What to pack.
#[derive(Default)]
pub struct PackOptions<'a> {
    /// Sessions; none means all.
    pub sessions: Vec<SessionId>,
    /// Leaves out what this can supply.
    pub thin: Option<&'a Supply>,
    /// Tells what must not be handed on.
    pub inspect: Option<Inspector<'a>>,
    /// Where there is such a thing, nothing is packed.
    pub refuse: bool,
}

/// What was packed.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackReport {
    /// Sessions.
    pub sessions: u64,
    /// Blobs.
    pub blobs: u64,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Contents left out, as they can be supplied.
    pub omitted: u64,
    /// Records that hold what must not be handed on.
    pub suspects: Suspects,
    /// Damaged records, which were packed as they are, and blobs that are missing.
    pub damaged: u64,
}

/// Writes a packed trace to `out`, whole or not at all. A pack that is there is replaced,
/// anything else is left alone.
///
/// # Errors
/// A session that is not there, an `out` that is something else, and whatever keeps the
/// trace from being read or the file from being written.
pub fn pack(
    store: &Store,
    out: &Path,
    options: &PackOptions<'_>,
    meter: &dyn Meter,
) -> Result<PackReport, PackError> {
    refuse_other(out)?;
    let sessions = chosen(store, &options.sessions)?;
    let omitted = match options.thin {
        Some(supply) => Omitted::choose(store, &sessions, supply)?,
        None => Omitted::default(),
    };
    let mut new = NewFile::create(out)?;
    let report = write(store, &sessions, &omitted, options, &new, meter)?;
    if options.refuse && report.suspects.total() > 0 {
        return Err(PackError::Suspect(report.suspects));
    }
    new.keep(out)?;
    Ok(report)
}

fn write(
    store: &Store,
    sessions: &[SessionId],
    omitted: &Omitted,
    options: &PackOptions<'_>,
    new: &NewFile,
    meter: &dyn Meter,
) -> Result<PackReport, PackError> {
    let writer = Writer::begin(BufWriter::with_capacity(1 << 20, &new.file));
    let mut packing = Packing {
        store,
        sessions,
        omitted,
        supply: options.thin,
        inspect: options.inspect,
        writer: writer.map_err(|error| new.failed(error))?,
        path: &new.path,
        report: PackReport {
            sessions: sessions.len() as u64,
            omitted: omitted.len(),
            ..PackReport::default()
        },
        meter,
    };
    for space in [
        Space::Session,
        Space::Event,
        Space::Name,
        Space::Node,
        Space::Version,
    ] {
        packing.copy(space)?;
    }
    packing.blobs()?;
    packing.copy(Space::Process)?;
    packing.copy(Space::Density)?;
    let mut report = packing.report;
    let finished = packing.writer.finish();
    let (_, bytes) = finished.map_err(|error| new.failed(error))?;
    report.bytes = bytes;
    Ok(report)
}

/// The sessions to pack, in order.
fn chosen(store: &Store, wanted: &[SessionId]) -> Result<Vec<SessionId>, PackError> {
    let known: BTreeSet<SessionId> = store.sessions()?.iter().map(|session| session.id).collect();
    if known.is_empty() {
        return Err(StoreError::Empty.into());
    }
    if wanted.is_empty() {
        return Ok(known.into_iter().collect());
    }
    let wanted: BTreeSet<SessionId> = wanted.iter().copied().collect();
    if let Some(wanted) = wanted.difference(&known).next() {
        let known: Vec<String> = known.iter().map(|id| id.0.to_string()).collect();
        return Err(PackError::Store(StoreError::NoSuchSession {
            wanted: *wanted,
            known: known.join(", "),
        }));
    }
    Ok(wanted.into_iter().collect())
}

struct Packing<'a, W> {
    store: &'a Store,
    sessions: &'a [SessionId],
    omitted: &'a Omitted,
    supply: Option<&'a Supply>,
    inspect: Option<Inspector<'a>>,
    writer: Writer<W>,
    path: &'a Path,
    report: PackReport,
    meter: &'a dyn Meter,
}

impl<W: std::io::Write> Packing<'_, W> {
    fn add(&mut self, space: Space, key: &[u8], raw: &[u8]) -> Result<(), PackError> {
        self.meter.advance(1);
        let added = self.writer.add(space, key, raw);
        added.map_err(|error| error.at(self.path))
    }

    /// Copies the chosen sessions' records of a keyspace. A damaged one stays what it is,
    /// so that the pack says of it what the trace says.
    fn copy(&mut self, space: Space) -> Result<(), PackError> {
        for session in self.sessions {
            let prefix = crate::db::Bounds::prefix(&session.0.to_be_bytes());
            for record in self.store.db.raw_range(space, prefix) {
                let (key, raw) = record?;
                // A thin pack of a thin pack says what supplies it alone.
                let said = [SessionPart::Supply as u8];
                if space == Space::Session && self.supply.is_some() && key.ends_with(&said) {
                    continue;
                }
                let plain = unsealed(space, &key, &raw);
                if let (Some(inspect), Some(value)) = (self.inspect, plain) {
                    self.report.suspects.record(inspect, space, &key, value);
                }
                let thin = match plain {
                    Some(value) if space == Space::Version => {
                        self.omitted.raw(*session, &key, value)
                    }
                    Some(_) => None,
                    None => {
                        self.report.damaged += 1;
                        None
                    }
                };
                match thin {
                    Some(value) => self.add(space, &key, &sealed(space, &key, value))?,
                    None => self.add(space, &key, &raw)?,
                }
            }
            if space == Space::Session
                && let Some(supply) = self.supply
            {
                let key = key::session(*session, SessionPart::Supply);
                let value = encode_supply(supply.sources());
                self.add(space, &key, &sealed(space, &key, value))?;
            }
        }
        Ok(())
    }

    /// Copies the blobs that the versions need, in the order of their digests.
    fn blobs(&mut self) -> Result<(), PackError> {
        let mut after = None;
        loop {
            let wanted = self.wanted(after)?;
            let last = wanted.last().copied();
            let full = wanted.len() >= WANTED;
            for digest in wanted {
                let key = key::blob(&digest);
                match self.store.db.get(Space::Blob, &key) {
                    Ok(Some(value)) => {
                        self.report.blobs += 1;
                        if let Some(inspect) = self.inspect {
                            self.report.suspects.blob(inspect, &digest, &value);
                        }
                        self.add(Space::Blob, &key, &value)?;
                    }
                    Ok(None) => self.report.damaged += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            after = last;
            if !full {
                return Ok(());
            }
        }
    }

    /// The least digests behind `after` that are needed, at most [`WANTED`].
    fn wanted(&self, after: Option<Digest>) -> Result<BTreeSet<Digest>, PackError> {
        let mut wanted = BTreeSet::new();
        for session in self.sessions {
            let lookup = SessionLookup::new(self.store, *session);
            for record in self
                .store
                .db
                .prefix(Space::Version, &session.0.to_be_bytes())
            {
                let (key, value) = match record {
                    Ok(pair) => pair,
                    Err(error) if error.is_of_one_record() => continue,
                    Err(error) => return Err(error.into()),
                };
                let (Ok((file, _)), Ok(version)) =
                    (key::file_at_parts(&key), decode_version(&value))
                else {
                    continue;
                };
                let version = self.omitted.apply(*session, file, version);
                for digest in needs(&lookup, &version) {
                    if after.is_none_or(|after| digest > after) {
                        wanted.insert(digest);
                    }
                }
                while wanted.len() > WANTED {
                    wanted.pop_last();
                }
            }
        }
        Ok(wanted)
    }
}

/// The blobs that a version needs.
fn needs(lookup: &SessionLookup<'_>, version: &Version) -> Vec<Digest> {
    let mut all = version.blobs();
    if let Repr::Chunks(lists) = &version.repr {
        for list in lists {
            let chunks = lookup
                .blob(list)
                .ok()
                .and_then(|list| decode_manifest(&list).ok());
            all.extend(chunks.into_iter().flatten().map(|(digest, _)| digest));
        }
    }
    all
}

/// Refuses to replace what is no pack.
fn refuse_other(out: &Path) -> Result<(), PackError> {
    let Ok(meta) = std::fs::symlink_metadata(out) else {
        return Ok(());
    };
    let mut magic = Vec::new();
    let is_pack = meta.is_file()
        && File::open(out).is_ok_and(|file| {
            let read = file.take(MAGIC.len() as u64).read_to_end(&mut magic);
            read.is_ok() && magic == MAGIC.as_bytes()
        });
    if is_pack {
        Ok(())
    } else {
        Err(PackError::Occupied(out.to_owned()))
    }
}

/// A file beside the one that it is to become; gone again unless it is kept.
struct NewFile {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    fn create(out: &Path) -> Result<Self, PackError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(out.file_name().unwrap_or_default());
        name.push(format!(".{}.new", std::process::id()));
        let path = out.with_file_name(name);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|source| PackError::Io {
            path: path.clone(),
            source,
        })?;
        let kept = false;
        Ok(Self { file, path, kept })
    }

    fn failed(&self, source: std::io::Error) -> PackError {
        let path = self.path.clone();
        PackError::Io { path, source }
    }

    /// On disk, then under its name.
    fn keep(&mut self, out: &Path) -> Result<(), PackError> {
        let synced = self
            .file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.path, out));
        synced.map_err(|error| self.failed(error))?;
        self.kept = true;
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Ok(parent) = File::open(parent.unwrap_or(Path::new("."))) {
            let _ = parent.sync_all();
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Where the range of a keyspace begins and ends: all of it.
pub(super) const ALL: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (Bound::Unbounded, Bound::Unbounded);
