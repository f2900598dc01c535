//! What is refused: one clear line on stderr, nothing on stdout, nothing written.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::sync::OnceLock;

use common::{Env, run};

/// A session of one file, and beside it what is no state directory.
fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| {
        let env = Env::new();
        env.sh("mkdir -p src; echo text > src/main.txt; echo other > README");
        fs::create_dir(env.base().join("foreign")).unwrap();
        fs::write(env.base().join("foreign/file"), "no store").unwrap();
        fs::write(env.base().join("plain"), "no store").unwrap();
        fs::create_dir(env.base().join("empty")).unwrap();
        env
    })
}

/// Arguments, the allowed statuses, and what the message must hold.
type Refusal = (
    &'static [&'static str],
    &'static [i32],
    &'static [&'static str],
);

const USAGE: &[i32] = &[2];
const ANY: &[i32] = &[1, 2, 125];

const REFUSALS: &[Refusal] = &[
    (&[], USAGE, &[]),
    (&["no-such-command"], USAGE, &["no-such-command"]),
    (&["record"], USAGE, &[]),
    (&["record", "--"], USAGE, &[]),
    (
        &["record", "--backend", "bogus", "--", "true"],
        USAGE,
        &["bogus"],
    ),
    (
        &["timeline", "--no-such-option"],
        USAGE,
        &["--no-such-option"],
    ),
    (&["export"], USAGE, &["--out"]),
    (&["show"], USAGE, &["PATH"]),
    (
        &["export", "--out", "../o1", "--time=yesterdayish"],
        ANY,
        &["yesterdayish"],
    ),
    (&["export", "--out", "../o2", "--time=-s"], ANY, &[]),
    (&["export", "--out", "../o3", "--time=2x"], ANY, &["2x"]),
    (
        &["export", "--out", "../o4", "--time=99999s"],
        ANY,
        &["99999s"],
    ),
    (
        &["export", "--out", "../o5", "--time=-99999s"],
        ANY,
        &["99999s"],
    ),
    (
        &["export", "--out", "../o6", "--time=#999999"],
        ANY,
        &["999999"],
    ),
    (
        &["export", "--out", "../o7", "--time=1999-01-01T00:00:00Z"],
        ANY,
        &["1999"],
    ),
    (&["export", "--out", "../o8", "--time="], ANY, &[]),
    (&["export", "--out", "../foreign"], ANY, &["foreign"]),
    (&["export", "--out", "../plain"], ANY, &["plain"]),
    (&["timeline", "--session", "77"], ANY, &["77"]),
    (&["timeline", "--filter", "op:"], ANY, &[]),
    (&["timeline", "--filter", "op:nonsense"], ANY, &["nonsense"]),
    (&["timeline", "--filter", "(op:write"], ANY, &[]),
    (&["timeline", "--filter", "path:/[/"], ANY, &[]),
    (&["timeline", "--filter", "size>many"], ANY, &["many"]),
    (&["show", "src/main.txT"], ANY, &["src/main.txt"]),
    (&["show", "REDME"], ANY, &["README"]),
    (&["show", "../../etc/passwd"], ANY, &[]),
    (&["diff", "never-there"], ANY, &["never-there"]),
];

#[test]
fn each_refusal_is_clear() {
    for (args, codes, holds) in REFUSALS {
        let mut command = env().bare();
        command.env("DIFFKEEPER_STATE_DIR", env().state());
        let done = run(command.args(*args));
        done.no_panic();
        let code = done.code().unwrap();
        assert!(codes.contains(&code), "{args:?}: {done}");
        assert_eq!(done.out(), "", "{args:?}: stdout carries results only");
        assert!(!done.err().trim().is_empty(), "{args:?}: a reason");
        for text in *holds {
            assert!(done.err().contains(text), "{args:?} names {text}: {done}");
        }
    }
    for number in 1..9 {
        let out = env().base().join(format!("o{number}"));
        let empty = || fs::read_dir(&out).unwrap().count() == 0;
        assert!(!out.exists() || empty(), "{} was filled", out.display());
    }
    let kept = fs::read_to_string(env().base().join("foreign/file")).unwrap();
    assert_eq!(kept, "no store");
}

#[test]
fn what_is_no_store_is_named_and_left_alone() {
    let commands: [&[&str]; 6] = [
        &["timeline"],
        &["sessions"],
        &["verify"],
        &["show", "x"],
        &["diff"],
        &["export", "--out", "../never"],
    ];
    for (place, entries) in [("missing", 0), ("foreign", 1), ("plain", 0), ("empty", 0)] {
        for args in commands {
            let state = env().base().join(place);
            let mut command = env().bare();
            command.arg(args[0]).arg("--state-dir").arg(&state);
            let done = run(command.args(&args[1..]));
            done.no_panic();
            assert!(
                ANY.contains(&done.code().unwrap()),
                "{place} {args:?}: {done}"
            );
            assert!(done.err().contains(place), "{place} {args:?}: {done}");
            let found = fs::read_dir(&state).map_or(0, Iterator::count);
            assert_eq!(
                found, entries,
                "{place} {args:?}: only `record` makes a store"
            );
        }
    }
    assert!(!env().base().join("never").exists());
    assert!(!env().base().join("missing").exists());
}

#[test]
fn a_recording_into_a_foreign_directory_is_refused() {
    let mut command = env().bare();
    command
        .arg("record")
        .arg("--state-dir")
        .arg(env().base().join("foreign"));
    let done = run(command.args(["--", "sh", "-c", "echo > must-not-run"]));
    done.expect(125);
    assert!(done.err().contains("foreign"), "{done}");
    assert!(!env().tree().join("must-not-run").exists());
    assert_eq!(
        fs::read_dir(env().base().join("foreign")).unwrap().count(),
        1
    );
}

#[test]
fn the_state_directory_comes_from_the_environment_or_the_default() {
    let from_env = run(env()
        .bare()
        .arg("sessions")
        .env("DIFFKEEPER_STATE_DIR", env().state()));
    from_env.expect(0);
    let default = run(env().bare().arg("sessions"));
    default.no_panic();
    assert_ne!(default.code(), Some(0));
    assert!(default.err().contains("diffkeeper-trace"), "{default}");
}

#[test]
fn an_export_into_the_state_directory_is_refused() {
    for out in [
        env().state().join("deep/er"),
        env().state().join("../state/x/../y"),
    ] {
        let mut command = env().bare();
        command.env("DIFFKEEPER_STATE_DIR", env().state());
        let done = run(command.arg("export").arg("--out").arg(&out));
        done.expect(2);
        assert!(done.err().contains("state directory"), "{done}");
        assert!(!out.exists());
    }
}
