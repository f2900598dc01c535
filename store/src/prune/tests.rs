//! What is given up is gone from the disk, and what stays is as it was.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use super::rebuild::disk_usage;
use super::{Request, Step, execute, plan};
use crate::model::{
    Backend, Digest, ExitStatus, FileId, Kind, Node, NodeIdent, Op, Place, Provenance, Seal, Seq,
    Session, SessionId, Timestamp, UnixTime,
};
use crate::policy::Load;
use crate::verify::verify;
use crate::{Change, Record, Seen, SessionWriter, Store, StoreError};

const EVENTS: u64 = 400;

fn session(id: SessionId) -> Session {
    Session::new(id, Backend::Scripted)
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

const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 7, nsec: 8 },
    sparse: false,
    provenance: Provenance::Observed,
    load: Load::Calm,
};

/// Bytes that do not compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|number| {
        let words = [seed.to_le_bytes(), number.to_le_bytes()].concat();
        *blake3::hash(&words).as_bytes()
    });
    blocks.take(len).collect()
}

fn name(place: &Place, child: Option<u64>) -> Change {
    Change::Name {
        parent: place.parent,
        name: place.name.clone(),
        child: child.map(FileId),
    }
}

fn place(name: &str) -> Place {
    Place {
        parent: FileId::TOP,
        name: name.into(),
    }
}

/// A change of some file: it is made, written, moved, written again, and removed, over and over.
fn change(writer: &mut SessionWriter<'_>, number: u64, salt: u64) {
    let (file, step) = (2 + number / 8, number % 8);
    let old = place(&format!("f{}", file % 5));
    let new = place(&format!("g{}", file % 5));
    let id = FileId(file);
    let is = |links| Change::Node {
        file: id,
        node: node(Kind::File, links),
    };
    let (op, changes) = match step {
        0 => {
            let content = writer.encode(id, b"", SEEN).unwrap().unwrap();
            let empty = Change::Content { file: id, content };
            let changes = vec![name(&old, Some(file)), is(vec![old.clone()]), empty];
            (Op::Create(old), changes)
        }
        4 => {
            let changes = vec![
                name(&old, None),
                name(&new, Some(file)),
                is(vec![new.clone()]),
            ];
            let (from, to, exchange) = (old, new, false);
            (Op::Rename { from, to, exchange }, changes)
        }
        7 if file % 3 > 0 => (
            Op::Unlink(new.clone()),
            vec![name(&new, None), is(Vec::new())],
        ),
        _ => {
            let mut bytes = noise(file + salt, 3000);
            bytes.extend(noise(number + salt, 40 + (number as usize % 7) * 100));
            let content = writer.encode(id, &bytes, SEEN).unwrap().unwrap();
            let size = bytes.len() as u64;
            let (offset, len) = content.encoded.changed.unwrap_or((0, size));
            let change = Change::Content { file: id, content };
            (Op::Write { offset, len, size }, vec![change])
        }
    };
    let record = Record {
        time: Timestamp(number * 1_000_000),
        process: None,
        file: Some(id),
        op,
        changes,
    };
    writer.append(record).unwrap();
}

fn record(path: &Path, salt: u64) -> SessionId {
    record_and(path, salt, |_, _| {})
}

/// Records, and lets `between` have the writer after every event.
fn record_and(
    path: &Path,
    salt: u64,
    mut between: impl FnMut(&mut SessionWriter<'_>, u64),
) -> SessionId {
    let store = Store::create(path, "test").unwrap();
    let id = store.next_session().unwrap();
    let mut writer = store.begin(&session(id)).unwrap();
    let top = Change::Node {
        file: FileId::TOP,
        node: node(Kind::Dir, Vec::new()),
    };
    writer.baseline(vec![top]).unwrap();
    writer.baseline_done().unwrap();
    for number in 0..EVENTS {
        change(&mut writer, number, salt);
        if number % 10 == 9 {
            writer.commit().unwrap();
        }
        between(&mut writer, number);
    }
    let seal = Seal {
        end: Timestamp(EVENTS * 1_000_000),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: Digest::of(b""),
        faults: Vec::new(),
    };
    writer.seal(seal).unwrap();
    store.close().unwrap();
    id
}

/// Every state of a session from one on: its tree with the digests of its contents.
fn states(store: &Store, id: SessionId, from: u64) -> Vec<Vec<(Vec<u8>, Option<Digest>)>> {
    let reader = store.session(Some(id)).unwrap();
    let state = |seq| {
        let snapshot = reader.snapshot(Seq(seq)).unwrap();
        let entries = snapshot.entries().iter().map(|entry| {
            let content = entry.content().map(|at| {
                let mut content = reader.content(at).unwrap();
                Digest::of(&content.to_vec(1 << 20).unwrap().unwrap())
            });
            (entry.path.clone(), content)
        });
        entries.collect()
    };
    (from..=EVENTS).map(state).collect()
}

fn paths(store: &Store, id: SessionId, from: u64) -> Vec<Option<Vec<u8>>> {
    let reader = store.session(Some(id)).unwrap();
    let events: Vec<_> = reader
        .events(Seq(from), Seq(EVENTS))
        .map(Result::unwrap)
        .collect();
    let path =
        |event: &crate::model::Event| reader.path_of(event.file.unwrap(), event.seq).unwrap();
    events.iter().map(path).collect()
}

#[test]
fn a_removed_session_leaves_the_others_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    // The first and the last hold the same contents.
    let ids = [
        record(&path, 1000),
        record(&path, 9_000_000),
        record(&path, 1000),
    ];
    let usage = || disk_usage(&path).unwrap();
    let (before, kept) = {
        let store = Store::open(&path, "test").unwrap();
        (usage(), states(&store, ids[2], 0))
    };
    let request = Request {
        remove: vec![ids[0], ids[1]],
        before: Vec::new(),
    };
    let store = Store::own(&path, "test").unwrap();
    let wanted = plan(&store, &request, &()).unwrap();
    let removed = ids[..2].iter().map(|id| Step::Remove {
        session: *id,
        events: EVENTS,
    });
    assert_eq!(wanted.steps, removed.collect::<Vec<_>>());
    assert!(wanted.blobs > 0 && wanted.blobs < wanted.all_blobs);
    execute(store, &path, &wanted, &()).unwrap();
    let store = Store::open(&path, "test").unwrap();
    assert_eq!(verify(&store, None, &()).unwrap().findings, []);
    assert_eq!(states(&store, ids[2], 0), kept);
    assert!(matches!(
        store.session(Some(ids[0])),
        Err(StoreError::NoSuchSession { .. })
    ));
    let after = usage();
    assert!(after < before * 3 / 4, "{before} to {after} bytes");
    assert_eq!(store.next_session().unwrap(), SessionId(4));
    let rest = plan(&store, &Request::default(), &()).unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn a_session_that_starts_later_is_the_same_from_there_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let id = record(&path, 5);
    let (mut all, known) = {
        let store = Store::open(&path, "test").unwrap();
        (states(&store, id, 0), paths(&store, id, 1))
    };
    let mut blobs = u64::MAX;
    // Twice: a session that starts later already can start later still.
    for at in [137, 305] {
        let store = Store::own(&path, "test").unwrap();
        let request = Request {
            remove: Vec::new(),
            before: vec![(id, Seq(at))],
        };
        let wanted = plan(&store, &request, &()).unwrap();
        let [Step::Cut { last, .. }] = wanted.steps[..] else {
            unreachable!("{wanted:?}")
        };
        assert!(
            last.0 <= at && last.0 > at - 10,
            "the end of a block: {last:?}"
        );
        execute(store, &path, &wanted, &()).unwrap();
        let store = Store::open(&path, "test").unwrap();
        assert_eq!(verify(&store, None, &()).unwrap().findings, []);
        let reader = store.session(Some(id)).unwrap();
        assert_eq!(reader.start(), last);
        assert_eq!(reader.progress().counts.total(), EVENTS - last.0);
        assert_eq!(reader.base().unwrap().dropped, last.0);
        let refused = reader.snapshot(Seq(last.0 - 1)).unwrap_err();
        assert!(
            matches!(refused, StoreError::BeforeStart { .. }),
            "{refused}"
        );
        assert_eq!(
            states(&store, id, last.0),
            all.split_off(all.len() - 1 - (EVENTS - last.0) as usize)
        );
        all = states(&store, id, last.0);
        assert_eq!(paths(&store, id, last.0 + 1), known[last.0 as usize..]);
        assert_eq!(reader.seq_at(Timestamp(u64::MAX)).unwrap(), Seq(EVENTS));
        let left = verify(&store, None, &()).unwrap().blobs;
        assert!(left < blobs, "{left} blobs after {blobs}");
        blobs = left;
    }
}

#[test]
fn history_that_is_given_up_while_recording_changes_nothing_that_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, path) = (dir.path().join("whole"), dir.path().join("state"));
    let id = record(&whole, 5);
    let mut last = 0;
    let same = record_and(&path, 5, |writer, number| {
        if number % 37 == 36 {
            let gone = writer.give_up(Seq(number - 20)).unwrap();
            assert!(gone > 0);
            last += gone;
        }
        // As a recorder does, with what was looked for before.
        if let Some(candidate) = writer.candidate()
            && let Some(refined) = writer.store().refine(&candidate).unwrap()
        {
            writer.apply(refined);
        }
    });
    assert_eq!(same, id);
    let (whole, store) = (
        Store::open(&whole, "test").unwrap(),
        Store::open(&path, "test").unwrap(),
    );
    let report = verify(&store, None, &()).unwrap();
    assert_eq!(report.findings, []);
    let reader = store.session(Some(id)).unwrap();
    assert_eq!(reader.start(), Seq(last));
    assert!(last >= EVENTS - 60, "{last}");
    assert_eq!(reader.progress().counts.total(), EVENTS - last);
    assert_eq!(states(&store, id, last), states(&whole, id, last));
    assert_eq!(paths(&store, id, last + 1), paths(&whole, id, last + 1));
    let density = |store: &Store| {
        let reader = store.session(Some(id)).unwrap();
        let (from, to) = (Timestamp((last + 10) * 1_000_000), Timestamp(u64::MAX));
        let buckets = reader.density(0, from, to).map(Result::unwrap);
        // What was given up may have shared the first bucket.
        buckets.skip(1).collect::<Vec<_>>()
    };
    assert_eq!(density(&store), density(&whole));
    let blobs = verify(&whole, None, &()).unwrap().blobs;
    assert!(report.blobs < blobs / 2, "{} of {blobs}", report.blobs);
    let rest = plan(&store, &Request::default(), &()).unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn all_events_may_go() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, path) = (dir.path().join("whole"), dir.path().join("state"));
    let id = record(&whole, 5);
    record_and(&path, 5, |writer, number| {
        if number == EVENTS - 1 {
            assert_eq!(writer.give_up(Seq(u64::MAX)).unwrap(), EVENTS);
        }
    });
    let (whole, store) = (
        Store::open(&whole, "test").unwrap(),
        Store::open(&path, "test").unwrap(),
    );
    assert_eq!(verify(&store, None, &()).unwrap().findings, []);
    assert_eq!(states(&store, id, EVENTS), states(&whole, id, EVENTS));
}

#[test]
fn the_space_of_what_was_given_up_returns_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let first = record(&path, 1);
    let store = Store::own(&path, "test").unwrap();
    let mut writer = store.begin(&session(SessionId(2))).unwrap();
    let mut most = 0;
    for number in 0..40 * EVENTS {
        change(&mut writer, number % 40, number / 40);
        if number % 2000 == 1999 {
            writer.give_up(Seq(number - 200)).unwrap();
            store.remove_session(first).unwrap();
            store.reclaim().unwrap();
            most = most.max(store.weight().unwrap());
        }
    }
    writer.commit().unwrap();
    // Some 30 MB went through it.
    assert!(most < 4 << 20, "{most} bytes");
    assert!(store.session(Some(first)).is_err());
    drop(writer);
    store.close().unwrap();
    let store = Store::open(&path, "test").unwrap();
    assert_eq!(verify(&store, None, &()).unwrap().findings, []);
}
