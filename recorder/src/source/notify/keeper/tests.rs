//! Sequences that a real kernel produces too rarely to wait for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use crossbeam_channel::{bounded, unbounded};

use super::*;

/// In an exchange the notify crate may read the second half after a watch for the first
/// was set, and drops it with the name: it must be set once more.
#[test]
fn a_directory_whose_watch_was_dropped_under_it_is_watched_again() {
    let keep = tempfile::tempdir().unwrap();
    let top = keep.path().canonicalize().unwrap();
    let dir = top.join("tree/dir");
    let canaries = top.join("state");
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::create_dir_all(&canaries).unwrap();
    let scope = Scope::new(&[top.join("tree")], &canaries, &[]).unwrap();
    let (sink, facts) = unbounded();
    let (_stop, stopped) = bounded(0);
    let (done, _done) = unbounded();
    let ends = Ends {
        sink,
        stopped,
        done,
        asked: Arc::default(),
    };
    let mut keeper = Keeper::open(Arc::new(scope), canaries, 64, ends).unwrap();

    // What the crate does when it reads MOVED_FROM.
    keeper.watches.give_back(&dir);
    let held = [dir.clone(), dir.join("sub")];
    keeper.watches.mark_held(&held);
    for news in [News::Left(dir.clone(), 1), News::Canary(1)] {
        let heard = Heard {
            monotonic: monotonic(),
            news,
        };
        assert!(keeper.handle(heard).is_ok());
    }
    let timeless = |told: Observation| match told.fact {
        Fact::Watched { path, .. } => Fact::Watched { path, since: 0 },
        fact => fact,
    };
    let told: Vec<Fact> = facts.try_iter().map(timeless).collect();
    let out = Fact::Touched {
        path: dir.clone(),
        hint: Hint::MovedOut,
    };
    let watched = Fact::Watched {
        path: dir.clone(),
        since: 0,
    };
    assert_eq!(told, [out, watched, Fact::Synced(1)]);

    fs::write(dir.join("sub/file"), "x").unwrap();
    let heard = keeper.hearing.queue.recv_timeout(Duration::from_secs(60));
    let created = Hint::Created { dir: false };
    let expected = News::Touched(dir.join("sub/file"), created);
    assert_eq!(heard.unwrap().news, expected);
}
