//! `record`: the command does not notice, and the state directory stays its own.
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
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use common::{EXE, Env, assert_equal_but, clean, run, until};
use diffkeeper_demo::tree::Options;
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn the_exit_status_comes_back_unchanged() {
    let env = Env::new();
    let ends = [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("kill -TERM $$", 143),
    ];
    for round in 0..5 {
        for (script, code) in ends {
            let done = env.record(&["sh", "-c", &format!("echo {round} >> log; {script}")]);
            done.expect(code);
        }
    }
    let done = env.record(&["sh", "-c", "ulimit -c 0; kill -SEGV $$"]);
    done.expect(139);
    env.record(&["sh", "-c", "kill -KILL $$"]).expect(137);
    env.assert_latest();
}

#[test]
fn a_command_that_cannot_start_has_the_status_of_a_shell() {
    let env = Env::new();
    env.record(&["no-such-program-anywhere"]).expect(127);
    fs::write(env.tree().join("data"), "no program").unwrap();
    env.record(&["./data"]).expect(126);
    fs::create_dir(env.tree().join("dir")).unwrap();
    env.record(&["./dir"]).expect(126);
}

#[test]
fn stdin_environment_directory_and_descriptors_reach_the_command() {
    let env = Env::new();
    let script = r#"cat > got; printf '%s|' "$GIVEN" >> got; pwd -P >> got; umask >> got
        echo out; echo err >&2; echo three >&3"#;
    let whole = r#"umask 027; exec 3> "$1"; shift; exec "$@""#;
    let mut command = Command::new("sh");
    clean(&mut command);
    command
        .args(["-c", whole, "sh"])
        .arg(env.base().join("three"))
        .arg(EXE)
        .args(["record", "--backend", &common::backend(), "--state-dir"])
        .arg(env.state())
        .args(["--", "sh", "-c", script])
        .current_dir(env.tree())
        .env("GIVEN", "a value")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"piped ").unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(output.stdout, b"out\n", "stdout is the command's alone");
    assert!(err.lines().any(|line| line == "err"), "{err}");
    let expected = format!(
        "piped a value|{}\n0027\n",
        env.tree().canonicalize().unwrap().display()
    );
    let got = fs::read_to_string(env.tree().join("got")).unwrap();
    assert_eq!(got, expected);
    let three = fs::read_to_string(env.base().join("three")).unwrap();
    assert_eq!(three, "three\n");
}

#[test]
fn arguments_are_bytes() {
    let env = Env::new();
    let odd = OsStr::from_bytes(b"--odd=\xff\n--");
    let script = OsStr::new(r#"printf %s "$1" > got"#);
    let args = ["sh", "-c"].map(OsStr::new);
    let done = env.record(&[args[0], args[1], script, OsStr::new("sh"), odd]);
    done.expect(0);
    assert_eq!(
        fs::read(env.tree().join("got")).unwrap(),
        b"--odd=\xff\n--".to_vec()
    );
}

#[test]
fn signals_are_forwarded() {
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
    ] {
        let env = Env::new();
        let script = format!(
            "trap 'echo caught > caught; exit 7' {name}; echo > ready; while :; do sleep 0.02; done"
        );
        let mut command = env.recording();
        command.args(["sh", "-c", &script]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        until("the command runs", || env.tree().join("ready").exists());
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7), "{name}");
        env.assert_latest();
        assert!(env.tree().join("caught").exists());
    }
}

#[test]
fn the_state_directory_is_never_recorded() {
    let env = Env::new();
    fs::write(env.tree().join("before"), "stands").unwrap();
    let inside = env.tree().join("diffkeeper-trace");
    for round in 0..2 {
        let mut command = env.bare();
        command.args(["record", "--backend", &common::backend(), "--"]);
        command.args(["sh", "-c", &format!("echo {round} > new; mkdir -p d")]);
        run(&mut command).expect(0);
    }
    assert!(inside.is_dir(), "the default place");
    let timeline = run(env.bare().args(["timeline", "--json"]));
    timeline.expect(0);
    assert!(timeline.out().contains("\"new\""));
    let shown = timeline.out();
    assert!(!shown.contains("\"diffkeeper-trace"), "{shown}");
    let out = env.base().join("out");
    run(env.bare().arg("export").arg("--out").arg(&out)).expect(0);
    let options = Options {
        ignore: vec!["diffkeeper-trace".into()],
        root: false,
        ..Options::default()
    };
    assert!(!out.join("diffkeeper-trace").exists());
    assert_equal_but(&env.tree(), &out, &options);
}

#[test]
fn sessions_accumulate() {
    let env = Env::new();
    env.sh("echo one > a");
    env.sh("echo two > b");
    env.sh("rm a");
    assert_eq!(env.json("sessions", &[]).len(), 3);
    let first = run(env.command("timeline").args(["--json", "--session", "1"]));
    first.expect(0);
    assert!(first.out().contains("\"a\"") && !first.out().contains("\"b\""));
    let last = run(env.command("timeline").arg("--json"));
    assert!(!last.out().contains("\"b\""), "the last session by default");
    env.assert_latest();
}

#[test]
fn a_second_recorder_is_refused_by_the_pid_of_the_first() {
    let env = Env::new();
    let mut command = env.recording();
    command.args([
        "sh",
        "-c",
        "echo > ready; until [ -e go ]; do sleep 0.02; done",
    ]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut first = command.spawn().unwrap();
    until("the command runs", || env.tree().join("ready").exists());
    let second = env.record(&["sh", "-c", "echo > must-not-run"]);
    let reader = run(&mut env.command("timeline"));
    fs::write(env.tree().join("go"), "").unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    second.expect(125);
    let pid = first.id().to_string();
    assert!(second.err().contains(&pid), "{}", second.err());
    assert!(!env.tree().join("must-not-run").exists());
    reader.no_panic();
    assert!(reader.code() == Some(0) || reader.err().contains(&pid));
    env.assert_latest();
}

#[test]
fn a_recorder_that_cannot_start_does_not_run_the_command() {
    let env = Env::new();
    fs::write(env.tree().join("file"), "").unwrap();
    fs::create_dir(env.tree().join("sealed")).unwrap();
    fs::write(env.base().join("taken"), "a file").unwrap();
    let missing = env.tree().join("missing");
    let (unwritable, taken) = (env.base().join("taken/state"), env.base().join("taken"));
    let state = env.state();
    for (state, watch) in [
        (&state, &missing),
        (&unwritable, &env.tree()),
        (&taken, &env.tree()),
        (&"/proc/no-state-here".into(), &env.tree()),
    ] {
        let mut command = env.bare();
        command.arg("record").arg("--state-dir").arg(state);
        command.arg("--watch").arg(watch);
        command.args(["--", "sh", "-c", "echo > must-not-run"]);
        let done = run(&mut command);
        done.expect(125);
        assert!(!done.stderr.is_empty());
        assert!(!env.tree().join("must-not-run").exists());
    }
    let kept = fs::read_to_string(env.base().join("taken")).unwrap();
    assert_eq!(kept, "a file");
}

#[test]
fn nothing_changed_is_exact_too() {
    let env = Env::new();
    fs::create_dir_all(env.tree().join("a/b/c")).unwrap();
    fs::write(env.tree().join("a/file"), "stands").unwrap();
    env.sh("true");
    env.assert_latest();
}

#[test]
fn excluded_paths_are_left_out() {
    let env = Env::new();
    let mut command = env.command("record");
    command.args(["--backend", &common::backend(), "--exclude", "cache/**"]);
    command.args([
        "--",
        "sh",
        "-c",
        "mkdir cache; echo 1 > cache/x; echo 2 > y",
    ]);
    run(&mut command).expect(0);
    let out = env.export("latest");
    assert!(out.join("y").exists() && !out.join("cache/x").exists());
}
