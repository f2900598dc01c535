//! The scope: which paths are recorded, and which root each belongs to.

mod patterns;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use diffkeeper_store::model::Root;
pub(crate) use patterns::Patterns;

/// Why a scope could not be had. All are mistakes of the caller.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// No root was given.
    #[error("nothing to watch")]
    Empty,
    /// A root does not exist or cannot be reached.
    #[error("cannot watch {path:?}: {error}")]
    Unreachable {
        /// As given.
        path: PathBuf,
        /// What stood in the way.
        error: io::Error,
    },
    /// A root is no directory.
    #[error("cannot watch {0:?}: not a directory")]
    NotADirectory(PathBuf),
    /// A root lies in the state directory, which is never recorded.
    #[error("cannot watch {root:?}: it lies in the state directory {state:?}")]
    InsideState {
        /// The root, canonical.
        root: PathBuf,
        /// The state directory, canonical.
        state: PathBuf,
    },
    /// The state directory cannot be resolved.
    #[error("cannot resolve the state directory {path:?}: {error}")]
    State {
        /// As given.
        path: PathBuf,
        /// What stood in the way.
        error: io::Error,
    },
    /// A pattern is malformed.
    #[error("bad pattern: {0}")]
    Pattern(#[from] globset::Error),
}

/// A recorded directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRoot {
    /// Canonical path.
    pub path: PathBuf,
    /// Its name below the top when there are several roots; empty for a single one.
    pub label: Vec<u8>,
}

/// What is recorded: roots, less the state directory and the excluded paths.
#[derive(Clone, Debug)]
pub struct Scope {
    roots: Vec<ScopeRoot>,
    state: PathBuf,
    excludes: Vec<String>,
    globs: Patterns,
}

impl Scope {
    /// Resolves `roots` and the state directory (which need not exist yet) and compiles
    /// `excludes`. A root inside another one is absorbed by it.
    ///
    /// A pattern is matched against paths relative to their root, with `*` and `?`
    /// stopping at `/`; one without `/` matches a name at any depth; one that matches a
    /// directory excludes everything below. Slashes at either end are ignored.
    ///
    /// # Errors
    /// See [`ScopeError`].
    pub fn new(roots: &[PathBuf], state: &Path, excludes: &[String]) -> Result<Self, ScopeError> {
        let state = resolve(state).map_err(|error| ScopeError::State {
            path: state.to_owned(),
            error,
        })?;
        let mut paths = Vec::with_capacity(roots.len());
        for root in roots {
            paths.push(canonical_dir(root)?);
        }
        if let Some(root) = paths.iter().find(|root| root.starts_with(&state)) {
            return Err(ScopeError::InsideState {
                root: root.clone(),
                state,
            });
        }
        let roots = label(outermost(&paths));
        if roots.is_empty() {
            return Err(ScopeError::Empty);
        }
        Ok(Self {
            roots,
            state,
            excludes: excludes.to_vec(),
            globs: Patterns::new(excludes)?,
        })
    }

    /// The roots in the order they were given, none inside another.
    #[must_use]
    pub fn roots(&self) -> &[ScopeRoot] {
        &self.roots
    }

    /// The roots as a session keeps them.
    #[must_use]
    pub fn session_roots(&self) -> Vec<Root> {
        let root = |root: &ScopeRoot| Root {
            path: root.path.as_os_str().as_bytes().to_vec(),
            label: root.label.clone(),
        };
        self.roots.iter().map(root).collect()
    }

    /// The patterns as they were given.
    #[must_use]
    pub fn excludes(&self) -> &[String] {
        &self.excludes
    }

    /// The state directory, canonical as far as it exists.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The root that an absolute path without `.` and `..` belongs to, and its bytes
    /// relative to it (empty for the root itself). `None` outside every root and in the
    /// state directory; excluded paths are located all the same.
    #[must_use]
    pub fn locate<'p>(&self, path: &'p Path) -> Option<(usize, &'p [u8])> {
        let bytes = path.as_os_str().as_bytes();
        if below(self.state.as_os_str().as_bytes(), bytes).is_some() {
            return None;
        }
        let mut roots = self.roots.iter().enumerate();
        roots.find_map(|(index, root)| {
            below(root.path.as_os_str().as_bytes(), bytes).map(|relative| (index, relative))
        })
    }

    /// Whether a pattern matches this path, relative to its root, or a directory above.
    #[must_use]
    pub fn excluded(&self, relative: &[u8]) -> bool {
        self.globs.hold(relative)
    }

    /// Whether the path is recorded: located and not excluded.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        self.locate(path)
            .is_some_and(|(_, relative)| !self.excluded(relative))
    }

    /// Whether the path is one of the roots.
    #[must_use]
    pub fn is_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root.path == path)
    }
}

/// What follows `dir` in `path`: empty for `dir` itself, `None` outside of it.
fn below<'p>(dir: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(dir)?;
    match rest {
        [] => Some(rest),
        [b'/', rest @ ..] => Some(rest),
        _ if dir == b"/" => Some(rest),
        _ => None,
    }
}

fn canonical_dir(path: &Path) -> Result<PathBuf, ScopeError> {
    let unreachable = |error| ScopeError::Unreachable {
        path: path.to_owned(),
        error,
    };
    let canonical = path.canonicalize().map_err(unreachable)?;
    if canonical.metadata().map_err(unreachable)?.is_dir() {
        Ok(canonical)
    } else {
        Err(ScopeError::NotADirectory(path.to_owned()))
    }
}

/// Canonical as far as the path exists; what does not exist yet is appended by name.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut resolved = PathBuf::from("/");
    let mut missing = false;
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::Normal(name) => resolved.push(name),
            _ => continue,
        }
        if missing {
            continue;
        }
        match resolved.canonicalize() {
            Ok(canonical) => resolved = canonical,
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = true,
            Err(error) => return Err(error),
        }
    }
    Ok(resolved)
}

/// The paths that lie in no other one, without repetition.
fn outermost(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        if kept.iter().any(|outer| path.starts_with(outer)) {
            continue;
        }
        kept.retain(|inner| !inner.starts_with(path));
        kept.push(path.clone());
    }
    kept
}

fn label(paths: Vec<PathBuf>) -> Vec<ScopeRoot> {
    if let [path] = paths.as_slice() {
        return vec![ScopeRoot {
            path: path.clone(),
            label: Vec::new(),
        }];
    }
    let mut roots: Vec<ScopeRoot> = Vec::with_capacity(paths.len());
    for path in paths {
        let base = path.file_name().unwrap_or(OsStr::new("root")).to_owned();
        let numbered = |n: u32| [base.as_bytes(), format!("-{n}").as_bytes()].concat();
        let mut label = base.clone().into_vec();
        let mut n = 2;
        while roots.iter().any(|root| root.label == label) {
            label = numbered(n);
            n += 1;
        }
        roots.push(ScopeRoot { path, label });
    }
    roots
}

#[cfg(test)]
mod tests;
