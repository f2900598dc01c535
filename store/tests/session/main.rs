//! A session written and read back through the public interface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(missing_docs, reason = "tests")]

mod captured;
mod contents;
mod cursor;
mod diff;
mod events;
mod export;
mod trees;
mod verify;

use diffkeeper_store::model::{
    Backend, ExitStatus, FileId, Kind, Node, NodeIdent, Op, Place, Provenance, Root, Seal, Seq,
    Session, SessionId, Timestamp, UnixTime,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Record, Seen, SessionWriter, Store};

pub(crate) fn session(id: SessionId) -> Session {
    Session {
        id,
        argv: vec![b"true".to_vec()],
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
        backend: Backend::Scripted,
        backend_reason: Vec::new(),
        recorder: b"test".to_vec(),
        start_monotonic: 1,
        start_wall: UnixTime { sec: 1, nsec: 2 },
    }
}

pub(crate) fn node(kind: Kind, links: Vec<Place>) -> Node {
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
        links,
    }
}

pub(crate) fn place(parent: FileId, name: &str) -> Place {
    Place {
        parent,
        name: name.into(),
    }
}

pub(crate) const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 7, nsec: 8 },
    sparse: false,
    provenance: Provenance::Observed,
    load: Load::Calm,
};

/// A directory with a store in it; the session gets the top directory as its baseline.
pub(crate) struct Bed {
    pub(crate) dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::create(&self.dir.path().join("state"), "test").unwrap()
    }

    pub(crate) fn record(&self, write: impl FnOnce(&mut SessionWriter<'_>)) {
        let store = self.store();
        let session = session(store.next_session().unwrap());
        let mut writer = store.begin(&session).unwrap();
        let top = Change::Node {
            file: FileId::TOP,
            node: node(Kind::Dir, Vec::new()),
        };
        writer.baseline(vec![top]).unwrap();
        writer.baseline_done().unwrap();
        write(&mut writer);
        let end = writer.progress().last_time;
        let seal = Seal {
            end,
            end_wall: UnixTime::default(),
            status: ExitStatus::Code(0),
            root: diffkeeper_store::model::Digest::of(b""),
            faults: Vec::new(),
        };
        writer.seal(seal).unwrap();
        store.close().unwrap();
    }
}

pub(crate) fn event(
    writer: &mut SessionWriter<'_>,
    time: u64,
    file: u64,
    op: Op,
    changes: Vec<Change>,
) -> Seq {
    let record = Record {
        time: Timestamp(time),
        process: None,
        file: Some(FileId(file)),
        op,
        changes,
    };
    writer.append(record).unwrap()
}

/// Creates a file below the top.
pub(crate) fn create(writer: &mut SessionWriter<'_>, time: u64, file: u64, name: &str) -> Seq {
    let place = place(FileId::TOP, name);
    let changes = vec![
        Change::Name {
            parent: FileId::TOP,
            name: name.into(),
            child: Some(FileId(file)),
        },
        Change::Node {
            file: FileId(file),
            node: node(Kind::File, vec![place.clone()]),
        },
    ];
    event(writer, time, file, Op::Create(place), changes)
}

/// Writes a content; `None` if the file held it already.
pub(crate) fn write(
    writer: &mut SessionWriter<'_>,
    time: u64,
    file: u64,
    bytes: &[u8],
) -> Option<Seq> {
    let file_id = FileId(file);
    let content = writer.encode(file_id, bytes, SEEN).unwrap()?;
    let (offset, len) = content.encoded.changed.unwrap_or((0, 0));
    let size = bytes.len() as u64;
    let op = Op::Write { offset, len, size };
    let change = Change::Content {
        file: file_id,
        content,
    };
    Some(event(writer, time, file, op, vec![change]))
}
