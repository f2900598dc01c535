//! Which paths a restore leaves alone: what the recording left out, and the state
//! directory, wherever it lies.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use diffkeeper_store::model::Session;

use crate::scope::{Scope, ScopeError};

/// The paths below a directory that no restore of a session may touch.
pub struct Spared {
    /// Canonical; `None` while the directory is not there, and nothing in it either.
    scope: Option<(PathBuf, Scope)>,
    /// The first name of each path is that of a root, to which patterns are relative.
    labelled: bool,
}

impl Spared {
    /// What a restore of `session` into `to` spares.
    ///
    /// # Errors
    /// A `to` in the state directory, or patterns that cannot be read.
    pub fn new(to: &Path, state_dir: &Path, session: &Session) -> Result<Self, ScopeError> {
        let glob = |glob: &Vec<u8>| String::from_utf8_lossy(glob).into_owned();
        let excludes: Vec<String> = session.excludes.iter().map(glob).collect();
        let labelled = session.roots.iter().any(|root| !root.label.is_empty());
        let scope = if to.is_dir() {
            let scope = Scope::new(&[to.to_owned()], state_dir, &excludes)?;
            let root = scope.roots().first().map(|root| root.path.clone());
            root.map(|root| (root, scope))
        } else {
            None
        };
        Ok(Self { scope, labelled })
    }

    /// Whether a path, relative to the directory, is left alone.
    #[must_use]
    pub fn holds(&self, path: &[u8]) -> bool {
        let Some((root, scope)) = &self.scope else {
            return false;
        };
        let in_state = scope.locate(&root.join(OsStr::from_bytes(path))).is_none();
        let relative = if self.labelled {
            path.splitn(2, |byte| *byte == b'/')
                .nth(1)
                .unwrap_or_default()
        } else {
            path
        };
        in_state || scope.excluded(relative)
    }
}
