//! Writes to one file, handed to the store as a kernel tier does.

use diffkeeper_store::model::{
    Backend, ExitStatus, FileId, Op, Provenance, Seal, Seq, Session, Timestamp, UnixTime,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, NewContent, Record, Seen, SessionWriter, Store};

/// The file that is written to.
pub(crate) const FILE: FileId = FileId(2);
const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 1, nsec: 0 },
    sparse: false,
    provenance: Provenance::Captured,
    load: Load::Calm,
};

fn session(store: &Store) -> Session {
    Session {
        id: store.next_session().unwrap(),
        argv: Vec::new(),
        cwd: Vec::new(),
        roots: Vec::new(),
        excludes: Vec::new(),
        host: Vec::new(),
        kernel: Vec::new(),
        boot_id: Vec::new(),
        uid: 0,
        backend: Backend::Scripted,
        backend_reason: Vec::new(),
        recorder: Vec::new(),
        start_monotonic: 0,
        start_wall: UnixTime::default(),
    }
}

fn put(writer: &mut SessionWriter<'_>, op: Op, content: NewContent) -> Seq {
    let changes = vec![Change::Content {
        file: FILE,
        content,
    }];
    let record = Record {
        time: Timestamp::default(),
        process: None,
        file: Some(FILE),
        op,
        changes,
    };
    writer.append(record).unwrap()
}

/// A session in which each of `writes` is appended to the file; gives the `Seq` of each.
pub(crate) fn appends<'a>(store: &Store, writes: impl Iterator<Item = &'a [u8]>) -> Vec<Seq> {
    let mut writer = store.begin(&session(store)).unwrap();
    writer.baseline_done().unwrap();
    let empty = writer.encode(FILE, b"", SEEN).unwrap().unwrap();
    put(&mut writer, Op::Truncate { size: 0 }, empty);
    let (mut seqs, mut offset) = (Vec::new(), 0);
    for bytes in writes {
        let len = bytes.len() as u64;
        let size = offset + len;
        let captured = writer.capture(FILE, SEEN, (offset, bytes, size)).unwrap();
        let op = Op::Write { offset, len, size };
        seqs.push(put(&mut writer, op, captured.unwrap()));
        offset = size;
    }
    let seal = Seal {
        end: Timestamp::default(),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: writer.progress().chain,
        faults: Vec::new(),
    };
    writer.seal(seal).unwrap();
    seqs
}
