//! The demo: a flaky test is recorded, and time tells what `status.log` held.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;

use common::{Env, demo, run};
use diffkeeper_demo::{ERROR, INIT};

#[test]
fn a_flaky_test_is_taken_back_in_time() {
    let env = Env::new();
    let done = env.record(&[demo("flaky-ci-test")]);
    done.expect(1);
    assert!(done.err().contains("FAILED"), "{}", done.err());
    let at = |when: &str| fs::read_to_string(env.export(when).join("status.log")).unwrap();
    assert_eq!(at("1.5s"), INIT);
    assert_eq!(at("2.5s"), ERROR);
    assert_eq!(at("latest"), ERROR);
    assert!(!env.export("start").join("status.log").exists());
    assert!(!env.export("500ms").join("db.lock").exists());
    assert!(env.export("1.5s").join("db.lock").exists());
    env.assert_latest();
    let events = env.timeline(&["--filter", "path:status.log op:write"]);
    assert!(events.len() >= 2, "{events:?}");
    let seconds: Vec<u64> = events
        .iter()
        .map(|event| event["t_ns"].as_u64().unwrap() / 100_000_000)
        .collect();
    let (first, last) = (seconds[0], seconds[seconds.len() - 1]);
    assert!(first < 10 && (20..30).contains(&last), "{seconds:?}");
}

#[test]
fn the_demo_shows_the_culprit_and_the_way_on() {
    let env = Env::new();
    let done = run(env.bare().arg("demo"));
    done.expect(0);
    let shown = done.out() + &done.err();
    for expected in [
        "status.log",
        "db.lock",
        "-INIT: System OK",
        "+ERROR: Connection Lost",
        "diffkeeper export",
        "diffkeeper timeline",
    ] {
        assert!(shown.contains(expected), "{expected:?} in:\n{shown}");
    }
    let left = fs::read_dir(env.tree()).unwrap().count();
    assert_eq!(left, 0, "the demo leaves the current directory alone");
}
