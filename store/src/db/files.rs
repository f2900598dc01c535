//! The engine's own files, where it does not look closely itself: checked before it opens
//! them, and put in order after it has closed.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::DbError;

/// Finds damage that the engine would act upon.
pub(super) fn check(path: &Path) -> Result<(), DbError> {
    super::journal::check(path)?;
    let Ok(keyspaces) = std::fs::read_dir(path.join("keyspaces")) else {
        return Ok(());
    };
    for keyspace in keyspaces.flatten() {
        let keyspace = keyspace.path();
        check_mark(&keyspace)?;
        check_manifest(&keyspace)?;
    }
    Ok(())
}

/// A keyspace without its `current` file looks to the engine like one that was never
/// finished, and is deleted when the database opens: with tables in it, it is damaged.
fn check_mark(keyspace: &Path) -> Result<(), DbError> {
    let holds_tables = ["tables", "blobs"].iter().any(|part| {
        let tables = std::fs::read_dir(keyspace.join(part));
        tables.is_ok_and(|mut tables| tables.next().is_some())
    });
    if holds_tables && !keyspace.join("current").exists() {
        return Err(DbError::Lost(keyspace.to_owned()));
    }
    Ok(())
}

/// The list of a keyspace's tables, `vN`, is named by `current` together with its checksum
/// (number: u64, XXH3-128: u128, kind: u8, little-endian; lsm-tree 3). The engine believes
/// the counts in it without comparing, and allocates as much as they say.
pub(super) fn check_manifest(keyspace: &Path) -> Result<(), DbError> {
    let Ok(current) = std::fs::read(keyspace.join("current")) else {
        return Ok(());
    };
    let number = current.first_chunk::<8>().map(|id| u64::from_le_bytes(*id));
    let sum = current.get(8..24).and_then(<[u8]>::first_chunk::<16>);
    let (Some(number), Some(sum), Some(0)) = (number, sum, current.get(24)) else {
        return Err(DbError::Manifest(keyspace.join("current")));
    };
    let path = keyspace.join(format!("v{number}"));
    match std::fs::read(&path) {
        Ok(manifest) if xxh3_128(&manifest) == u128::from_le_bytes(*sum) => Ok(()),
        Ok(_) => Err(DbError::Manifest(path)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(DbError::Manifest(path))
        }
        Err(source) => Err(DbError::Io { path, source }),
    }
}

/// Removes what is left of a database whose making was interrupted: the engine makes a
/// journal, then its version mark, then the first keyspace, and refuses to begin again
/// where a journal is. Without any keyspace there can be no record to lose.
pub(super) fn clear_unfinished(path: &Path) -> Result<(), DbError> {
    const MARK: u64 = 4;
    let keyspaces = std::fs::read_dir(path.join("keyspaces"));
    let mark = path.join("version");
    let marked = std::fs::metadata(&mark).is_ok_and(|mark| mark.len() >= MARK);
    if marked || keyspaces.is_ok_and(|mut keyspaces| keyspaces.next().is_some()) {
        return Ok(());
    }
    for path in journals(path)?.into_iter().chain([mark]) {
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(DbError::Io { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn empty_journals(path: &Path) -> Result<(), DbError> {
    for path in journals(path)? {
        let journal = std::fs::File::options().write(true).open(&path);
        journal
            .and_then(|journal| journal.set_len(0))
            .map_err(|source| DbError::Io { path, source })?;
    }
    Ok(())
}

/// The engine's journals; none where there is no such directory.
pub(super) fn journals(path: &Path) -> Result<Vec<PathBuf>, DbError> {
    let io = |source| DbError::Io {
        path: path.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let files = entries.map(|entry| Ok(entry?.path()));
    let files: Vec<PathBuf> = files.collect::<Result<_, _>>().map_err(io)?;
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|last| last == "jnl");
    Ok(files.into_iter().filter(is_journal).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::Db;
    use super::*;

    #[test]
    fn a_database_that_was_left_half_made_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        for (round, mark) in [None, Some(&b""[..]), Some(b"FJ")].into_iter().enumerate() {
            let path = dir.path().join(round.to_string());
            std::fs::create_dir_all(path.join("keyspaces")).unwrap();
            std::fs::write(path.join("0.jnl"), [0; 64]).unwrap();
            if let Some(mark) = mark {
                std::fs::write(path.join("version"), mark).unwrap();
            }
            Db::open(&path).unwrap().close().unwrap();
        }
    }

    #[test]
    fn a_database_without_its_mark_is_not_taken_for_half_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        Db::open(&path).unwrap().close().unwrap();
        std::fs::remove_file(path.join("version")).unwrap();
        assert!(Db::open(&path).is_err());
        assert!(path.join("0.jnl").exists());
    }

    #[test]
    fn no_bit_of_a_manifest_can_change_unseen() {
        let dir = tempfile::tempdir().unwrap();
        Db::open(dir.path()).unwrap().close().unwrap();
        let keyspace = dir.path().join("keyspaces/1");
        let manifest = keyspace.join("v0");
        let sound = std::fs::read(&manifest).unwrap();
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&manifest, damaged).unwrap();
            assert!(matches!(
                check_manifest(&keyspace),
                Err(DbError::Manifest(_))
            ));
        }
        std::fs::write(&manifest, sound).unwrap();
        Db::open(dir.path()).unwrap().close().unwrap();
    }
}
