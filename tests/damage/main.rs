//! Damage at random places of a store and of a pack, asked in this process for everything that it
//! holds: no panic, no hang, no wrong answer, and what is undamaged is answered. The commands are
//! tried in `tests/hostile.rs`, and record by record a pack is in `store/src/pack/tests.rs`.
//!
//! `DIFFKEEPER_TEST_DAMAGES` (60) is the number of damaged copies of a store, and of a pack,
//! `DIFFKEEPER_TEST_SEED` (0) moves the places. Opening a store waits for the disk, so a large number
//! wants a `TMPDIR` in memory.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod facts;
mod guard;
mod repaired;
mod tally;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::damage::{damage, kill_a_recording, recorded};
use common::{Env, knob, run};
use diffkeeper_demo::rng::Rng;
use diffkeeper_demo::tree::copy;
use diffkeeper_store::Store;
use diffkeeper_store::model::SessionId;
use facts::{Fact, ask};
use guard::Guard;
use tally::Tally;
use tempfile::TempDir;

/// A sound trace, and what it says.
pub(crate) struct Truth {
    _env: Env,
    /// A state directory, or one that holds a pack and nothing else.
    sound: PathBuf,
    facts: BTreeMap<Fact, u64>,
    /// For the damaged copies.
    copies: TempDir,
}

impl Truth {
    fn new(env: Env, sound: PathBuf, trace: &Path) -> Self {
        let facts = facts::all(&Store::open(trace, "test").unwrap());
        let copies = TempDir::new().unwrap();
        Self {
            _env: env,
            sound,
            facts,
            copies,
        }
    }

    /// A fresh copy of what was damaged.
    fn copy(&self, damaged: &Path, name: &str) -> PathBuf {
        let to = self.copies.path().join(name);
        let _: std::io::Result<()> = fs::remove_dir_all(&to);
        copy(damaged, &to).unwrap();
        to
    }

    /// Asks a trace for every fact: how many it answers, and all of these right.
    fn judge(&self, trace: &Path, how: &str) -> Vec<Fact> {
        let Ok(store) = Store::open(trace, "test") else {
            return self.facts.keys().copied().collect();
        };
        let mut lost = Vec::new();
        for (fact, truth) in &self.facts {
            match ask(&store, *fact) {
                Ok(found) => assert_eq!(found, *truth, "{how}: {fact:?} is wrong"),
                Err(_) => lost.push(*fact),
            }
        }
        self.begins(&store, how);
        let verified = diffkeeper_store::verify::verify(&store, None, &());
        let sound = verified.is_ok_and(|report| report.is_sound());
        let told = !sound || !store.losses().is_empty() || store.damage().is_some();
        assert!(
            told || lost.is_empty(),
            "{how}: said to be sound, without {lost:?}"
        );
        lost
    }

    /// What comes before damage in an event log are the first of its events.
    fn begins(&self, store: &Store, how: &str) {
        for number in self.sessions() {
            let Ok(reader) = store.session(Some(number)) else {
                continue;
            };
            if let Err((events, _)) = facts::events(&reader) {
                let seqs = events.iter().map(|event| event.seq.0);
                let first = reader.start().0 + 1;
                assert!(seqs.eq((first..).take(events.len())), "{how}: a hole");
            }
        }
    }

    fn sessions(&self) -> Vec<SessionId> {
        let ends = self.facts.keys().filter_map(|fact| match fact {
            Fact::End(number) => Some(SessionId(*number)),
            _ => None,
        });
        ends.collect()
    }
}

/// Damages a trace again and again; what a round does with it is up to `round`.
fn damaged_often(truth: &Truth, rounds: u64, seed: u64, round: impl Fn(&Path, &str, &mut Tally)) {
    let (guard, mut tally) = (Guard::new(), Tally::default());
    for number in 0..rounds {
        let mut rng = Rng::new(knob("DIFFKEEPER_TEST_SEED", 0) + number * 4 + seed);
        let damaged = truth.copy(&truth.sound, "damaged");
        let how = damage(&damaged, &mut rng);
        guard.run(&how, || round(&damaged, &how, &mut tally));
    }
    eprintln!("{tally}");
}

fn rounds() -> u64 {
    knob("DIFFKEEPER_TEST_DAMAGES", 60)
}

fn stores(killed: bool, seed: u64) {
    let env = recorded();
    if killed {
        kill_a_recording(&env);
    }
    let sound = env.base().join("sound");
    copy(&env.state(), &sound).unwrap();
    let state = env.state();
    let truth = Truth::new(env, sound, &state);
    damaged_often(&truth, rounds().div_ceil(2), seed, |damaged, how, tally| {
        let lost = truth.judge(&truth.copy(damaged, "asked"), how);
        let after = repaired::judge(&truth, &truth.copy(damaged, "repaired"), how);
        tally.add(how, truth.facts.len(), &lost, Some(after));
    });
}

#[test]
fn a_store_that_ended_in_order() {
    stores(false, 1);
}

#[test]
fn a_store_whose_recorder_was_killed() {
    stores(true, 2);
}

#[test]
fn a_pack() {
    let env = recorded();
    let sound = env.base().join("sound");
    fs::create_dir(&sound).unwrap();
    let pack = sound.join("pack");
    run(env.command("pack").arg("-o").arg(&pack)).expect(0);
    let truth = Truth::new(env, sound, &pack);
    damaged_often(&truth, rounds(), 3, |damaged, how, tally| {
        let lost = truth.judge(&damaged.join("pack"), how);
        tally.add(how, truth.facts.len(), &lost, None);
    });
}
