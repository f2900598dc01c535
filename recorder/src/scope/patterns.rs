//! Patterns of paths, as `--exclude` takes them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// See [`super::Scope::new`].
#[derive(Clone, Debug)]
pub(crate) struct Patterns(GlobSet);

impl Patterns {
    pub(crate) fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let anchored = pattern.trim_end_matches('/').contains('/');
            let bare = pattern.trim_matches('/');
            if anchored {
                set.add(glob(bare)?);
            } else {
                set.add(glob(&format!("**/{bare}"))?);
            }
        }
        Ok(Self(set.build()?))
    }

    /// Whether a pattern matches this path, relative to its root, or a directory above.
    pub(crate) fn hold(&self, relative: &[u8]) -> bool {
        if self.0.is_empty() || relative.is_empty() {
            return false;
        }
        let ends = relative
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(index, _)| index)
            .chain([relative.len()]);
        let mut prefixes = ends.filter_map(|end| relative.get(..end));
        prefixes.any(|prefix| self.0.is_match(OsStr::from_bytes(prefix)))
    }
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
}
