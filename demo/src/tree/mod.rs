//! Whole trees: read, compare, copy. The judge of every "identical" in the tests.

mod copy;
mod difference;
mod entry;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use copy::{copy, set_mtime};
pub use difference::{Difference, What};
pub use entry::{Entry, Kind, Tree, read};

/// What to look at. By default everything: the root directory's own attributes too.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names directly below either root that are left out, with all below them.
    pub ignore: Vec<OsString>,
    /// Compare the attributes of the two root directories themselves.
    pub root: bool,
    /// Compare modification times, in nanoseconds.
    pub mtimes: bool,
    /// Compare user and group ids.
    pub owners: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ignore: Vec::new(),
            root: true,
            mtimes: true,
            owners: true,
        }
    }
}

/// Every difference between the trees at `a` and `b`, in the order of the paths; empty when the
/// trees are the same. An error of the walk itself is a difference too, at the path it struck.
pub fn compare(a: &Path, b: &Path, options: &Options) -> Vec<Difference> {
    let (left, right) = match (read(a, &options.ignore), read(b, &options.ignore)) {
        (Ok(left), Ok(right)) => (left, right),
        (Err((path, error)), _) | (_, Err((path, error))) => {
            return vec![Difference::new(&path, What::Unreadable(error.to_string()))];
        }
    };
    let mut found = Vec::new();
    for (path, entry) in &left.entries {
        match right.entries.get(path) {
            None => found.push(Difference::new(path, What::OnlyLeft(entry.kind))),
            Some(_) if path.as_os_str().is_empty() && !options.root => {}
            Some(other) => found.extend(
                differences(path, (a, entry), (b, other), options)
                    .into_iter()
                    .map(|what| Difference::new(path, what)),
            ),
        }
    }
    for (path, entry) in &right.entries {
        if !left.entries.contains_key(path) {
            found.push(Difference::new(path, What::OnlyRight(entry.kind)));
        }
    }
    found.extend(link_differences(&left, &right));
    found.sort_by(|x, y| x.path.cmp(&y.path));
    found
}

fn differences(
    path: &Path,
    (a, left): (&Path, &Entry),
    (b, right): (&Path, &Entry),
    options: &Options,
) -> Vec<What> {
    if left.kind != right.kind {
        return vec![What::Kind(left.kind, right.kind)];
    }
    let mut found = Vec::new();
    if left.kind == Kind::File {
        match first_difference(&entry::at(a, path), &entry::at(b, path)) {
            Ok(None) => {}
            Ok(Some(at)) => found.push(What::Bytes {
                at,
                sizes: (left.size, right.size),
            }),
            Err(error) => found.push(What::Unreadable(error.to_string())),
        }
    }
    if left.mode != right.mode {
        found.push(What::Mode(left.mode, right.mode));
    }
    if options.owners && left.owner != right.owner {
        found.push(What::Owner(left.owner, right.owner));
    }
    if left.target != right.target {
        found.push(What::Target(left.target.clone(), right.target.clone()));
    }
    if left.device != right.device {
        found.push(What::Device(left.device, right.device));
    }
    if options.mtimes && left.mtime_ns != right.mtime_ns {
        found.push(What::Mtime(left.mtime_ns, right.mtime_ns));
    }
    if left.xattrs != right.xattrs {
        found.push(What::Xattrs(left.xattrs.clone(), right.xattrs.clone()));
    }
    found
}

/// The first offset in bytes at which two files differ; a file that ends early differs at its end.
fn first_difference(a: &Path, b: &Path) -> io::Result<Option<u64>> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut offset = 0;
    loop {
        let (n, m) = (fill(&mut a, &mut left)?, fill(&mut b, &mut right)?);
        let (x, y) = (left.get(..n), right.get(..m));
        if x != y {
            let pairs = x.into_iter().flatten().zip(y.into_iter().flatten());
            let same = pairs.take_while(|(x, y)| x == y).count();
            return Ok(Some(offset + same as u64));
        }
        if n == 0 {
            return Ok(None);
        }
        offset += n as u64;
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Files that share their inode with other names than on the other side.
fn link_differences(left: &Tree, right: &Tree) -> Vec<Difference> {
    let (groups, others) = (left.links(), right.links());
    let both = |path: &PathBuf| left.entries.contains_key(path) && right.entries.contains_key(path);
    let mut paths: Vec<&PathBuf> = groups.keys().chain(others.keys()).copied().collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| both(path) && groups.get(*path) != others.get(*path))
        .map(|path| {
            let names = |of: &BTreeMap<&PathBuf, Vec<PathBuf>>| of.get(path).cloned();
            let what = What::HardLinks(
                names(&groups).unwrap_or_default(),
                names(&others).unwrap_or_default(),
            );
            Difference::new(path, what)
        })
        .collect()
}
