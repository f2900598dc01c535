//! kill -9 of the recorder at random moments: the store opens, passes `verify`, shows a state that
//! existed, holds all but the last moment, and takes a further recording.
//!
//! `DIFFKEEPER_TEST_KILLS` (8) is the number of rounds, `DIFFKEEPER_TEST_SEED` (0) moves the
//! moments, `DIFFKEEPER_TEST_GRACE_MS` (2000) is how old a change must be to have to be there.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Env, assert_tree_equal, demo, knob, run, until};
use diffkeeper_demo::counting::reached;
use diffkeeper_demo::rng::Rng;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// What was there when: the number reached, and the moment it was looked at.
type Samples = Vec<(Instant, u64)>;

/// Starts a recorder over the counting workload; stops it and then the workload `lifetime` after
/// its own start, or after that of the workload.
fn record_and_kill(env: &Env, lifetime: Duration, begun: bool) -> (Instant, Samples) {
    let pid_file = env.base().join("pid");
    let mut command = env.recording();
    command.arg(demo("counting-workload")).arg("--pid-file");
    command
        .arg(&pid_file)
        .args(["--count", "1000000", "--pause", "2000"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut recorder = command.spawn().unwrap();
    if begun {
        until("the workload begins", || pid_file.exists());
    }
    let (start, mut samples) = (Instant::now(), Samples::new());
    while start.elapsed() < lifetime {
        samples.push((Instant::now(), numbers(env)));
        sleep(Duration::from_millis(20));
    }
    assert_eq!(recorder.try_wait().unwrap(), None, "still recording");
    recorder.kill().unwrap();
    let killed = Instant::now();
    recorder.wait().unwrap();
    stop_workload(&pid_file);
    (killed, samples)
}

/// How many numbered files stand in the tree.
fn numbers(env: &Env) -> u64 {
    let named = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"n-");
    let entries = fs::read_dir(env.tree()).unwrap().map(Result::unwrap);
    entries.filter(named).count() as u64
}

/// Ends the workload that the recorder left behind, if it had come so far.
fn stop_workload(pid_file: &std::path::Path) {
    let Some(pid) = fs::read_to_string(pid_file)
        .ok()
        .and_then(|text| text.parse().ok())
    else {
        return;
    };
    let pid = Pid::from_raw(pid).unwrap();
    if kill_process(pid, Signal::KILL).is_ok() {
        until("the workload ends", || {
            test_kill_process(pid).is_err() || is_zombie(pid)
        });
    }
    fs::remove_file(pid_file).unwrap();
}

/// Whether a process has ended and nobody has asked yet how: as for an orphan in a container
/// whose first process asks nobody.
fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

/// The trace after a kill; gives the number that its end shows.
fn judge(env: &Env, at_least: u64, at_most: u64) -> u64 {
    run(&mut env.command("verify")).expect(0);
    let sessions = env.json("sessions", &[]);
    if sessions.is_empty() {
        assert_eq!(at_least, 0, "no session, though changes were old enough");
        return 0;
    }
    env.timeline(&[]);
    let shown = reached(&env.export("latest")).unwrap();
    assert!(
        (at_least..=at_most).contains(&shown),
        "{shown} shown, at least {at_least} and at most {at_most} expected"
    );
    shown
}

#[test]
fn a_killed_recorder_leaves_a_prefix() {
    let mut rng = Rng::new(0x6b69_6c6c + knob("DIFFKEEPER_TEST_SEED", 0));
    let grace = Duration::from_millis(knob("DIFFKEEPER_TEST_GRACE_MS", 2000));
    let mut most = 0;
    for round in 0..knob("DIFFKEEPER_TEST_KILLS", 8) {
        let env = Env::new();
        // Half of the moments fall into the start, the baseline and the first commits.
        let span = if round % 2 == 0 { 600 } else { 4000 };
        let lifetime = Duration::from_millis(rng.below(span));
        let (killed, samples) = record_and_kill(&env, lifetime, round % 2 == 1);
        if !env.state().exists() {
            continue;
        }
        let old = |(at, _): &&(Instant, u64)| *at + grace < killed;
        let at_least = samples
            .iter()
            .rev()
            .find(old)
            .map_or(0, |(_, number)| *number);
        let shown = judge(&env, at_least, numbers(&env));
        eprintln!("round {round}: {lifetime:?}, {shown} of {}", numbers(&env));
        most = most.max(shown);
        env.sh("rm -f n-*; echo further > further");
        env.assert_latest();
        run(&mut env.command("verify")).expect(0);
    }
    assert!(most > 0, "no round recorded anything");
}

#[test]
fn sessions_before_the_kill_stay_whole() {
    let env = Env::new();
    env.sh("mkdir d; echo first > d/f; ln d/f twin");
    let before = env.export("latest");
    let mut rng = Rng::new(7);
    for _ in 0..3 {
        record_and_kill(&env, Duration::from_millis(200 + rng.below(800)), false);
        let out = env.base().join(format!("first-{}", rng.next_u64()));
        let mut export = env.command("export");
        export.args(["--session", "1", "--out"]).arg(&out);
        run(&mut export).expect(0);
        assert_tree_equal(&before, &out);
    }
    env.sh("echo after > d/f");
    env.assert_latest();
    run(&mut env.command("verify")).expect(0);
}
