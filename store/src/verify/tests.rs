//! Records that are well-formed and wrong: only the sums over them can tell.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{FindingKind, verify};
use crate::db::Space;
use crate::encode::{
    BlockBuilder, decode_block, decode_progress, decode_seal, encode_progress, encode_seal,
};
use crate::key::{self, SessionPart};
use crate::model::{
    Backend, Digest, ExitStatus, FileId, Op, OpKind, Place, ProcessId, Seal, Seq, Session,
    SessionId, Timestamp, UnixTime,
};
use crate::{Change, Record, Store};

const ID: SessionId = SessionId(1);

fn session() -> Session {
    Session::new(ID, Backend::Scripted)
}

/// Three blocks of markers.
fn record(store: &Store) {
    let mut writer = store.begin(&session()).unwrap();
    writer.baseline_done().unwrap();
    for time in 0..30 {
        let label = format!("mark {time}").into_bytes();
        let record = Record {
            time: Timestamp(time),
            process: None,
            file: None,
            op: Op::Marker { label },
            changes: Vec::new(),
        };
        writer.append(record).unwrap();
        if time % 10 == 9 {
            writer.commit().unwrap();
        }
    }
    let seal = Seal {
        end: Timestamp(99),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: Digest::of(b""),
        faults: Vec::new(),
    };
    writer.seal(seal).unwrap();
}

type Found = Vec<(FindingKind, Option<u64>, String)>;

/// What is found once `tamper` was at the store.
fn found(tamper: impl FnOnce(&Store)) -> Found {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), "test").unwrap();
    record(&store);
    tamper(&store);
    let report = verify(&store, None, &()).unwrap();
    let findings = report.findings.into_iter();
    findings
        .map(|f| (f.kind, f.seq.map(|seq| seq.0), f.text))
        .collect()
}

fn put(store: &Store, space: Space, key: Vec<u8>, value: Vec<u8>) {
    let mut batch = store.db.batch();
    batch.put(space, key, value);
    batch.commit().unwrap();
}

fn get(store: &Store, space: Space, key: &[u8]) -> Vec<u8> {
    store.db.get(space, key).unwrap().unwrap().to_vec()
}

fn one(found: Found, kind: FindingKind, seq: Option<u64>, text: &str) {
    let expected = vec![(kind, seq, text.to_owned())];
    assert_eq!(found, expected);
}

#[test]
fn what_was_not_tampered_with_is_sound() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn a_missing_block_is_found() {
    let found = found(|store| {
        let mut batch = store.db.batch();
        batch.remove(Space::Event, key::event(ID, Seq(11)));
        batch.commit().unwrap();
    });
    one(found, FindingKind::Event, Some(11), "no events from #11 on");
}

#[test]
fn a_missing_end_is_found() {
    let found = found(|store| {
        let mut batch = store.db.batch();
        batch.remove(Space::Event, key::event(ID, Seq(21)));
        batch.commit().unwrap();
    });
    let text = "the log ends at #20 and not at #30";
    one(found, FindingKind::Event, Some(20), text);
}

#[test]
fn a_rewritten_event_is_found() {
    let found = found(|store| {
        let key = key::event(ID, Seq(11));
        let (mut events, _) = decode_block(&get(store, Space::Event, &key)).unwrap();
        let label = b"another".to_vec();
        events.last_mut().unwrap().op = Op::Marker { label };
        let mut block = BlockBuilder::default();
        events.iter().for_each(|event| block.push(event));
        put(store, Space::Event, key, block.finish().unwrap().0);
    });
    let text = "the events do not match their running hash";
    one(found, FindingKind::Event, None, text);
}

#[test]
fn wrong_sums_are_found() {
    let found = found(|store| {
        let key = key::session(ID, SessionPart::Progress);
        let mut progress = decode_progress(&get(store, Space::Session, &key)).unwrap();
        progress.counts.add(OpKind::Gap, 2);
        progress.last_time = Timestamp(7);
        put(store, Space::Session, key, encode_progress(&progress));
    });
    let texts: Vec<_> = found.iter().map(|(_, _, text)| text.as_str()).collect();
    let expected = [
        "the last event does not have the time the session says",
        "0 gap events where 2 were counted",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_forged_seal_is_found() {
    let found = found(|store| {
        let key = key::session(ID, SessionPart::Seal);
        let mut seal = decode_seal(&get(store, Space::Session, &key)).unwrap();
        seal.root = Digest::of(b"forged");
        put(store, Space::Session, key, encode_seal(&seal));
    });
    let text = "the seal does not match the running hash";
    one(found, FindingKind::Session, None, text);
}

#[test]
fn records_of_garbage_are_found_one_by_one() {
    let found = found(|store| {
        let garbage = || vec![0xff; 9];
        let file = key::file_at(ID, FileId(5), Seq(3));
        put(store, Space::Node, file.clone(), garbage());
        put(store, Space::Version, file, garbage());
        put(
            store,
            Space::Process,
            key::process(ID, ProcessId(1)),
            garbage(),
        );
        put(store, Space::Density, key::density(ID, 0, 7), garbage());
        let name = key::name(ID, FileId::TOP, b"n", Seq(3));
        put(store, Space::Name, name, garbage());
        put(store, Space::Blob, key::blob(&Digest::of(b"x")), garbage());
        let other = key::session(SessionId(2), SessionPart::Info);
        put(store, Space::Session, other, garbage());
    });
    let kinds: Vec<_> = found.iter().map(|(kind, _, _)| *kind).collect();
    let expected = [
        FindingKind::Session,
        FindingKind::Blob,
        FindingKind::Name,
        FindingKind::Node,
        FindingKind::Process,
        FindingKind::Density,
        FindingKind::Version,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn records_after_the_end_are_found() {
    let found = found(|store| {
        let name = key::name(ID, FileId::TOP, b"n", Seq(31));
        put(store, Space::Name, name, crate::encode::encode_name(None));
    });
    one(
        found,
        FindingKind::Name,
        Some(31),
        "a name is later than the last event",
    );
}

#[test]
fn states_that_are_gone_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), "test").unwrap();
    let mut writer = store.begin(&session()).unwrap();
    writer.baseline_done().unwrap();
    let place = Place {
        parent: FileId::TOP,
        name: b"f".to_vec(),
    };
    let file = FileId(2);
    let named = Change::Name {
        parent: place.parent,
        name: place.name.clone(),
        child: Some(file),
    };
    for (op, changes) in [
        (Op::Create(place), vec![named]),
        (Op::Truncate { size: 0 }, Vec::new()),
    ] {
        let record = Record {
            time: Timestamp(0),
            process: None,
            file: Some(file),
            op,
            changes,
        };
        writer.append(record).unwrap();
    }
    writer.commit().unwrap();
    let report = verify(&store, None, &()).unwrap();
    let found: Vec<_> = report.findings.iter().map(|f| (f.kind, f.seq)).collect();
    let expected = [
        (FindingKind::Node, Some(Seq(1))),
        (FindingKind::Version, Some(Seq(2))),
        (FindingKind::Name, Some(Seq(1))),
    ];
    assert_eq!(found, expected);
}
