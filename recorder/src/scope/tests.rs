//! Tests of the scope.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn scope(roots: &[&Path], state: &Path, excludes: &[&str]) -> Result<Scope, ScopeError> {
    let roots: Vec<PathBuf> = roots.iter().map(|root| root.to_path_buf()).collect();
    let excludes: Vec<String> = excludes.iter().map(ToString::to_string).collect();
    Scope::new(&roots, state, &excludes)
}

fn temp() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}

#[test]
fn nested_roots_are_absorbed_and_labels_are_unique() {
    let (_keep, top) = temp();
    for dir in ["a/x", "b/x", "c/x-2", "a/x/inner"] {
        fs::create_dir_all(top.join(dir)).unwrap();
    }
    let state = top.join("state");
    let inner = top.join("a/x/inner");
    let made = scope(&[&inner, &top.join("a/x")], &state, &[]).unwrap();
    assert_eq!(made.roots().len(), 1);
    assert_eq!(made.roots()[0].path, top.join("a/x"));
    assert!(made.roots()[0].label.is_empty());

    let made = scope(
        &[
            &top.join("a/x"),
            &top.join("b/x"),
            &inner,
            &top.join("c/x-2"),
        ],
        &state,
        &[],
    )
    .unwrap();
    let labels: Vec<&[u8]> = made.roots().iter().map(|root| &root.label[..]).collect();
    assert_eq!(labels, [&b"x"[..], b"x-2", b"x-2-2"]);
}

#[test]
fn paths_are_located_by_whole_names() {
    let (_keep, top) = temp();
    fs::create_dir_all(top.join("root")).unwrap();
    fs::create_dir_all(top.join("rooted")).unwrap();
    let made = scope(&[&top.join("root")], &top.join("state"), &[]).unwrap();
    assert_eq!(made.locate(&top.join("root/a/b")), Some((0, &b"a/b"[..])));
    assert_eq!(made.locate(&top.join("root")), Some((0, &b""[..])));
    assert_eq!(made.locate(&top.join("rooted/a")), None);
    assert_eq!(made.locate(&top), None);
    let whole = scope(&[Path::new("/")], &top.join("state"), &[]).unwrap();
    assert_eq!(whole.locate(Path::new("/etc")), Some((0, &b"etc"[..])));
    assert_eq!(whole.locate(Path::new("/")), Some((0, &b""[..])));
}

#[test]
fn the_state_directory_is_never_recorded_even_before_it_exists() {
    let (_keep, top) = temp();
    fs::create_dir_all(top.join("real")).unwrap();
    symlink(top.join("real"), top.join("link")).unwrap();
    let made = scope(&[&top], &top.join("link/not/yet"), &[]).unwrap();
    assert_eq!(made.state(), top.join("real/not/yet"));
    assert!(made.locate(&top.join("real/not")).is_some());
    assert_eq!(made.locate(&top.join("real/not/yet")), None);
    assert_eq!(made.locate(&top.join("real/not/yet/journal")), None);
    assert!(made.locate(&top.join("real/not/yet-more")).is_some());

    let made = scope(&[&top.join("real")], &top.join("real/../state"), &[]).unwrap();
    assert_eq!(made.state(), top.join("state"));
}

#[test]
fn bad_roots_are_refused_by_name() {
    let (_keep, top) = temp();
    fs::write(top.join("file"), "x").unwrap();
    let state = top.join("state");
    fs::create_dir_all(state.join("inner")).unwrap();
    let refused = |root: &Path| scope(&[root], &state, &[]).unwrap_err();
    assert!(matches!(
        refused(&top.join("absent")),
        ScopeError::Unreachable { .. }
    ));
    assert!(matches!(
        refused(&top.join("file")),
        ScopeError::NotADirectory(_)
    ));
    assert!(matches!(
        refused(&state.join("inner")),
        ScopeError::InsideState { .. }
    ));
    assert!(matches!(
        scope(&[], &state, &[]).unwrap_err(),
        ScopeError::Empty
    ));
    assert!(matches!(
        scope(&[&top], &state, &["a["]).unwrap_err(),
        ScopeError::Pattern(_)
    ));
}

#[test]
fn patterns_match_names_at_any_depth_or_paths_from_the_root() {
    let (_keep, top) = temp();
    let patterns = ["target/", "*.o", "/build", "docs/*.pdf", "a/**/z"];
    let made = scope(&[&top], &top.join("state"), &patterns).unwrap();
    let excluded = |path: &[u8]| made.excluded(path);
    assert!(excluded(b"target"));
    assert!(excluded(b"deep/er/target/debug/x"));
    assert!(!excluded(b"targets"));
    assert!(excluded(b"x/y.o"));
    assert!(excluded(b"odd\xff.o/below"));
    assert!(excluded(b"build/x"));
    assert!(!excluded(b"sub/build"));
    assert!(excluded(b"docs/a.pdf"));
    assert!(!excluded(b"docs/sub/a.pdf"));
    assert!(excluded(b"a/b/c/z/below"));
    assert!(!excluded(b""));
    assert!(made.covers(&top.join("src/main.rs")));
    assert!(!made.covers(&top.join("target/x")));
}
