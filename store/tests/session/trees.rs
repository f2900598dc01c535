//! Names over time: snapshots and paths.

use diffkeeper_store::Change;
use diffkeeper_store::model::{FileId, Kind, Op, Seq};
use diffkeeper_store::{Paths, SessionWriter};

use crate::{Bed, create, event, node, place, write};

fn name(parent: u64, name: &str, child: Option<u64>) -> Change {
    Change::Name {
        parent: FileId(parent),
        name: name.into(),
        child: child.map(FileId),
    }
}

fn state(file: u64, kind: Kind, parent: u64, at: &str) -> Change {
    Change::Node {
        file: FileId(file),
        node: node(kind, vec![place(FileId(parent), at)]),
    }
}

fn story(writer: &mut SessionWriter<'_>) {
    let mkdir = Op::Mkdir(place(FileId::TOP, "d"));
    event(
        writer,
        1,
        2,
        mkdir,
        vec![name(1, "d", Some(2)), state(2, Kind::Dir, 1, "d")],
    );
    let make = Op::Create(place(FileId(2), "f"));
    event(
        writer,
        2,
        3,
        make,
        vec![name(2, "f", Some(3)), state(3, Kind::File, 2, "f")],
    );
    write(writer, 3, 3, b"hello");
    let rename = Op::Rename {
        from: place(FileId::TOP, "d"),
        to: place(FileId::TOP, "e"),
        exchange: false,
    };
    let moved = vec![
        name(1, "d", None),
        name(1, "e", Some(2)),
        state(2, Kind::Dir, 1, "e"),
    ];
    event(writer, 4, 2, rename, moved);
    write(writer, 5, 3, b"world");
    let gone = Change::Node {
        file: FileId(3),
        node: node(Kind::File, Vec::new()),
    };
    let unlink = Op::Unlink(place(FileId(2), "f"));
    event(writer, 6, 3, unlink, vec![name(2, "f", None), gone]);
    create(writer, 7, 4, "e-f");
}

#[test]
fn a_snapshot_shows_the_tree_of_its_moment() {
    let bed = Bed::new();
    bed.record(story);
    let store = bed.store();
    let session = store.session(None).unwrap();
    let tree = |seq| {
        let snapshot = session.snapshot(Seq(seq)).unwrap();
        for entry in snapshot.entries() {
            assert_eq!(snapshot.find(&entry.path).unwrap().file, entry.file);
        }
        let names = snapshot.entries().iter().skip(1);
        names
            .map(|entry| String::from_utf8(entry.path.clone()).unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(tree(0), "");
    assert_eq!(tree(2), "d d/f");
    assert_eq!(tree(4), "e e/f");
    assert_eq!(tree(6), "e");
    assert_eq!(tree(7), "e e-f");
    assert_eq!(session.find(b"e/f", Seq(5)).unwrap(), Some(FileId(3)));
    assert_eq!(session.find(b"e/f", Seq(6)).unwrap(), None);
    assert_eq!(session.path_of(FileId(3), Seq(3)).unwrap().unwrap(), b"d/f");
    assert_eq!(session.path_of(FileId(3), Seq(7)).unwrap().unwrap(), b"e/f");
}

#[test]
fn events_are_shown_with_the_paths_of_their_moment() {
    let bed = Bed::new();
    bed.record(story);
    let store = bed.store();
    let session = store.session(None).unwrap();
    let mut paths = Paths::new(&session);
    let shown: Vec<_> = session
        .events(Seq(1), Seq(99))
        .map(|event| {
            let found = paths.resolve(&event.unwrap()).unwrap();
            let text = |path: Option<Vec<u8>>| String::from_utf8(path.unwrap_or_default()).unwrap();
            (text(found.path), text(found.to))
        })
        .collect();
    let expected = ["d", "d/f", "d/f", "d", "e/f", "e/f", "e-f"];
    let (path, to): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    assert_eq!(path, expected);
    assert_eq!(to, ["", "", "", "e", "", "", ""]);
    // From the middle, without having seen what came before.
    let mut late = Paths::new(&session);
    let event = session.event(Seq(5)).unwrap().unwrap();
    assert_eq!(late.resolve(&event).unwrap().path.unwrap(), b"e/f");
}
