//! Thirty states of a tree of about 48 MB, kept by what people would use and by a recording:
//! the time that each takes, and all bytes that are on the disk at the end, the first state
//! included. What a recording kept counts only if it can be had back.
//! `DIFFKEEPER_BENCH_PEERS=git,restic` leaves out the peers with other programs.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "benchmarks"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod corpora;
mod evolving;
mod side;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use common::{Env, assert_tree_equal, clean, missing, run};
use evolving::STEPS;

/// Between two steps: long enough for an observing backend to see each, and for the refinery.
const PAUSE: Duration = Duration::from_millis(400);
/// Steps after which a copy of the tree is kept to compare with.
const COMPARED: [usize; 3] = [1, STEPS / 2, STEPS];

/// What keeps states: scripts that find `$TREE`, `$STORE` and the number `$N` of the state.
struct Peer {
    name: &'static str,
    program: &'static str,
    begin: &'static str,
    snapshot: &'static str,
    end: &'static str,
}

const PEERS: [Peer; 5] = [
    Peer {
        name: "restic",
        program: "restic",
        begin: "restic init -q -r $STORE",
        snapshot: "restic backup -q -r $STORE $TREE",
        end: "true",
    },
    Peer {
        name: "borg, zstd-3",
        program: "borg",
        begin: "borg init -e none $STORE",
        snapshot: "borg create -C zstd,3 $STORE::$N $TREE",
        end: "true",
    },
    Peer {
        name: "git, after gc",
        program: "git",
        begin:
            "git init -q --bare $STORE; cd $STORE; git config user.name a; git config user.email a
            git config gc.auto 0",
        snapshot: "export GIT_DIR=$STORE GIT_WORK_TREE=$TREE; git add -A; git commit -qm $N",
        end: "git -C $STORE gc -q --prune=now",
    },
    Peer {
        name: "rdiff-backup",
        program: "rdiff-backup",
        begin: "true",
        // Its states have names of whole seconds.
        snapshot: "rdiff-backup --current-time $((1700000000 + N)) backup $TREE $STORE",
        end: "true",
    },
    Peer {
        name: "btrfs snapshots",
        program: "mkfs.btrfs",
        begin: "truncate -s 1G $BASE/disk; mkfs.btrfs -q -m single $BASE/disk; mkdir $STORE
            mount -o loop $BASE/disk $STORE; btrfs subvolume create $STORE/tree
            cp -a $TREE/. $STORE/tree; rm -r $TREE; ln -s $STORE/tree $TREE",
        snapshot: "btrfs subvolume snapshot -r $STORE/tree $STORE/$N; sync -f $STORE",
        end: "true",
    },
];

/// What keeping the states cost.
struct Cost {
    /// For each state, seconds.
    time: f64,
    /// For the first state and at the end, seconds.
    around: f64,
    bytes: u64,
}

impl Cost {
    fn tell(&self, name: &str) {
        let (mb, ms) = (self.bytes as f64 / 1e6, self.time * 1e3);
        println!(
            "{name:<28} {mb:>8.1} MB {ms:>8.1} ms {:>8.2} s",
            self.around
        );
    }
}

/// A script of a peer in its place.
fn script(env: &Env, script: &str, number: usize) -> common::Run {
    let mut command = Command::new("sh");
    clean(&mut command);
    let base = env.base();
    command
        .env("BASE", base)
        .env("TREE", env.tree())
        .env("STORE", base.join("store"))
        .env("N", number.to_string())
        .env("HOME", base)
        .env("XDG_CACHE_HOME", base.join("cache"))
        .env("RESTIC_PASSWORD", "password")
        .env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes");
    run(command.args(["-ec", script]))
}

/// Gives the filesystem of a peer back, also when the benchmark fails.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        let _ = command.arg(&self.0).stderr(Stdio::null()).status();
    }
}

fn kept_by(peer: &Peer, made: &Path) -> Result<Cost, String> {
    if let Some(program) = missing(&[peer.program]) {
        return Err(format!("{program} is not installed"));
    }
    let env = place(made);
    let store = env.base().join("store");
    let _mounted = Mounted(store.clone());
    let begun = script(&env, peer.begin, 0);
    if !begun.status.success() {
        return Err(begun.err().trim().to_owned());
    }
    let snapshot = |number| side::seconds(|| script(&env, peer.snapshot, number).expect(0));
    let first = snapshot(0);
    let times = (1..=STEPS).map(|number| {
        evolving::step(made, &env.tree(), number);
        snapshot(number)
    });
    let time = side::median(&times.collect::<Vec<_>>());
    let end = side::seconds(|| script(&env, peer.end, 0).expect(0));
    let bytes = on_disk(&store, env.tree().is_symlink());
    let around = first + end;
    Ok(Cost {
        time,
        around,
        bytes,
    })
}

/// A fresh copy of the tree before its first step.
fn place(made: &Path) -> Env {
    let env = Env::new();
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(made.join("tree/.")).arg(env.tree());
    run(&mut copy).expect(0);
    env
}

/// Bytes of a store: its files, or all that is in use on a filesystem of its own.
fn on_disk(store: &Path, own_filesystem: bool) -> u64 {
    if !own_filesystem {
        return side::bytes_below(store);
    }
    let mut command = Command::new("df");
    let done = run(command.args(["-B1", "--output=used"]).arg(store));
    done.out().lines().last().unwrap().trim().parse().unwrap()
}

/// `--steps MADE OUT COUNT`: the steps in the current directory. Leaves the nanoseconds that
/// they took in `OUT/took`, and for some a copy of the tree and the time at which it stood.
fn workload(args: &[String]) -> bool {
    let [what, made, out, count] = args else {
        return false;
    };
    if what != "--steps" {
        return false;
    }
    let (made, out) = (Path::new(made), Path::new(out));
    let mut took = 0.0;
    for number in 1..=count.parse().unwrap() {
        took += side::seconds(|| evolving::step(made, Path::new("."), number));
        sleep(PAUSE);
        if COMPARED.contains(&number) {
            keep(out, number);
        }
    }
    fs::write(out.join("took"), (took * 1e9).to_string()).unwrap();
    true
}

fn keep(out: &Path, number: usize) {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    fs::write(out.join(format!("time-{number}")), time).unwrap();
    let mut copy = Command::new("cp");
    run(copy
        .args(["-a", "."])
        .arg(out.join(format!("copy-{number}"))))
    .expect(0);
}

/// The steps, run by `command`: processor seconds of that, and seconds of the steps.
fn stepped(env: &Env, mut command: Command, made: &Path, count: usize) -> (f64, f64) {
    command.arg(std::env::current_exe().unwrap()).arg("--steps");
    command.arg(made).arg(env.base()).arg(count.to_string());
    command.current_dir(env.tree()).stderr(Stdio::null());
    let (processor, success) = side::processor_until_end(&mut command.spawn().unwrap());
    assert!(success, "the steps fail");
    (processor, side::clocked_seconds(&env.base().join("took")))
}

fn recording(env: &Env, backend: &str) -> Command {
    let mut command = env.command("record");
    command.args(["--backend", backend, "--"]);
    command
}

/// A recording of the steps. For each it costs what the recorder's processor time is above
/// that of a recording without steps, and what the steps take longer than they do bare.
fn recorded(backend: &str, bare: f64, made: &Path) -> Result<Cost, String> {
    let (none, env) = (place(made), place(made));
    let tried = run(recording(&none, backend).arg("true"));
    if !tried.status.success() {
        return Err(tried.err().trim().to_owned());
    }
    fs::remove_dir_all(none.state()).unwrap();
    let (around, _) = stepped(&none, recording(&none, backend), made, 0);
    let (processor, steps) = stepped(&env, recording(&env, backend), made, STEPS);
    for number in COMPARED {
        let time = fs::read_to_string(env.base().join(format!("time-{number}"))).unwrap();
        let copy = env.base().join(format!("copy-{number}"));
        assert_tree_equal(&copy, &env.export(&time));
    }
    env.assert_latest();
    Ok(Cost {
        time: (processor - around + f64::max(steps - bare, 0.0)) / STEPS as f64,
        around,
        bytes: side::bytes_below(&env.state()),
    })
}

/// Ours to theirs, beside the most that it may be.
fn bound(what: &str, ours: f64, theirs: f64, bound: f64) {
    let ratio = ours / theirs;
    let verdict = if ratio <= bound { "ok" } else { "OVER" };
    println!("{what:<44} {ratio:>8.3}, at most {bound:.3}  {verdict}");
}

fn all() {
    if let Some(program) = missing(&evolving::PROGRAMS) {
        return println!("SKIPPED: {program} is not installed");
    }
    let made = Env::new();
    evolving::make(made.base());
    let raw = side::bytes_below(&made.tree()) as f64 / 1e6;
    let head = format!("{STEPS} states of {raw:.1} MB");
    println!(
        "\n{head:<28} {:>11} {:>11} {:>10}",
        "in all", "a state", "around"
    );
    let mut theirs = HashMap::new();
    for peer in PEERS.iter().filter(|peer| is_chosen(peer)) {
        match kept_by(peer, made.base()) {
            Ok(cost) => {
                cost.tell(peer.name);
                theirs.insert(peer.program, cost);
            }
            Err(why) => println!("{:<28} SKIPPED: {why}", peer.name),
        }
    }
    ours(made.base(), &theirs);
}

fn is_chosen(peer: &Peer) -> bool {
    let chosen = std::env::var("DIFFKEEPER_BENCH_PEERS");
    chosen.map_or(true, |chosen| {
        chosen.split(',').any(|program| program == peer.program)
    })
}

fn ours(made: &Path, theirs: &HashMap<&str, Cost>) {
    let env = place(made);
    let (_, bare) = stepped(&env, Command::new("env"), made, STEPS);
    for backend in ["notify", "tracepoint"] {
        let cost = match recorded(backend, bare, made) {
            Ok(cost) => cost,
            Err(why) => {
                println!("recorded, {backend}: SKIPPED: {why}");
                continue;
            }
        };
        cost.tell(&format!("recorded, {backend}"));
        let bytes = cost.bytes as f64;
        if let Some(git) = theirs.get("git") {
            bound("bytes, against git after gc", bytes, git.bytes as f64, 1.1);
        }
        if let Some(restic) = theirs.get("restic") {
            bound(
                "bytes, against restic",
                bytes,
                restic.bytes as f64,
                1.0 / 6.0,
            );
            bound(
                "time of a state, against restic",
                cost.time,
                restic.time,
                0.1,
            );
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if workload(&args) {
        return ExitCode::SUCCESS;
    }
    side::enter(all)
}
