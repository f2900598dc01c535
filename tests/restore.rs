//! `restore`: the directory becomes the tree of the instant, whatever was there before.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::{Env, Run, assert_tree_equal, knob, run};
use diffkeeper_demo::rng::Rng;

/// Something of everything, then a second state of it.
const FIRST: &str = "mkdir -p d/e empty; echo one > d/one; echo two > d/e/two; ln d/one twin; \
    ln -s d/one sym; mkfifo pipe; chmod 750 d; chmod 600 d/e/two; touch -d @1000 d/one";
const SECOND: &str = "rm sym; echo more >> d/one; mv d/e/two three; rmdir empty; mkdir empty; \
    rm twin; echo apart > twin; head -c 3000000 /dev/zero | tr '\\0' x > long; chmod 711 d";

fn restore(env: &Env, to: &Path, args: &[&str]) -> Run {
    run(env.command("restore").arg("--to").arg(to).args(args))
}

fn out(env: &Env) -> PathBuf {
    env.base().join("restored")
}

fn steps(done: &Run) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let step = |line: serde_json::Value| (text(&line["step"]), text(&line["path"]));
    done.json().into_iter().map(step).collect()
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

#[test]
fn from_nothing_over_itself_and_back_in_time() {
    let env = Env::new();
    env.sh(FIRST);
    env.sh(SECOND);
    let to = out(&env);
    for (session, when) in [
        ("1", "latest"),
        ("2", "latest"),
        ("2", "start"),
        ("2", "latest"),
    ] {
        let done = restore(
            &env,
            &to,
            &["--session", session, "--time", when, "--delete"],
        );
        done.expect(0);
        let exported = env.base().join("export");
        let mut export = env.command("export");
        export.args(["--session", session, "--time", when, "--out"]);
        run(export.arg(&exported)).expect(0);
        assert_tree_equal(&exported, &to);
        fs::remove_dir_all(&exported).unwrap();
    }
    assert_tree_equal(&env.tree(), &to);
}

#[test]
fn a_dry_run_says_what_will_happen_and_does_nothing() {
    let env = Env::new();
    env.sh(FIRST);
    let to = out(&env);
    let planned = restore(&env, &to, &["--dry-run", "--json"]);
    planned.expect(0);
    assert!(!to.exists());
    assert!(
        steps(&planned).iter().all(|(step, _)| step == "create"),
        "{planned}"
    );
    restore(&env, &to, &[]).expect(0);
    fs::write(to.join("d/one"), "ONE\n").unwrap();
    fs::write(to.join("stranger"), "").unwrap();
    fs::set_permissions(to.join("d/e/two"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(to.join("sym")).unwrap();
    let planned = restore(&env, &to, &["--dry-run", "--json", "--delete"]);
    planned.expect(0);
    let changes: Vec<_> = steps(&planned)
        .into_iter()
        .filter(|(step, _)| step != "keep")
        .map(|(step, path)| format!("{step} {path}"))
        .collect();
    // `d/one` is two names of one file: both lead to another one afterwards.
    let expected = [
        "adjust ",
        "replace d/one",
        "adjust d/e/two",
        "remove stranger",
        "create sym",
        "replace twin",
    ];
    let mut expected = expected.map(str::to_owned).to_vec();
    let mut found = changes.clone();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{planned}");
    assert!(to.join("stranger").exists());
    restore(&env, &to, &["--delete"]).expect(0);
    assert_tree_equal(&env.tree(), &to);
}

#[test]
fn what_is_right_is_not_written_again() {
    let env = Env::new();
    env.sh(FIRST);
    let to = out(&env);
    restore(&env, &to, &[]).expect(0);
    let before = ["d/one", "twin", "sym", "pipe", "d/e/two", "d"].map(|p| inode(&to.join(p)));
    fs::write(to.join("d/e/two"), "TWO\n").unwrap();
    // The content is right and the times are not: nothing is written either.
    run(std::process::Command::new("touch").arg(to.join("d/one"))).expect(0);
    let planned = restore(&env, &to, &["--dry-run", "--json"]);
    assert!(
        steps(&planned).contains(&("adjust".into(), "d/one".into())),
        "{planned}"
    );
    restore(&env, &to, &[]).expect(0);
    let after = ["d/one", "twin", "sym", "pipe", "d/e/two", "d"].map(|p| inode(&to.join(p)));
    assert_eq!(before[..4], after[..4]);
    assert_ne!(before[4], after[4]);
    assert_eq!(before[5], after[5]);
    assert_tree_equal(&env.tree(), &to);
}

/// A directory that is known to be untouched is not even compared; any touch undoes that.
#[test]
fn every_touch_is_noticed() {
    let env = Env::new();
    env.sh(FIRST);
    let to = out(&env);
    let settled = || {
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(50));
            restore(&env, &to, &["--delete"]).expect(0);
        }
        assert_tree_equal(&env.tree(), &to);
    };
    let touches = [
        "touch new",
        "rm twin",
        "mv d/one d/two",
        "chmod 700 d/one",
        "echo >> d/e/two",
        "rmdir empty",
        "ln -sfn elsewhere sym",
        "touch -d @5 pipe",
        "mkdir -p new/dir",
        "ln d/one d/three",
        "cp -p d/one x && cat x > d/one && rm x",
    ];
    for touch in touches {
        settled();
        let mut sh = std::process::Command::new("sh");
        run(sh.args(["-c", touch]).current_dir(&to)).expect(0);
        restore(&env, &to, &["--delete"]).expect(0);
        assert_tree_equal(&env.tree(), &to);
    }
    // Without --delete a stranger stays, and is still noticed when it has to go.
    fs::write(to.join("stranger"), "").unwrap();
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(50));
        restore(&env, &to, &[]).expect(0);
    }
    settled();
}

/// The size and the times of a file say nothing of its content.
#[test]
fn a_file_that_only_looks_right_is_replaced() {
    let env = Env::new();
    env.sh("echo right > f");
    let to = out(&env);
    restore(&env, &to, &[]).expect(0);
    // Long enough for the first restore's stamps to be worth something.
    std::thread::sleep(Duration::from_millis(50));
    restore(&env, &to, &[]).expect(0);
    let good = to.join("f");
    let times = fs::metadata(&good).unwrap().modified().unwrap();
    fs::write(&good, "wrong\n").unwrap();
    fs::File::options()
        .write(true)
        .open(&good)
        .unwrap()
        .set_modified(times)
        .unwrap();
    restore(&env, &to, &[]).expect(0);
    assert_eq!(fs::read_to_string(&good).unwrap(), "right\n");
}

#[test]
fn other_kinds_in_the_way_make_room() {
    let env = Env::new();
    env.sh(FIRST);
    let to = out(&env);
    fs::create_dir_all(to.join("twin/deep/er")).unwrap();
    fs::write(to.join("twin/deep/file"), "x").unwrap();
    fs::write(to.join("d"), "a file").unwrap();
    let outside = env.base().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    symlink(&outside, to.join("empty")).unwrap();
    let done = restore(&env, &to, &[]);
    done.expect(1);
    assert!(
        done.err().contains("twin: a directory is in its place"),
        "{done}"
    );
    assert!(to.join("twin/deep/file").exists());
    restore(&env, &to, &["--delete"]).expect(0);
    assert_tree_equal(&env.tree(), &to);
    assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn links_lead_where_they_led() {
    let env = Env::new();
    env.sh("echo same > a; echo same > b; echo three > c; ln c d; ln c e");
    let to = out(&env);
    restore(&env, &to, &[]).expect(0);
    // Together what was apart, and apart what was together.
    fs::remove_file(to.join("b")).unwrap();
    fs::hard_link(to.join("a"), to.join("b")).unwrap();
    fs::remove_file(to.join("c")).unwrap();
    fs::copy(to.join("d"), to.join("c")).unwrap();
    restore(&env, &to, &[]).expect(0);
    assert_tree_equal(&env.tree(), &to);
    // A further name outside keeps what it had.
    let outside = env.base().join("outside");
    fs::hard_link(to.join("a"), &outside).unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(&outside, "mine\n").unwrap();
    restore(&env, &to, &[]).expect(0);
    assert_tree_equal(&env.tree(), &to);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine\n");
    assert_eq!(fs::metadata(&outside).unwrap().mode() & 0o777, 0o777);
}

#[test]
fn what_was_left_out_of_the_recording_stays() {
    let env = Env::new();
    fs::create_dir_all(env.tree().join("target/debug")).unwrap();
    let state = env.tree().join("trace");
    let mut record = env.bare();
    record.args([
        "record",
        "--backend",
        "notify",
        "--exclude",
        "target",
        "--state-dir",
    ]);
    record.arg(&state).args(["--", "sh", "-ec", "echo f > f"]);
    run(&mut record).expect(0);
    fs::write(env.tree().join("target/debug/built"), "x").unwrap();
    fs::write(env.tree().join("stranger"), "x").unwrap();
    let mut restore = env.bare();
    restore
        .args(["restore", "--to", ".", "--delete", "--state-dir"])
        .arg(&state);
    run(&mut restore).expect(0);
    assert!(env.tree().join("target/debug/built").exists());
    assert!(!env.tree().join("stranger").exists());
    let mut verify = env.bare();
    run(verify.args(["verify", "--state-dir"]).arg(&state)).expect(0);
}

#[test]
fn refusals_touch_nothing() {
    let env = Env::new();
    env.sh("echo f > f");
    let link = env.base().join("link");
    symlink(env.tree(), &link).unwrap();
    let cases: [(&Path, &str); 3] = [
        (&link, "is not a directory"),
        (&env.tree().join("f"), "is not a directory"),
        (&env.state().join("db"), "inside the state directory"),
    ];
    for (to, why) in cases {
        let done = restore(&env, to, &["--delete"]);
        done.expect(2);
        assert!(done.err().contains(why), "{done}");
    }
    assert_eq!(fs::read_to_string(env.tree().join("f")).unwrap(), "f\n");
    run(&mut env.command("verify")).expect(0);
}

/// Killed at random moments and made again, it ends where it should; on the way every name
/// shows a whole file.
#[test]
fn a_killed_restore_is_made_again() {
    let env = Env::new();
    env.sh("for d in 1 2 3 4 5 6 7 8; do mkdir $d; for f in 1 2 3 4 5 6 7 8 9; do \
        head -c 40000 /dev/urandom > $d/$f; done; ln $d/1 $d/link; ln -s 1 $d/sym; done; chmod 500 3");
    let to = out(&env);
    fs::create_dir(&to).unwrap();
    let mut rng = Rng::new(knob("DIFFKEEPER_TEST_SEED", 0) + 5);
    let mut killed = 0;
    for _ in 0..knob("DIFFKEEPER_TEST_KILLS", 8) {
        let mut command = env.command("restore");
        command.arg("--to").arg(&to).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(rng.below(120_000)));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        for dir in fs::read_dir(&to).unwrap() {
            for file in fs::read_dir(dir.unwrap().path())
                .unwrap()
                .map(Result::unwrap)
            {
                let name = file.file_name().into_string().unwrap();
                if !name.starts_with(".diffkeeper-restore-") && name != "sym" {
                    assert_eq!(file.metadata().unwrap().len(), 40000, "{name}");
                }
            }
        }
    }
    assert!(killed > 0, "no restore was killed");
    restore(&env, &to, &[]).expect(0);
    assert_tree_equal(&env.tree(), &to);
}
