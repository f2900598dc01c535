//! More than the recorder can follow: whoever writes is held back, nothing is lost without a
//! gap, and nobody stays stopped, whatever becomes of the recorder. Needs the tracepoint tier.
//!
//! `DIFFKEEPER_TEST_BURST_MIB` (48) is how much is written in writes of 4 KiB,
//! `DIFFKEEPER_TEST_KILLS` (8) the number of recorders that are killed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Env, kernel_bed, kernel_tier, knob, missing, run, run_for, skip, until};
use diffkeeper_demo::rng::Rng;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A recording with as small a ring as there is.
fn recording(env: &Env) -> Command {
    let mut command = env.command("record");
    command.args(["--backend", kernel_tier(), "--ring-size", "256KiB", "--"]);
    command
}

fn pages() -> u64 {
    knob("DIFFKEEPER_TEST_BURST_MIB", 48) * 256
}

fn dd(of: &str) -> Vec<String> {
    let count = format!("count={}", pages());
    ["dd", "if=/dev/urandom", "bs=4k", "status=none", &count, of]
        .map(str::to_owned)
        .to_vec()
}

/// Every write is there, or a gap says that some are not; gives how many are.
fn judge(env: &Env) -> u64 {
    env.assert_latest();
    run(&mut env.command("verify")).expect(0);
    let writes = env.timeline(&["--filter", "op:write path:file provenance:captured"]);
    let gaps = env.timeline(&["--filter", "op:gap"]);
    let lost = gaps.iter().filter(|gap| gap["reason"] == "ring-full");
    if lost.count() == 0 {
        assert_eq!(gaps, Vec::<serde_json::Value>::new());
        assert_eq!(writes.len() as u64, pages());
    }
    writes.len() as u64
}

#[test]
fn a_burst_is_held_back_and_loses_nothing() {
    let Some(env) = kernel_bed() else { return };
    let limit = Duration::from_secs(1200);
    run_for(recording(&env).args(dd("of=file")), limit).expect(0);
    assert_eq!(judge(&env), pages(), "nobody was held back in time");
}

/// The recorder itself is stopped for moments, which fills the ring: the watchdog then lets
/// the writer go on, and what is lost is a gap.
#[test]
fn a_recorder_that_is_stopped_loses_nothing_silently() {
    let Some(env) = kernel_bed() else { return };
    let mut recorder = recording(&env)
        .args(dd("of=file"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&recorder);
    let start = Instant::now();
    while recorder.try_wait().unwrap().is_none() {
        let round = start.elapsed() < Duration::from_secs(6) && env.tree().join("file").exists();
        if round && kill_process(pid, Signal::STOP).is_ok() {
            sleep(Duration::from_millis(700));
            kill_process(pid, Signal::CONT).unwrap();
        }
        sleep(Duration::from_millis(100));
    }
    assert!(recorder.wait().unwrap().success());
    judge(&env);
}

/// Under a shell with job control the recorder follows the command into a stop, but not into
/// one of its own making.
#[test]
fn the_recorders_own_stops_are_not_taken_for_the_users() {
    let Some(env) = kernel_bed() else { return };
    if let Some(program) = missing(&["bash"]) {
        return skip(&format!("{program} is not installed"));
    }
    let inner = recording(&env);
    let mut shell = Command::new("bash");
    shell.args(["-c", "set -m; \"$@\"; echo status $?", "bash"]);
    shell.arg(inner.get_program()).args(inner.get_args());
    shell.args(dd("of=file")).current_dir(env.tree());
    common::clean(&mut shell);
    let done = run_for(&mut shell, Duration::from_secs(1200));
    assert_eq!(done.out(), "status 0\n", "{done}");
    judge(&env);
}

/// The states of all processes of a group.
fn states(group: Pid) -> Vec<char> {
    let group = group.as_raw_nonzero().to_string();
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let of_group = |stat: String| {
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let state = fields.next()?.chars().next()?;
        (fields.nth(1)? == group).then_some(state)
    };
    stats.filter_map(of_group).collect()
}

#[test]
fn a_killed_recorder_leaves_nobody_stopped() {
    let mut rng = Rng::new(0x7374_6f70 + knob("DIFFKEEPER_TEST_SEED", 0));
    let mut stopped = 0;
    for round in 0..knob("DIFFKEEPER_TEST_KILLS", 8) {
        let Some(env) = kernel_bed() else { return };
        let load = "for i in 1 2 3; do dd if=/dev/zero bs=4k of=f$i status=none & done; wait";
        let mut recorder = recording(&env)
            .args(["sh", "-c", load])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let group = Pid::from_child(&recorder);
        until("the load begins", || env.tree().join("f3").exists());
        sleep(Duration::from_millis(rng.below(1500)));
        recorder.kill().unwrap();
        let held = states(group).contains(&'T');
        recorder.wait().unwrap();
        stopped += u64::from(held);
        until("everybody runs", || !states(group).contains(&'T'));
        // Nobody stops them any more, either.
        sleep(Duration::from_millis(50));
        let after = states(group);
        assert!(!after.is_empty() && !after.contains(&'T'), "{after:?}");
        kill_process_group(group, Signal::KILL).unwrap();
        until("the load ends", || states(group).iter().all(|s| *s == 'Z'));
        run(&mut env.command("verify")).expect(0);
        env.timeline(&["--limit", "10"]);
        eprintln!("round {round}: held back: {held}");
    }
    assert!(stopped > 0, "no round held anybody back");
}
