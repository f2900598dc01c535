//! A directory, a store, and a recording around a closure.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diffkeeper_store::model::{Event, ExitStatus, GapReason, Kind, Op, OpKind, Seq};
use diffkeeper_store::{Paths, SessionReader, Store};

use crate::baseline::{self, Progress};
use crate::host;
use crate::observation::monotonic;
use crate::priority::GivesWay;
use crate::probe;
use crate::recording::Recording;
use crate::run::{Channels, Run, finish};
use crate::scope::Scope;
use crate::source::{Notify, Source};
use crate::tree::Tree;

pub(super) struct Bed {
    pub(super) dir: tempfile::TempDir,
}

struct Quiet;
impl Progress for Quiet {
    fn fault(&self, text: &str) {
        panic!("{text}");
    }
}

impl Bed {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        Self { dir }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Records `act` through file notifications.
    pub(super) fn record(&self, act: impl FnMut(&Path)) {
        let mut source = Notify::new(self.state().join("canary"));
        self.record_from(&mut source, act);
    }

    pub(super) fn record_from(&self, source: &mut dyn Source, mut act: impl FnMut(&Path)) {
        let store = Store::create(&self.state(), "test").unwrap();
        let scope = Arc::new(Scope::new(&[self.root()], &self.state(), &[]).unwrap());
        let channels = Channels::start(source, &scope).unwrap();
        let id = store.next_session().unwrap();
        let session = host::session(id, &["test".into()], &scope, (source.backend(), "test"));
        let writer = store.begin(&session).unwrap();
        let tree = Tree::new(scope.clone(), host::top(&scope));
        let mut recording = Recording::new(&store, scope, tree, writer);
        let losses = baseline::scan(&mut recording, &Quiet, &|| false).unwrap();
        baseline::report(&mut recording, losses).unwrap();
        let process = host::command(1, &["test".into()]);
        let root = self.root();
        let run = Run {
            keep: None,
            gives_way: GivesWay::Trace,
            source: &mut *source,
            progress: &Quiet,
            wait: &mut || {
                act(&root);
                Ok((ExitStatus::Code(0), monotonic()))
            },
        };
        let (status, end) = run.complete(&mut recording, channels, &process);
        let outcome = finish(recording, &session, status, end);
        source.stop();
        store.close().unwrap();
        assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&SessionReader<'_>) -> T) -> T {
        let store = Store::open(&self.state(), "test").unwrap();
        let session = store.session(None).unwrap();
        read(&session)
    }

    /// The events of the last session as `op path [to]`. The times of the root are left
    /// out: when they are looked at depends on how long no announcement waits.
    pub(super) fn story(&self) -> Vec<String> {
        self.read(|session| {
            let mut paths = Paths::new(session);
            let events = session.events(Seq(0), Seq(u64::MAX)).map(Result::unwrap);
            events
                .map(|event: Event| {
                    let found = paths.resolve(&event).unwrap();
                    let text = |path: Option<Vec<u8>>| {
                        path.map_or(String::new(), |path| format!(" {}", path.escape_ascii()))
                    };
                    let word = event.op.kind().word();
                    format!("{word}{}{}", text(found.path), text(found.to))
                })
                .filter(|line| line != "utimes ")
                .collect()
        })
    }

    pub(super) fn gaps(&self) -> u64 {
        self.read(|session| session.progress().counts.get(OpKind::Gap))
    }

    /// Changes that only the last look found: on a loaded machine files may vanish before
    /// they are read, but nothing may go by without an announcement.
    pub(super) fn unannounced(&self) -> usize {
        self.read(|session| {
            let events = session.events(Seq(0), Seq(u64::MAX)).map(Result::unwrap);
            let unannounced = |event: &Event| {
                matches!(
                    event.op,
                    Op::Gap {
                        reason: GapReason::Unannounced,
                        ..
                    }
                )
            };
            events.filter(unannounced).count()
        })
    }

    /// Compares the end of the last session with what is on disk.
    pub(super) fn assert_exact(&self) {
        let story = self.story();
        self.read(|session| {
            let snapshot = session.snapshot(session.progress().last_seq).unwrap();
            let mut on_disk = Vec::new();
            list(&self.root(), Path::new(""), &mut on_disk);
            let mut in_trace: Vec<PathBuf> = Vec::new();
            for entry in snapshot.entries() {
                use std::os::unix::ffi::OsStrExt;
                let relative = Path::new(std::ffi::OsStr::from_bytes(&entry.path));
                in_trace.push(relative.to_owned());
                let path = self.root().join(relative);
                let context = || format!("{relative:?} after {story:#?}");
                let stat = probe::stat(&path)
                    .unwrap()
                    .unwrap_or_else(|| panic!("{}", context()));
                let parts = probe::node(&path, &stat).unwrap().unwrap();
                let node = &entry.state.node;
                assert_eq!(node.kind, stat.kind, "{}", context());
                assert_eq!(node.mode, stat.mode, "{}", context());
                assert_eq!(entry.state.mtime, stat.mtime, "{}", context());
                assert_eq!((node.uid, node.gid), (stat.uid, stat.gid), "{}", context());
                assert_eq!(node.target, parts.target, "{}", context());
                assert_eq!(node.xattrs, parts.xattrs, "{}", context());
                if stat.kind == Kind::File {
                    assert_eq!(node.links.len(), stat.nlink as usize, "{}", context());
                    let mut content = session.content(entry.content().unwrap()).unwrap();
                    let bytes = content.to_vec(u64::MAX).unwrap().unwrap();
                    assert!(bytes == std::fs::read(&path).unwrap(), "{}", context());
                }
            }
            in_trace.sort();
            on_disk.push(PathBuf::new());
            on_disk.sort();
            assert_eq!(in_trace, on_disk, "{story:#?}");
        });
    }
}

fn list(root: &Path, relative: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root.join(relative)).unwrap() {
        let entry = entry.unwrap();
        let below = relative.join(entry.file_name());
        out.push(below.clone());
        if entry.file_type().unwrap().is_dir() {
            list(root, &below, out);
        }
    }
}
