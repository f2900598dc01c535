//! A state directory is hostile input, and so is a pack: bits flipped, files cut, links planted.
//! Every command ends in time with an error or with what is undamaged, without a panic, and writes
//! only below `--out`.
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

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::damage::{damage, files, kill_a_recording, recorded};
use common::{EXE, Env, Run, assert_tree_equal, clean, knob, run, run_for};
use diffkeeper_demo::rng::Rng;
use diffkeeper_demo::tree::{Options, What, compare, copy};

const LIMIT: Duration = Duration::from_secs(60);

/// Commands that print the same of the same trace, or fail.
const SAYING: [&[&str]; 4] = [
    &["show", "log"],
    &["diff", "--from", "start"],
    &["processes", "--filter", "ancestor:sh or op:write"],
    &["summary", "--trace", "trace"],
];

/// Commands that are judged by what they leave, or by themselves.
const DOING: [&[&str]; 6] = [
    &["verify"],
    &["sessions", "--json"],
    &["timeline", "--json"],
    &["export", "--out", "out"],
    &["restore", "--to", "out"],
    &["pack", "-o", "out"],
];

/// What an undamaged trace says: nothing else may be handed out as right.
struct Truth {
    /// The undamaged state directory.
    state: PathBuf,
    /// Each session's events, one JSON object a line.
    events: BTreeMap<u64, Vec<String>>,
    /// What each of [`SAYING`] prints.
    said: BTreeMap<&'static str, Vec<u8>>,
    sessions: Vec<String>,
    /// The tree at the end.
    tree: PathBuf,
}

/// A command over a state directory, in the arena.
fn on(env: &Env, state: &Path, args: &[&str]) -> Run {
    let mut command = std::process::Command::new(EXE);
    clean(&mut command);
    command.current_dir(env.base().join("arena"));
    command.arg(args[0]).arg("--state-dir").arg(state);
    run_for(command.args(&args[1..]), LIMIT)
}

fn lines(done: &Run) -> Vec<String> {
    done.out().lines().map(str::to_owned).collect()
}

/// Whether the events that were printed are the first of the true ones. Where it is said that the
/// trace is damaged, they may lack fields, and hold no other.
fn begins(truth: &[String], done: &Run) -> bool {
    let found = lines(done);
    if !done.err().contains("without path or process") {
        return truth.starts_with(&found);
    }
    let fields = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let is_part = |(found, truth): (&String, &String)| {
        let truth = fields(truth);
        let found = fields(found);
        let mut known = found.as_object().unwrap().iter();
        known.all(|(name, value)| truth.get(name) == Some(value))
    };
    found.len() <= truth.len() && found.iter().zip(truth).all(is_part)
}

/// Takes the gap that a repair leaves off the end of a timeline, if it is there.
fn cut_off_loss(done: &mut Run) -> bool {
    let found = lines(done);
    let was_cut = found
        .last()
        .is_some_and(|last| last.contains(r#""reason":"lost""#));
    let kept = &found[..found.len() - usize::from(was_cut)];
    done.stdout = kept
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\n"].concat())
        .collect();
    was_cut
}

impl Truth {
    fn new(env: &Env, state: &Path) -> Self {
        let ask = |args: &[&str]| {
            let done = on(env, state, args);
            done.expect(0);
            done
        };
        let sessions = lines(&ask(&["sessions", "--json"]));
        let events = (1..=sessions.len() as u64).map(|number| {
            let session = number.to_string();
            let done = ask(&["timeline", "--json", "--session", &session]);
            (number, lines(&done))
        });
        let tree = env.base().join("truth-tree");
        ask(&["export", "--out", tree.to_str().unwrap()]);
        Self {
            state: state.to_owned(),
            events: events.collect(),
            said: SAYING.map(|args| (args[0], ask(args).stdout)).into(),
            sessions,
            tree,
        }
    }

    /// The end of the trace was asked for and given: it is the true one.
    fn check(&self, env: &Env, args: &[&str], done: &Run, how: &str) {
        let last = self.events.values().last().unwrap();
        let all = done.code() == Some(0);
        let out = env.base().join("arena/out");
        match args[0] {
            // What was printed before an error is right as well.
            "timeline" => assert!(
                begins(last, done) && (!all || lines(done).len() == last.len()),
                "{how}: {done}"
            ),
            "sessions" if done.err().is_empty() => {
                assert!(!all || lines(done) == self.sessions, "{how}: {done}");
            }
            "show" => assert!(self.said["show"].starts_with(&done.stdout), "{how}: {done}"),
            "export" | "restore" if all => {
                let found = compare(&self.tree, &out, &Options::default());
                assert!(found.is_empty(), "{how}: {done}, yet {found:?}");
            }
            "export" | "restore" if out.exists() => self.check_files(&out, how),
            _ => {}
        }
        if let Some(said) = self.said.get(args[0]).filter(|_| all) {
            assert!(done.stdout == *said, "{how}: {done}");
        }
    }

    /// A file that is there holds what it held.
    fn check_files(&self, out: &Path, how: &str) {
        for difference in compare(&self.tree, out, &Options::default()) {
            let wrong = matches!(
                difference.what,
                What::Bytes { .. } | What::OnlyRight(_) | What::Target(..)
            );
            // What is left out is named, with its path, and may leave an unfinished directory.
            assert!(!wrong, "{how}: handed out as right: {difference}");
        }
    }
}

/// Every reading command over a damaged copy.
fn all_commands_end_well(env: &Env, state: &Path, how: &str, truth: &Truth) {
    let arena = env.base().join("arena-before");
    for args in SAYING.iter().chain(&DOING).copied() {
        let out = env.base().join("arena/out");
        let _ = fs::remove_dir_all(&out).or_else(|_| fs::remove_file(&out));
        // A copy for each command: opening a store may mend it, and each is to meet the damage.
        let fresh = env.base().join("fresh");
        if state.is_dir() {
            copy(state, &fresh).unwrap();
        } else {
            fs::copy(state, &fresh).unwrap();
        }
        let done = on(env, &fresh, args);
        if state.is_dir() {
            fs::remove_dir_all(&fresh).unwrap();
        } else {
            fs::remove_file(&fresh).unwrap();
        }
        ended_well(&done, how);
        truth.check(env, args, &done, how);
    }
    let only_out = Options {
        ignore: vec!["out".into()],
        root: false,
        ..Options::default()
    };
    let outside = compare(&arena, &env.base().join("arena"), &only_out);
    assert!(outside.is_empty(), "{how}: written outside: {outside:?}");
}

fn ended_well(done: &Run, how: &str) {
    let (code, err) = (done.code(), done.err());
    assert!(!err.contains("panicked at"), "{how}: {done}");
    assert!(!err.contains("internal error"), "{how}: {done}");
    assert!(matches!(code, Some(0 | 1 | 2 | 125)), "{how}: {done}");
    assert!(code == Some(0) || !err.is_empty(), "{how}: silent: {done}");
}

/// After a repair, every session is a prefix of the true one, and its end is the true state there.
/// Whether anything can be read again.
fn repaired(env: &Env, state: &Path, how: &str, truth: &Truth) -> bool {
    let done = on(env, state, &["verify", "--repair"]);
    ended_well(&done, how);
    let listed = on(env, state, &["sessions", "--json"]);
    ended_well(&listed, how);
    for session in listed.json() {
        let number = session["session"].as_u64().unwrap();
        let arg = number.to_string();
        let mut events = on(env, state, &["timeline", "--json", "--session", &arg]);
        ended_well(&events, how);
        let was_cut = cut_off_loss(&mut events);
        let found = lines(&events);
        let true_ones = &truth.events[&number];
        assert!(
            begins(true_ones, &events),
            "{how}: session {number}: {events}"
        );
        let is_whole = found.len() == true_ones.len();
        assert!(
            is_whole || was_cut || events.code() != Some(0),
            "{how}: {events}"
        );
        if events.code() == Some(0) {
            end_is_true(env, (state, &arg, found.len()), how, truth);
        }
    }
    done.code() == Some(0) && listed.code() == Some(0)
}

/// The tree after the last event that is left.
fn end_is_true(env: &Env, (state, session, last): (&Path, &str, usize), how: &str, truth: &Truth) {
    let export = |state: &Path, out: &Path, when: &str| {
        let _: std::io::Result<()> = fs::remove_dir_all(out);
        let args = ["export", "--session", session, "--time", when, "--out"];
        on(env, state, &[&args[..], &[out.to_str().unwrap()]].concat())
    };
    let (found, wanted) = (env.base().join("found"), env.base().join("wanted"));
    let done = export(state, &found, "latest");
    ended_well(&done, how);
    if done.code() == Some(0) {
        export(&truth.state, &wanted, &format!("#{last}")).expect(0);
        let differences = compare(&wanted, &found, &Options::default());
        assert!(
            differences.is_empty(),
            "{how}: after repair: {differences:?}"
        );
    }
}

#[test]
fn damage_of_a_pack_at_random_places() {
    let env = recorded();
    let truth = Truth::new(&env, &env.state());
    copy(&env.base().join("arena"), &env.base().join("arena-before")).unwrap();
    let whole = env.base().join("whole/pack");
    fs::create_dir(env.base().join("whole")).unwrap();
    run(env.command("pack").arg("-o").arg(&whole)).expect(0);
    let seed = knob("DIFFKEEPER_TEST_SEED", 0);
    for round in 0..knob("DIFFKEEPER_TEST_DAMAGES", 60) {
        let mut rng = Rng::new(seed + round + 1);
        let damaged = env.base().join("damaged");
        fs::create_dir(&damaged).unwrap();
        let pack = damaged.join("pack");
        fs::copy(&whole, &pack).unwrap();
        let how = damage(&damaged, &mut rng);
        all_commands_end_well(&env, &pack, &how, &truth);
        let to = env.base().join("unpacked");
        let mut command = env.bare();
        let done = run_for(command.arg("unpack").arg(&pack).arg("--to").arg(&to), LIMIT);
        ended_well(&done, &how);
        if done.code() == Some(0) {
            // What was unpacked has all that the pack had.
            on(&env, &to, &["verify"]).expect(0);
            fs::remove_dir_all(&to).unwrap();
        }
        assert!(!to.exists(), "{how}: half of it stayed");
        fs::remove_dir_all(&damaged).unwrap();
    }
}

fn damaged_at_random(killed: bool, seed: u64) {
    let env = recorded();
    if killed {
        kill_a_recording(&env);
    }
    let pristine = env.base().join("pristine");
    copy(&env.state(), &pristine).unwrap();
    copy(&env.base().join("arena"), &env.base().join("arena-before")).unwrap();
    let truth = Truth::new(&env, &env.state());
    let (mut readable, rounds) = (0, knob("DIFFKEEPER_TEST_DAMAGES", 60).div_ceil(2));
    for round in 0..rounds {
        let mut rng = Rng::new(knob("DIFFKEEPER_TEST_SEED", 0) + round * 2 + seed);
        let state = env.base().join("damaged");
        copy(&pristine, &state).unwrap();
        let how = damage(&state, &mut rng);
        all_commands_end_well(&env, &state, &how, &truth);
        readable += u64::from(repaired(&env, &state, &how, &truth));
        fs::remove_dir_all(&state).unwrap();
    }
    eprintln!("{readable} of {rounds} traces were whole or could be repaired to be");
}

#[test]
fn damage_at_random_places_of_a_trace_that_ended_in_order() {
    damaged_at_random(false, 1);
}

#[test]
fn damage_at_random_places_of_what_a_killed_recorder_left() {
    damaged_at_random(true, 2);
}

#[test]
fn a_missing_or_foreign_file_is_an_error_or_the_undamaged_part() {
    let env = recorded();
    copy(&env.base().join("arena"), &env.base().join("arena-before")).unwrap();
    let truth = Truth::new(&env, &env.state());
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
