//! Making a database that the engine refuses one that it opens, without what is damaged.
//!
//! What this loses is not told by the database any more; whoever mends compares the sessions
//! with what they should be afterwards.

use std::path::{Path, PathBuf};

use super::{Db, DbError, Space, journal, manifest};

/// What the engine's version mark says.
const MARK: &[u8] = b"FJL\x03";

/// Mends the database in `path`; what has to be taken out of it goes to `aside`, a directory
/// on the same filesystem. Says what was done.
pub(crate) fn mend(path: &Path, aside: &Path) -> Result<Vec<String>, DbError> {
    let io = |source| DbError::Io {
        path: path.to_owned(),
        source,
    };
    let mut done = journal::trim(path)?;
    let mark = path.join("version");
    if std::fs::read(&mark).ok().as_deref() != Some(MARK) {
        std::fs::write(&mark, MARK).map_err(io)?;
        done.push("the version mark was written anew".to_owned());
    }
    let keyspaces = path.join("keyspaces");
    done.extend(clear_strangers(&keyspaces, aside).map_err(io)?);
    for (number, (space, _)) in (1_u64..).zip(Space::ALL) {
        let keyspace = keyspaces.join(number.to_string());
        std::fs::create_dir_all(&keyspace).map_err(io)?;
        done.extend(manifest::mend(&keyspace, space == Space::Blob, aside)?);
    }
    if Db::open(path).is_err() {
        replace_directory(&keyspaces.join("0"), aside)?;
        done.push("the directory of the keyspaces was made anew".to_owned());
    }
    Ok(done)
}

/// Takes out what the engine gives up at the sight of.
fn clear_strangers(keyspaces: &Path, aside: &Path) -> std::io::Result<Vec<String>> {
    let mut done = Vec::new();
    std::fs::create_dir_all(keyspaces)?;
    for entry in std::fs::read_dir(keyspaces)? {
        let entry = entry?;
        let name = entry.file_name();
        let known = name
            .to_str()
            .is_some_and(|name| name.parse::<u64>().is_ok());
        if !known || !entry.file_type()?.is_dir() {
            std::fs::rename(entry.path(), aside.join(&name))?;
            done.push(format!("{} does not belong here", name.to_string_lossy()));
        }
    }
    Ok(done)
}

/// The names and numbers of the keyspaces are the same in every database of this program, so
/// those of an empty one serve.
fn replace_directory(directory: &Path, aside: &Path) -> Result<(), DbError> {
    let empty: PathBuf = aside.join("empty");
    Db::open(&empty)?.close()?;
    let replaced = || {
        if directory.exists() {
            std::fs::rename(directory, aside.join("directory"))?;
        }
        std::fs::rename(empty.join("keyspaces/0"), directory)?;
        std::fs::remove_dir_all(&empty)
    };
    replaced().map_err(|source| DbError::Io {
        path: directory.to_owned(),
        source,
    })
}
