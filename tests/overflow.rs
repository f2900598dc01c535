//! The kernel gives up: its queue overflows, or its watches run out. The end stays exact, and the
//! timeline says that something was missed.
//!
//! The queue overflows because the recorder is stopped while the command writes on. The limit
//! `fs.inotify.max_queued_events` is left alone: it is one number for the whole machine, and root
//! lowers it for everybody even from inside a user namespace. `user.max_inotify_watches` belongs
//! to a namespace, so that one is lowered in a namespace of the test's own.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::process::{Command, Stdio};

use common::{EXE, Env, LIMIT, missing, run, run_for, skip, until};
use rustix::process::{Pid, Signal, kill_process};

/// The limits of the machine that no test may change.
fn limits() -> Vec<String> {
    [
        "/proc/sys/fs/inotify/max_queued_events",
        "/proc/sys/fs/inotify/max_user_watches",
        "/proc/sys/user/max_inotify_watches",
    ]
    .iter()
    .filter_map(|path| fs::read_to_string(path).ok())
    .collect()
}

fn gaps(env: &Env) -> usize {
    let events = env.timeline(&[]);
    events.iter().filter(|event| event["op"] == "gap").count()
}

#[test]
fn an_overflown_queue_is_a_gap_and_the_end_is_exact() {
    if common::backend() != "notify" {
        return skip("the queue is that of inotify");
    }
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
    let limit: u64 = limit.unwrap_or_default().trim().parse().unwrap_or(0);
    if limit == 0 || limit > 100_000 {
        return skip("the inotify queue is absent or too long to fill");
    }
    let env = Env::new();
    for name in ["d1", "d2"] {
        fs::create_dir(env.tree().join(name)).unwrap();
    }
    // Every file is at least a create, an open, a write and a close.
    let script = format!(
        "echo > ../ready; until [ -e ../go ]; do sleep 0.02; done
        i=0; while [ $i -lt {} ]; do echo $i > d1/$i; i=$((i+1)); done
        mkdir -p new/nested; echo deep > new/nested/file; mv d2 d3; rm d1/1; ln d1/2 d3/two
        echo > ../written; until [ -e ../end ]; do sleep 0.02; done; echo last > last",
        limit / 2
    );
    let mut command = env.recording();
    let log = fs::File::create(env.base().join("log")).unwrap();
    command
        .args(["sh", "-ec", &script])
        .stdin(Stdio::null())
        .stderr(log);
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    until("the command runs", || env.base().join("ready").exists());
    kill_process(pid, Signal::STOP).unwrap();
    fs::write(env.base().join("go"), "").unwrap();
    until("the burst", || env.base().join("written").exists());
    kill_process(pid, Signal::CONT).unwrap();
    fs::write(env.base().join("end"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(gaps(&env) > 0, "an overflow leaves a gap");
    env.assert_latest();
    let log = fs::read_to_string(env.base().join("log")).unwrap();
    assert!(log.contains("gap"), "the summary counts it: {log}");
}

#[test]
fn watches_that_run_out_are_a_gap_and_the_end_is_exact() {
    if common::backend() != "notify" {
        return skip("the watches are those of inotify");
    }
    let probe = "echo 60 > /proc/sys/user/max_inotify_watches";
    let mut unshare = Command::new("unshare");
    let possible = unshare.args(["-Ur", "sh", "-ec", probe]).status();
    if missing(&["unshare"]).is_some() || !possible.is_ok_and(|status| status.success()) {
        return skip("no user namespace of its own");
    }
    let before = limits();
    let env = Env::new();
    for i in 0..200 {
        fs::create_dir_all(env.tree().join(format!("d{i}/sub"))).unwrap();
        fs::write(env.tree().join(format!("d{i}/sub/file")), "stands").unwrap();
    }
    let script = format!("{probe}; exec \"$@\"");
    let change = "for i in $(seq 0 199); do echo $i >> d$i/sub/file; done; mkdir e; echo > e/f";
    let mut command = Command::new("unshare");
    common::clean(&mut command);
    command.args([
        "-Ur",
        "sh",
        "-ec",
        &script,
        "sh",
        EXE,
        "record",
        "--state-dir",
    ]);
    command.arg(env.state()).args(["--backend", "notify", "--"]);
    command.args(["sh", "-ec", change]).current_dir(env.tree());
    run_for(&mut command, LIMIT).expect(0);
    assert_eq!(limits(), before, "the machine's limits are untouched");
    assert!(gaps(&env) > 0, "unwatched directories leave a gap");
    env.assert_latest();
    run(&mut env.command("verify")).expect(0);
}
