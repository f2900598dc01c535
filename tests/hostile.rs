//! A state directory is hostile input: bits flipped, files cut, links planted. Every command ends
//! in time with an error or with what is undamaged, without a panic, and writes only below `--out`.
//!
//! `DIFFKEEPER_TEST_DAMAGES` (60) is the number of damaged copies, `DIFFKEEPER_TEST_SEED` (0)
//! moves the places.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{EXE, Env, assert_tree_equal, clean, knob, run, run_for};
use diffkeeper_demo::rng::Rng;
use diffkeeper_demo::tree::{Options, compare, copy};

const LIMIT: Duration = Duration::from_secs(10);

/// A trace of two sessions with every kind of version, and an arena with things to protect.
fn recorded() -> Env {
    let env = Env::new();
    let bytes = Rng::new(3).bytes(300_000);
    fs::write(env.tree().join("random"), &bytes).unwrap();
    env.sh("seq 20000 > log; mkdir -p d/e; cp random d/e/r; ln log hard; ln -s log soft");
    env.sh(
        "seq 20000 20500 >> log; printf patch | dd of=random conv=notrunc bs=1 seek=5000 \
        status=none; mv d moved; rm hard; echo small > small; chmod 600 small",
    );
    fs::create_dir_all(env.base().join("arena/keep/dir")).unwrap();
    fs::write(env.base().join("arena/keep/dir/file"), "untouched").unwrap();
    env
}

/// The regular files of a state directory, with their lengths in bytes.
fn files(state: &Path) -> Vec<(PathBuf, u64)> {
    let tree = diffkeeper_demo::tree::read(state, &[]).unwrap();
    let files = tree.entries.into_iter().filter(|(_, entry)| entry.size > 0);
    files.map(|(path, entry)| (path, entry.size)).collect()
}

/// Damages one file, a longer one more likely; says how.
fn damage(state: &Path, rng: &mut Rng) -> String {
    let files = files(state);
    let total = files.iter().map(|(_, size)| size).sum();
    // Half of the choices by length, half by file: a short file that matters is not forgotten.
    let mut drawn = rng.below(total);
    let mut chosen = rng.pick(&files).unwrap().clone();
    if rng.one_in(2) {
        for (path, size) in &files {
            if drawn < *size {
                chosen = (path.clone(), *size);
                break;
            }
            drawn -= size;
        }
    }
    let (path, size) = chosen;
    let mut bytes = fs::read(state.join(&path)).unwrap();
    let at = rng.below(size) as usize;
    let how = match rng.below(4) {
        0 => {
            bytes.truncate(at);
            "cut at"
        }
        1 => {
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
            "zeroed a page at"
        }
        _ => {
            bytes[at] ^= 1 << rng.below(8);
            "flipped a bit at"
        }
    };
    fs::write(state.join(&path), bytes).unwrap();
    format!("{} {how} {at} of {size}", path.display())
}

/// Every reading command over a damaged copy; the truth is the undamaged end.
fn all_commands_end_well(env: &Env, state: &Path, how: &str, truth: &Path) {
    let out = env.base().join("arena/out");
    let _: std::io::Result<()> = fs::remove_dir_all(&out);
    let arena = env.base().join("arena-before");
    let mut codes = Vec::new();
    for args in [
        &["verify"][..],
        &["sessions", "--json"],
        &["timeline", "--json"],
        &["show", "log"],
        &["diff", "--from", "start"],
        &["export", "--out", "out"],
        &["processes", "--filter", "ancestor:sh or op:write"],
    ] {
        // A copy for each command: opening a store may mend it, and each is to meet the damage.
        let fresh = env.base().join("fresh");
        copy(state, &fresh).unwrap();
        let mut command = std::process::Command::new(EXE);
        clean(&mut command);
        command.current_dir(env.base().join("arena"));
        command
            .arg(args[0])
            .arg("--state-dir")
            .arg(&fresh)
            .args(&args[1..]);
        let done = run_for(&mut command, LIMIT);
        fs::remove_dir_all(&fresh).unwrap();
        let (code, err) = (done.code(), done.err());
        assert!(!err.contains("panicked at"), "{how}: {done}");
        assert!(matches!(code, Some(0 | 1 | 2 | 125)), "{how}: {done}");
        assert!(code == Some(0) || !err.is_empty(), "{how}: silent: {done}");
        codes.push(code);
    }
    let only_out = Options {
        ignore: vec!["out".into()],
        root: false,
        ..Options::default()
    };
    let outside = compare(&arena, &env.base().join("arena"), &only_out);
    assert!(outside.is_empty(), "{how}: written outside: {outside:?}");
    if codes[0] == Some(0) && codes[5] == Some(0) {
        let found = compare(truth, &out, &Options::default());
        assert!(found.is_empty(), "{how}: verify passed, yet {found:?}");
    }
}

fn damaged_at_random(share: u64, of: u64) {
    let env = recorded();
    let truth = env.export("latest");
    copy(&env.base().join("arena"), &env.base().join("arena-before")).unwrap();
    let seed = knob("DIFFKEEPER_TEST_SEED", 0);
    for round in 0..knob("DIFFKEEPER_TEST_DAMAGES", 60).div_ceil(of) {
        let mut rng = Rng::new(seed + round * of + share + 1);
        let state = env.base().join("damaged");
        copy(&env.state(), &state).unwrap();
        let how = damage(&state, &mut rng);
        all_commands_end_well(&env, &state, &how, &truth);
        fs::remove_dir_all(&state).unwrap();
    }
}

#[test]
fn damage_at_random_places_first_half() {
    damaged_at_random(0, 2);
}

#[test]
fn damage_at_random_places_second_half() {
    damaged_at_random(1, 2);
}

#[test]
fn a_missing_or_foreign_file_is_an_error_or_the_undamaged_part() {
    let env = recorded();
    let truth = env.export("latest");
    copy(&env.base().join("arena"), &env.base().join("arena-before")).unwrap();
    let mut all = files(&env.state());
    all.truncate(12);
    for (path, _) in all {
        let state = env.base().join("damaged");
        copy(&env.state(), &state).unwrap();
        fs::remove_file(state.join(&path)).unwrap();
        let how = format!("{} removed", path.display());
        all_commands_end_well(&env, &state, &how, &truth);
        fs::remove_dir_all(&state).unwrap();
    }
}

#[test]
fn a_damaged_trace_still_takes_a_recording_or_refuses() {
    let env = recorded();
    let mut rng = Rng::new(11);
    for _ in 0..6 {
        let damaged = Env::new();
        copy(&env.state(), &damaged.state()).unwrap();
        let how = damage(&damaged.state(), &mut rng);
        let done = damaged.record(&["sh", "-c", "echo ran > ran"]);
        assert!(!done.err().contains("panicked at"), "{how}: {done}");
        match done.code() {
            Some(0) => damaged.assert_latest(),
            Some(125) => assert!(!damaged.tree().join("ran").exists(), "{how}"),
            _ => panic!("{how}: {done}"),
        }
    }
}

#[test]
fn export_follows_no_link_that_stands_in_its_way() {
    let env = recorded();
    let outside = env.base().join("outside");
    fs::create_dir(&outside).unwrap();
    let out = env.base().join("link-out");
    std::os::unix::fs::symlink(&outside, &out).unwrap();
    fs::write(outside.join("small"), "not yours").unwrap();
    let mut command = env.command("export");
    let done = run(command.arg("--out").arg(&out));
    done.no_panic();
    assert_ne!(done.code(), Some(0), "a directory that is not empty");
    let kept = fs::read_to_string(outside.join("small")).unwrap();
    assert_eq!(kept, "not yours");
    // A name that was a link to elsewhere and then a directory must end as a directory.
    let swap = Env::new();
    swap.sh("ln -s ../outside d; rm d; mkdir d; echo in > d/f; mv d e; ln -s ../outside d");
    assert_tree_equal(&swap.tree(), &swap.export("latest"));
    assert!(!swap.base().join("outside").exists());
}
