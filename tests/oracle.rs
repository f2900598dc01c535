//! The oracle: a random workload copies its tree aside at quiet points; every copy must be what
//! `export --time` gives for that wall-clock time.
//!
//! `DIFFKEEPER_TEST_BURSTS` (4), `_OPS` (80), `_SETTLE_MS` (1000) and `_SEED` (0, added to each
//! seed) change its size.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{Env, assert_tree_equal, demo, knob};
use diffkeeper_demo::workload::copies;

fn every_quiet_copy_is_exact(seed: u64) {
    let env = Env::new();
    let seed = seed + knob("DIFFKEEPER_TEST_SEED", 0);
    let kept = env.base().join("copies");
    let settings = [
        ("--seed", seed),
        ("--bursts", knob("DIFFKEEPER_TEST_BURSTS", 4)),
        ("--ops", knob("DIFFKEEPER_TEST_OPS", 80)),
        ("--settle", knob("DIFFKEEPER_TEST_SETTLE_MS", 1000)),
    ];
    let mut args = vec![demo("oracle-workload").into_os_string()];
    for (name, value) in settings {
        args.extend([name.into(), value.to_string().into()]);
    }
    args.extend(["--copies".into(), kept.clone().into()]);
    args.push(env.tree().into());
    env.record(&args).expect(0);
    env.assert_latest();
    let copies = copies(&kept).unwrap();
    assert_eq!(copies.len() as u64, settings[1].1);
    for copy in copies {
        eprintln!("seed {seed}: {} at {}", copy.path.display(), copy.time);
        assert_tree_equal(&copy.path, &env.export(&copy.time));
    }
    timeline_is_ordered(&env);
}

fn timeline_is_ordered(env: &Env) {
    let events = env.timeline(&[]);
    assert!(events.len() > 100, "{} events", events.len());
    let seqs: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    let times: Vec<u64> = events.iter().map(|e| e["t_ns"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
}

#[test]
fn seed_1() {
    every_quiet_copy_is_exact(1);
}

#[test]
fn seed_2() {
    every_quiet_copy_is_exact(2);
}

#[test]
fn seed_3() {
    every_quiet_copy_is_exact(3);
}
