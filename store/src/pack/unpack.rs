//! `unpack`: from one file to a state directory, whole or not at all.

use std::path::{Path, PathBuf};

use super::PackError;
use super::create::ALL;
use crate::db::Space;
use crate::error::StoreError;
use crate::meter::Meter;
use crate::store::Store;

/// Bytes of a batch.
const BATCH: usize = 1 << 20;

/// What was unpacked.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnpackReport {
    /// Sessions.
    pub sessions: u64,
    /// Records.
    pub records: u64,
}

/// Writes the records of a trace into a new state directory. `to` must be absent or an
/// empty directory.
///
/// # Errors
/// A `to` that holds something, a trace that cannot be read to its end (a directory with
/// holes could not say that it has them), a directory that cannot be written.
pub fn unpack(store: &Store, to: &Path, meter: &dyn Meter) -> Result<UnpackReport, PackError> {
    let is_free = std::fs::read_dir(to).map(|mut entries| entries.next().is_none());
    if !is_free.unwrap_or_else(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(PackError::NotEmpty(to.to_owned()));
    }
    if let Some(damage) = store.damage() {
        return Err(PackError::Store(StoreError::Damaged(damage)));
    }
    let new = NewDir::beside(to);
    let into = Store::create(&new.path, "unpack")?;
    let sessions = store.sessions()?.len() as u64;
    let mut report = UnpackReport {
        sessions,
        records: 0,
    };
    for space in Space::all() {
        copy(store, &into, space, &mut report, meter)?;
    }
    into.close()?;
    new.keep(to)?;
    Ok(report)
}

fn copy(
    from: &Store,
    into: &Store,
    space: Space,
    report: &mut UnpackReport,
    meter: &dyn Meter,
) -> Result<(), PackError> {
    let mut batch = into.db.batch();
    for record in from.db.raw_range(space, ALL) {
        let (key, raw) = record?;
        batch.put_raw(space, key, raw);
        report.records += 1;
        meter.advance(1);
        if batch.bytes() > BATCH {
            std::mem::replace(&mut batch, into.db.batch()).commit()?;
        }
    }
    Ok(batch.commit()?)
}

/// A directory beside the one that it is to become; gone again unless it is kept.
struct NewDir {
    path: PathBuf,
    kept: bool,
}

impl NewDir {
    fn beside(to: &Path) -> Self {
        let to = to.components().as_path();
        let mut name = std::ffi::OsString::from(".");
        name.push(to.file_name().unwrap_or_default());
        name.push(format!(".{}.new", std::process::id()));
        let path = to.with_file_name(name);
        Self { path, kept: false }
    }

    fn keep(mut self, to: &Path) -> Result<(), PackError> {
        let io = |source| PackError::Io {
            path: to.to_owned(),
            source,
        };
        match std::fs::remove_dir(to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        std::fs::rename(&self.path, to).map_err(io)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
