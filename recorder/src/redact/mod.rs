//! Redaction: what looks like a secret is masked before it reaches the disk. Everything that
//! the recorder hands to the store passes here first.
//!
//! Contents are masked as they are read, whole. A captured write that a secret may be part of
//! is not stored; the file is read soon after, as on a tier that only observes, and captures
//! go on from there.

mod matcher;
mod paths;
mod record;
mod seam;
mod shapes;
mod stream;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;
use std::path::Path;

use diffkeeper_store::mask::Masker;

use crate::scope::Scope;
pub use matcher::Matcher;
use paths::Denied;
pub(crate) use record::Redaction;
use stream::{Carry, Masked};
pub use words::{SHORTEST, Words};

/// Parts of a file that is masked as a whole have masks of their own, bytes.
const BLOCK: usize = 64 << 10;

/// What is to be masked beside what is known.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Names of variables whose values are secret whatever they are called.
    pub env: Vec<std::ffi::OsString>,
    /// Patterns of files whose contents are masked as a whole, as those of `Scope`.
    pub paths: Vec<String>,
}

/// Why nothing can be redacted.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// A pattern is malformed.
    #[error("bad pattern: {0}")]
    Pattern(#[from] globset::Error),
    /// There are no random numbers for the key.
    #[error("no key for the masks: {0}")]
    Key(#[from] std::io::Error),
    /// A shape is malformed.
    #[error("secrets cannot be searched for: {0}")]
    Shapes(#[from] regex::Error),
}

/// What masks for one session.
pub(crate) struct Redactor {
    matcher: Matcher,
    masker: Masker,
    denied: Denied,
}

impl Redactor {
    pub(crate) fn new(words: &[Vec<u8>], paths: &[String]) -> Result<Self, RedactError> {
        Ok(Self {
            matcher: Matcher::new(words)?,
            masker: Masker::new()?,
            denied: Denied::new(paths)?,
        })
    }

    /// Whether the content of a path is masked as a whole.
    pub(crate) fn denies(&self, scope: &Scope, path: &Path) -> bool {
        self.denied.holds(scope, path)
    }

    /// Masks what looks like a secret in a text that nothing follows; gives whether there
    /// was any.
    pub(crate) fn mask(&self, text: &mut [u8]) -> bool {
        let masked = self.matcher.find(text).masked(text.len());
        self.cover(text, &masked);
        !masked.is_empty()
    }

    /// Masks each name of a path, as they are masked one by one elsewhere.
    pub(crate) fn mask_path(&self, path: &mut [u8]) -> bool {
        let mut any = false;
        for name in path.split_mut(|byte| *byte == b'/') {
            any |= self.mask(name);
        }
        any
    }

    /// Masks a content, as a whole where its path says so.
    pub(crate) fn mask_content(&self, content: &mut [u8], denied: bool) -> bool {
        if !denied {
            return self.mask(content);
        }
        for block in content.chunks_mut(BLOCK) {
            let secret = block.to_vec();
            self.masker.fill(&secret, 0, block);
        }
        !content.is_empty()
    }

    fn cover(&self, text: &mut [u8], ranges: &[Range<usize>]) {
        for range in ranges {
            if let Some(part) = text.get_mut(range.clone()) {
                let secret = part.to_vec();
                self.masker.fill(&secret, 0, part);
            }
        }
    }
}
