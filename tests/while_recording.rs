//! A trace can be looked at while it is recorded.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::process::{Child, Stdio};

use common::{Env, LIMIT, run, until};
use serde_json::Value;

/// Starts to record a script that goes on once `base/go` is there.
fn hanging(env: &Env, before: &str, after: &str) -> Child {
    let script = format!("{before}; until [ -e ../go ]; do sleep 0.05; done; {after}");
    let mut command = env.recording();
    command.args(["sh", "-ec", &script]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn let_go(env: &Env) {
    fs::write(env.base().join("go"), "").unwrap();
}

/// The events so far; none as long as there is nothing to read.
fn events(env: &Env) -> Vec<Value> {
    let done = run(env.command("timeline").arg("--json"));
    done.no_panic();
    if done.code() == Some(0) {
        done.json()
    } else {
        Vec::new()
    }
}

fn wait_for(env: &Env, path: &str, op: &str) {
    let is_it = |event: &Value| event["path"] == path && event["op"] == op;
    until("an event", || events(env).iter().any(is_it));
}

#[test]
fn every_reading_command_works_while_the_command_hangs() {
    let env = Env::new();
    fs::write(env.tree().join("before"), "there\n").unwrap();
    let mut recorder = hanging(&env, "echo one > file", "echo two >> file");
    wait_for(&env, "file", "write");
    let shown = run(env.command("show").arg("file"));
    shown.expect(0);
    assert_eq!(shown.out(), "one\n");
    let done = run(&mut env.command("timeline"));
    done.expect(0);
    assert!(done.err().contains("still being recorded"), "{done}");
    let sessions = env.json("sessions", &[]);
    assert_eq!(sessions[0]["sealed"], false);
    let out = env.export("latest");
    assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "one\n");
    assert_eq!(fs::read_to_string(out.join("before")).unwrap(), "there\n");
    for args in [&["diff", "--exit-code"][..], &["processes"], &["verify"]] {
        let code = i32::from(args[0] == "diff");
        run(env.command(args[0]).args(&args[1..])).expect(code);
    }
    let pack = env.base().join("pack");
    run(env.command("pack").arg("-o").arg(&pack)).expect(0);
    assert!(env.state().join("live/socket").exists());
    let_go(&env);
    assert!(recorder.wait().unwrap().success());
    assert!(!env.state().join("live").exists());
    env.assert_latest();
    let mut command = env.bare();
    command.args(["show", "file", "--state-dir"]).arg(&pack);
    assert_eq!(run(&mut command).out(), "one\n");
    run(&mut env.command("verify")).expect(0);
}

fn follow(env: &Env, args: &[&str]) -> Child {
    let mut command = env.command("timeline");
    command.arg("--follow").args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The end of a process, which must come by itself.
fn ended(mut child: Child) -> (Option<i32>, String, String) {
    let start = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < LIMIT, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn following_shows_every_event_once_and_ends_with_the_session() {
    let env = Env::new();
    let mut recorder = hanging(
        &env,
        "echo one > file",
        "for i in 1 2 3 4 5 6; do echo $i >> file; sleep 0.1; done; mv file other",
    );
    wait_for(&env, "file", "write");
    let plain = follow(&env, &[]);
    let json = follow(&env, &["--json"]);
    let some = follow(&env, &["--filter", "op:rename"]);
    let few = follow(&env, &["--limit", "1"]);
    let (code, out, _) = ended(few);
    assert_eq!((code, out.lines().count()), (Some(0), 1));
    let_go(&env);
    assert!(recorder.wait().unwrap().success());
    let all = run(&mut env.command("timeline"));
    let (code, out, err) = ended(plain);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, all.out());
    assert_eq!(err, all.err());
    let (code, out, err) = ended(json);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, run(env.command("timeline").arg("--json")).out());
    let (_, out, _) = ended(some);
    assert_eq!(
        out,
        run(env.command("timeline").args(["--filter", "op:rename"])).out()
    );
    // Of a session that has ended, all that there is.
    let (code, out, _) = ended(follow(&env, &[]));
    assert_eq!((code, out), (Some(0), all.out()));
}

#[test]
fn a_recorder_that_is_killed_leaves_followers_an_end_and_the_next_one_a_way() {
    let env = Env::new();
    let mut recorder = hanging(&env, "echo one > file; echo $$ > ../pid", "true");
    wait_for(&env, "file", "write");
    let follower = follow(&env, &[]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    let (code, out, err) = ended(follower);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("is not finished"), "{err}");
    assert_eq!(out, run(&mut env.command("timeline")).out());
    let_go(&env);
    assert!(
        env.state().join("live/socket").exists(),
        "as a kill leaves it"
    );
    run(&mut env.command("verify")).expect(0);
    fs::remove_file(env.base().join("go")).unwrap();
    let mut second = hanging(&env, "echo two > second", "true");
    wait_for(&env, "second", "write");
    let_go(&env);
    assert!(second.wait().unwrap().success());
    assert!(!env.state().join("live").exists());
}

#[test]
fn a_socket_that_answers_nonsense_is_no_trace() {
    let env = Env::new();
    env.sh("echo a > a");
    // Held by somebody who is no recorder, beside a socket that says what it likes.
    let lock = fs::File::options()
        .write(true)
        .open(env.state().join("lock"))
        .unwrap();
    lock.lock().unwrap();
    let live = env.state().join("live");
    fs::create_dir(&live).unwrap();
    let link = tempfile::tempdir().unwrap();
    let short = link.path().join("l");
    std::os::unix::fs::symlink(&live, &short).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(short.join("socket")).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let mut stream = stream;
            let _ = stream.read_exact(&mut [0; 18]);
            let _ = stream.write_all(b"diffkeeper live 1\n");
            let nonsense: &[u8] = if number % 2 == 0 {
                &[0xff; 4096]
            } else {
                &[0, 0, 0, 2, 0, 9]
            };
            let _ = stream.write_all(nonsense);
        }
    });
    for _ in 0..4 {
        let done = run(&mut env.command("timeline"));
        done.no_panic();
        assert!(matches!(done.code(), Some(1 | 2)), "{done}");
        assert!(!done.err().is_empty());
    }
}
