//! Directories that can supply contents by digest, for what a thin pack leaves out.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::model::Digest;

/// Bytes read at a time.
const WINDOW: usize = 256 << 10;
/// Deepest directory that is searched.
const MAX_DEPTH: usize = 256;

/// Directories to look contents up in.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    dirs: Vec<PathBuf>,
    /// If set, only these paths below a directory are taken.
    only: HashMap<PathBuf, HashSet<Vec<u8>>>,
    sources: Vec<Vec<u8>>,
    /// All files by length, found when a path did not lead to the content.
    by_length: OnceLock<HashMap<u64, Vec<PathBuf>>>,
}

impl Supply {
    /// Adds a directory with all that is below it. `source` says to people what it is.
    pub fn add(&mut self, dir: &Path, source: &str) {
        self.dirs.push(dir.to_owned());
        self.sources.push(source.as_bytes().to_vec());
    }

    /// Adds a directory of which only some files count, by their paths below it.
    pub fn add_some(&mut self, dir: &Path, paths: HashSet<Vec<u8>>, source: &str) {
        self.add(dir, source);
        self.only.insert(dir.to_owned(), paths);
    }

    /// Whether there is nothing to look in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// What the directories are, for people.
    #[must_use]
    pub fn sources(&self) -> &[Vec<u8>] {
        &self.sources
    }

    /// A file with this content, opened at its start: the one at `path` from the top of
    /// the trace or below its first part (the label of a root), else any of that length.
    #[must_use]
    pub fn find(&self, path: &[u8], length: u64, digest: &Digest) -> Option<File> {
        let below_label = path.iter().position(|byte| *byte == b'/');
        let below_label = below_label.and_then(|at| path.get(at + 1..));
        for dir in &self.dirs {
            for path in [Some(path), below_label].into_iter().flatten() {
                let chosen = self.only.get(dir).is_none_or(|only| only.contains(path));
                let path = dir.join(OsStr::from_bytes(path));
                if let Some(file) = chosen.then(|| open(&path, length, digest)).flatten() {
                    return Some(file);
                }
            }
        }
        let all = self.by_length.get_or_init(|| self.walk());
        let paths = all.get(&length).into_iter().flatten();
        paths
            .into_iter()
            .find_map(|path| open(path, length, digest))
    }

    fn walk(&self) -> HashMap<u64, Vec<PathBuf>> {
        let mut found: HashMap<u64, Vec<PathBuf>> = HashMap::new();
        for top in &self.dirs {
            let only = self.only.get(top);
            let mut pending = vec![(top.clone(), 0)];
            while let Some((dir, depth)) = pending.pop() {
                for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                    let path = entry.path();
                    let Ok(meta) = entry.metadata() else { continue };
                    let below = path
                        .strip_prefix(top)
                        .unwrap_or(&path)
                        .as_os_str()
                        .as_bytes();
                    if meta.is_dir() && depth < MAX_DEPTH {
                        pending.push((path, depth + 1));
                    } else if meta.is_file() && only.is_none_or(|only| only.contains(below)) {
                        found.entry(meta.size()).or_default().push(path);
                    }
                }
            }
        }
        found
    }
}

/// Opens a regular file if it has this content.
fn open(path: &Path, length: u64, digest: &Digest) -> Option<File> {
    // Without waiting for the other end of a FIFO, and not through a link.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).ok()?;
    let open = || File::options().read(true).custom_flags(flags).open(path);
    let file = open().ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.size() != length {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let mut window = vec![0; WINDOW];
    let mut file = file.take(length);
    loop {
        match file.read(&mut window).ok()? {
            0 => break,
            n => hasher.update(window.get(..n)?),
        };
    }
    if *hasher.finalize().as_bytes() != digest.0 {
        return None;
    }
    open().ok()
}
