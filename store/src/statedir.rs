//! The state directory around the database: its marker, its lock, its own ignore file.
//!
//! `FORMAT` names the format before anything else is touched, `lock` is held (flock) by
//! the one process that has the store open and tells who that is, `db/` is the database.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Version of the format this program writes; `docs/format.md` describes it.
pub const FORMAT_VERSION: u32 = 1;
/// Bits a reader may ignore. None is defined yet.
const COMPATIBLE: u64 = 0;
/// Bits a reader must know. None is defined yet.
const INCOMPATIBLE: u64 = 0;

const MAGIC: &str = "diffkeeper trace";
/// How long others may take to finish.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Why a state directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Nothing there.
    #[error("no such state directory: {}", .0.display())]
    Absent(PathBuf),
    /// Something else lives there.
    #[error("not a diffkeeper store: {}", .0.display())]
    Foreign(PathBuf),
    /// Written by a later version of the program.
    #[error("{} has format {found}, this program knows {FORMAT_VERSION}", path.display())]
    Newer {
        /// Where.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// Somebody else has it open.
    #[error("{} is locked by {holder}", path.display())]
    Locked {
        /// Where.
        path: PathBuf,
        /// Who: purpose and pid.
        holder: String,
    },
    /// The filesystem refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StateDirError {
    /// Whether somebody else has it open.
    pub(crate) const fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }

    /// Whether the filesystem refuses for want of rights.
    pub(crate) fn is_denied(&self) -> bool {
        let denied = std::io::ErrorKind::PermissionDenied;
        matches!(self, Self::Io { source, .. } if source.kind() == denied)
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StateDirError {
    let path = path.to_owned();
    move |source| StateDirError::Io { path, source }
}

/// An existing state directory that this process holds the lock of.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Opens a state directory, first making it if it is not there or empty. Waits a little
    /// if it is locked: a reader that happens to look must not keep a recorder from its work.
    pub(crate) fn create(path: &Path, purpose: &str) -> Result<Self, StateDirError> {
        if !path.join("FORMAT").exists() {
            Self::make(path)?;
        }
        Self::open(path, purpose, PATIENCE)
    }

    /// Opens an existing state directory, waiting for its lock for at most `patience`.
    pub(crate) fn open(
        path: &Path,
        purpose: &str,
        patience: Duration,
    ) -> Result<Self, StateDirError> {
        check_marker(path)?;
        let lock = lock(path, purpose, patience)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path.join("db")
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    pub(crate) fn marks(&self) -> PathBuf {
        self.path.join("marks")
    }

    /// A state directory must never be mixed with somebody's files.
    fn make(path: &Path) -> Result<(), StateDirError> {
        std::fs::create_dir_all(path).map_err(io(path))?;
        let mut entries = std::fs::read_dir(path).map_err(io(path))?;
        let foreign = entries.find_map(|entry| {
            let name = entry.ok()?.file_name();
            (!matches!(name.to_str(), Some(".gitignore" | "FORMAT.new" | "lock"))).then_some(())
        });
        if foreign.is_some() {
            return Err(StateDirError::Foreign(path.to_owned()));
        }
        // What is recorded may be more than others could read where it stood.
        let owner_only = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, owner_only).map_err(io(path))?;
        let ignore = path.join(".gitignore");
        std::fs::write(&ignore, "*\n").map_err(io(&ignore))?;
        write_marker(path)
    }
}

/// The marker appears whole or not at all.
fn write_marker(path: &Path) -> Result<(), StateDirError> {
    let new = path.join("FORMAT.new");
    let text = format!("{MAGIC}\n{}", format_lines());
    std::fs::write(&new, text).map_err(io(&new))?;
    std::fs::rename(&new, path.join("FORMAT")).map_err(io(&new))
}

/// The lines that tell the format of the records.
pub(crate) fn format_lines() -> String {
    format!("format {FORMAT_VERSION}\ncompatible {COMPATIBLE:#x}\nincompatible {INCOMPATIBLE:#x}\n")
}

fn check_marker(path: &Path) -> Result<(), StateDirError> {
    let marker = path.join("FORMAT");
    let file = match File::open(&marker) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let absent = !path.exists();
            let path = path.to_owned();
            return Err(if absent {
                StateDirError::Absent(path)
            } else {
                StateDirError::Foreign(path)
            });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(StateDirError::Foreign(path.to_owned()));
        }
        Err(error) => return Err(io(&marker)(error)),
    };
    let mut text = Vec::new();
    file.take(4096)
        .read_to_end(&mut text)
        .map_err(io(&marker))?;
    parse_marker(path, MAGIC, &String::from_utf8_lossy(&text))
}

/// Reads a marker that begins with `magic`.
pub(crate) fn parse_marker(path: &Path, magic: &str, text: &str) -> Result<(), StateDirError> {
    let foreign = || StateDirError::Foreign(path.to_owned());
    let mut lines = text.lines();
    if lines.next() != Some(magic) {
        return Err(foreign());
    }
    let mut field = |name: &str| {
        let line = lines.next()?.strip_prefix(name)?.trim();
        match line.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => line.parse().ok(),
        }
    };
    let version = field("format").ok_or_else(foreign)?;
    let known = version <= u64::from(FORMAT_VERSION);
    let unknown_bits = if known {
        field("compatible").ok_or_else(foreign)?;
        field("incompatible").ok_or_else(foreign)? & !INCOMPATIBLE
    } else {
        0
    };
    if !known || unknown_bits != 0 {
        let found = if known {
            format!("{version} with unknown features {unknown_bits:#x}")
        } else {
            version.to_string()
        };
        let path = path.to_owned();
        return Err(StateDirError::Newer { path, found });
    }
    Ok(())
}

fn lock(path: &Path, purpose: &str, patience: Duration) -> Result<File, StateDirError> {
    let file_path = path.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file_path)
        .map_err(io(&file_path))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(256).read_to_string(&mut holder);
                let path = path.to_owned();
                let holder = holder.trim().to_owned();
                return Err(StateDirError::Locked { path, holder });
            }
            Err(TryLockError::Error(error)) => return Err(io(&file_path)(error)),
        }
    }
    let text = format!("{purpose} (pid {})\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(io(&file_path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_second_opener_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let held = StateDir::create(&path, "record").unwrap();
        let refused = StateDir::open(&path, "timeline", Duration::ZERO).unwrap_err();
        let pid = std::process::id().to_string();
        assert!(refused.to_string().contains(&format!("record (pid {pid})")));
        drop(held);
        StateDir::open(&path, "timeline", Duration::ZERO).unwrap();
    }

    #[test]
    fn only_the_owner_may_enter() {
        let dir = tempfile::tempdir().unwrap();
        let (new, empty) = (dir.path().join("new"), dir.path().join("empty"));
        std::fs::create_dir(&empty).unwrap();
        std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o755)).unwrap();
        for path in [new, empty] {
            StateDir::create(&path, "record").unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{path:?}");
        }
    }

    #[test]
    fn what_is_not_a_store_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let absent = StateDir::open(&dir.path().join("none"), "x", Duration::ZERO);
        assert!(matches!(absent, Err(StateDirError::Absent(_))));
        let foreign = StateDir::open(dir.path(), "x", Duration::ZERO);
        assert!(matches!(foreign, Err(StateDirError::Foreign(_))));
        std::fs::write(dir.path().join("precious"), "x").unwrap();
        let mixed = StateDir::create(dir.path(), "x");
        assert!(matches!(mixed, Err(StateDirError::Foreign(_))));
    }

    #[test]
    fn newer_formats_are_refused() {
        let path = Path::new("t");
        let ok = "diffkeeper trace\nformat 1\ncompatible 0xff\nincompatible 0x0\n";
        assert!(parse_marker(path, MAGIC, ok).is_ok());
        for text in [
            "diffkeeper trace\nformat 2\nwhatever",
            "diffkeeper trace\nformat 1\ncompatible 0x0\nincompatible 0x1\n",
        ] {
            let refused = parse_marker(path, MAGIC, text);
            assert!(
                matches!(refused, Err(StateDirError::Newer { .. })),
                "{text}"
            );
        }
        for text in ["", "diffkeeper trace\n", "hello\nformat 1\n"] {
            let refused = parse_marker(path, MAGIC, text);
            assert!(matches!(refused, Err(StateDirError::Foreign(_))), "{text}");
        }
    }
}
