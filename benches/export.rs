//! How fast a tree comes back: an export of 10,000 files (80 MB) against `cp -a` of the tree and
//! `tar -x` of an archive, and one file from the end of a chain of 25 versions against the same
//! file from its beginning.
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
use std::process::{Command, ExitCode};

use common::{Env, assert_tree_equal, run};
use diffkeeper_demo::rng::Rng;

const DIRS: usize = 100;
const FILES: usize = 100;
const LEN: usize = 8 << 10;

fn ten_thousand_files(env: &Env) {
    let mut rng = Rng::new(1);
    for dir in 0..DIRS {
        let dir = env.tree().join(format!("d{dir}"));
        fs::create_dir(&dir).unwrap();
        for file in 0..FILES {
            let mut content = rng.bytes(LEN / 2);
            content.resize(LEN, b'x');
            fs::write(dir.join(format!("f{file}")), content).unwrap();
        }
    }
}

/// Export against copy and unpacking, in turn, each into a fresh directory; nothing is deleted
/// in between, because ext4 is slow for a while after a mass deletion.
fn tree() {
    let env = Env::new();
    ten_thousand_files(&env);
    env.sh("true");
    let archive = env.base().join("archive");
    tool(
        "tar",
        [
            "-cf".as_ref(),
            archive.as_path(),
            "-C".as_ref(),
            &env.tree(),
            ".".as_ref(),
        ],
    );
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..side::rounds() {
        for turn in (0..3).map(|turn| (round as usize + turn) % 3) {
            let to = env.base().join(format!("to-{turn}-{round}"));
            times[turn].push(match turn {
                0 => side::seconds(|| drop(env.export("latest"))),
                1 => tool("cp", ["-a".as_ref(), env.tree().as_path(), &to]),
                _ => {
                    fs::create_dir(&to).unwrap();
                    tool(
                        "tar",
                        ["-xpf".as_ref(), archive.as_path(), "-C".as_ref(), &to],
                    )
                }
            });
        }
    }
    assert_tree_equal(&env.tree(), &env.export("latest"));
    let [exported, copied, unpacked] = times;
    side::compare_line("10k files, 80 MB, cp -a", &exported, &copied, 0.9);
    side::compare_line("the same, tar -x", &exported, &unpacked, 0.9);
}

/// The seconds that a tool takes.
fn tool<const N: usize>(name: &str, args: [&Path; N]) -> f64 {
    let mut command = Command::new(name);
    command.args(args);
    side::seconds(|| run(&mut command).expect(0))
}

/// `show` at the end and at the start of a chain; both pay for the start of the program.
fn chain() {
    let env = Env::new();
    let content = Rng::new(1).bytes(1 << 20);
    fs::write(env.tree().join("file"), &content).unwrap();
    env.sh("for i in $(seq 25); do
          head -c 4096 /dev/urandom | dd of=file bs=4096 seek=$((i * 7)) conv=notrunc status=none
          sleep 0.3
        done");
    let (mut end, mut start) = (Vec::new(), Vec::new());
    let show = |when: &str| {
        let mut command = env.command("show");
        command.args(["--time", when, "file"]);
        side::seconds(|| run(&mut command).expect(0))
    };
    for _ in 0..side::rounds() * 3 {
        end.push(show("latest"));
        start.push(show("start"));
    }
    side::compare_line("show, depth 25 / depth 0", &end, &start, 2.0);
}

fn main() -> ExitCode {
    side::enter(|| {
        side::compare_head("reading back", "ours", "theirs");
        tree();
        chain();
    })
}
