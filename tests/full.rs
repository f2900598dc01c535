//! A disk that fills up under the recorder: the command does not notice, the trace opens.
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

use common::{EXE, Env, run};

/// Inside a mount namespace of its own; the state directory has 6 MB, the command writes 13.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=6m tmpfs "$BASE/small" || exit 99
"$EXE" record --state-dir "$BASE/small/state" -- sh -c '
  for i in 1 2 3 4 5 6 7 8 9; do head -c 1500000 /dev/urandom >f$i; sleep 0.05; done
  echo the command ends; exit 7' >"$BASE/out" 2>"$BASE/err"
echo $? >"$BASE/status"
"$EXE" timeline --json --state-dir "$BASE/small/state" >"$BASE/timeline" || exit 98
"$EXE" verify --state-dir "$BASE/small/state" || exit 97
"#;

#[test]
fn a_full_disk_is_reported_and_the_command_goes_on() {
    let env = Env::new();
    fs::create_dir(env.base().join("small")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", SCRIPT]);
    command.env("EXE", EXE).env("BASE", env.base());
    command.current_dir(env.tree());
    let done = run(&mut command);
    if matches!(done.code(), Some(1 | 99)) {
        common::skip("full disk: needs `unshare -rm` and a tmpfs of its own");
        return;
    }
    done.expect(0);
    let read = |name: &str| fs::read_to_string(env.base().join(name)).unwrap();
    assert_eq!(read("out"), "the command ends\n");
    assert_eq!(read("status"), "7\n", "{}", read("err"));
    assert!(read("err").contains("recorder fault"), "{}", read("err"));
    let events = read("timeline");
    assert!(events.contains("\"create\""), "what was committed is there");
}
