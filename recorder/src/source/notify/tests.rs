//! Tests of the notify source on a real filesystem. Nothing sleeps: `sync` is the clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod limits;
mod moves;
mod pace;
mod torture;

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use diffkeeper_store::model::GapReason;

use super::*;
use crate::observation::{Fact, Hint};

/// Long, since the machine may be busy; never waited for in full.
const PATIENCE: Duration = Duration::from_secs(60);

/// A source on a temporary tree: `tree` is the root, beside it is `outside`.
struct Rig {
    _keep: tempfile::TempDir,
    top: PathBuf,
    source: Notify,
    facts: Receiver<Observation>,
}

impl Rig {
    fn new() -> Self {
        Self::with(&[], Notify::QUEUE, 1 << 16, |_| {})
    }

    fn with(excludes: &[&str], queue: usize, sink: usize, prepare: impl FnOnce(&Path)) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let top = keep.path().canonicalize().unwrap();
        fs::create_dir(top.join("tree")).unwrap();
        fs::create_dir(top.join("outside")).unwrap();
        prepare(&top.join("tree"));
        let state = top.join("tree/state");
        let excludes: Vec<String> = excludes.iter().map(ToString::to_string).collect();
        let scope = Scope::new(&[top.join("tree")], &state, &excludes).unwrap();
        let mut source = Notify::with_queue(state.join("canaries"), queue);
        let (sink, facts) = bounded(sink);
        source.start(Arc::new(scope), sink).unwrap();
        Self {
            _keep: keep,
            top,
            source,
            facts,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.top.join("tree").join(path)
    }

    fn outside(&self, path: &str) -> PathBuf {
        self.top.join("outside").join(path)
    }

    /// All facts up to now.
    fn settle(&mut self) -> Vec<Fact> {
        let token = self.source.sync(PATIENCE).unwrap();
        let mut facts = Vec::new();
        loop {
            match self.facts.try_recv().unwrap().fact {
                Fact::Synced(found) if found == token => return facts,
                // A process forked by another test may hold the file open a little longer.
                Fact::Synced(_)
                | Fact::Touched {
                    hint: Hint::Closed, ..
                } => {}
                Fact::Watched { path, .. } => facts.push(watched(path)),
                fact => facts.push(fact),
            }
        }
    }
}

/// The fact with its time left out, as `settle` gives it.
fn watched(path: PathBuf) -> Fact {
    Fact::Watched { path, since: 0 }
}

fn touched(path: impl Into<PathBuf>, hint: Hint) -> Fact {
    Fact::Touched {
        path: path.into(),
        hint,
    }
}

/// Where in the list a fact stands; fails if it does not.
fn index(facts: &[Fact], fact: &Fact) -> usize {
    let found = facts.iter().position(|other| other == fact);
    found.unwrap_or_else(|| panic!("no {fact:?} in {facts:#?}"))
}

const CREATED: Hint = Hint::Created { dir: false };
const MADE: Hint = Hint::Created { dir: true };

#[test]
fn each_change_is_told_in_order() {
    let mut rig = Rig::new();
    let file = rig.at("file");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&file, rig.at("new")).unwrap();
    fs::remove_file(rig.at("new")).unwrap();
    symlink(rig.outside(""), rig.at("link")).unwrap();
    let renamed = Fact::Renamed {
        from: file.clone(),
        to: rig.at("new"),
    };
    let expected = [
        touched(&file, CREATED),
        touched(&file, Hint::Modified),
        touched(&file, Hint::Attributes),
        renamed,
        touched(rig.at("new"), Hint::Removed { dir: false }),
        touched(rig.at("link"), CREATED),
    ];
    assert_eq!(rig.settle(), expected);
}

#[test]
fn reading_is_not_told_and_links_are_not_followed() {
    let mut rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
        fs::write(tree.join("file"), "x").unwrap();
        symlink(tree.parent().unwrap().join("outside"), tree.join("link")).unwrap();
    });
    fs::read(rig.at("file")).unwrap();
    fs::write(rig.at("link/through"), "x").unwrap();
    assert_eq!(rig.settle(), []);
}

#[test]
fn the_last_close_after_writing_is_told() {
    let rig = Rig::new();
    fs::write(rig.at("file"), "x").unwrap();
    let closed = touched(rig.at("file"), Hint::Closed);
    while rig.facts.recv_timeout(PATIENCE).unwrap().fact != closed {}
}

#[test]
fn the_root_itself_is_watched() {
    let mut rig = Rig::new();
    fs::set_permissions(rig.at(""), fs::Permissions::from_mode(0o711)).unwrap();
    let root = rig.top.join("tree");
    assert_eq!(rig.settle(), [touched(root, Hint::Attributes)]);
}

#[test]
fn what_is_excluded_is_not_told() {
    let mut rig = Rig::with(&["*.tmp", "target"], Notify::QUEUE, 1 << 16, |tree| {
        fs::create_dir(tree.join("target")).unwrap();
    });
    fs::write(rig.at("target/x"), "x").unwrap();
    fs::create_dir_all(rig.at("sub.tmp/sub")).unwrap();
    fs::write(rig.at("sub.tmp/sub/x"), "x").unwrap();
    fs::write(rig.at("state/journal"), "x").unwrap();
    fs::create_dir(rig.at("state/keyspace")).unwrap();
    assert_eq!(rig.settle(), []);
    fs::rename(rig.at("sub.tmp"), rig.at("sub")).unwrap();
    let facts = rig.settle();
    let expected = [
        touched(rig.at("sub"), Hint::MovedIn),
        watched(rig.at("sub")),
    ];
    assert_eq!(facts, expected);
    fs::rename(rig.at("sub"), rig.at("back.tmp")).unwrap();
    let facts = rig.settle();
    assert_eq!(facts, [touched(rig.at("sub"), Hint::MovedOut)]);
    fs::write(rig.at("back.tmp/sub/y"), "y").unwrap();
    assert_eq!(rig.settle(), []);
}

#[test]
fn everything_before_a_sync_stands_before_its_token() {
    let mut rig = Rig::new();
    for n in 0..1000 {
        let path = rig.at(&format!("file-{n}"));
        fs::write(&path, "x").unwrap();
        let facts = rig.settle();
        let expected = [CREATED, Hint::Modified].map(|hint| touched(&path, hint));
        assert_eq!(facts, expected);
    }
}

/// What a pipeline has looked at: the paths of the facts, and what a scan of each
/// directory finds at the time of the fact.
fn look(facts: &Receiver<Observation>) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    for observation in facts {
        match observation.fact {
            Fact::Touched { path, .. } | Fact::Watched { path, .. } => scan(path, &mut seen),
            Fact::Renamed { to, .. } => scan(to, &mut seen),
            Fact::Synced(_) => {}
            other => panic!("{other:?}"),
        }
    }
    seen
}

fn scan(path: PathBuf, seen: &mut BTreeSet<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(&path).into_iter().flatten() {
            scan(entry.unwrap().path(), seen);
        }
    }
    seen.insert(path);
}

#[test]
fn nothing_in_new_directories_is_missed() {
    let mut rig = Rig::new();
    let facts = rig.facts.clone();
    let looker = std::thread::spawn(move || look(&facts));
    let mut made = BTreeSet::new();
    for chain in 0..100 {
        let mut dir = rig.at(&format!("chain-{chain}"));
        for depth in 0..20 {
            fs::create_dir(&dir).unwrap();
            let file = dir.join("file");
            fs::write(&file, "x").unwrap();
            made.insert(dir.clone());
            made.insert(file);
            dir = dir.join(depth.to_string());
        }
    }
    rig.source.sync(PATIENCE).unwrap();
    rig.source.stop();
    let seen = looker.join().unwrap();
    let missed: Vec<&PathBuf> = made.difference(&seen).collect();
    assert!(missed.is_empty(), "{} missed: {missed:?}", missed.len());
}

#[test]
fn stop_does_not_wait_for_a_full_sink() {
    let mut rig = Rig::with(&[], Notify::QUEUE, 1, |_| {});
    for n in 0..100 {
        fs::write(rig.at(&n.to_string()), "x").unwrap();
    }
    let late = rig.source.sync(Duration::from_millis(50));
    assert!(matches!(late, Err(SourceError::Late(_))));
    rig.source.stop();
    assert!(matches!(
        rig.source.sync(PATIENCE),
        Err(SourceError::Stopped)
    ));
    assert!(!rig.at("state/canaries").exists());
}
