//! Losses and refusals: each must be told.

use std::process::Command;

use ::notify::event::Flag;
use ::notify::{Event, EventHandler, EventKind};
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_uid;

use super::super::ear::{Ear, News};
use super::*;

const LOST: Fact = Fact::Lost {
    path: None,
    reason: GapReason::Overflow,
};

#[test]
fn an_overflow_is_told_after_everything_is_watched_again() {
    let mut rig = Rig::with(&[], 32, 8, |_| {});
    let facts = rig.facts.clone();
    // Nobody reads: the queue overflows for certain.
    for n in 0..200 {
        fs::create_dir(rig.at(&format!("dir-{n}"))).unwrap();
    }
    let reader = std::thread::spawn(move || {
        let told: Vec<Fact> = facts.iter().map(|observation| observation.fact).collect();
        told
    });
    rig.source.sync(PATIENCE).unwrap();
    // Each is watched, also those whose creation was lost.
    for n in 0..200 {
        fs::write(rig.at(&format!("dir-{n}/file")), "x").unwrap();
        rig.source.sync(PATIENCE).unwrap();
    }
    rig.source.stop();
    let told = reader.join().unwrap();
    let lost = index(&told, &LOST);
    for n in 0..200 {
        let file = rig.at(&format!("dir-{n}/file"));
        assert!(index(&told, &touched(&file, Hint::Modified)) > lost);
    }
}

#[test]
fn an_overflow_of_the_kernel_ends_the_hearing() {
    let keep = tempfile::tempdir().unwrap();
    let top = keep.path().canonicalize().unwrap();
    let scope = Scope::new(std::slice::from_ref(&top), &top.join("state"), &[]).unwrap();
    let (mut ear, hearing) = Ear::new(Arc::new(scope), top.join("state/canaries"), 8);
    let event = |kind| Event::new(kind).add_path(top.join("file"));
    let created = EventKind::Create(::notify::event::CreateKind::File);
    ear.handle_event(Ok(event(created)));
    ear.handle_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    ear.handle_event(Ok(event(created)));
    let first = hearing.queue.recv().unwrap();
    assert_eq!(first.news, News::Touched(top.join("file"), CREATED));
    assert!(hearing.queue.recv().is_err());
    assert_eq!(hearing.fault.get(), Some(&GapReason::Overflow));
}

#[test]
fn a_directory_that_may_not_be_read_is_told_once() {
    // The threads of the source inherit the user of the thread that starts it.
    let test = std::thread::spawn(|| {
        if geteuid().is_root() {
            set_thread_uid(Uid::from_raw(65534)).unwrap();
        }
        let mut rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
            fs::create_dir_all(tree.join("closed/sub")).unwrap();
            fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        });
        let unwatched = |path| Fact::Unwatched {
            path,
            reason: GapReason::Unreadable,
        };
        assert_eq!(rig.settle(), [unwatched(rig.at("closed"))]);
        fs::write(rig.at("open"), "x").unwrap();
        index(&rig.settle(), &touched(rig.at("open"), CREATED));
        fs::rename(rig.at("closed"), rig.at("moved")).unwrap();
        let facts = rig.settle();
        assert_eq!(
            facts
                .iter()
                .filter(|fact| **fact == unwatched(rig.at("moved")))
                .count(),
            1
        );
        fs::set_permissions(rig.at("moved"), fs::Permissions::from_mode(0o700)).unwrap();
    });
    test.join().unwrap();
}

/// Runs the next test where only 24 watches are to be had. The limit belongs to a user
/// namespace, so the machine does not notice.
#[test]
fn the_watch_limit_is_told_per_directory() {
    let script = "echo 24 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("source::notify::tests::limits::with_24_watches")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(told.contains("1 passed"), "{told}");
}

#[test]
#[ignore = "run by the_watch_limit_is_told_per_directory"]
fn with_24_watches() {
    let mut rig = Rig::with(&[], Notify::QUEUE, 1 << 16, |tree| {
        for n in 0..40 {
            fs::create_dir_all(tree.join(format!("dir-{n}"))).unwrap();
        }
    });
    let facts = rig.settle();
    let refused = |facts: &[Fact]| -> BTreeSet<PathBuf> {
        let path = |fact: &Fact| match fact {
            Fact::Unwatched {
                path,
                reason: GapReason::WatchLimit,
            } => path.clone(),
            other => panic!("{other:?}"),
        };
        facts.iter().map(path).collect()
    };
    // One watch each for the canaries and the root.
    assert_eq!(refused(&facts).len(), 40 - 22);
    assert_eq!(facts.len(), 40 - 22);
    fs::create_dir(rig.at("late")).unwrap();
    let mut facts = rig.settle();
    assert_eq!(facts.pop(), Some(watched(rig.at("late"))));
    assert_eq!(facts.pop(), Some(touched(rig.at("late"), MADE)));
    assert_eq!(refused(&facts), BTreeSet::from([rig.at("late")]));
}
