//! A seeded workload over a directory, with exact copies at quiet points: the oracle's questions
//! and their answers.

mod model;
mod names;
mod ops;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};

use crate::rng::Rng;
use crate::tree;
use model::Model;
use ops::Changes;

/// What to do, how often, and where the answers go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// All choices follow from it.
    pub seed: u64,
    /// Bursts of changes; a quiet point and a copy follow each.
    pub bursts: u32,
    /// Changes in a burst.
    pub ops: u32,
    /// How long nothing changes before a copy.
    pub settle: Duration,
    /// Receives `000`, `001`, .. and `index`; must lie outside the changed directory.
    pub copies: PathBuf,
}

/// One line of the index: a copy, and the wall clock between the settling and the copying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Where the copy stands.
    pub path: PathBuf,
    /// RFC 3339 with nine digits of a second: a WHEN.
    pub time: String,
}

/// Changes the tree at `dir`, which must be empty; returns the number of changes made.
///
/// # Errors
/// The first change or copy that fails.
pub fn run(dir: &Path, settings: &Settings) -> io::Result<u64> {
    fs::create_dir_all(&settings.copies)?;
    let mut changes = Changes::new(Rng::new(settings.seed), Model::new(dir));
    let mut done = 0;
    for burst in 0..settings.bursts {
        for _ in 0..settings.ops {
            changes.one()?;
            done += 1;
        }
        sleep(settings.settle);
        set_aside(dir, &settings.copies, burst)?;
    }
    Ok(done)
}

fn set_aside(dir: &Path, copies: &Path, burst: u32) -> io::Result<()> {
    let name = format!("{burst:03}");
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    tree::copy(dir, &copies.join(&name))?;
    let mut index = OpenOptions::new()
        .create(true)
        .append(true)
        .open(copies.join("index"))?;
    writeln!(index, "{name} {time}")
}

/// The copies that [`run`] left below `copies`, in order.
///
/// # Errors
/// An index that cannot be read; a line of another form is [`io::ErrorKind::InvalidData`].
pub fn copies(copies: &Path) -> io::Result<Vec<Copy>> {
    fs::read_to_string(copies.join("index"))?
        .lines()
        .map(|line| {
            let (name, time) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
            Ok(Copy {
                path: copies.join(name),
                time: time.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::tree::{Kind, Options, compare};

    fn settings(seed: u64, copies: &Path) -> Settings {
        Settings {
            seed,
            bursts: 3,
            ops: 300,
            settle: Duration::ZERO,
            copies: copies.to_path_buf(),
        }
    }

    fn run_in(dir: &Path, seed: u64) -> PathBuf {
        let tree = dir.join(format!("tree-{seed}"));
        fs::create_dir_all(&tree).unwrap();
        let done = run(&tree, &settings(seed, &dir.join("copies"))).unwrap();
        assert_eq!(done, 900);
        tree
    }

    #[test]
    fn a_seed_gives_the_same_tree_every_time() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let options = Options {
            mtimes: false,
            ..Options::default()
        };
        for seed in 1..4 {
            let (left, right) = (run_in(a.path(), seed), run_in(b.path(), seed));
            fs::remove_dir_all(a.path().join("copies")).unwrap();
            fs::remove_dir_all(b.path().join("copies")).unwrap();
            assert_eq!(compare(&left, &right, &options), []);
        }
        let other = run_in(a.path(), 99);
        assert_ne!(compare(&a.path().join("tree-1"), &other, &options), []);
    }

    #[test]
    fn the_last_copy_is_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let tree = run_in(dir.path(), 5);
        let copies = copies(&dir.path().join("copies")).unwrap();
        assert_eq!(copies.len(), 3);
        assert!(copies.iter().all(|copy| copy.time.len() == 30));
        let last = &copies.last().unwrap().path;
        assert_eq!(compare(&tree, last, &Options::default()), []);
        assert_ne!(
            compare(&tree, &copies[0].path, &Options::default()),
            [],
            "a burst changes something"
        );
    }

    #[test]
    fn every_kind_of_thing_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let read = tree::read(&run_in(dir.path(), 3), &[]).unwrap();
        let count = |kind| read.entries.values().filter(|e| e.kind == kind).count();
        assert!(count(Kind::File) > 10);
        assert!(count(Kind::Dir) > 3);
        assert!(count(Kind::Symlink) > 3);
        assert!(!read.links().is_empty(), "no hard links");
    }
}
