//! A day of history in a minute: a million events under `run --keep 1000`. How much the state
//! directory takes as time goes by, and how long it takes to open afterwards.
//! `DIFFKEEPER_BENCH_EVENTS` (1000000) changes how many.
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
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{Env, assert_tree_equal, backend, clean, knob, run};

/// Changes a second: file notifications come through without an overflow.
const RATE: u64 = 20_000;

/// `--changes COUNT`: files that are written and moved, in turn.
fn workload(args: &[String]) -> bool {
    let [what, count] = args else { return false };
    if what != "--changes" {
        return false;
    }
    let count: u64 = count.parse().unwrap();
    for number in 0..count {
        let (from, to) = (format!("a{}", number % 50), format!("b{}", number % 50));
        match number / 50 % 4 {
            0 => fs::write(&from, format!("state {number}\n")).unwrap(),
            1 => fs::rename(&from, &to).unwrap(),
            2 => fs::rename(&to, &from).unwrap(),
            _ => fs::remove_file(&from).unwrap(),
        }
        if number % 200 == 199 {
            sleep(Duration::from_millis(200 * 1000 / RATE));
        }
    }
    true
}

/// Bytes on the disk; files may come and go meanwhile.
fn usage(env: &Env) -> u64 {
    let mut command = Command::new("du");
    let done = command.args(["-sk"]).arg(env.state()).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let kib = text.split_whitespace().next().and_then(|n| n.parse().ok());
    kib.unwrap_or(0_u64) << 10
}

fn a_day() {
    let env = Env::new();
    let events = knob("DIFFKEEPER_BENCH_EVENTS", 1_000_000);
    let mut command = Command::new(common::EXE);
    clean(&mut command);
    command.args(["run", "--keep", "1000", "--backend", &backend()]);
    command.arg("--state-dir").arg(env.state());
    command.arg("--watch").arg(env.tree()).arg("--");
    command.arg(std::env::current_exe().unwrap());
    command.args(["--changes", &events.to_string()]);
    command.current_dir(env.tree()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut used = Vec::new();
    while child.try_wait().unwrap().is_none() {
        used.push(usage(&env));
        sleep(Duration::from_millis(500));
    }
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0) as f64;
    let (early, late) = used.split_at(used.len() / 2);
    let session = env.json("sessions", &[]).pop().unwrap();
    let seen = session["events"].as_u64().unwrap() + session["dropped"].as_u64().unwrap();
    println!("\n{seen} events recorded, {} of them gaps", session["gaps"]);
    println!(
        "most on disk: {:.1} MB, the journals included",
        most(&used) / 1e6
    );
    side::at_most_line("late / early", most(late) / most(early), "x", 1.1);
    let opened = |_| side::seconds(|| run(&mut env.command("sessions")).expect(0));
    let times: Vec<f64> = (0..15).map(opened).collect();
    side::at_most_line("opening it again", side::median(&times) * 1e3, "ms", 200.0);
    println!("closed it takes {:.1} MB", usage(&env) as f64 / 1e6);
    run(&mut env.command("verify")).expect(0);
    assert_tree_equal(&env.tree(), &env.export("latest"));
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if workload(&args) {
        return ExitCode::SUCCESS;
    }
    side::enter(a_day)
}
