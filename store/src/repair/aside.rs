//! A copy of a trace before it is repaired.

use std::io;
use std::path::{Path, PathBuf};

use crate::db::DbError;

/// Copies the database of a state directory into a new directory `damaged-N` beside it. Tables
/// are never written to again, so they are linked where the filesystem can.
pub(super) fn copy(state: &Path) -> Result<PathBuf, DbError> {
    let taken = |n: &u32| state.join(format!("damaged-{n}")).exists();
    let number = (1..).find(|n| !taken(n)).unwrap_or(u32::MAX);
    let aside = state.join(format!("damaged-{number}"));
    let copied =
        copy_tree(&state.join("db"), &aside.join("db")).and_then(|()| {
            match std::fs::copy(state.join("marks"), aside.join("marks")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        });
    match copied {
        Ok(()) => Ok(aside),
        Err(source) => Err(DbError::Io {
            path: aside,
            source,
        }),
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_file() {
            let is_table = from.ends_with("tables") || from.ends_with("blobs");
            if !is_table || std::fs::hard_link(&source, &target).is_err() {
                std::fs::copy(&source, &target)?;
            }
        }
    }
    Ok(())
}
