//! Limits: what is left out or given up is said, and what stays is exact.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::process::Command;

use common::{EXE, Env, assert_tree_equal, backend, clean, missing, run, skip};
use diffkeeper_demo::tree::{What, compare};

#[test]
fn contents_of_long_files_are_left_out_and_said() {
    let env = Env::new();
    fs::write(env.tree().join("before"), vec![1; 50_000]).unwrap();
    fs::write(env.tree().join("small"), "small").unwrap();
    let mut command = env.command("record");
    command.args(["--max-file", "20KiB", "--", "sh", "-ec"]);
    command.arg(
        "head -c 30000 /dev/zero >long; echo more >>before; echo still >>small; sleep 0.3; \
        head -c 10 /dev/zero >long; sleep 0.2; head -c 40000 /dev/zero >late",
    );
    let done = run(&mut command);
    done.expect(0);
    assert!(done.err().contains("omitted"), "{done}");
    run(&mut env.command("verify")).expect(0);
    let gaps = env.timeline(&["--filter", "reason:omitted"]);
    let mut paths: Vec<_> = gaps
        .iter()
        .map(|gap| gap["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["before", "late", "long"]);
    let shown = run(env.command("show").arg("before"));
    shown.expect(1);
    assert!(shown.err().contains("omitted"), "{shown}");
    let shown = run(env.command("show").arg("long"));
    shown.expect(0);
    assert_eq!(shown.stdout, [0; 10], "it became short");
    // The tree lists them all; only the two contents are missing.
    let out = env.base().join("out");
    let exported = run(env.command("export").arg("--out").arg(&out));
    exported.no_panic();
    for name in ["before", "late"] {
        assert!(exported.err().contains(name), "{exported}");
    }
    let differences = compare(&env.tree(), &out, &Default::default());
    for difference in &differences {
        let name = difference.path.to_str().unwrap();
        let is_root_time = name.is_empty() && matches!(difference.what, What::Mtime(..));
        assert!(
            ["before", "late"].contains(&name) || is_root_time,
            "{difference}"
        );
    }
}

#[test]
fn a_size_that_is_none_is_refused_before_the_command_runs() {
    let env = Env::new();
    let mut command = env.command("record");
    command.args(["--max-file", "many", "--", "touch", "ran"]);
    let done = run(&mut command);
    done.expect(2);
    assert!(done.err().contains("many"), "{done}");
    assert!(!env.tree().join("ran").exists());
}

/// Three sessions, which share a content.
fn three() -> Env {
    let env = Env::new();
    fs::write(
        env.tree().join("shared"),
        diffkeeper_demo::rng::Rng::new(1).bytes(100_000),
    )
    .unwrap();
    env.sh("head -c 300000 /dev/urandom > first");
    env.sh("rm first; head -c 300000 /dev/urandom > second");
    env.sh("rm second; echo third > third; cp shared copy");
    env
}

fn session_numbers(env: &Env) -> Vec<u64> {
    let sessions = env.json("sessions", &[]);
    sessions
        .iter()
        .map(|session| session["session"].as_u64().unwrap())
        .collect()
}

fn bytes_on_disk(env: &Env) -> u64 {
    let out = std::process::Command::new("du")
        .args(["-sk"])
        .arg(env.state())
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.split_whitespace()
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[test]
fn prune_prints_a_plan_and_carries_it_out() {
    let env = three();
    let before = bytes_on_disk(&env);
    let mut dry = env.command("prune");
    let planned = run(dry.args(["--keep-sessions", "1", "--dry-run", "--json"]));
    planned.expect(0);
    let plan = planned.json();
    let actions: Vec<_> = plan
        .iter()
        .map(|step| step["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["remove-session", "remove-session", "remove-blobs"]
    );
    assert!(plan[2]["bytes"].as_u64().unwrap() > 250_000, "{planned}");
    assert_eq!(session_numbers(&env), [1, 2, 3], "nothing was changed");
    let done = run(env.command("prune").args(["--keep-sessions", "1"]));
    done.expect(0);
    assert_eq!(session_numbers(&env), [3]);
    run(&mut env.command("verify")).expect(0);
    env.assert_latest();
    let after = bytes_on_disk(&env);
    assert!(
        after + 250_000 < before,
        "{before} bytes before, {after} after"
    );
    let refused = run(env.command("timeline").args(["--session", "1"]));
    refused.expect(2);
    // A further session gets a number of its own.
    env.sh("echo fourth > fourth");
    assert_eq!(session_numbers(&env), [3, 4]);
    run(env.command("gc").arg("--json")).expect(0);
    run(&mut env.command("verify")).expect(0);
    env.assert_latest();
}

#[test]
fn a_session_can_start_later() {
    let env = Env::new();
    env.sh("for i in 1 2 3 4 5 6; do echo $i > f$i; rm -f f$((i-2)); sleep 0.2; done");
    let events = env.timeline(&[]);
    let last = events.last().unwrap()["seq"].as_u64().unwrap();
    let middle = format!("#{}", last / 2);
    let (then, end) = (env.export(&middle), env.export("latest"));
    let done = run(env.command("prune").args(["--before", &middle]));
    done.expect(0);
    run(&mut env.command("verify")).expect(0);
    assert_tree_equal(&then, &env.export(&middle));
    assert_tree_equal(&end, &env.export("latest"));
    let left = env.timeline(&[]);
    assert!(!left.is_empty() && left.len() < events.len());
    assert_eq!(left[..], events[events.len() - left.len()..]);
    let start = env.json("sessions", &[])[0]["start_seq"].as_u64().unwrap();
    assert_eq!(left[0]["seq"].as_u64().unwrap(), start + 1);
    for when in ["#0", "0s"] {
        let refused = run(env.command("show").args(["--time", when, "f6"]));
        refused.expect(2);
        assert!(refused.err().contains(&format!("#{start} to")), "{refused}");
    }
    run(env.command("diff").args(["--from", "start"])).expect(0);
    run(env.command("timeline").args(["--from", "start"])).expect(0);
}

/// How often the journal was synced while a command wrote, paused, and wrote.
fn journal_syncs(durability: &str) -> usize {
    let env = Env::new();
    let trace = env.base().join("strace");
    let mut command = Command::new("strace");
    clean(&mut command);
    command.args(["-f", "-y", "-e", "trace=fdatasync", "-o"]);
    command.arg(&trace).arg(EXE).args(["record", "--state-dir"]);
    command.arg(env.state()).current_dir(env.tree());
    command.args(["--backend", "notify", "--durability", durability, "--"]);
    command.args(["sh", "-ec", "echo x >f; sleep 1.5; echo y >f"]);
    run(&mut command).expect(0);
    env.assert_latest();
    let calls = fs::read_to_string(trace).unwrap();
    calls.lines().filter(|line| line.contains(".jnl>")).count()
}

#[test]
fn commits_reach_the_disk_only_where_that_is_asked_for() {
    if let Some(tool) = missing(&["strace"]) {
        return skip(&format!("no {tool}"));
    }
    assert_eq!(journal_syncs("crash"), 0);
    assert!(journal_syncs("power") >= 2);
}

/// Bytes of the tables and blobs of a state directory.
fn weight(env: &Env) -> u64 {
    let done = run(Command::new("du")
        .args(["-sk", "db/keyspaces"])
        .current_dir(env.state()));
    done.expect(0);
    let kib = done.out().split_whitespace().next().unwrap().parse::<u64>();
    kib.unwrap() << 10
}

/// Writes about 24 MB that do not compress, for some seconds, beside a file that stays.
const MUCH: &str = "echo stays >first; mkdir d; i=0; while [ $i -lt 60 ]; do \
    head -c 400000 /dev/urandom >d/a$((i % 3)); [ $((i % 7)) -eq 0 ] && rm d/a*; \
    i=$((i + 1)); sleep 0.06; done; echo last >d/end";

#[test]
fn a_trace_above_its_size_gives_up_the_oldest_and_says_so() {
    let env = Env::new();
    // An earlier session goes before anything of the later one.
    env.sh("head -c 3000000 /dev/urandom >old; rm old");
    let record = |limit: &[&str]| {
        let mut command = env.command("record");
        command.args(["--backend", &backend()]).args(limit);
        let done = run(command.args(["--", "sh", "-ec", MUCH]));
        done.expect(0);
        assert!(!done.err().contains("fault"), "{done}");
    };
    record(&["--max-size", "4MB"]);
    assert!(weight(&env) < 6_000_000, "{} bytes", weight(&env));
    run(&mut env.command("verify")).expect(0);
    env.assert_latest();
    let sessions = env.json("sessions", &[]);
    let [session] = &sessions[..] else {
        panic!("{sessions:?}")
    };
    assert_eq!(session["session"], 2);
    let (start, dropped) = (&session["start_seq"], &session["dropped"]);
    assert!(
        start.as_u64().unwrap() > 30 && start == dropped,
        "{session}"
    );
    let told = run(&mut env.command("timeline"));
    told.expect(0);
    assert!(told.err().contains("were given up"), "{told}");
    // The state that the rest starts with has what was written before it.
    let out = env.export(&format!("#{start}"));
    assert_eq!(fs::read(out.join("first")).unwrap(), b"stays\n");
    let before = run(env.command("show").args(["first", "--time", "#1"]));
    assert!(
        before.code() == Some(2) && before.err().contains("outside the session"),
        "{before}"
    );
    fs::remove_dir_all(env.tree()).unwrap();
    fs::create_dir(env.tree()).unwrap();
    record(&[]);
    assert!(weight(&env) > 20_000_000, "what it weighs without a limit");
}

#[test]
fn a_state_that_is_larger_than_the_limit_is_kept_and_said() {
    let env = Env::new();
    let state = "head -c 3000000 /dev/urandom >large; sleep 2; echo x >small; sleep 0.5";
    let mut command = env.command("record");
    command.args(["--backend", &backend(), "--max-size", "1MB"]);
    let done = run(command.args(["--", "sh", "-ec", state]));
    done.expect(0);
    assert!(done.err().contains("newest state alone"), "{done}");
    run(&mut env.command("verify")).expect(0);
    env.assert_latest();
}
