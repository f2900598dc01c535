//! A disk that fills up under the recorder: the command does not notice, the loss is stated, and
//! what was recorded before it opens and is sound.
//!
//! `DIFFKEEPER_TEST_FULL` (4) is the number of disks, each of another size, `DIFFKEEPER_TEST_SEED`
//! (0) moves the sizes.
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

use common::{EXE, Env, Run, knob, missing, run};
use diffkeeper_demo::rng::Rng;

/// Inside a mount namespace of its own: a small disk for the state directory, and a command that
/// writes more than that.
const SCRIPT: &str = r#"
case $DISK in
  tmpfs) mount -t tmpfs -o size=${KIB}k tmpfs "$BASE/small" || exit 99 ;;
  ext4) truncate -s ${KIB}k "$BASE/image" && mkfs.ext4 -q -F "$BASE/image" &&
    mount -o loop "$BASE/image" "$BASE/small" || exit 99 ;;
esac
"$EXE" record --state-dir "$BASE/small/state" -- sh -c '
  i=0; while [ $i -lt 24 ]; do
    i=$((i+1)); head -c 700000 /dev/urandom >f$i; seq $i 4000 >log$((i%3)); sleep 0.02
  done
  echo the command ends; exit 7' >"$BASE/out" 2>"$BASE/err"
echo $? >"$BASE/status"
"$EXE" sessions --json --state-dir "$BASE/small/state" >"$BASE/sessions" 2>&1
"$EXE" timeline --json --state-dir "$BASE/small/state" >"$BASE/timeline" 2>"$BASE/timeline-err"
echo $? >"$BASE/timeline-status"
"$EXE" verify --state-dir "$BASE/small/state" >"$BASE/verify" 2>&1
echo $? >"$BASE/verify-status"
ls "$BASE/small/state" >"$BASE/left" 2>&1
umount "$BASE/small"
"#;

/// Records onto a disk of `kib` KiB; `None` if such a disk cannot be had here.
fn record_onto(env: &Env, disk: &str, kib: u64) -> Option<Run> {
    fs::create_dir(env.base().join("small")).unwrap();
    let mut command = Command::new("unshare");
    // With the rights of root outside, a loop device can be mounted; a tmpfs needs none.
    command.arg(if disk == "tmpfs" { "-rm" } else { "-m" });
    command.args(["sh", "-c", SCRIPT]);
    command.env("EXE", EXE).env("BASE", env.base());
    command.env("DISK", disk).env("KIB", kib.to_string());
    command.current_dir(env.tree());
    let done = run(&mut command);
    (!matches!(done.code(), Some(1 | 99))).then_some(done)
}

/// Judges what a full disk left; whether the command ran.
fn judge(env: &Env, what: &str) -> bool {
    let read = |name: &str| fs::read_to_string(env.base().join(name)).unwrap();
    let (err, status) = (read("err"), read("status"));
    let about = format!(
        "{what}: {status}{err}\n{}\n{}",
        read("sessions"),
        read("verify")
    );
    assert!(
        !err.contains("panicked") && !err.contains("internal error"),
        "{about}"
    );
    if status == "125\n" {
        // Full before the baseline was complete: said before anything has run.
        assert!(!err.is_empty(), "{about}");
        assert_eq!(read("out"), "", "{about}");
        assert!(!env.tree().join("f1").exists(), "{about}");
        return false;
    }
    assert_eq!(status, "7\n", "{about}");
    assert_eq!(read("out"), "the command ends\n", "{about}");
    assert!(env.tree().join("f24").exists());
    assert!(err.contains("recorder fault"), "{about}");
    assert_eq!(
        read("timeline-status"),
        "0\n",
        "{about}{}",
        read("timeline-err")
    );
    assert_eq!(read("verify-status"), "0\n", "{about}");
    assert!(!read("left").contains("reserve"), "{about}");
    let timeline = read("timeline");
    let last = timeline.lines().last().unwrap();
    assert!(last.contains(r#""reason":"store""#), "{about}: {last}");
    assert!(read("sessions").contains(r#""sealed":true"#), "{about}");
    assert!(
        err.contains("store"),
        "the reason of the gap is told: {about}"
    );
    true
}

fn fill(disk: &str, kib: impl Fn(&mut Rng) -> u64) {
    let mut rng = Rng::new(0x6675_6c6c + knob("DIFFKEEPER_TEST_SEED", 0));
    let mut ran = 0;
    for _ in 0..knob("DIFFKEEPER_TEST_FULL", 4).div_ceil(2) {
        let kib = kib(&mut rng);
        let env = Env::new();
        if record_onto(&env, disk, kib).is_none() {
            common::skip("full disk: needs `unshare -m`, and a tmpfs or a loop device of its own");
            return;
        }
        ran += u64::from(judge(&env, &format!("{disk} of {kib} KiB")));
    }
    assert!(ran > 0, "every disk was full before the command ran");
}

#[test]
fn a_full_tmpfs_is_reported_and_the_command_goes_on() {
    fill("tmpfs", |rng| 1500 + rng.below(10_000));
}

#[test]
fn a_full_loop_device_is_reported_and_the_command_goes_on() {
    if let Some(program) = missing(&["mkfs.ext4", "losetup"]) {
        common::skip(&format!("full disk: no {program}"));
        return;
    }
    fill("ext4", |rng| 4000 + rng.below(10_000));
}
