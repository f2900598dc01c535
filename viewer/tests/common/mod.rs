//! A recorded session for the screens: a test run that loses a lock, written through the
//! library, so that every event is known to the nanosecond. Also what the pictures of the
//! documentation show.
#![allow(dead_code, reason = "no file uses all of it")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use diffkeeper_store::model::{
    Backend, Digest, ExitStatus, FileId, GapReason, Kind, Node, NodeIdent, Op, Place, Process,
    ProcessId, Provenance, Root, Seal, Session, SessionId, Stream, Timestamp, UnixTime,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Record, Seen, SessionWriter, Store};
use diffkeeper_viewer::source::Source;

const MS: u64 = 1_000_000;
const SEEN: Seen = Seen {
    mtime: UnixTime {
        sec: 1_700_000_000,
        nsec: 0,
    },
    sparse: false,
    provenance: Provenance::Captured,
    load: Load::Calm,
};

const LOG: FileId = FileId(2);
const MAIN: FileId = FileId(4);
const DB: FileId = FileId(5);
const LOCK: FileId = FileId(6);
const SRC: FileId = FileId(3);

const GO: ProcessId = ProcessId(1);
const TEST: ProcessId = ProcessId(2);
const MIGRATE: ProcessId = ProcessId(3);
const CLEANUP: ProcessId = ProcessId(4);

/// A state directory with the session.
pub(crate) struct Sample {
    _dir: tempfile::TempDir,
    pub(crate) store: Arc<Store>,
}

impl Sample {
    /// As the viewer takes it.
    pub(crate) fn source(&self) -> Source {
        Source::new(self.store.clone(), SessionId(1))
    }
}

/// Records the session.
pub(crate) fn sample() -> Sample {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace");
    let store = Store::create(&path, "test").unwrap();
    let mut writer = store.begin(&session()).unwrap();
    let mut pen = Pen(&mut writer);
    pen.baseline();
    pen.script();
    writer.seal(seal(140_110)).unwrap();
    let store = Arc::new(store);
    Sample { _dir: dir, store }
}

pub(crate) fn session() -> Session {
    Session {
        id: SessionId(1),
        argv: ["go", "test", "./..."]
            .map(|word| word.as_bytes().to_vec())
            .into(),
        cwd: b"/w".to_vec(),
        roots: vec![Root {
            path: b"/w".to_vec(),
            label: Vec::new(),
        }],
        excludes: Vec::new(),
        host: b"ci".to_vec(),
        kernel: b"6.1".to_vec(),
        boot_id: Vec::new(),
        uid: 0,
        backend: Backend::Tracepoint,
        backend_reason: Vec::new(),
        recorder: b"test".to_vec(),
        start_monotonic: 1,
        start_wall: UnixTime {
            sec: 1_767_225_600,
            nsec: 0,
        },
    }
}

pub(crate) fn seal(end_ms: u64) -> Seal {
    Seal {
        end: Timestamp(end_ms * MS),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(1),
        root: Digest::of(b""),
        faults: Vec::new(),
    }
}

pub(crate) fn node(kind: Kind, links: Vec<Place>) -> Node {
    Node {
        kind,
        mode: if kind == Kind::Dir { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
        mtime: UnixTime::default(),
        rdev: 0,
        ident: NodeIdent::default(),
        target: Vec::new(),
        xattrs: Vec::new(),
        links,
    }
}

pub(crate) fn place(parent: FileId, name: &[u8]) -> Place {
    Place {
        parent,
        name: name.to_vec(),
    }
}

pub(crate) fn named(file: FileId, kind: Kind, place: &Place) -> Vec<Change> {
    vec![
        Change::Name {
            parent: place.parent,
            name: place.name.clone(),
            child: Some(file),
        },
        Change::Node {
            file,
            node: node(kind, vec![place.clone()]),
        },
    ]
}

fn process(
    pid: u32,
    parent: Option<ProcessId>,
    start: u64,
    argv: &str,
    ok: Option<i32>,
) -> Process {
    let argv: Vec<Vec<u8>> = argv
        .split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let comm = argv
        .first()
        .unwrap()
        .rsplit(|b| *b == b'/')
        .next()
        .unwrap()
        .to_vec();
    Process {
        pid,
        start: Timestamp(start * MS),
        parent,
        comm,
        exe: argv.first().unwrap().clone(),
        argv,
        cwd: b"/w".to_vec(),
        uid: 1000,
        exit: ok.map(ExitStatus::Code),
    }
}

pub(crate) struct Pen<'w, 's>(pub(crate) &'w mut SessionWriter<'s>);

const MAIN_GO: &str = "package main\n\nimport \"fmt\"\n\n// check tells how the system is.\nfunc check() string {\n\treturn \"passed\"\n}\n\nfunc main() {\n\tfmt.Println(check())\n}\n";

impl Pen<'_, '_> {
    pub(crate) fn content(&mut self, file: FileId, bytes: &[u8]) -> Change {
        let content = self.0.encode(file, bytes, SEEN).unwrap().unwrap();
        Change::Content { file, content }
    }

    pub(crate) fn top(&mut self) -> Vec<Change> {
        let node = node(Kind::Dir, Vec::new());
        vec![Change::Node {
            file: FileId::TOP,
            node,
        }]
    }

    pub(crate) fn baseline(&mut self) {
        let mut changes = self.top();
        changes.extend(named(LOG, Kind::File, &place(FileId::TOP, b"status.log")));
        changes.push(self.content(LOG, b"INIT: System OK\n"));
        changes.extend(named(SRC, Kind::Dir, &place(FileId::TOP, b"src")));
        changes.extend(named(MAIN, Kind::File, &place(SRC, b"main.go")));
        changes.push(self.content(MAIN, MAIN_GO.as_bytes()));
        changes.extend(named(DB, Kind::File, &place(FileId::TOP, b"users.db")));
        let mut db = vec![0_u8; 256];
        db[..6].copy_from_slice(b"sqlite");
        changes.push(self.content(DB, &db));
        self.0.baseline(changes).unwrap();
        self.0.baseline_done().unwrap();
    }

    pub(crate) fn event(
        &mut self,
        ms: u64,
        process: Option<ProcessId>,
        file: Option<FileId>,
        op: Op,
        changes: Vec<Change>,
    ) {
        self.0
            .append(Record {
                time: Timestamp(ms * MS),
                process,
                file,
                op,
                changes,
            })
            .unwrap();
    }

    pub(crate) fn write(
        &mut self,
        ms: u64,
        who: ProcessId,
        file: FileId,
        offset: u64,
        len: u64,
        bytes: &[u8],
    ) {
        let change = self.content(file, bytes);
        let size = bytes.len() as u64;
        let op = Op::Write { offset, len, size };
        self.event(ms, Some(who), Some(file), op, vec![change]);
    }

    fn output(&mut self, ms: u64, stream: Stream, text: &str) {
        let bytes = text.as_bytes().to_vec();
        self.event(
            ms,
            Some(TEST),
            None,
            Op::Output { stream, bytes },
            Vec::new(),
        );
    }

    fn script(&mut self) {
        self.beginning();
        self.database();
        self.failure();
    }

    pub(crate) fn beginning(&mut self) {
        self.processes();
        self.event(0, Some(GO), None, Op::Exec, Vec::new());
        self.event(900, Some(TEST), None, Op::Exec, Vec::new());
        self.output(1000, Stream::Stdout, "=== RUN TestStatus\n");
        for i in 0..40_u64 {
            let line = "INIT: System OK\nlast check: [passed]\n";
            let text = format!("{line}tick {i}\n");
            self.write(2000 + i * i * 50, TEST, LOG, 37, 7, text.as_bytes());
        }
        self.source();
        let path = Some(b"cache".to_vec());
        let reason = GapReason::RingFull;
        self.event(100_000, None, None, Op::Gap { reason, path }, Vec::new());
    }

    fn processes(&mut self) {
        for (id, process) in [
            (GO, process(70, None, 0, "go test ./...", Some(1))),
            (
                TEST,
                process(77, Some(GO), 900, "./pkg.test -test.v", Some(1)),
            ),
            (
                MIGRATE,
                process(81, Some(TEST), 133_900, "migrate up", Some(0)),
            ),
            (
                CLEANUP,
                process(90, Some(TEST), 134_900, "rm -f db.lock", Some(0)),
            ),
        ] {
            self.0.process(id, &process);
        }
    }

    fn source(&mut self) {
        let text = MAIN_GO.replace("return \"passed\"", "return status()");
        self.write(90_000, TEST, MAIN, 72, 15, text.as_bytes());
        let mut changed = node(Kind::File, vec![place(SRC, b"main.go")]);
        changed.mode = 0o600;
        let op = Op::Chmod { mode: 0o600 };
        let change = Change::Node {
            file: MAIN,
            node: changed,
        };
        self.event(90_500, Some(TEST), Some(MAIN), op, vec![change]);
    }

    pub(crate) fn database(&mut self) {
        let mut db = vec![0_u8; 256];
        db[..6].copy_from_slice(b"sqlite");
        db[100..108].copy_from_slice(b"users=42");
        self.write(120_000, MIGRATE, DB, 100, 8, &db);
        let lock = place(FileId::TOP, b"db.lock");
        let mut made = named(LOCK, Kind::File, &lock);
        made.push(self.content(LOCK, b""));
        self.event(133_991, Some(MIGRATE), Some(LOCK), Op::Create(lock), made);
        self.write(133_992, MIGRATE, LOCK, 0, 6, b"81 up\n");
        self.output(134_001, Stream::Stdout, "opening database\n");
    }

    pub(crate) fn failure(&mut self) {
        let text = "INIT: System OK\nlast check: [ERROR: Connection Lost]\ntick 39\n";
        self.write(134_003, TEST, LOG, 29, 24, text.as_bytes());
        self.output(
            134_010,
            Stream::Stderr,
            "--- FAIL: TestStatus\n    connection lost\n",
        );
        let lock = place(FileId::TOP, b"db.lock");
        let gone = vec![
            Change::Name {
                parent: FileId::TOP,
                name: lock.name.clone(),
                child: None,
            },
            Change::Node {
                file: LOCK,
                node: node(Kind::File, Vec::new()),
            },
        ];
        self.event(134_950, Some(CLEANUP), Some(LOCK), Op::Unlink(lock), gone);
        let exit = |code| Op::Exit(ExitStatus::Code(code));
        self.event(134_960, Some(CLEANUP), None, exit(0), Vec::new());
        self.event(140_100, Some(TEST), None, exit(1), Vec::new());
        self.event(140_105, Some(GO), None, exit(1), Vec::new());
    }
}
