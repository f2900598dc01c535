//! Directories that change their place.

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

fn renamed(from: PathBuf, to: PathBuf) -> Fact {
    Fact::Renamed { from, to }
}

#[test]
fn a_renamed_tree_is_told_by_its_new_paths() {
    let mut rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
        fs::create_dir_all(tree.join("a/sub/deep")).unwrap();
    });
    fs::rename(rig.at("a"), rig.at("b")).unwrap();
    let facts = rig.settle();
    let rename = index(&facts, &renamed(rig.at("a"), rig.at("b")));
    assert!(rename < index(&facts, &watched(rig.at("b"))));
    for dir in ["b", "b/sub", "b/sub/deep"] {
        let path = rig.at(dir).join("file");
        fs::write(&path, "x").unwrap();
        let expected = [CREATED, Hint::Modified].map(|hint| touched(&path, hint));
        assert_eq!(rig.settle(), expected);
    }
}

#[test]
fn a_rename_over_a_directory_keeps_the_watch() {
    let mut rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
        fs::create_dir_all(tree.join("a/sub")).unwrap();
        fs::create_dir_all(tree.join("b")).unwrap();
    });
    for _ in 0..50 {
        fs::rename(rig.at("a"), rig.at("b")).unwrap();
        fs::create_dir(rig.at("a")).unwrap();
        fs::rename(rig.at("b"), rig.at("a")).unwrap();
        fs::create_dir(rig.at("b")).unwrap();
    }
    rig.settle();
    fs::write(rig.at("b/x"), "x").unwrap();
    fs::write(rig.at("a/sub/x"), "x").unwrap();
    let facts = rig.settle();
    index(&facts, &touched(rig.at("b/x"), CREATED));
    index(&facts, &touched(rig.at("a/sub/x"), CREATED));
}

#[test]
fn an_exchange_is_two_renames_and_both_trees_stay_watched() {
    let mut rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
        fs::create_dir_all(tree.join("a/sub/of-a")).unwrap();
        fs::create_dir_all(tree.join("b/sub/of-b")).unwrap();
    });
    for round in 0..20 {
        let (from, to) = (rig.at("a"), rig.at("b"));
        renameat_with(CWD, &from, CWD, &to, RenameFlags::EXCHANGE).unwrap();
        let facts = rig.settle();
        let there = index(&facts, &renamed(from.clone(), to.clone()));
        let back = index(&facts, &renamed(to, from));
        assert!(there < back);
        let (of_a, of_b) = if round % 2 == 0 {
            ("b", "a")
        } else {
            ("a", "b")
        };
        let expected = [
            rig.at(of_a).join("sub/of-a/file"),
            rig.at(of_b).join("sub/of-b/file"),
        ];
        for path in &expected {
            fs::write(path, "x").unwrap();
        }
        let facts = rig.settle();
        for path in &expected {
            index(&facts, &touched(path, Hint::Modified));
        }
        let strays = facts
            .iter()
            .find(|fact| !matches!(fact, Fact::Touched { path, .. } if expected.contains(path)));
        assert_eq!(strays, None);
    }
}

#[test]
fn a_tree_that_leaves_falls_silent_and_one_that_comes_is_new() {
    let mut rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
        fs::create_dir_all(tree.join("a/sub")).unwrap();
    });
    fs::rename(rig.at("a"), rig.outside("a")).unwrap();
    let facts = rig.settle();
    assert_eq!(facts, [touched(rig.at("a"), Hint::MovedOut)]);
    fs::write(rig.outside("a/x"), "x").unwrap();
    fs::write(rig.outside("a/sub/x"), "x").unwrap();
    assert_eq!(rig.settle(), []);
    fs::rename(rig.outside("a"), rig.at("b")).unwrap();
    let facts = rig.settle();
    let expected = [touched(rig.at("b"), Hint::MovedIn), watched(rig.at("b"))];
    assert_eq!(facts, expected);
    fs::write(rig.at("b/sub/y"), "y").unwrap();
    index(&rig.settle(), &touched(rig.at("b/sub/y"), CREATED));
}

#[test]
fn a_file_that_leaves_is_told_without_a_sync() {
    let rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
        fs::write(tree.join("file"), "x").unwrap();
    });
    fs::rename(rig.at("file"), rig.outside("file")).unwrap();
    let told = rig.facts.recv_timeout(PATIENCE).unwrap();
    assert_eq!(told.fact, touched(rig.at("file"), Hint::MovedOut));
}

#[test]
fn a_directory_remade_at_once_is_watched() {
    let mut rig = Rig::new();
    for n in 0..200 {
        fs::create_dir_all(rig.at("dir/sub")).unwrap();
        if n < 199 {
            fs::remove_dir_all(rig.at("dir")).unwrap();
        }
    }
    rig.settle();
    fs::write(rig.at("dir/sub/x"), "x").unwrap();
    index(&rig.settle(), &touched(rig.at("dir/sub/x"), CREATED));
}

#[test]
fn a_root_that_goes_and_comes_back_is_watched_again() {
    let mut rig = Rig::new();
    let root = rig.top.join("tree");
    rig.settle();
    // The state directory lies in the root: it goes along and comes back.
    for _ in 0..3 {
        fs::rename(&root, rig.top.join("away")).unwrap();
        fs::write(rig.top.join("away/unseen"), "x").unwrap();
        fs::rename(rig.top.join("away"), &root).unwrap();
        let facts = rig.settle();
        index(&facts, &touched(&root, Hint::MovedOut));
        let seen_again = facts
            .iter()
            .any(|fact| *fact == watched(root.clone()) || *fact == touched(&root, Hint::MovedIn));
        assert!(seen_again, "{facts:#?}");
        fs::create_dir_all(rig.at("sub")).unwrap();
        fs::write(rig.at("sub/x"), "x").unwrap();
        let facts = rig.settle();
        assert!(
            facts.contains(&touched(rig.at("sub/x"), Hint::Modified))
                || facts.contains(&touched(rig.at("sub"), MADE)),
            "{facts:#?}"
        );
    }
}

#[test]
fn a_root_that_is_removed_and_remade_is_watched_again() {
    let keep = tempfile::tempdir().unwrap();
    let top = keep.path().canonicalize().unwrap();
    let root = top.join("tree");
    fs::create_dir_all(root.join("sub")).unwrap();
    let scope = Scope::new(std::slice::from_ref(&root), &top.join("state"), &[]).unwrap();
    let (sink, facts) = bounded(1 << 16);
    let mut rig = Rig {
        _keep: keep,
        source: Notify::new(top.join("state/canaries")),
        top,
        facts,
    };
    rig.source.start(Arc::new(scope), sink).unwrap();
    fs::remove_dir_all(&root).unwrap();
    let facts = rig.settle();
    index(&facts, &touched(&root, Hint::Removed { dir: true }));
    fs::create_dir(&root).unwrap();
    index(&rig.settle(), &touched(&root, MADE));
    fs::write(root.join("x"), "x").unwrap();
    index(&rig.settle(), &touched(root.join("x"), CREATED));
}
