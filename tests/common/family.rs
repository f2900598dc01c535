//! A session of five processes, written through the library, so that all of it is known to
//! the nanosecond:
//!
//! ```text
//! make[100]            ends with 2
//! |- sh[101]           ends with 0
//! |  `- go[102]        killed by 9
//! `- cc[103]           ends with 0
//!    `- tee[101]       the pid of sh again; never seen to end
//! ```

use std::path::Path;

use diffkeeper_store::model::{
    Backend, Digest, ExitStatus, FileId, GapReason, Kind, Node, NodeIdent, Op, Place, Process,
    ProcessId, Provenance, Root, Seal, Session, Stream, Timestamp, UnixTime,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Record, Seen, SessionWriter, Store};

pub(crate) const MAKE: u32 = 1;
pub(crate) const SH: u32 = 2;
pub(crate) const GO: u32 = 3;
pub(crate) const CC: u32 = 4;
pub(crate) const TEE: u32 = 5;

const OUT: FileId = FileId(2);
const LOG: FileId = FileId(3);
const MS: u64 = 1_000_000;

/// Records the session into a state directory, as if by `backend`.
pub(crate) fn record(state: &Path, backend: Backend) {
    let store = Store::create(state, "test").expect("a store");
    let id = store.next_session().expect("a number");
    let mut session = session(backend);
    session.id = id;
    let mut writer = store.begin(&session).expect("a session");
    let mut pen = Pen {
        writer: &mut writer,
        now: 0,
    };
    pen.begin();
    pen.processes();
    pen.names();
    pen.contents();
    pen.ends();
    writer.seal(seal()).expect("a seal");
    store.close().expect("a closed store");
}

fn session(backend: Backend) -> Session {
    Session {
        id: diffkeeper_store::model::SessionId(1),
        argv: vec![b"make".to_vec(), b"test".to_vec()],
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
        backend,
        backend_reason: Vec::new(),
        recorder: b"test".to_vec(),
        start_monotonic: 1,
        start_wall: UnixTime { sec: 1, nsec: 2 },
    }
}

fn seal() -> Seal {
    Seal {
        end: Timestamp(9_000 * MS),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(2),
        root: Digest::of(b""),
        faults: Vec::new(),
    }
}

fn place(parent: FileId, name: &[u8]) -> Place {
    let name = name.to_vec();
    Place { parent, name }
}

fn node(kind: Kind, mode: u32, links: &[Place]) -> Node {
    Node {
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime: UnixTime::default(),
        rdev: 0,
        ident: NodeIdent::default(),
        target: Vec::new(),
        xattrs: Vec::new(),
        links: links.to_vec(),
    }
}

fn name(place: &Place, child: Option<FileId>) -> Change {
    Change::Name {
        parent: place.parent,
        name: place.name.clone(),
        child,
    }
}

/// Writes one event after the other, 100 ms apart.
struct Pen<'w, 's> {
    writer: &'w mut SessionWriter<'s>,
    now: u64,
}

impl Pen<'_, '_> {
    fn begin(&mut self) {
        let node = node(Kind::Dir, 0o755, &[]);
        let file = FileId::TOP;
        let top = vec![Change::Node { file, node }];
        self.writer.baseline(top).expect("a baseline");
        self.writer.baseline_done().expect("a baseline");
    }

    fn event(&mut self, who: u32, file: Option<FileId>, op: Op, changes: Vec<Change>) {
        let record = Record {
            time: Timestamp(self.now * MS),
            process: (who > 0).then_some(ProcessId(who)),
            file,
            op,
            changes,
        };
        self.now += 100;
        self.writer.append(record).expect("an event");
    }

    /// Who takes part, each with an exec 100 ms after the one before.
    fn processes(&mut self) {
        let code = |code| Some(ExitStatus::Code(code));
        for (id, pid, parent, argv, exit) in [
            (MAKE, 100, 0, "make test", code(2)),
            (SH, 101, MAKE, "sh -ec \x1b[2J\n&&", None),
            (GO, 102, SH, "go build", Some(ExitStatus::Signal(9))),
            (CC, 103, MAKE, "cc a.c", code(0)),
            (TEE, 101, CC, "tee", None),
        ] {
            let mut argv: Vec<Vec<u8>> = argv.split(' ').map(Into::into).collect();
            let comm = argv.first().cloned().unwrap_or_default();
            if id == GO {
                argv.push(b"\xff".to_vec());
            }
            let process = Process {
                pid,
                start: Timestamp(self.now * MS),
                parent: (parent > 0).then_some(ProcessId(parent)),
                exe: [b"/usr/bin/", comm.as_slice()].concat(),
                comm,
                argv,
                cwd: b"/w".to_vec(),
                uid: 1000,
                exit,
            };
            self.writer.process(ProcessId(id), &process);
            self.event(id, None, Op::Exec, Vec::new());
        }
    }

    /// #6 mkdir by sh, #7 create and #8 rename by go, #9 chmod by go.
    fn names(&mut self) {
        let out = place(FileId::TOP, b"out");
        let (file, made) = (OUT, node(Kind::Dir, 0o755, std::slice::from_ref(&out)));
        let changes = vec![name(&out, Some(OUT)), Change::Node { file, node: made }];
        self.event(SH, Some(OUT), Op::Mkdir(out), changes);

        let tmp = place(OUT, b"tmp");
        let made = node(Kind::File, 0o644, std::slice::from_ref(&tmp));
        let mut changes = vec![
            name(&tmp, Some(LOG)),
            Change::Node {
                file: LOG,
                node: made,
            },
        ];
        changes.push(self.content(b""));
        self.event(GO, Some(LOG), Op::Create(tmp.clone()), changes);

        let log = place(OUT, b"log");
        let mut changes = vec![name(&tmp, None), name(&log, Some(LOG))];
        changes.push(self.node(0o644, &log));
        let op = Op::Rename {
            from: tmp,
            to: log.clone(),
            exchange: false,
        };
        self.event(GO, Some(LOG), op, changes);
        let changes = vec![self.node(0o600, &log)];
        self.event(GO, Some(LOG), Op::Chmod { mode: 0o600 }, changes);
    }

    fn node(&self, mode: u32, place: &Place) -> Change {
        let node = node(Kind::File, mode, std::slice::from_ref(place));
        Change::Node { file: LOG, node }
    }

    /// #10 and #11 writes by go, #12 by tee, #13 by nobody known, #14 open and #15 read by
    /// cc, #16 output by tee, #17 a gap.
    fn contents(&mut self) {
        let mut all = Vec::new();
        for (who, text) in [(GO, "one\n"), (GO, "two\n"), (TEE, "three\n"), (0, "!\n")] {
            let (offset, len) = (all.len() as u64, text.len() as u64);
            all.extend(text.as_bytes());
            let size = all.len() as u64;
            let change = self.content(&all);
            let op = Op::Write { offset, len, size };
            self.event(who, Some(LOG), op, vec![change]);
        }
        let flags = 0o2_000_000 | 0o100_000;
        self.event(CC, Some(LOG), Op::Open { flags }, Vec::new());
        let (offset, len) = (4, 4);
        self.event(CC, Some(LOG), Op::Read { offset, len }, Vec::new());
        let output = Op::Output {
            stream: Stream::Stderr,
            bytes: b"\nwarn\x07ing\nmore\n".to_vec(),
        };
        self.event(TEE, None, output, Vec::new());
        let gap = Op::Gap {
            reason: GapReason::RingFull,
            path: None,
        };
        self.event(0, None, gap, Vec::new());
    }

    fn content(&mut self, bytes: &[u8]) -> Change {
        let seen = Seen {
            mtime: UnixTime::default(),
            sparse: false,
            provenance: Provenance::Captured,
            load: Load::Calm,
        };
        let content = self.writer.encode(LOG, bytes, seen).expect("a database");
        let content = content.expect("another content");
        Change::Content { file: LOG, content }
    }

    /// #18 go is killed, #19 sh, #20 cc and #21 make end.
    fn ends(&mut self) {
        let code = ExitStatus::Code;
        for (who, status) in [
            (GO, ExitStatus::Signal(9)),
            (SH, code(0)),
            (CC, code(0)),
            (MAKE, code(2)),
        ] {
            self.event(who, None, Op::Exit(status), Vec::new());
        }
    }
}
