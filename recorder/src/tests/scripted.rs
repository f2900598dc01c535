//! With a script for a source: stale, doubled, missing and misleading announcements.

use std::fs;

use diffkeeper_store::model::GapReason;

use super::bed::Bed;
use crate::observation::{Fact, Hint};
use crate::source::{Script, Scripted};

fn touched(bed: &Bed, name: &str, hint: Hint) -> Fact {
    let path = bed.root().canonicalize().unwrap().join(name);
    Fact::Touched { path, hint }
}

fn renamed(bed: &Bed, from: &str, to: &str) -> Fact {
    let root = bed.root().canonicalize().unwrap();
    Fact::Renamed {
        from: root.join(from),
        to: root.join(to),
    }
}

const FILE: Hint = Hint::Created { dir: false };
const GONE: Hint = Hint::Removed { dir: false };

/// Plays facts after `act` has changed the root.
fn play(bed: &Bed, act: impl Fn(&std::path::Path), facts: Vec<Fact>) {
    let mut script = Script::new().rest();
    for fact in facts {
        script = script.fact(fact);
    }
    let mut source = Scripted::new(script);
    bed.record_from(&mut source, |root| act(root));
}

#[test]
fn a_change_that_nothing_announced_is_found_and_is_a_gap() {
    let bed = Bed::new();
    fs::write(bed.root().join("f"), "before").unwrap();
    play(
        &bed,
        |root| fs::write(root.join("f"), "after!").unwrap(),
        vec![],
    );
    bed.assert_exact();
    assert_eq!(bed.story(), ["exec", "exit", "write f", "gap f"]);
}

#[test]
fn a_file_that_came_and_went_is_told_with_its_loss() {
    let bed = Bed::new();
    let facts = vec![
        touched(&bed, "tmp", FILE),
        touched(&bed, "tmp", Hint::Modified),
        touched(&bed, "tmp", GONE),
        touched(&bed, "empty", FILE),
        touched(&bed, "empty", GONE),
    ];
    play(&bed, |_| {}, facts);
    bed.assert_exact();
    let expected = [
        "exec",
        "create tmp",
        "gap tmp",
        "unlink tmp",
        "create empty",
        "unlink empty",
        "exit",
    ];
    assert_eq!(bed.story(), expected);
    assert_eq!(bed.gaps(), 1);
}

#[test]
fn an_atomic_replace_is_told_although_the_temporary_was_never_seen() {
    let bed = Bed::new();
    fs::write(bed.root().join("f"), "one").unwrap();
    let facts = vec![
        touched(&bed, "f.tmp", FILE),
        touched(&bed, "f.tmp", Hint::Modified),
        touched(&bed, "f.tmp", Hint::Closed),
        renamed(&bed, "f.tmp", "f"),
    ];
    let act = |root: &std::path::Path| {
        fs::write(root.join("f.tmp"), "two").unwrap();
        fs::rename(root.join("f.tmp"), root.join("f")).unwrap();
    };
    play(&bed, act, facts);
    bed.assert_exact();
    let expected = [
        "exec",
        "create f.tmp",
        "write f.tmp",
        "rename f.tmp f",
        "exit",
    ];
    assert_eq!(bed.story(), expected);
}

#[test]
fn no_state_shows_a_replaced_file_with_a_content_it_never_had() {
    let bed = Bed::new();
    fs::write(bed.root().join("f"), "one").unwrap();
    let root = bed.root().canonicalize().unwrap();
    let (tmp, f) = (root.join("f.tmp"), root.join("f"));
    let write = {
        let tmp = tmp.clone();
        move |_: &crate::scope::Scope| {
            fs::write(&tmp, "").unwrap();
        }
    };
    let replace = move |_: &crate::scope::Scope| {
        fs::write(&tmp, "two").unwrap();
        fs::rename(&tmp, &f).unwrap();
    };
    // The temporary is seen empty; what was written into it is seen at its new name.
    let script = Script::new()
        .rest()
        .act(write)
        .fact(touched(&bed, "f.tmp", FILE))
        .rest()
        .act(replace)
        .fact(touched(&bed, "f.tmp", Hint::Modified))
        .fact(renamed(&bed, "f.tmp", "f"));
    let mut source = Scripted::new(script);
    bed.record_from(&mut source, |_| {});
    bed.assert_exact();
    bed.read(|session| {
        for seq in 0..=session.progress().last_seq.0 {
            let snapshot = session.snapshot(diffkeeper_store::model::Seq(seq)).unwrap();
            let entry = snapshot.find(b"f").unwrap();
            let mut content = session.content(entry.content().unwrap()).unwrap();
            let bytes = content.to_vec(99).unwrap().unwrap();
            assert!(bytes == b"one" || bytes == b"two", "#{seq}: {bytes:?}");
        }
    });
}

#[test]
fn an_exchange_is_one_event() {
    let bed = Bed::new();
    fs::write(bed.root().join("a"), "A").unwrap();
    fs::write(bed.root().join("b"), "B").unwrap();
    let act = |root: &std::path::Path| {
        let (a, b) = (root.join("a"), root.join("b"));
        let exchange = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(rustix::fs::CWD, a, rustix::fs::CWD, b, exchange).unwrap();
    };
    let facts = vec![renamed(&bed, "a", "b"), renamed(&bed, "b", "a")];
    play(&bed, act, facts);
    bed.assert_exact();
    assert_eq!(bed.story(), ["exec", "rename a b", "exit"]);
}

#[test]
fn an_overflow_is_a_gap_and_the_tree_is_looked_at() {
    let bed = Bed::new();
    fs::write(bed.root().join("stays"), "x").unwrap();
    let lost = Fact::Lost {
        path: None,
        reason: GapReason::Overflow,
    };
    let act = |root: &std::path::Path| {
        fs::create_dir(root.join("d")).unwrap();
        fs::rename(root.join("stays"), root.join("d/moved")).unwrap();
    };
    play(&bed, act, vec![lost]);
    bed.assert_exact();
    let expected = ["exec", "gap ", "mkdir d", "rename stays d/moved", "exit"];
    assert_eq!(bed.story(), expected);
}

#[test]
fn stale_announcements_change_nothing() {
    let bed = Bed::new();
    let facts = vec![
        touched(&bed, "d", Hint::Created { dir: true }),
        // The scan of the new directory saw the end; what led there comes late.
        touched(&bed, "d/f", FILE),
        touched(&bed, "d/f", GONE),
        touched(&bed, "d/f", FILE),
        renamed(&bed, "d/x", "d/f"),
        touched(&bed, "d/f", Hint::Attributes),
        touched(&bed, "elsewhere/f", FILE),
    ];
    let act = |root: &std::path::Path| {
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/f"), "content").unwrap();
    };
    play(&bed, act, facts);
    bed.assert_exact();
    assert_eq!(
        bed.story(),
        ["exec", "mkdir d", "create d/f", "write d/f", "exit"]
    );
}
