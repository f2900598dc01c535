//! Trees compared with each other.

use diffkeeper_store::Change;
use diffkeeper_store::diff::{ChangeKind, compare};
use diffkeeper_store::model::{FileId, Kind, Op, Seq, SessionId};

use crate::{Bed, create, event, node, place, write};

fn listed(changes: &[diffkeeper_store::diff::TreeChange<'_>]) -> Vec<String> {
    let text = |change: &diffkeeper_store::diff::TreeChange<'_>| {
        let path = String::from_utf8_lossy(change.path()).into_owned();
        let from = match (change.kind, change.old) {
            (ChangeKind::Renamed, Some(old)) => {
                format!(" from {}", String::from_utf8_lossy(&old.path))
            }
            _ => String::new(),
        };
        let content = if change.content { " content" } else { "" };
        let meta = if change.meta.any() { " meta" } else { "" };
        format!("{} {path}{from}{content}{meta}", change.kind.word())
    };
    changes.iter().map(text).collect()
}

fn story(writer: &mut diffkeeper_store::SessionWriter<'_>) {
    for (file, name) in [
        (2, "same"),
        (3, "grows"),
        (4, "goes"),
        (5, "moves"),
        (6, "locked"),
        (7, "kind"),
    ] {
        create(writer, 1, file, name);
        write(writer, 1, file, name.as_bytes());
    }
    // 12 events so far.
    write(writer, 2, 3, b"grown");
    let named = |name: &str, child: Option<u64>| Change::Name {
        parent: FileId::TOP,
        name: name.into(),
        child: child.map(FileId),
    };
    event(
        writer,
        3,
        4,
        Op::Unlink(place(FileId::TOP, "goes")),
        vec![named("goes", None)],
    );
    let rename = Op::Rename {
        from: place(FileId::TOP, "moves"),
        to: place(FileId::TOP, "moved"),
        exchange: false,
    };
    event(
        writer,
        4,
        5,
        rename,
        vec![named("moves", None), named("moved", Some(5))],
    );
    let mut locked = node(Kind::File, vec![place(FileId::TOP, "locked")]);
    locked.mode = 0o400;
    let file = FileId(6);
    event(
        writer,
        5,
        6,
        Op::Chmod { mode: 0o400 },
        vec![Change::Node { file, node: locked }],
    );
    event(
        writer,
        6,
        7,
        Op::Unlink(place(FileId::TOP, "kind")),
        vec![named("kind", None)],
    );
    let link = Change::Node {
        file: FileId(8),
        node: node(Kind::Symlink, vec![place(FileId::TOP, "kind")]),
    };
    event(
        writer,
        6,
        8,
        Op::Symlink(place(FileId::TOP, "kind")),
        vec![named("kind", Some(8)), link],
    );
    create(writer, 7, 9, "comes");
}

#[test]
fn each_difference_is_told_once_and_in_order() {
    let bed = Bed::new();
    bed.record(story);
    let store = bed.store();
    let session = store.session(None).unwrap();
    let (a, b) = (
        session.snapshot(Seq(12)).unwrap(),
        session.snapshot(Seq(99)).unwrap(),
    );
    let changes = listed(&compare(&a, &b));
    let expected = [
        "added comes",
        "removed goes",
        "modified grows content",
        "type-changed kind",
        "meta locked meta",
        "renamed moved from moves",
    ];
    assert_eq!(changes, expected);
    assert!(compare(&a, &a).is_empty());
    let back = listed(&compare(&b, &a));
    assert!(
        back.contains(&"renamed moves from moved".to_owned()),
        "{back:?}"
    );
}

#[test]
fn sessions_are_compared_by_path_and_digest() {
    let bed = Bed::new();
    bed.record(story);
    bed.record(|writer| {
        // Other identities, in another order.
        for (file, name) in [(9, "same"), (8, "grows"), (5, "moves")] {
            create(writer, 1, file, name);
            write(writer, 1, file, name.as_bytes());
        }
    });
    let store = bed.store();
    let first = store.session(Some(SessionId(1))).unwrap();
    let second = store.session(Some(SessionId(2))).unwrap();
    let (a, b) = (
        first.snapshot(Seq(99)).unwrap(),
        second.snapshot(Seq(99)).unwrap(),
    );
    let changes = listed(&compare(&a, &b));
    let expected = [
        "removed comes",
        "modified grows content",
        "removed kind",
        "removed locked",
        "removed moved",
        "added moves",
    ];
    assert_eq!(changes, expected);
}
