//! `run`: what a command leaves when it is killed together with its recorder is there
//! again, and what nobody can vouch for is not.
//!
//! `DIFFKEEPER_TEST_KILLS` (8; 50 for acceptance) is the number of rounds,
//! `DIFFKEEPER_TEST_SEED` (0) moves the moments, `DIFFKEEPER_TEST_GRACE_MS` (2000) is how
//! old a change must be to have to be there.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Env, Run, assert_tree_equal, backend, clean, demo, knob, missing, run, skip, until};
use diffkeeper_demo::counting::reached;
use diffkeeper_demo::rng::Rng;
use diffkeeper_demo::tree::copy;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Something of everything.
const FIRST: &str = "mkdir -p d/e empty/inner; echo one > d/one; ln d/one twin; ln -s d/one sym; \
    mkfifo pipe; chmod 711 d; chmod 600 d/one; touch -d @1000 d/e; touch gone; rm gone";

/// `run` over the tree, to which a test adds options and the command.
fn agent(env: &Env) -> Command {
    let mut command = Command::new(common::EXE);
    clean(&mut command);
    command.current_dir(env.base());
    command
        .args(["run", "--backend", &backend(), "--state-dir"])
        .arg(env.state());
    command.arg("--watch").arg(env.tree());
    command
}

fn keep<A: AsRef<OsStr>>(env: &Env, args: &[A]) -> Run {
    run(agent(env).arg("--").args(args))
}

/// A command in the tree.
fn sh(env: &Env, script: &str) -> Run {
    let script = format!("cd '{}'; {script}", env.tree().display());
    keep(env, &["sh", "-ec", &script])
}

fn lose_the_tree(env: &Env) {
    fs::remove_dir_all(env.tree()).unwrap();
}

#[test]
fn a_directory_that_was_lost_is_there_again() {
    let env = Env::new();
    let begun = sh(&env, FIRST);
    begun.expect(0);
    assert!(begun.err().contains("nothing was recorded yet"), "{begun}");
    let before = env.export("latest");
    assert_tree_equal(&env.tree(), &before);
    lose_the_tree(&env);
    let again = sh(&env, "test ! -e gone");
    again.expect(0);
    assert!(again.err().contains("restored session 1"), "{again}");
    assert_tree_equal(&before, &env.tree());
    // What came from elsewhere meanwhile goes, and what was changed is as it was.
    fs::write(env.tree().join("stranger"), "").unwrap();
    fs::write(env.tree().join("d/one"), "changed").unwrap();
    keep(&env, &["true"]).expect(0);
    assert_tree_equal(&before, &env.tree());
    run(&mut env.command("verify")).expect(0);
}

/// The nice(2) of the recorder's thread that stores and of the command, in that order, as the
/// command sees them.
fn niceness(env: &Env, mut recorder: Command) -> (i32, i32) {
    let out = env.base().join("threads");
    // A thread that waits for work has come as far as to see to its priority.
    let script = format!(
        "until grep -q '(pipeline) S' '{out}'; do \
         cat /proc/$PPID/task/*/stat /proc/$$/stat >'{out}' || :; done",
        out = out.display()
    );
    run(recorder.args(["--", "sh", "-c", &script])).expect(0);
    let threads = fs::read_to_string(out).unwrap();
    let of = |name: &str| {
        let mut found = threads.lines().filter(|line| line.contains(name));
        let after = found.next().unwrap().rsplit(')').next().unwrap();
        after.split_whitespace().nth(16).unwrap().parse().unwrap()
    };
    (of("(pipeline)"), of("(sh)"))
}

/// What `record` holds of a busy machine may come late; what an agent holds is to be had.
#[test]
fn an_agent_gets_as_much_of_a_processor_as_its_command() {
    let env = Env::new();
    let (agents, command) = niceness(&env, agent(&env));
    assert_eq!(agents, command);
    let env = Env::new();
    let mut record = env.command("record");
    record.arg("--watch").arg(env.tree());
    let (recorders, command) = niceness(&env, record);
    assert_eq!(recorders, (command + 10).min(19));
}

#[test]
fn a_restart_stores_nothing_twice() {
    let env = Env::new();
    // It comes whole: one that was seen half written is stored in other pieces.
    sh(
        &env,
        "head -c 4000000 /dev/urandom > ../noise; mv ../noise .",
    )
    .expect(0);
    let size = || -> u64 {
        let du = run(Command::new("du").arg("-sb").arg(env.state()));
        du.out().split_whitespace().next().unwrap().parse().unwrap()
    };
    let before = size();
    for _ in 0..3 {
        keep(&env, &["true"]).expect(0);
    }
    assert!(
        size() < before + 1_000_000,
        "{before} bytes, then {}",
        size()
    );
}

#[test]
fn the_command_keeps_its_status_and_gets_its_signals() {
    let env = Env::new();
    keep(&env, &["sh", "-c", "exit 7"]).expect(7);
    let ready = env.base().join("ready");
    let script = format!(
        "trap 'exit 9' TERM; echo > '{}'; while :; do sleep 0.05; done",
        ready.display()
    );
    let mut child = agent(&env)
        .args(["--", "sh", "-c", &script])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the command runs", || ready.exists());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    keep(&env, &["no-such-program-anywhere"]).expect(127);
}

#[test]
fn another_directory_is_not_taken_for_this_one() {
    let env = Env::new();
    sh(&env, FIRST).expect(0);
    let other = env.base().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mine"), "mine").unwrap();
    let mut command = env.bare();
    command
        .args(["run", "--state-dir"])
        .arg(env.state())
        .arg("--watch")
        .arg(&other);
    let done = run(command.args(["--", "true"]));
    done.expect(125);
    assert!(done.err().contains("the state directory holds"), "{done}");
    assert_eq!(fs::read_to_string(other.join("mine")).unwrap(), "mine");
}

/// Flips a bit of a stored content; `mark` is a part of it that does not compress.
fn damage(state: &Path, mark: &[u8]) {
    let mut dirs = vec![state.join("db")];
    let mut hit = 0;
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            while let Some(at) = bytes.windows(mark.len()).position(|part| part == mark) {
                *bytes.get_mut(at).unwrap() ^= 1;
                hit += 1;
                fs::write(&path, &bytes).unwrap();
            }
        }
    }
    assert!(hit > 0, "the content is nowhere in the store");
}

#[test]
fn damage_blocks_the_start_and_the_last_good_state_is_named() {
    let env = Env::new();
    sh(&env, "echo good > f; echo other > g").expect(0);
    let good = env.export("latest");
    sh(
        &env,
        "head -c 50000 /dev/urandom > f; sleep 0.3; echo late > h",
    )
    .expect(0);
    let noise = fs::read(env.tree().join("f")).unwrap();
    damage(&env.state(), noise.get(20_000..20_016).unwrap());
    lose_the_tree(&env);
    let refused = keep(
        &env,
        &["touch", env.tree().join("started").to_str().unwrap()],
    );
    refused.expect(125);
    assert!(
        refused.err().contains(", f: ") && refused.err().contains("(content "),
        "{refused}"
    );
    assert!(refused.err().contains("--on-damage=last-good"), "{refused}");
    assert_eq!(
        fs::read_dir(env.tree()).unwrap().count(),
        0,
        "nothing was touched"
    );
    let taken = run(agent(&env).args(["--on-damage=last-good", "--", "true"]));
    taken.expect(0);
    assert!(
        taken.err().contains("passed over: session 2 from #"),
        "{taken}"
    );
    let options = diffkeeper_demo::tree::Options::default();
    let differences = diffkeeper_demo::tree::compare(&good, &env.tree(), &options);
    // `f` was there before, and may be seen between its opening and its last bytes.
    let content = fs::read(env.tree().join("f")).unwrap();
    assert!(
        content == b"good\n" || noise[..20_000].starts_with(&content),
        "{differences:?}"
    );
    assert_eq!(fs::read(env.tree().join("g")).unwrap(), b"other\n");
    assert!(!env.tree().join("h").exists());
}

/// What is there of `name` on a page of metrics.
fn figure(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let named = lines.filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    named
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut client = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(client, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn figures_are_served_and_real() {
    let env = Env::new();
    sh(&env, "echo one > f; cp f g").expect(0);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let script = format!(
        "cd '{}'; for i in 1 2 3 4 5 6 7 8; do echo $i >> f; sleep 0.1; done; read wait",
        env.tree().display()
    );
    let mut command = agent(&env);
    command.env("DIFFKEEPER_METRICS_ADDR", format!("127.0.0.1:{port}"));
    command
        .args(["--", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("it is ready", || {
        get(port, "/readyz").is_some_and(|a| a.starts_with("HTTP/1.1 200"))
    });
    let page = || get(port, "/metrics").unwrap();
    until("events are counted", || {
        figure(&page(), "diffkeeper_events_total") >= 8.0
    });
    let page = page();
    for name in [
        "diffkeeper_up",
        "diffkeeper_agent_info",
        "diffkeeper_capture_total",
        "diffkeeper_capture_duration_ms_count",
        "diffkeeper_recovery_total",
        "diffkeeper_recovery_duration_ms_count",
        "diffkeeper_store_size_bytes",
        "diffkeeper_files_tracked_total",
        "diffkeeper_deltas_total",
        "diffkeeper_chunk_total",
        "diffkeeper_last_commit_timestamp_seconds",
        "process_resident_memory_bytes",
    ] {
        assert!(figure(&page, name) > 0.0, "{name} in\n{page}");
    }
    assert!(page.contains("diffkeeper_chunk_dedup_ratio"), "{page}");
    assert!(page.contains("diffkeeper_storage_saved_ratio"), "{page}");
    assert!(get(port, "/healthz").unwrap().ends_with("ok\n"));
    assert!(get(port, "/other").unwrap().starts_with("HTTP/1.1 404"));
    match missing(&["promtool"]) {
        Some(program) => skip(&format!("no {program}: the format of the page")),
        None => lint(page.split("\r\n\r\n").nth(1).unwrap()),
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().code().is_some());
}

/// What Prometheus' own tool says of the page; names that users know already are kept.
fn lint(page: &str) {
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = promtool.stderr(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let known = |line: &&str| {
        line.contains("non-counter metrics should not have \"_total\" suffix")
            || line.contains("use base unit \"seconds\"")
            || line.ends_with("_duration_ms metric names should not contain abbreviated units")
            || line.trim().is_empty()
    };
    let unknown: Vec<&str> = said.lines().filter(|line| !known(line)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn orphans_are_reaped_by_the_first_process() {
    if !rustix::process::geteuid().is_root() {
        return skip("a PID namespace takes root");
    }
    if let Some(program) = missing(&["unshare", "setsid"]) {
        return skip(&format!("no {program}"));
    }
    let env = Env::new();
    let script = "for i in 1 2 3; do (setsid sleep 0.1 &); done; sleep 3; \
        cat /proc/[0-9]*/stat | grep -c ') Z ' || true";
    let mut command = Command::new("unshare");
    clean(&mut command);
    command.args([
        "--fork",
        "--pid",
        "--mount-proc",
        common::EXE,
        "run",
        "--backend",
        "notify",
    ]);
    command
        .arg("--state-dir")
        .arg(env.state())
        .arg("--watch")
        .arg(env.tree());
    let done = run(command.args(["--", "sh", "-c", script]));
    if done.err().contains("unshare") {
        return skip("no PID namespace here");
    }
    done.expect(0);
    assert_eq!(done.out().trim(), "0", "zombies: {done}");
}

/// What was there when: the number reached, and the moment it was looked at.
type Samples = Vec<(Instant, u64)>;

fn start_counting(env: &Env, pid_file: &Path) -> Child {
    let mut command = agent(env);
    let inner = format!(
        "cd '{}' && exec '{}' --pid-file '{}' --count 1000000 --pause 2000",
        env.tree().join("counted").display(),
        demo("counting-workload").display(),
        pid_file.display()
    );
    command.args(["--", "sh", "-c", &inner]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn numbers(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    let named = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"n-");
    entries.map(Result::unwrap).filter(named).count() as u64
}

/// Ends the command that the recorder left behind, if it had come so far.
fn kill_the_command(pid_file: &Path) {
    let text = fs::read_to_string(pid_file).unwrap_or_default();
    let Some(pid) = text.parse().ok().and_then(Pid::from_raw) else {
        return;
    };
    let is_zombie = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().starts_with(" Z"))
    };
    if kill_process(pid, Signal::KILL).is_ok() {
        until("the command ends", || {
            test_kill_process(pid).is_err() || is_zombie()
        });
    }
    fs::remove_file(pid_file).unwrap();
}

/// kill -9 of the recorder and the command, the directory deleted, run again: a state that
/// existed, no older than the grace, with everything beside it as it was. The rounds go on
/// from each other, as the restarts of one container do.
#[test]
fn killed_deleted_and_run_again() {
    let env = Env::new();
    sh(&env, &format!("{FIRST}; mkdir counted")).expect(0);
    let fixed: Vec<PathBuf> = ["d", "empty", "twin", "sym", "pipe"]
        .map(PathBuf::from)
        .into();
    let saved = env.export("latest");
    let pid_file = env.base().join("pid");
    let mut rng = Rng::new(0x7275_6e00 + knob("DIFFKEEPER_TEST_SEED", 0));
    let grace = Duration::from_millis(knob("DIFFKEEPER_TEST_GRACE_MS", 2000));
    let mut total = 0;
    for round in 0..knob("DIFFKEEPER_TEST_KILLS", 8) {
        let span = if round % 2 == 0 { 900 } else { 4000 };
        let lifetime = Duration::from_millis(rng.below(span));
        let mut recorder = start_counting(&env, &pid_file);
        let counted = env.tree().join("counted");
        let (start, mut samples) = (Instant::now(), Samples::new());
        while start.elapsed() < lifetime {
            samples.push((Instant::now(), numbers(&counted)));
            sleep(Duration::from_millis(20));
        }
        recorder.kill().unwrap();
        let killed = Instant::now();
        kill_the_command(&pid_file);
        recorder.wait().unwrap();
        let there = numbers(&counted);
        let old = |(at, _): &&(Instant, u64)| *at + grace < killed;
        let at_least = samples
            .iter()
            .rev()
            .find(old)
            .map_or(0, |(_, number)| *number);
        lose_the_tree(&env);
        keep(&env, &["true"]).expect(0);
        let back = reached(&counted).unwrap();
        eprintln!("round {round}: {lifetime:?}, {back} of {there} are back, {at_least} had to be");
        assert!((at_least..=there).contains(&back), "{back} are back");
        total += back;
        for name in &fixed {
            let (left, right) = (saved.join(name), env.tree().join(name));
            assert!(right.symlink_metadata().is_ok(), "{name:?} is gone");
            if left.is_dir() && !left.is_symlink() {
                assert_tree_equal(&left, &right);
            }
        }
        // The next round counts from one again.
        sh(&env, "cd counted; rm -f n-* log unfinished").expect(0);
    }
    assert!(total > 0, "no round recorded anything");
    run(&mut env.command("verify")).expect(0);
}

#[test]
fn history_beyond_what_is_kept_goes_and_the_state_stays() {
    let env = Env::new();
    let run_with = |keep: &str, script: &str| {
        let mut command = agent(&env);
        command.args(["--keep", keep, "--", "sh", "-ec"]);
        let done = run(command.arg(format!("cd '{}'; {script}", env.tree().display())));
        done.expect(0);
        assert!(!done.err().contains("fault"), "{done}");
    };
    run_with("1h", FIRST);
    // Moves are many events for little work.
    let many = "i=0; while [ $i -lt 4000 ]; do mv d/one d/two; mv d/two d/one; i=$((i + 1)); done";
    run_with("500", &format!("{many}; sleep 1.2; echo new >last"));
    let sessions = env.json("sessions", &[]);
    let [session] = &sessions[..] else {
        panic!("{sessions:?}")
    };
    assert_eq!(session["session"], 2, "the first one is no longer needed");
    let (events, dropped) = (&session["events"], &session["dropped"]);
    let events = events.as_u64().unwrap();
    assert!((500..5500).contains(&events), "{session}");
    assert!(dropped.as_u64().unwrap() > 2000, "{session}");
    run(&mut env.command("verify")).expect(0);
    let before = env.base().join("before");
    copy(&env.tree(), &before).unwrap();
    lose_the_tree(&env);
    run_with("1GiB", "true");
    assert_tree_equal(&before, &env.tree());
    let refused = run(agent(&env).args(["--keep", "ten", "--", "true"]));
    assert!(
        refused.code() == Some(2) && refused.err().contains("--keep"),
        "{refused}"
    );
}
