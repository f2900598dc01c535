//! The reading commands over one recorded session: WHEN, filters, JSON, diff, show, exit codes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;

use chrono::{DateTime, SecondsFormat, TimeDelta};
use common::{Env, run};
use serde_json::Value;

/// Three bursts, 700 ms apart, and a last sign after a quiet time.
const SCRIPT: &str = r"printf 'one\n' > a.txt; sleep 0.7
    printf 'one\ntwo\n' > a.txt; mkdir d; printf '\000\001\002' > d/bin; sleep 0.7
    mv a.txt b.txt; printf '\000\001\003' > d/bin; rm old.txt; head -c 5000 /dev/zero > big
    sleep 0.7; echo > end";

fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| {
        let env = Env::new();
        fs::write(env.tree().join("old.txt"), "old\n").unwrap();
        env.sh(SCRIPT);
        env
    })
}

fn ns(event: &Value) -> u64 {
    event["t_ns"].as_u64().unwrap()
}

fn find(op: &str, path: &str) -> Value {
    let events = env().timeline(&[]);
    let found = events.iter().rfind(|e| e["op"] == op && e["path"] == path);
    found
        .unwrap_or_else(|| panic!("no {op} of {path} in {events:#?}"))
        .clone()
}

/// 300 ms after the middle burst, as ns since the start.
fn middle() -> u64 {
    ns(&find("mkdir", "d")) + 300_000_000
}

#[derive(Debug, PartialEq)]
enum State {
    Start,
    First,
    Middle,
    End,
}

/// Which of the known states a directory holds.
fn state(dir: &Path) -> State {
    let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
    match (read("a.txt").as_deref(), read("b.txt").as_deref()) {
        (None, None) => State::Start,
        (Some("one\n"), None) => State::First,
        (Some("one\ntwo\n"), None) if dir.join("d/bin").exists() => State::Middle,
        (None, Some("one\ntwo\n")) if !dir.join("old.txt").exists() => State::End,
        other => panic!("a state that never was: {other:?}"),
    }
}

#[test]
fn every_form_of_when_names_its_state() {
    let last = env().timeline(&[]).iter().map(ns).max().unwrap();
    let renamed = find("rename", "a.txt");
    let first_end = ns(&find("mkdir", "d")) - 200_000_000;
    let wall = |at: u64| {
        let known = find("mkdir", "d");
        let wall = DateTime::parse_from_rfc3339(known["wall"].as_str().unwrap()).unwrap();
        let moved = wall + TimeDelta::nanoseconds(at as i64 - ns(&known) as i64);
        moved.to_rfc3339_opts(SecondsFormat::Nanos, true)
    };
    let cases = [
        ("start".to_owned(), State::Start),
        ("latest".to_owned(), State::End),
        (format!("{}ms", middle() / 1_000_000), State::Middle),
        (format!("{}ms", first_end / 1_000_000), State::First),
        (format!("{:.3}s", middle() as f64 / 1e9), State::Middle),
        (format!("0m{:.3}s", middle() as f64 / 1e9), State::Middle),
        (
            format!("#{}", renamed["seq"].as_u64().unwrap() - 1),
            State::Middle,
        ),
        (format!("#{}", last_seq()), State::End),
        (wall(middle()), State::Middle),
        (wall(first_end), State::First),
        ("-0.2s".to_owned(), State::End),
        ("-1000ms".to_owned(), State::Middle),
    ];
    assert!(last > middle());
    for (when, expected) in cases {
        assert_eq!(state(&env().export(&when)), expected, "{when}");
    }
}

fn last_seq() -> u64 {
    let events = env().timeline(&[]);
    events.last().unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn a_duration_is_inclusive() {
    let made = ns(&find("mkdir", "d"));
    let out = env().export(&format!(
        "{}.{:09}s",
        made / 1_000_000_000,
        made % 1_000_000_000
    ));
    assert!(out.join("d").is_dir());
    let before = made - 1;
    let out = env().export(&format!(
        "{}.{:09}s",
        before / 1_000_000_000,
        before % 1_000_000_000
    ));
    assert!(!out.join("d").exists());
}

#[test]
fn show_gives_the_bytes_of_a_time() {
    let when = format!("{}ms", middle() / 1_000_000);
    for (when, path, expected) in [
        ("latest", "d/bin", &b"\0\x01\x03"[..]),
        (&when, "d/bin", b"\0\x01\x02"),
        (&when, "a.txt", b"one\ntwo\n"),
        ("start", "old.txt", b"old\n"),
        (&when, "./old.txt", b"old\n"),
    ] {
        let done = run(env()
            .command("show")
            .arg(format!("--time={when}"))
            .arg(path));
        done.expect(0);
        assert_eq!(done.stdout, expected, "{path} at {when}");
    }
}

#[test]
fn json_has_its_fields() {
    let events = env().timeline(&[]);
    for event in &events {
        for field in ["seq", "t_ns"] {
            assert!(event[field].is_u64(), "{field} in {event}");
        }
        assert!(event["session"].is_u64(), "{event}");
        assert!(event["op"].is_string(), "{event}");
        let wall = event["wall"].as_str().unwrap();
        assert!(DateTime::parse_from_rfc3339(wall).is_ok(), "{event}");
        let none = event.as_object().unwrap().values().any(Value::is_null);
        assert!(!none, "absent fields are left out: {event}");
    }
    assert_eq!(find("rename", "a.txt")["to"], "b.txt");
    let write = find("write", "big");
    assert_eq!(write["size"], 5000, "{write}");
    let provenance = write["provenance"].as_str().unwrap();
    assert!(["captured", "observed"].contains(&provenance), "{write}");
}

/// A filter, and the same in Rust.
type Filter = (&'static str, fn(&Value) -> bool);

const FILTERS: &[Filter] = &[
    ("op:rename", |e| e["op"] == "rename"),
    ("path:d/**", |e| path(e).starts_with("d/")),
    ("not path:d/**", |e| !path(e).starts_with("d/")),
    ("path:*.txt op:write", |e| {
        path(e).ends_with(".txt") && e["op"] == "write"
    }),
    ("op:mkdir or op:unlink", |e| {
        e["op"] == "mkdir" || e["op"] == "unlink"
    }),
    ("(op:mkdir or op:write) path:d", |e| {
        let below = path(e) == "d" || path(e).starts_with("d/");
        below && (e["op"] == "mkdir" || e["op"] == "write")
    }),
    ("size>4KiB", |e| {
        e["size"].as_u64().is_some_and(|size| size > 4096)
    }),
    ("path:\"old.txt\"", |e| path(e) == "old.txt"),
    ("t:0s..300ms", |e| ns(e) <= 300_000_000),
];

fn path(event: &Value) -> &str {
    event["path"].as_str().unwrap_or_default()
}

#[test]
fn filters_choose_as_they_say() {
    let all = env().timeline(&[]);
    for (filter, chosen) in FILTERS {
        let expected: Vec<&Value> = all.iter().filter(|event| chosen(event)).collect();
        assert!(!expected.is_empty(), "{filter} finds something");
        assert!(expected.len() < all.len(), "{filter} leaves something out");
        let found = env().timeline(&["--filter", filter]);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

#[test]
fn the_timeline_reads_like_the_design_says() {
    let done = run(&mut env().command("timeline"));
    done.expect(0);
    let text = done.out();
    // The file may have been seen while it was being written, too; where writes are captured,
    // it is in the pieces that its writer chose.
    let captured = common::backend() != "notify";
    let writes = text
        .lines()
        .filter(|l| l.contains("big") && l.contains("WRITE"));
    let whole = |line: &&str| captured || line.contains("5000B") || line.contains("4.9KiB");
    let line = writes.clone().find(whole);
    let line = line.unwrap_or_else(|| panic!("no WRITE of the whole of big:\n{text}"));
    assert!(line.starts_with("[00m:0"), "{line}");
    assert!(!text.contains('\x1b'), "no colour into a pipe");
    let coloured = run(env().command("timeline").args(["--color", "always"]));
    assert!(coloured.out().contains("\x1b["), "colour on demand");
}

#[test]
fn diffs_say_what_changed() {
    let middle = format!("{}ms", middle() / 1_000_000);
    let diff = |args: &[&str]| run(env().command("diff").args(args));
    let whole = diff(&["--from", "start", "--to", &middle]);
    whole.expect(0);
    for expected in ["+one", "+two", "a.txt", "d/bin"] {
        assert!(whole.out().contains(expected), "{expected}: {whole}");
    }
    assert!(!whole.out().contains("old.txt"), "{whole}");
    assert!(whole.out().to_lowercase().contains("binary"), "{whole}");
    let one = diff(&["--from=start", "--to=latest", "old.txt"]);
    one.expect(0);
    assert!(
        one.out().contains("-old") && !one.out().contains("big"),
        "{one}"
    );
    let hex = diff(&["--from", &middle, "--to=latest", "--hex", "d/bin"]);
    hex.expect(0);
    assert!(
        hex.out().contains("00 01 02") || hex.out().contains("000102"),
        "{hex}"
    );
    let stat = diff(&["--from=start", "--to=latest", "--stat"]);
    stat.expect(0);
    assert!(
        stat.out().contains("old.txt") && !stat.out().contains("-old\n"),
        "{stat}"
    );
    diff(&["--from=start", "--to=latest", "--exit-code"]).expect(1);
    diff(&["--from=latest", "--to=latest", "--exit-code"]).expect(0);
}

#[test]
fn export_takes_a_glob() {
    let out = env().base().join("only-d");
    let mut command = env().command("export");
    command.args(["--path", "d/**", "--out"]).arg(&out);
    run(&mut command).expect(0);
    assert_eq!(fs::read(out.join("d/bin")).unwrap(), b"\0\x01\x03");
    assert!(!out.join("b.txt").exists());
}

#[test]
fn the_rest_of_the_commands_answer() {
    run(&mut env().command("verify")).expect(0);
    let sessions = env().json("sessions", &[]);
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert!(run(&mut env().command("sessions")).out().contains("sh"));
    let processes = env().json("processes", &[]);
    let sh = processes.iter().find(|process| process["comm"] == "sh");
    assert_eq!(sh.unwrap()["exit"], 0, "{processes:?}");
    let doctor = run(env().bare().arg("doctor"));
    doctor.no_panic();
    assert!(doctor.out().contains("notify"), "{doctor}");
    for (shell, sign) in [
        ("bash", "complete"),
        ("zsh", "#compdef"),
        ("fish", "complete"),
    ] {
        let done = run(env().bare().args(["completions", shell]));
        done.expect(0);
        assert!(done.out().contains(sign), "{shell}");
        assert!(done.out().contains("processes"), "{shell}");
    }
    let man = run(env().bare().arg("man"));
    man.expect(0);
    assert!(man.out().contains(".TH"), "a page in roff");
    run(env().bare().arg("--version")).expect(0);
    run(env().bare().arg("--help")).expect(0);
}

#[test]
fn a_closed_pipe_is_quiet() {
    for name in ["timeline", "sessions", "processes", "diff", "show"] {
        let mut command = env().command(name);
        match name {
            "diff" => command.arg("--from=start"),
            "show" => command.arg("big"),
            _ => &mut command,
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(err, "", "{name}");
        assert_ne!(output.status.code(), Some(101), "{name}");
    }
}
