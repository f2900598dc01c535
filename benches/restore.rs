//! How fast a directory comes back: 1 GiB in 5,000 files against `cp -a`, the same when
//! nothing changed against `find -printf`, a state of 61 files and 10 MB; and what a
//! recorder costs while nothing is written.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "benchmarks"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod side;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{Env, assert_tree_equal, backend, clean, run};
use diffkeeper_demo::rng::Rng;

/// Fills the tree with `files` files of `len` bytes, the half of each random.
fn fill(env: &Env, files: usize, len: usize) {
    let mut rng = Rng::new(1);
    for number in 0..files {
        let dir = env.tree().join(format!("d{}", number / 100));
        fs::create_dir_all(&dir).unwrap();
        let mut content = rng.bytes(len / 2);
        content.resize(len, b'x');
        fs::write(dir.join(format!("f{number}")), content).unwrap();
    }
}

/// The seconds that a command takes, with nothing of others left to be written to the disk.
fn alone(command: &mut Command) -> f64 {
    rustix::fs::sync();
    side::seconds(|| run(command).expect(0))
}

fn restore(env: &Env, to: &Path) -> f64 {
    let mut command = env.command("restore");
    command.arg("--delete").arg("--to").arg(to);
    alone(&mut command)
}

/// Restore against copy, in turn, each into a fresh directory.
fn from_nothing() {
    let env = Env::new();
    fill(&env, 5000, (1 << 30) / 5000);
    env.sh("true");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let to = |round| env.base().join(format!("restored-{round}"));
    for round in 0..side::rounds() {
        for turn in [round % 2, (round + 1) % 2] {
            if turn == 0 {
                let mut cp = Command::new("cp");
                cp.arg("-a")
                    .arg(env.tree())
                    .arg(env.base().join(format!("cp-{round}")));
                theirs.push(alone(&mut cp));
            } else {
                ours.push(restore(&env, &to(round)));
            }
        }
    }
    assert_tree_equal(&env.tree(), &to(0));
    side::compare_line("1 GiB, 5,000 files / cp -a", &ours, &theirs, 1.2);
    unchanged(&env, &to(0));
}

/// Nothing changed since the last restore.
fn unchanged(env: &Env, to: &Path) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    sleep(Duration::from_millis(100));
    // Leaves stamps for this directory.
    restore(env, to);
    for _ in 0..side::rounds() * 3 {
        ours.push(restore(env, to));
        let mut find = Command::new("find");
        find.arg(to)
            .args(["-printf", "%p %y %m %U %G %s %T@ %C@ %l\\n"]);
        theirs.push(alone(&mut find));
    }
    side::compare_line("nothing changed / find -printf", &ours, &theirs, 2.0);
}

/// Beside what `cp -a` takes for it, which is the floor of this machine and hour.
fn small() {
    let env = Env::new();
    fill(&env, 61, 10_000_000 / 61);
    env.sh("true");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..side::rounds() * 5 {
        ours.push(restore(&env, &env.base().join(format!("small-{round}"))));
        let mut cp = Command::new("cp");
        cp.arg("-a").arg(env.tree());
        cp.arg(env.base().join(format!("small-cp-{round}")));
        theirs.push(alone(&mut cp));
    }
    side::at_most_line("61 files, 10 MB", side::median(&ours) * 1e3, "ms", 20.0);
    let theirs = side::median(&theirs) * 1e3;
    println!("{:<44} {theirs:>8.1} ms", "the same by cp -a");
}

/// Resident memory of a process, MB, as the kernel counts it page by page.
fn resident(pid: u32) -> f64 {
    let kib = side::kib(&format!("/proc/{pid}/smaps_rollup"), "Rss:");
    kib.unwrap() * 1024.0 / 1e6
}

fn idle() {
    let env = Env::new();
    fill(&env, 1000, 10_000);
    let mut command = Command::new(common::EXE);
    clean(&mut command);
    command
        .args(["run", "--backend", &backend(), "--state-dir"])
        .arg(env.state());
    command
        .arg("--watch")
        .arg(env.tree())
        .args(["--metrics-addr", "127.0.0.1:0"]);
    command.args(["--", "sleep", "70"]).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    sleep(Duration::from_secs(5));
    let before = side::processor_seconds(child.id()).unwrap();
    sleep(Duration::from_secs(60));
    let used = side::processor_seconds(child.id()).unwrap() - before;
    side::at_most_line("processor while idle, 60 s", used / 60.0 * 100.0, "%", 0.2);
    let resident = resident(child.id());
    side::at_most_line("memory while idle, 1,000 files", resident, "MB", 40.0);
    let peak = side::peak_rss(&mut child);
    println!(
        "{:<44} {peak:>8.1} MiB",
        "its peak, while they were first read"
    );
}

fn main() -> ExitCode {
    side::enter(|| {
        // First: what the large tree leaves to the disk would be met by the small one.
        small();
        side::compare_head("restoring", "ours", "theirs");
        from_nothing();
        idle();
    })
}
