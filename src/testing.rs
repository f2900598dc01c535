//! A recorded session for the tests of the commands, written through the library, so that
//! every event is known to the nanosecond.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use diffkeeper_store::model::{
    Backend, Digest, ExitStatus, FileId, GapReason, Kind, MissingReason, Node, NodeIdent, Op,
    Place, Process, ProcessId, Provenance, Repr, Root, Seal, Session, SessionId, Stream, Timestamp,
    UnixTime, Version,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, NewContent, Record, Seen, SessionWriter, Store};

use crate::output::Output;

const MS: u64 = 1_000_000;
const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 7, nsec: 8 },
    sparse: false,
    provenance: Provenance::Observed,
    load: Load::Calm,
};

/// The files of [`bed`].
pub(crate) const LOG: FileId = FileId(2);
pub(crate) const BIN: FileId = FileId(3);

/// A state directory.
pub(crate) struct Bed {
    pub(crate) dir: tempfile::TempDir,
}

/// A session of every kind of thing: see [`script`].
pub(crate) fn bed() -> Bed {
    let bed = Bed {
        dir: tempfile::tempdir().unwrap(),
    };
    bed.record(true);
    bed
}

impl Bed {
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.path(), "test").unwrap()
    }

    /// Adds a session, sealed or not.
    pub(crate) fn record(&self, sealed: bool) {
        let store = Store::create(&self.path(), "test").unwrap();
        let id = store.next_session().unwrap();
        let mut writer = store.begin(&session(id)).unwrap();
        let mut pen = Pen(&mut writer);
        pen.baseline();
        pen.script();
        if sealed {
            writer.seal(seal()).unwrap();
        } else {
            writer.commit().unwrap();
        }
        store.close().unwrap();
    }
}

fn session(id: SessionId) -> Session {
    Session {
        id,
        argv: vec![b"make".to_vec(), b"te st\n".to_vec()],
        cwd: b"/w".to_vec(),
        roots: vec![Root {
            path: b"/w".to_vec(),
            label: Vec::new(),
        }],
        excludes: Vec::new(),
        host: b"host".to_vec(),
        kernel: b"6.1".to_vec(),
        boot_id: Vec::new(),
        uid: 0,
        backend: Backend::Notify,
        backend_reason: Vec::new(),
        recorder: b"test".to_vec(),
        start_monotonic: 1,
        start_wall: UnixTime { sec: 1, nsec: 2 },
    }
}

fn seal() -> Seal {
    Seal {
        end: Timestamp(20_000 * MS),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(1),
        root: Digest::of(b""),
        faults: Vec::new(),
    }
}

fn node(kind: Kind, place: Option<&Place>) -> Node {
    Node {
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: UnixTime::default(),
        rdev: 0,
        ident: NodeIdent::default(),
        target: Vec::new(),
        xattrs: Vec::new(),
        links: place.into_iter().cloned().collect(),
    }
}

fn place(name: &[u8]) -> Place {
    Place {
        parent: FileId::TOP,
        name: name.to_vec(),
    }
}

fn named(file: FileId, kind: Kind, name: &[u8]) -> Vec<Change> {
    let place = place(name);
    vec![
        Change::Name {
            parent: FileId::TOP,
            name: name.to_vec(),
            child: Some(file),
        },
        Change::Node {
            file,
            node: node(kind, Some(&place)),
        },
    ]
}

struct Pen<'w, 's>(&'w mut SessionWriter<'s>);

impl Pen<'_, '_> {
    fn content(&mut self, file: FileId, bytes: &[u8]) -> Change {
        let content = self.0.encode(file, bytes, SEEN).unwrap().unwrap();
        Change::Content { file, content }
    }

    fn baseline(&mut self) {
        let top = node(Kind::Dir, None);
        let file = FileId::TOP;
        let mut changes = vec![Change::Node { file, node: top }];
        changes.extend(named(LOG, Kind::File, b"status.log"));
        changes.push(self.content(LOG, b"one\ntwo\n"));
        changes.extend(named(BIN, Kind::File, b"bin"));
        changes.push(self.content(BIN, &[0; 64]));
        self.0.baseline(changes).unwrap();
        self.0.baseline_done().unwrap();
    }

    fn event(&mut self, ms: u64, file: Option<FileId>, op: Op, changes: Vec<Change>) {
        let record = Record {
            time: Timestamp(ms * MS),
            process: (ms == 1000).then_some(ProcessId(1)),
            file,
            op,
            changes,
        };
        self.0.append(record).unwrap();
    }

    /// #1 write, #2 symlink, #3 rename to a name that is not UTF-8, #4 write of a binary
    /// file, #5 chmod, #6 output, #7 a content that was lost, #8 gap, #9 exit.
    fn script(&mut self) {
        let process = Process {
            pid: 4211,
            start: Timestamp(0),
            parent: None,
            comm: b"flaky\x1b".to_vec(),
            exe: b"/bin/flaky".to_vec(),
            argv: vec![b"flaky".to_vec()],
            cwd: b"/w".to_vec(),
            uid: 0,
            exit: None,
        };
        self.0.process(ProcessId(1), &process);
        let (offset, len, size) = (4, 9, 13);
        let write = self.content(LOG, b"one\nTWO\n\x1b[2J!");
        let op = Op::Write { offset, len, size };
        self.event(1000, Some(LOG), op, vec![write]);
        let link = FileId(4);
        let mut made = named(link, Kind::Symlink, b"soft");
        if let Some(Change::Node { node, .. }) = made.last_mut() {
            node.target = b"to\nthere".to_vec();
        }
        self.event(2000, Some(link), Op::Symlink(place(b"soft")), made);
        self.rename();
        let mut bytes = [0; 64];
        bytes[20] = 1;
        let changed = self.content(BIN, &bytes);
        let (offset, len, size) = (20, 1, 64);
        let op = Op::Write { offset, len, size };
        self.event(4000, Some(BIN), op, vec![changed]);
        self.lose();
    }

    fn rename(&mut self) {
        let (from, to) = (place(b"status.log"), place(b"log\xff"));
        let gone = Change::Name {
            parent: FileId::TOP,
            name: from.name.clone(),
            child: None,
        };
        let mut changes = named(LOG, Kind::File, b"log\xff");
        changes.push(gone);
        let exchange = false;
        let op = Op::Rename { from, to, exchange };
        self.event(3000, Some(LOG), op, changes);
    }

    fn lose(&mut self) {
        let mut changed = node(Kind::File, Some(&place(b"bin")));
        changed.mode = 0o600;
        let (file, node) = (BIN, changed);
        let chmod = Op::Chmod { mode: 0o600 };
        self.event(5000, Some(BIN), chmod, vec![Change::Node { file, node }]);
        let output = Op::Output {
            stream: Stream::Stderr,
            bytes: b"boom\x07\n".to_vec(),
        };
        self.event(6000, None, output, Vec::new());
        let lost = NewContent::missing(Version {
            length: 70,
            digest: None,
            provenance: Provenance::Observed,
            mtime: UnixTime::default(),
            sparse: false,
            redacted: false,
            repr: Repr::Missing(MissingReason::Torn),
        });
        let (file, content) = (BIN, lost);
        let (offset, len, size) = (64, 6, 70);
        let op = Op::Write { offset, len, size };
        let changes = vec![Change::Content { file, content }];
        self.event(7000, Some(BIN), op, changes);
        let gap = Op::Gap {
            reason: GapReason::Torn,
            path: None,
        };
        self.event(7000, Some(BIN), gap, Vec::new());
        self.event(8000, None, Op::Exit(ExitStatus::Code(1)), Vec::new());
    }
}

/// What a command writes.
#[derive(Clone, Default)]
pub(crate) struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    /// A place to write to.
    pub(crate) fn output(&self, color: bool) -> Output {
        Output::to(Box::new(self.clone()), color)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
