//! Who did what: `processes`, and the processes in `timeline` and its filters, over a session
//! whose every process is known.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::sync::OnceLock;

use common::family::record;
use common::{Env, Run, run};
use diffkeeper_store::model::Backend;
use serde_json::{Value, json};

fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| {
        let env = Env::new();
        record(&env.state(), Backend::Fentry);
        env
    })
}

fn processes(args: &[&str]) -> Run {
    let done = run(env().command("processes").args(args));
    done.expect(0);
    done
}

#[test]
fn the_session_is_sound() {
    run(&mut env().command("verify")).expect(0);
}

#[test]
fn the_tree_tells_who_did_what() {
    let done = processes(&[]);
    let expected = "\
PROCESS         START        END          EXIT      WRITES  BYTES  FILES  CREATED  RENAMED  OPENS  READS  COMMAND
make[100]       00m:00.000s  00m:02.000s  2         -       -      -      -        -        -      -      make test
|- sh[101]      00m:00.100s  00m:01.800s  0         -       -      1      1        -        -      -      sh -ec \\x1b[2J\\n&&
|  `- go[102]   00m:00.200s  00m:01.700s  signal 9  2       8B     1      1        1        -      -      go build \\xff
`- cc[103]      00m:00.300s  00m:01.900s  0         -       -      -      -        -        1      1      cc a.c
   `- tee[101]  00m:00.400s  -            -         1       6B     1      -        -        -      -      tee
";
    assert_eq!(done.out(), expected);
    let footer = "5 processes, 1 change by unknown processes, 1 gap, fentry\n";
    assert_eq!(done.err(), footer);
}

#[test]
fn a_locale_with_utf_8_has_box_characters() {
    let done = run(env().command("processes").env("LC_ALL", "C.UTF-8"));
    done.expect(0);
    for line in [
        "├─ sh[101]",
        "│  └─ go[102]",
        "└─ cc[103]",
        "   └─ tee[101]",
    ] {
        let found = done.out().lines().any(|shown| shown.starts_with(line));
        assert!(found, "{line}: {done}");
    }
}

#[test]
fn objects_have_what_is_known() {
    let objects = processes(&["--json"]).json();
    let of = |pid: u64, comm: &str| {
        let found = objects
            .iter()
            .find(|o| o["pid"] == pid && o["comm"] == comm);
        found.unwrap_or_else(|| panic!("no {comm}")).clone()
    };
    let expected = json!({"session": 1, "pid": 102, "ppid": 101, "start_ns": 200_000_000,
        "end_ns": 1_700_000_000, "comm": "go", "exe": "/usr/bin/go",
        "argv_b64": ["Z28=", "YnVpbGQ=", "/w=="], "cwd": "/w", "uid": 1000, "exit": 137,
        "signal": 9, "writes": 2, "bytes": 8, "files": 1, "created": 1, "removed": 0,
        "renamed": 1, "opens": 0, "reads": 0});
    assert_eq!(of(102, "go"), expected);
    let make = of(100, "make");
    assert_eq!(make.get("ppid"), None);
    assert_eq!((&make["exit"], make.get("signal")), (&json!(2), None));
    let tee = of(101, "tee");
    assert_eq!(tee["ppid"], 103);
    assert_eq!((tee.get("exit"), tee.get("end_ns")), (None, None));
    assert_eq!(objects.len(), 5);
    let raw = processes(&["--json"]).out();
    assert!(!raw.contains('\x1b'), "{raw}");
}

/// The names of the processes that a filter takes, in the order of the tree.
fn chosen(filter: &str) -> Vec<String> {
    let objects = processes(&["--json", "--filter", filter]).json();
    let comm = |object: &Value| object["comm"].as_str().unwrap().to_owned();
    objects.iter().map(comm).collect()
}

#[test]
fn a_filter_takes_processes_or_what_they_did() {
    for (filter, expected) in [
        ("", &["make", "sh", "go", "cc", "tee"][..]),
        ("comm=go", &["go"]),
        ("comm:?c or pid=100", &["make", "cc"]),
        ("ancestor=101", &["sh", "go", "tee"]),
        ("ancestor=103", &["cc", "tee"]),
        ("not ancestor=101", &["make", "cc"]),
        ("op:write", &["go", "tee"]),
        ("path:out/log op:read", &["cc"]),
        ("content:three op:write", &["tee"]),
        ("path:none", &[]),
        ("pid=4711", &[]),
        ("uid=0", &[]),
    ] {
        assert_eq!(chosen(filter), expected, "{filter}");
    }
    let writes = processes(&["--json", "--filter", "op:write len=4"]).json();
    let writes = writes.first().unwrap();
    assert_eq!(
        (&writes["writes"], &writes["created"]),
        (&json!(2), &json!(0))
    );
}

#[test]
fn a_filtered_tree_keeps_those_above() {
    let done = processes(&["--filter", "comm=tee"]);
    let names: Vec<String> = done
        .out()
        .lines()
        .map(|line| line.split("  0").next().unwrap().trim_end().to_owned())
        .collect();
    assert_eq!(
        names.get(1..).unwrap(),
        ["make[100]", "`- cc[103]", "   `- tee[101]"]
    );
    assert!(done.err().starts_with("1 of 5 processes, "), "{done}");
    let coloured = processes(&["--filter", "comm=tee", "--color=always"]).out();
    let dim = |line: &str| line.starts_with("\x1b[2m");
    let dimmed: Vec<bool> = coloured.lines().skip(1).map(dim).collect();
    assert_eq!(dimmed, [true, true, false], "{coloured}");
    let none = processes(&["--filter", "comm=none"]);
    assert_eq!(none.out(), "");
}

#[test]
fn what_is_unknown_on_notify_is_not_counted() {
    let env = Env::new();
    record(&env.state(), Backend::Notify);
    let objects = env.json("processes", &[]);
    assert_eq!(objects.len(), 5);
    for object in objects {
        assert_eq!((object.get("writes"), object.get("files")), (None, None));
    }
}

#[test]
fn the_timeline_ends_with_who_did_it() {
    let done = run(&mut env().command("timeline"));
    done.expect(0);
    let lines: Vec<String> = done.out().lines().map(str::to_owned).collect();
    for expected in [
        "[00m:00.000s] EXEC     make test  make[100]",
        "[00m:00.100s] EXEC     sh -ec \\x1b[2J\\n&&  sh[101]",
        "[00m:00.600s] CREATE   out/tmp  go[102]",
        "[00m:00.700s] RENAME   out/tmp -> out/log  go[102]",
        "[00m:01.100s] WRITE    out/log (6B)  tee[101]",
        "[00m:01.200s] WRITE    out/log (2B)",
        "[00m:01.300s] OPEN     out/log (O_RDONLY|O_CLOEXEC)  cc[103]",
        "[00m:01.400s] READ     out/log (4B at 4)  cc[103]",
        "[00m:01.500s] OUTPUT   \"warn\\x07ing...\" (stderr 15B)  tee[101]",
        "[00m:01.700s] EXIT     signal 9  go[102]",
        "[00m:02.000s] EXIT     2  make[100]",
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected}\n{done}"
        );
    }
}

#[test]
fn the_timeline_is_filtered_by_who_did_it() {
    let seqs = |filter: &str| -> Vec<u64> {
        let events = env().timeline(&["--filter", filter]);
        let seq = |event: &Value| event["seq"].as_u64().unwrap();
        events.iter().map(seq).collect()
    };
    for (filter, expected) in [
        ("pid=102", &[3, 7, 8, 9, 10, 11, 18][..]),
        ("pid=101", &[2, 5, 6, 12, 16, 19]),
        ("pid:102..103 op:exit", &[18, 20]),
        ("comm:t*", &[5, 12, 16]),
        ("exe=/usr/bin/cc", &[4, 14, 15, 20]),
        ("exe:cc", &[4, 14, 15, 20]),
        ("ancestor=103", &[4, 5, 12, 14, 15, 16, 20]),
        ("ancestor=101 op:write", &[10, 11, 12]),
        ("ancestor:sh op:write", &[10, 11]),
        ("op:write not ancestor=100", &[13]),
        ("pid=4711", &[]),
        ("ancestor=4711", &[]),
        ("comm:none or exe:none", &[]),
    ] {
        assert_eq!(seqs(filter), expected, "{filter}");
    }
    let write = env().timeline(&["--filter", "seq=12"]);
    let write = write.first().unwrap();
    assert_eq!(
        (&write["pid"], &write["comm"]),
        (&json!(101), &json!("tee"))
    );
    assert_eq!(write.get("exe"), None);
}
