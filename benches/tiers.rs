//! What the tracepoint tier costs: a command's own time recorded, bare and under `strace -f`;
//! what the recorder adds to start and end; and what everybody else pays meanwhile.
//! Needs root, BTF and an ext4 below `target/`; `DIFFKEEPER_BENCH_ROUNDS=7` is the measure.
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

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Env, clean, missing, run};
use diffkeeper_ebpf::loader::Tier;
use diffkeeper_recorder::scope::Scope;
use diffkeeper_recorder::source::{Kernel, Source, Wishes};

/// A workload: its name, the programs it needs, what stands before, what is measured, and
/// the bound of recorded to bare. `$SELF` is this program.
type Workload = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    f64,
);

const WORKLOADS: [Workload; 4] = [
    (
        "cp -r /usr/include; rm -r",
        &[],
        "true",
        "cp -r /usr/include copy; rm -r copy",
        1.15,
    ),
    (
        "cargo build",
        &["cargo", "cc"],
        r#"mkdir -p c/src; cd c
        printf '[package]\nname="c"\nversion="0.1.0"\nedition="2021"\n[workspace]\n' > Cargo.toml
        for i in $(seq 40); do
          printf 'pub fn f%d(v: &[u64]) -> Vec<String> {
            v.iter().map(|x| format!("{x}")).collect() }\n' $i > src/m$i.rs; done
        for i in $(seq 40); do echo "mod m$i;"; done > src/main.rs
        echo 'fn main() { println!("{}", m1::f1(&[1]).len()); }' >> src/main.rs"#,
        "cd c; cargo build --offline -q 2>/dev/null",
        1.10,
    ),
    (
        "git clone",
        &["git"],
        "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a
        git init -q -b main origin; cd origin; for d in $(seq 30); do mkdir d$d
        for f in $(seq 50); do seq $((d * f)) > d$d/f$f; done; done; git add .; git commit -qm c",
        "git clone -q --no-hardlinks origin clone",
        1.15,
    ),
    (
        "300,000 writes of 100 B",
        &[],
        "true",
        "$SELF --writes 300000 100",
        4.0,
    ),
];

/// How a command is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Bare,
    Recorded,
    Traced,
}

/// The command's own seconds.
fn once(kept: &mut Vec<Env>, (before, script): (&str, &str), how: How) -> f64 {
    let env = Env::new();
    shell(&env.tree(), before);
    let time = env.base().join("time");
    let mut command = match how {
        How::Bare => Command::new("env"),
        How::Recorded => {
            let mut command = env.command("record");
            command.args(["--backend", "tracepoint", "--"]);
            command
        }
        How::Traced => {
            let mut command = Command::new("strace");
            command.args(["-f", "-o"]).arg(env.base().join("strace"));
            command
        }
    };
    clean(&mut command);
    command.env("SELF", std::env::current_exe().unwrap());
    side::clocked(command.current_dir(env.tree()), &time, script);
    run(&mut command).expect(0);
    let seconds = side::clocked_seconds(&time);
    // ext4 is slow for a while after a mass deletion.
    kept.push(env);
    seconds
}

fn shell(dir: &Path, script: &str) {
    let mut command = Command::new("sh");
    clean(&mut command);
    run(command.args(["-ec", script]).current_dir(dir)).expect(0);
}

fn slowdown(kept: &mut Vec<Env>) {
    let strace = missing(&["strace"]).is_none();
    let mut traced_lines = Vec::new();
    side::compare_head("the command's own time", "recorded", "bare");
    for (name, programs, before, script, bound) in WORKLOADS {
        if let Some(program) = missing(programs) {
            println!("{name:<28} SKIPPED: {program} is not installed");
            continue;
        }
        let (mut bare, mut recorded, mut traced) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..side::rounds() {
            bare.push(once(kept, (before, script), How::Bare));
            recorded.push(once(kept, (before, script), How::Recorded));
            if strace {
                traced.push(once(kept, (before, script), How::Traced));
            }
        }
        side::compare_line(name, &recorded, &bare, bound);
        if strace {
            traced_lines.push((name, recorded, bare, traced));
        }
    }
    if !strace {
        return println!("SKIPPED: strace is not installed");
    }
    println!("\ntimes cheaper than strace -f (what each adds), at least 4");
    for (name, recorded, bare, traced) in traced_lines {
        let bare = side::median(&bare);
        let adds = |times: &[f64]| side::median(times) - bare;
        let ratio = adds(&traced) / adds(&recorded).max(1e-9);
        let verdict = if ratio >= 4.0 { "ok" } else { "UNDER" };
        println!("{name:<28} {ratio:>8.1}  {verdict}");
    }
}

/// Load, attach, canary and detach.
fn start_and_end() {
    let mut took = Vec::new();
    for _ in 0..side::rounds() {
        let env = Env::new();
        std::fs::create_dir(env.state()).unwrap();
        let scope = Scope::new(&[env.tree()], &env.state(), &[]).unwrap();
        let (sink, facts) = crossbeam_channel::unbounded();
        let mut source = Kernel::new(
            Tier::Tracepoint,
            env.state().join("canary"),
            Wishes::default(),
        );
        took.push(side::seconds(|| {
            source.start(Arc::new(scope), sink).unwrap();
            source.sync(Duration::from_secs(10)).unwrap();
            source.stop();
        }));
        drop(facts);
    }
    println!();
    let ms = side::median(&took) * 1e3;
    side::at_most_line("load, attach, canary, detach", ms, "ms", 400.0);
}

/// A process outside the roots that does nothing but system calls.
fn elsewhere() {
    let this = std::env::current_exe().unwrap();
    let calls = || {
        let mut command = Command::new(&this);
        let done = run(command.args(["--calls", "2000000"]));
        done.expect(0);
        done.out().trim().parse::<f64>().unwrap() / 1e9
    };
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..side::rounds() {
        alone.push(calls());
        let env = Env::new();
        let mut command = env.command("record");
        command.args([
            "--backend",
            "tracepoint",
            "--",
            "sh",
            "-c",
            "echo > begun; read x",
        ]);
        let mut recorder = command
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        common::until("the recording", || env.tree().join("begun").exists());
        beside.push(calls());
        drop(recorder.stdin.take());
        recorder.wait().unwrap();
    }
    side::compare_head("outside the roots", "beside", "alone");
    side::compare_line("2,000,000 null system calls", &beside, &alone, 1.2);
}

/// `--writes COUNT LENGTH` and `--calls COUNT`: what is measured.
fn workload(args: &[String]) -> bool {
    let number = |at: usize| args[at].parse::<usize>().unwrap();
    match args.first().map(String::as_str) {
        Some("--writes") => {
            let mut file = File::create("written").unwrap();
            let bytes = vec![b'x'; number(2)];
            (0..number(1)).for_each(|_| file.write_all(&bytes).unwrap());
        }
        Some("--calls") => {
            let start = Instant::now();
            for _ in 0..number(1) {
                black_box(rustix::process::getppid());
            }
            println!("{}", start.elapsed().as_nanos());
        }
        _ => return false,
    }
    true
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if workload(&args) {
        return ExitCode::SUCCESS;
    }
    side::enter(|| {
        start_and_end();
        elsewhere();
        slowdown(&mut Vec::new());
    })
}
