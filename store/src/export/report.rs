//! What an export wrote, and where it is not exact.

use super::attrs::Refusals;
use super::write::Written;
use crate::content::ContentError;
use crate::model::{MissingReason, TracePath, escape};

/// What an export wrote, and where it is not exact.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Regular files.
    pub files: u64,
    /// Directories, the top included.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// FIFOs, sockets and device nodes.
    pub specials: u64,
    /// Further names of nodes that are counted above.
    pub links: u64,
    /// Lengths of all files, bytes.
    pub bytes: u64,
    /// Entries that were not written, in the order of the tree.
    pub left_out: Vec<LeftOut>,
    /// Attributes that could not be set.
    pub refused: Refusals,
}

/// An entry that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path from the top.
    pub path: TracePath,
    /// Why.
    pub why: Why,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", escape(&self.path), self.why)
    }
}

/// Why an entry was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its content was never recorded.
    #[error("the content was not recorded: {}", .0.word())]
    Missing(MissingReason),
    /// Parts of it are masked.
    #[error("parts of it were masked when it was recorded")]
    Masked,
    /// The trace is damaged there.
    #[error("{0}")]
    Damaged(String),
    /// The operating system would not create it.
    #[error("{0}")]
    Refused(String),
}

impl From<ContentError> for Why {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Missing(reason) => Self::Missing(reason),
            damage => Self::Damaged(damage.to_string()),
        }
    }
}

impl Report {
    /// Whether everything that was asked for was written just as it was recorded.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.left_out.is_empty() && self.refused == Refusals::default()
    }

    /// Whether damage of the trace kept anything from being written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let damaged = |left: &LeftOut| matches!(left.why, Why::Damaged(_));
        self.left_out.iter().any(damaged)
    }

    pub(crate) fn count(&mut self, written: Written) {
        match written {
            Written::File { bytes } => {
                self.files += 1;
                self.bytes += bytes;
            }
            Written::Symlink => self.symlinks += 1,
            Written::Special => self.specials += 1,
            Written::Link => self.links += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.symlinks += other.symlinks;
        self.specials += other.specials;
        self.links += other.links;
        self.bytes += other.bytes;
        self.left_out.extend(other.left_out);
        self.refused += other.refused;
    }

    pub(crate) fn finish(&mut self) {
        self.left_out.sort_by(|a, b| {
            a.path
                .split(|b| *b == b'/')
                .cmp(b.path.split(|b| *b == b'/'))
        });
    }
}
