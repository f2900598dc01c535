//! Under `sudo` the command runs as whoever called it. A shell that is called `sudo` plays it:
//! what counts is a parent of that name, run by root, and what it says in `SUDO_*`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

use common::{EXE, Env, Run, run, skip};

const UID: u32 = 12_345;
const GID: u32 = 23_456;

/// What `sudo diffkeeper record -- sh -c SCRIPT` gives to a user with `MINE=1` in the environment.
fn sudo(env: &Env, parent: &str, script: &str) -> Run {
    let shell = env.base().join(parent);
    fs::copy("/bin/sh", &shell).unwrap();
    for dir in [env.base().to_owned(), env.tree()] {
        chown(dir, Some(UID), Some(GID)).unwrap();
    }
    let called = format!(
        "export MINE=changed PATH=/sbin:/bin:/usr/bin SUDO_UID={UID} SUDO_GID={GID} SUDO_USER=nobody-here
        {EXE} record --backend {} --state-dir ../state -- sh -c '{script}'
        exit $?",
        common::backend()
    );
    let mut command = Command::new(shell);
    common::clean(&mut command);
    command.args(["-c", &called]).current_dir(env.tree());
    run(command.env("MINE", "1").env("PATH", "/bin:/usr/bin:/mine"))
}

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("only root can become somebody else");
    }
    root
}

#[test]
fn the_command_runs_as_the_caller_of_sudo() {
    if !root() {
        return;
    }
    let env = Env::new();
    let script = "id -u; id -g; id -G; echo $MINE $PATH; echo x > made; exit 3";
    let done = sudo(&env, "sudo", script);
    done.expect(3);
    let expected = format!("{UID}\n{GID}\n{GID}\n1 /bin:/usr/bin:/mine\n");
    assert_eq!(done.out(), expected, "{done}");
    assert_eq!(fs::metadata(env.tree().join("made")).unwrap().uid(), UID);
    assert_eq!(env.json("processes", &[])[0]["uid"], UID);
    let owned = |path| fs::metadata(path).unwrap().uid() == UID;
    assert!(owned(env.state()));
    for entry in fs::read_dir(env.state()).unwrap() {
        assert!(owned(entry.unwrap().path()));
    }
}

/// A shell that `sudo` started is a caller of its own, whatever it finds in its environment.
#[test]
fn without_sudo_above_nothing_changes() {
    if !root() {
        return;
    }
    let env = Env::new();
    let done = sudo(&env, "other", "id -u; echo $MINE");
    done.expect(0);
    assert_eq!(done.out(), "0\nchanged\n", "{done}");
}
