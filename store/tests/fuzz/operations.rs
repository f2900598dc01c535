//! A sequence of operations, read from bytes, on a store and on a plain model in memory: every
//! state of the session must be that of the model.

use std::collections::BTreeMap;

use diffkeeper_store::model::{
    Backend, Digest, ExitStatus, FileId, Kind, Node, NodeIdent, Op, Place, Provenance, Seal, Seq,
    Session, Timestamp, UnixTime,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Record, Seen, SessionWriter, Store};

/// Names of the top directory with the file and what it holds.
type Tree = BTreeMap<Vec<u8>, (FileId, Vec<u8>)>;

const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 1, nsec: 0 },
    sparse: false,
    provenance: Provenance::Captured,
    load: Load::Calm,
};

/// Longest file, bytes.
const MAX_FILE: usize = 20_000;

/// Runs the operations that `bytes` stand for: three bytes each.
pub(crate) fn run(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut states = vec![Tree::new()];
    {
        let store = Store::create(dir.path(), "fuzz").expect("a store");
        let mut writer = store.begin(&session(&store)).expect("a session");
        let top = Change::Node {
            file: FileId::TOP,
            node: node(Kind::Dir, Vec::new()),
        };
        writer.baseline(vec![top]).expect("a baseline");
        writer.baseline_done().expect("a baseline");
        let mut next = 2;
        for step in bytes.chunks_exact(3) {
            let mut tree = states.last().cloned().unwrap_or_default();
            if apply(
                &mut writer,
                &mut tree,
                &mut next,
                [step[0], step[1], step[2]],
            ) {
                states.push(tree);
            }
        }
        writer.seal(seal()).expect("a seal");
        store.close().expect("an orderly end");
    }
    compare(&Store::open(dir.path(), "fuzz").expect("a store"), &states);
}

fn compare(store: &Store, states: &[Tree]) {
    let report = diffkeeper_store::verify::verify(store, None, &()).expect("a check");
    assert!(report.is_sound(), "{:?}", report.findings);
    let reader = store.session(None).expect("the session");
    assert_eq!(reader.progress().last_seq.0 as usize, states.len() - 1);
    for (seq, tree) in (0..).zip(states) {
        let snapshot = reader.snapshot(Seq(seq)).expect("a snapshot");
        let found: Tree = snapshot.entries()[1..]
            .iter()
            .map(|entry| {
                let content = entry.content().map(|at| {
                    let mut content = reader.content(at).expect("a content");
                    content
                        .to_vec(1 << 20)
                        .expect("a content")
                        .expect("a short one")
                });
                (
                    entry.path.clone(),
                    (entry.file, content.unwrap_or_default()),
                )
            })
            .collect();
        assert_eq!(&found, tree, "after #{seq}");
    }
}

/// Does one step to both; whether it made an event.
fn apply(writer: &mut SessionWriter<'_>, tree: &mut Tree, next: &mut u64, step: [u8; 3]) -> bool {
    let [what, a, b] = step;
    let name = vec![b'a' + a % 6];
    match (what % 6, tree.get(&name).cloned()) {
        (0, None) => create(writer, tree, next, name),
        (1, Some((file, _))) => unlink(writer, tree, name, file),
        (2, Some((file, bytes))) => rename(writer, tree, (name, file, bytes), vec![b'a' + b % 6]),
        (3 | 4, Some((file, bytes))) => capture(writer, tree, (name, file, bytes), (what, a, b)),
        (5, Some((file, bytes))) => whole(writer, tree, (name, file, bytes), (a, b)),
        _ => {
            writer.commit().expect("a commit");
            false
        }
    }
}

type Named = (Vec<u8>, FileId, Vec<u8>);

fn create(writer: &mut SessionWriter<'_>, tree: &mut Tree, next: &mut u64, name: Vec<u8>) -> bool {
    let file = FileId(*next);
    *next += 1;
    let content = writer
        .encode(file, &[], SEEN)
        .expect("a content")
        .expect("a new one");
    let changes = vec![
        named(&name, Some(file)),
        is(file, vec![place(&name)]),
        Change::Content { file, content },
    ];
    event(writer, file, Op::Create(place(&name)), changes);
    tree.insert(name, (file, Vec::new()));
    true
}

fn unlink(writer: &mut SessionWriter<'_>, tree: &mut Tree, name: Vec<u8>, file: FileId) -> bool {
    let changes = vec![named(&name, None), is(file, Vec::new())];
    event(writer, file, Op::Unlink(place(&name)), changes);
    tree.remove(&name);
    true
}

fn rename(
    writer: &mut SessionWriter<'_>,
    tree: &mut Tree,
    (name, file, bytes): Named,
    to: Vec<u8>,
) -> bool {
    if to == name {
        return false;
    }
    let mut changes = vec![
        named(&name, None),
        named(&to, Some(file)),
        is(file, vec![place(&to)]),
    ];
    if let Some((replaced, _)) = tree.get(&to) {
        changes.push(is(*replaced, Vec::new()));
    }
    let op = Op::Rename {
        from: place(&name),
        to: place(&to),
        exchange: false,
    };
    event(writer, file, op, changes);
    tree.remove(&name);
    tree.insert(to, (file, bytes));
    true
}

/// A captured write or truncation.
fn capture(
    writer: &mut SessionWriter<'_>,
    tree: &mut Tree,
    (name, file, mut bytes): Named,
    (what, a, b): (u8, u8, u8),
) -> bool {
    let offset = usize::from(a) * 37;
    let data = vec![b; usize::from(b) * usize::from(what % 40)];
    if what % 6 == 3 {
        let end = (offset + data.len()).min(MAX_FILE);
        bytes.resize(bytes.len().max(end), 0);
        let data = &data[..end.saturating_sub(offset)];
        bytes[offset..offset + data.len()].copy_from_slice(data);
        let (len, size) = (data.len() as u64, bytes.len() as u64);
        let write = (offset as u64, data, size);
        let content = writer
            .capture(file, SEEN, write)
            .expect("a write")
            .expect("a known base");
        let offset = offset as u64;
        let op = Op::Write { offset, len, size };
        event(writer, file, op, vec![Change::Content { file, content }]);
    } else {
        bytes.resize(offset, 0);
        let size = bytes.len() as u64;
        let content = writer.capture(file, SEEN, (0, &[], size)).expect("a write");
        let content = content.expect("a known base");
        let op = Op::Truncate { size };
        event(writer, file, op, vec![Change::Content { file, content }]);
    }
    tree.insert(name, (file, bytes));
    true
}

/// A content that was read as a whole.
fn whole(
    writer: &mut SessionWriter<'_>,
    tree: &mut Tree,
    (name, file, mut bytes): Named,
    (a, b): (u8, u8),
) -> bool {
    let noise = Digest::of(&[a, b]).0;
    let at = usize::from(b) * 11 % (bytes.len() + 1);
    bytes.splice(at..at, noise.repeat(usize::from(a) % 9));
    bytes.truncate(MAX_FILE);
    let Some(content) = writer.encode(file, &bytes, SEEN).expect("a content") else {
        return false;
    };
    let size = bytes.len() as u64;
    let (offset, len) = content.encoded.changed.unwrap_or((0, size));
    let op = Op::Write { offset, len, size };
    event(writer, file, op, vec![Change::Content { file, content }]);
    tree.insert(name, (file, bytes));
    true
}

fn event(writer: &mut SessionWriter<'_>, file: FileId, op: Op, changes: Vec<Change>) {
    let record = Record {
        time: Timestamp(writer.progress().last_seq.0),
        process: None,
        file: Some(file),
        op,
        changes,
    };
    writer.append(record).expect("an event");
}

fn place(name: &[u8]) -> Place {
    Place {
        parent: FileId::TOP,
        name: name.to_vec(),
    }
}

fn named(name: &[u8], child: Option<FileId>) -> Change {
    Change::Name {
        parent: FileId::TOP,
        name: name.to_vec(),
        child,
    }
}

fn is(file: FileId, links: Vec<Place>) -> Change {
    let node = node(Kind::File, links);
    Change::Node { file, node }
}

fn node(kind: Kind, links: Vec<Place>) -> Node {
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

fn session(store: &Store) -> Session {
    Session::new(store.next_session().expect("a number"), Backend::Scripted)
}

fn seal() -> Seal {
    Seal {
        end: Timestamp::default(),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: Digest::of(b""),
        faults: Vec::new(),
    }
}
