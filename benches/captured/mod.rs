//! Writes, handed to the store as a kernel tier does.
#![allow(dead_code, reason = "no benchmark uses all of it")]

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

/// A new session of the store.
pub(crate) fn begin(store: &Store) -> SessionWriter<'_> {
    let session = Session::new(store.next_session().unwrap(), Backend::Scripted);
    store.begin(&session).unwrap()
}

/// Records an event that led to a content.
pub(crate) fn put(
    writer: &mut SessionWriter<'_>,
    (file, time): (FileId, Timestamp),
    op: Op,
    content: NewContent,
) -> Seq {
    let changes = vec![Change::Content { file, content }];
    let record = Record {
        time,
        process: None,
        file: Some(file),
        op,
        changes,
    };
    writer.append(record).unwrap()
}

/// Ends the session in order.
pub(crate) fn seal(writer: SessionWriter<'_>, end: Timestamp) {
    let seal = Seal {
        end,
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: writer.progress().chain,
        faults: Vec::new(),
    };
    writer.seal(seal).unwrap();
}

/// A session in which each of `writes` is appended to the file; gives the `Seq` of each.
pub(crate) fn appends<'a>(store: &Store, writes: impl Iterator<Item = &'a [u8]>) -> Vec<Seq> {
    let mut writer = begin(store);
    let at = (FILE, Timestamp::default());
    writer.baseline_done().unwrap();
    let empty = writer.encode(FILE, b"", SEEN).unwrap().unwrap();
    put(&mut writer, at, Op::Truncate { size: 0 }, empty);
    let (mut seqs, mut offset) = (Vec::new(), 0);
    for bytes in writes {
        let len = bytes.len() as u64;
        let size = offset + len;
        let captured = writer.capture(FILE, SEEN, (offset, bytes, size)).unwrap();
        let op = Op::Write { offset, len, size };
        seqs.push(put(&mut writer, at, op, captured.unwrap()));
        offset = size;
    }
    seal(writer, Timestamp::default());
    seqs
}
