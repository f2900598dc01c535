//! What recording costs: the command's own time recorded against bare, the time that `record`
//! adds before and after, and the recorder's peak memory.
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

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use common::{Env, clean, missing, run};

/// A workload: its name, the programs it needs, what stands before, what is measured.
type Workload = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const WORKLOADS: [Workload; 4] = [
    ("cp -r /usr/include", &[], "true", "cp -r /usr/include copy"),
    (
        "git clone",
        &["git"],
        "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a
        git init -q -b main origin; cd origin; for d in $(seq 30); do mkdir d$d
        for f in $(seq 50); do seq $((d * f)) > d$d/f$f; done; done; git add .; git commit -qm c",
        "git clone -q --no-hardlinks origin clone",
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
    ),
    (
        "10k small files",
        &[],
        "true",
        "for d in $(seq 100); do mkdir d$d; for f in 0 1 2 3 4 5 6 7 8 9; do
        for g in 0 1 2 3 4 5 6 7 8 9; do echo $d.$f.$g > d$d/$f$g; done; done; done",
    ),
];

/// Every directory of the run, kept to its end: ext4 is slow for a while after a mass deletion.
type Kept = Vec<Env>;

fn prepared<'a>(kept: &'a mut Kept, before: &str) -> &'a Env {
    let env = Env::new();
    shell(&env.tree(), before);
    kept.push(env);
    &kept[kept.len() - 1]
}

fn shell(dir: &Path, script: &str) {
    let mut command = Command::new("sh");
    clean(&mut command);
    run(command.args(["-ec", script]).current_dir(dir)).expect(0);
}

/// The command's own seconds, bare and recorded.
fn once(kept: &mut Kept, before: &str, script: &str, recorded: bool) -> f64 {
    let env = prepared(kept, before);
    let time = env.base().join("time");
    let mut command = match recorded {
        true => env.recording(),
        false => Command::new("env"),
    };
    clean(&mut command);
    side::clocked(command.current_dir(env.tree()), &time, script);
    run(&mut command).expect(0);
    side::clocked_seconds(&time)
}

fn slowdown(kept: &mut Kept) {
    side::compare_head("the command's own time", "recorded", "bare");
    for (name, programs, before, script) in WORKLOADS {
        if let Some(program) = missing(programs) {
            println!("{name:<28} SKIPPED: {program} is not installed");
            continue;
        }
        let (mut recorded, mut bare) = (Vec::new(), Vec::new());
        for round in 0..side::rounds() {
            for turn in [round % 2, (round + 1) % 2] {
                match turn {
                    0 => bare.push(once(kept, before, script, false)),
                    _ => recorded.push(once(kept, before, script, true)),
                }
            }
        }
        side::compare_line(name, &recorded, &bare, 1.3);
    }
}

/// What `record` adds around a command that does nothing, on a tree of 1,000 files.
fn added(kept: &mut Kept) {
    let tree = "for d in $(seq 20); do mkdir d$d; for f in $(seq 50); do
        seq $((d * f)) > d$d/f$f; done; done";
    let mut added = Vec::new();
    for _ in 0..side::rounds() {
        let env = prepared(kept, tree);
        let time = env.base().join("time");
        let mut command = env.recording();
        side::clocked(&mut command, &time, "sleep 0.2");
        let whole = side::seconds(|| run(&mut command).expect(0));
        added.push(whole - side::clocked_seconds(&time));
    }
    let ms = side::median(&added) * 1e3;
    side::at_most_line("added by record, 1,000 files", ms, "ms", 500.0);
}

fn memory(kept: &mut Kept) {
    let cases = [
        ("cp -r /usr/include", "cp -r /usr/include copy"),
        ("one file of 2 GiB", "head -c 2147483648 /dev/urandom > big"),
    ];
    for (name, script) in cases {
        let env = prepared(kept, "true");
        let mut command = env.recording();
        command.args(["sh", "-ec", script]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let peak = side::peak_rss(&mut child);
        assert!(child.wait().unwrap().success());
        let name = format!("peak memory, {name}");
        side::at_most_line(&name, peak, "MiB", 100.0);
    }
}

fn main() -> ExitCode {
    side::enter(|| {
        let mut kept = Kept::new();
        slowdown(&mut kept);
        println!();
        added(&mut kept);
        memory(&mut kept);
    })
}
