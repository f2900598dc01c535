//! A recorder that was killed, then damage: what is left is a whole prefix that says so.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use super::repair;
use crate::content::Seen;
use crate::db::Space;
use crate::key::{self, SessionPart};
use crate::model::{
    Backend, FileId, GapReason, Kind, Node, NodeIdent, Op, OpKind, Place, Provenance, Seq, Session,
    SessionId, Timestamp, UnixTime, VersionRef,
};
use crate::policy::Load;
use crate::verify::verify;
use crate::{Change, DbError, Record, Store, StoreError};

const ID: SessionId = SessionId(1);

fn session(id: SessionId) -> Session {
    Session::new(id, Backend::Scripted)
}

fn dir(links: Vec<Place>) -> Node {
    Node {
        kind: Kind::Dir,
        mode: 0o755,
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

fn named(number: u64) -> (Place, FileId, Vec<Change>) {
    let place = Place {
        parent: FileId::TOP,
        name: format!("d{number}").into_bytes(),
    };
    let file = FileId(number + 2);
    let changes = vec![
        Change::Name {
            parent: place.parent,
            name: place.name.clone(),
            child: Some(file),
        },
        Change::Node {
            file,
            node: dir(vec![place.clone()]),
        },
    ];
    (place, file, changes)
}

/// A directory an event, a commit every third; what a killed recorder leaves of it.
fn killed(events: u64) -> tempfile::TempDir {
    let live = tempfile::tempdir().unwrap();
    let store = Store::create(live.path(), "record").unwrap();
    let mut writer = store.begin(&session(ID)).unwrap();
    let top = Change::Node {
        file: FileId::TOP,
        node: dir(Vec::new()),
    };
    writer.baseline(vec![top]).unwrap();
    writer.baseline_done().unwrap();
    for number in 0..events {
        let (place, file, changes) = named(number);
        let record = Record {
            time: Timestamp(number),
            process: None,
            file: Some(file),
            op: Op::Mkdir(place),
            changes,
        };
        writer.append(record).unwrap();
        if number % 3 == 2 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    let dead = tempfile::tempdir().unwrap();
    copy(live.path(), dead.path());
    dead
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn journal(state: &Path) -> PathBuf {
    state.join("db/0.jnl")
}

/// Changes the journal; it has some KB at its beginning and then zeros.
fn damage(state: &Path, change: impl FnOnce(&mut Vec<u8>, usize)) {
    let mut bytes = fs::read(journal(state)).unwrap();
    let used = bytes.len() - bytes.iter().rev().take_while(|b| **b == 0).count();
    bytes.truncate(used + 4096);
    change(&mut bytes, used);
    fs::write(journal(state), bytes).unwrap();
}

/// The trace is sound; gives the events before the gap at its end.
fn sound(state: &Path) -> u64 {
    let store = Store::open(state, "test").unwrap();
    let report = verify(&store, None, &()).unwrap();
    assert_eq!(report.findings, []);
    let reader = store.session(Some(ID)).unwrap();
    let progress = reader.progress().clone();
    let last = reader.event(progress.last_seq).unwrap().unwrap();
    let lost = Op::Gap {
        reason: GapReason::Lost,
        path: None,
    };
    assert_eq!(last.op, lost);
    assert_eq!(progress.counts.get(OpKind::Gap), 1);
    let made = progress.last_seq.0 - 1;
    let tree = reader.snapshot(progress.last_seq).unwrap();
    assert_eq!(tree.entries().len() as u64, made + 1);
    made
}

#[test]
fn what_a_killed_recorder_leaves_needs_no_repair() {
    let dead = killed(30);
    let report = repair(dead.path()).unwrap();
    assert_eq!((report.aside, report.cut), (None, Vec::new()));
    let store = Store::open(dead.path(), "test").unwrap();
    let reader = store.session(None).unwrap();
    assert_eq!(reader.progress().last_seq, Seq(30));
}

#[test]
fn damage_in_the_middle_of_the_journal_is_refused_and_then_cut() {
    for part in [3, 4, 6] {
        for zeroed in [false, true] {
            let dead = killed(60);
            let mut place = 0;
            damage(dead.path(), |bytes, used| {
                place = used * part / 8;
                if zeroed {
                    bytes[place..place + 200].fill(0);
                } else {
                    bytes[place] ^= 4;
                }
            });
            let before = fs::read(journal(dead.path())).unwrap();
            let refused = Store::open(dead.path(), "test").map(drop).unwrap_err();
            assert!(matches!(refused, StoreError::Db(DbError::Journal { .. })));
            assert_eq!(
                fs::read(journal(dead.path())).unwrap(),
                before,
                "left alone"
            );
            let report = repair(dead.path()).unwrap();
            let kept = report.aside.unwrap().join("db/0.jnl");
            assert_eq!(fs::read(kept).unwrap(), before, "kept aside");
            let [cut] = report.cut[..] else {
                unreachable!("one session: {:?}", report.cut)
            };
            assert_eq!(cut.acknowledged, Some(Seq(60)));
            assert!(cut.tree);
            assert_eq!(cut.kept.unwrap().0 % 3, 0, "whole commits");
            assert_eq!(sound(dead.path()), cut.kept.unwrap().0);
            assert_eq!(
                repair(dead.path()).unwrap().aside,
                None,
                "nothing more to do"
            );
        }
    }
}

#[test]
fn a_journal_that_ends_early_is_found_by_the_mark() {
    let dead = killed(60);
    damage(dead.path(), |bytes, used| bytes.truncate(used * 2 / 3));
    let store = Store::open(dead.path(), "test").unwrap();
    let [loss] = store.losses() else {
        unreachable!("one loss: {:?}", store.losses())
    };
    assert_eq!((loss.session, loss.acknowledged), (ID, Seq(60)));
    for asked in [None, Some(ID)] {
        let refused = store.session(asked).map(drop).unwrap_err();
        assert!(matches!(refused, StoreError::Lost(_)), "{refused}");
    }
    assert!(!verify(&store, None, &()).unwrap().is_sound());
    assert_eq!(store.next_session().unwrap(), SessionId(2));
    drop(store);
    let cut = repair(dead.path()).unwrap().cut;
    assert_eq!(sound(dead.path()), cut[0].kept.unwrap().0);
}

#[test]
fn a_journal_that_is_gone_takes_the_session_with_it_and_its_number_is_not_given_again() {
    let dead = killed(6);
    damage(dead.path(), |bytes, _| bytes.clear());
    let store = Store::open(dead.path(), "test").unwrap();
    assert!(store.sessions().unwrap().is_empty());
    let refused = store.session(None).map(drop).unwrap_err();
    assert!(
        matches!(refused, StoreError::Lost(loss) if loss.found.is_none()),
        "{refused}"
    );
    assert_eq!(store.next_session().unwrap(), SessionId(2));
    drop(store);
    let report = repair(dead.path()).unwrap();
    assert_eq!(report.cut.len(), 1);
    assert_eq!(report.cut[0].kept, None);
    let store = Store::open(dead.path(), "test").unwrap();
    assert!(verify(&store, None, &()).unwrap().is_sound());
    assert!(matches!(store.session(None), Err(StoreError::Empty)));
}

/// The files of a trace that ended in order.
fn closed(events: u64) -> tempfile::TempDir {
    let dead = killed(events);
    Store::open(dead.path(), "test").unwrap().close().unwrap();
    dead
}

/// The list of tables that counts: a compaction may have written further ones.
fn newest_list(dir: &Path) -> PathBuf {
    let version = |path: &PathBuf| -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix('v')?.parse().ok()
    };
    let lists = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let newest = lists
        .filter(|path| version(path).is_some())
        .max_by_key(version);
    newest.unwrap()
}

#[test]
fn lists_of_tables_are_made_anew_without_any_loss() {
    for (number, file) in [
        (2, "current"),
        (4, "list"),
        (7, "current"),
        (9, "list"),
        (0, "current"),
    ] {
        let state = closed(30);
        let dir = state.path().join(format!("db/keyspaces/{number}"));
        let path = match file {
            "list" => newest_list(&dir),
            file => dir.join(file),
        };
        let mut bytes = fs::read(&path).unwrap_or_default();
        bytes.reverse();
        fs::write(&path, bytes).unwrap();
        assert!(
            Store::open(state.path(), "test").is_err(),
            "{number}/{file}"
        );
        let report = repair(state.path()).unwrap();
        assert!(!report.mended.is_empty());
        assert_eq!(report.cut, [], "{number}/{file}");
        let store = Store::open(state.path(), "test").unwrap();
        assert!(
            verify(&store, None, &()).unwrap().is_sound(),
            "{number}/{file}"
        );
        let reader = store.session(None).unwrap();
        assert_eq!(reader.snapshot(Seq(30)).unwrap().entries().len(), 31);
    }
}

#[test]
fn a_table_that_is_gone_takes_only_what_stood_on_it() {
    for (number, trees) in [(3, false), (5, false), (4, false)] {
        let state = closed(30);
        let tables = state.path().join(format!("db/keyspaces/{number}/tables"));
        let table = fs::read_dir(tables)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let bytes = fs::read(&table).unwrap();
        fs::write(&table, &bytes[..bytes.len() / 2]).unwrap();
        assert!(Store::open(state.path(), "test").is_err());
        let report = repair(state.path()).unwrap();
        assert_eq!(report.cut.len(), 1, "{number}");
        assert_eq!(report.cut[0].kept, Some(Seq(0)));
        assert_eq!(report.cut[0].tree, trees || number != 5, "{number}");
        let store = Store::open(state.path(), "test").unwrap();
        let reader = store.session(None).unwrap();
        assert_eq!(reader.progress().counts.get(OpKind::Gap), 1);
        assert_eq!(repair_again(state.path(), store), []);
    }
}

fn repair_again(state: &Path, store: Store) -> Vec<super::Cut> {
    drop(store);
    repair(state).unwrap().cut
}

/// Four writes to a file, after two of which a directory is made: one batch, and so one burst.
fn interrupted_burst(state: &Path) -> FileId {
    let store = Store::create(state, "record").unwrap();
    let mut writer = store.begin(&session(ID)).unwrap();
    let (_, file, mut changes) = named(0);
    for change in &mut changes {
        if let Change::Node { node, .. } = change {
            node.kind = Kind::File;
        }
    }
    changes.push(Change::Node {
        file: FileId::TOP,
        node: dir(Vec::new()),
    });
    let seen = Seen {
        mtime: UnixTime::default(),
        sparse: false,
        provenance: Provenance::Captured,
        load: Load::Calm,
    };
    let content = writer.encode(file, b"", seen).unwrap().unwrap();
    changes.push(Change::Content { file, content });
    writer.baseline(changes).unwrap();
    writer.baseline_done().unwrap();
    let event = |file, op, changes| Record {
        time: Timestamp(0),
        process: None,
        file: Some(file),
        op,
        changes,
    };
    for number in 0..4 {
        if number == 2 {
            let (place, dir, changes) = named(9);
            writer
                .append(event(dir, Op::Mkdir(place), changes))
                .unwrap();
        }
        let (offset, size) = (number * 3, number * 3 + 3);
        let content = writer.capture(file, seen, (offset, b"abc", size)).unwrap();
        let content = content.unwrap();
        let changes = vec![Change::Content { file, content }];
        let op = Op::Write {
            offset,
            len: 3,
            size,
        };
        writer.append(event(file, op, changes)).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    store.close().unwrap();
    file
}

#[test]
fn a_burst_is_cut_where_the_trace_is() {
    let state = tempfile::tempdir().unwrap();
    let file = interrupted_burst(state.path());
    let store = Store::open(state.path(), "test").unwrap();
    let records = store.db.range(Space::Version, ..).count();
    assert_eq!(records, 2, "the first content and the burst");
    let mut batch = store.db.batch();
    batch.remove(Space::Node, key::file_at(ID, FileId(11), Seq(3)));
    // Only a session that has less than its mark says is looked through.
    batch.remove(Space::Session, key::session(ID, SessionPart::Progress));
    batch.commit().unwrap();
    store.close().unwrap();
    let report = repair(state.path()).unwrap();
    assert_eq!(report.cut[0].kept, Some(Seq(2)));
    let store = Store::open(state.path(), "test").unwrap();
    assert_eq!(verify(&store, None, &()).unwrap().findings, []);
    let reader = store.session(Some(ID)).unwrap();
    for (seq, expected) in [
        (0, b"".as_slice()),
        (1, b"abc"),
        (2, b"abcabc"),
        (3, b"abcabc"),
    ] {
        let (at, _) = reader.version_at(file, Seq(seq)).unwrap().unwrap();
        let mut content = reader.content(VersionRef { file, seq: at }).unwrap();
        assert_eq!(content.to_vec(64).unwrap().unwrap(), expected, "{seq}");
    }
    assert_eq!(repair_again(state.path(), store), []);
}
