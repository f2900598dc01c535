//! One difference between two trees, in a form that a terminal can print.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Kind;

/// A path at which two trees differ, and how. The left value stands first in every pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Relative to both roots; empty for the roots themselves.
    pub path: PathBuf,
    /// How they differ.
    pub what: What,
}

/// How two entries differ: the value on the left, then that on the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Missing on the right.
    OnlyLeft(Kind),
    /// Missing on the left.
    OnlyRight(Kind),
    /// Another kind of thing.
    Kind(Kind, Kind),
    /// Content: the first offset that differs, and the two lengths in bytes.
    #[allow(missing_docs, reason = "the line above says it")]
    Bytes { at: u64, sizes: (u64, u64) },
    /// Mode bits.
    Mode(u32, u32),
    /// User and group id.
    Owner((u32, u32), (u32, u32)),
    /// Target of a symlink.
    Target(Option<Vec<u8>>, Option<Vec<u8>>),
    /// Device number.
    Device(u64, u64),
    /// Modification time, ns since the Unix epoch.
    Mtime(i128, i128),
    /// Extended attributes.
    Xattrs(BTreeMap<Vec<u8>, Vec<u8>>, BTreeMap<Vec<u8>, Vec<u8>>),
    /// Names that share the inode.
    HardLinks(Vec<PathBuf>, Vec<PathBuf>),
    /// One side could not be read.
    Unreadable(String),
}

impl Difference {
    /// A difference at `path`.
    pub fn new(path: &Path, what: What) -> Self {
        Self {
            path: path.to_path_buf(),
            what,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_os_str().as_bytes();
        if path.is_empty() {
            return write!(f, ". {}", self.what);
        }
        write!(f, "{} {}", path.escape_ascii(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyLeft(kind) => write!(f, "only left: {kind:?}"),
            Self::OnlyRight(kind) => write!(f, "only right: {kind:?}"),
            Self::Kind(a, b) => write!(f, "kind: {a:?}, {b:?}"),
            Self::Bytes { at, sizes: (a, b) } => {
                write!(f, "bytes: from offset {at}, lengths {a}, {b}")
            }
            Self::Mode(a, b) => write!(f, "mode: {a:04o}, {b:04o}"),
            Self::Owner(a, b) => write!(f, "owner: {}:{}, {}:{}", a.0, a.1, b.0, b.1),
            Self::Target(a, b) => write!(f, "target: {}, {}", target(a), target(b)),
            Self::Device(a, b) => write!(f, "device: {a:#x}, {b:#x}"),
            Self::Mtime(a, b) => write!(f, "mtime: {a} ns, {b} ns"),
            Self::Xattrs(a, b) => write!(f, "xattrs: {}, {}", attributes(a), attributes(b)),
            Self::HardLinks(a, b) => write!(f, "hard links: {}, {}", names(a), names(b)),
            Self::Unreadable(error) => write!(f, "unreadable: {error}"),
        }
    }
}

fn target(bytes: &Option<Vec<u8>>) -> String {
    match bytes {
        Some(bytes) => bytes.escape_ascii().to_string(),
        None => "none".into(),
    }
}

fn attributes(of: &BTreeMap<Vec<u8>, Vec<u8>>) -> String {
    let pairs: Vec<String> = of
        .iter()
        .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    format!("[{}]", pairs.join(" "))
}

fn names(of: &[PathBuf]) -> String {
    let names: Vec<String> = of
        .iter()
        .map(|path| path.as_os_str().as_bytes().escape_ascii().to_string())
        .collect();
    format!("[{}]", names.join(" "))
}
