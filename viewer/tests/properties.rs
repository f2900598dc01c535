//! Whatever is pressed in whatever order: no panic, and the cursor is always in the session.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::sample;
use diffkeeper_viewer::Options;
use diffkeeper_viewer::action::Action;
use diffkeeper_viewer::app::{Input, Mouse};
use diffkeeper_viewer::harness::with;
use diffkeeper_viewer::mode::Edit;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn inputs() -> impl Strategy<Value = Input> {
    let place = || (0_u16..130, 0_u16..50);
    prop_oneof![
        10 => (0..Action::ALL.len()).prop_map(|at| Input::Act(*Action::ALL.get(at).unwrap())),
        3 => any::<char>().prop_map(|c| Input::Edit(Edit::Insert(c))),
        3 => "[a-z0-9:.*/#%+\" >-]".prop_map(|text| Input::Edit(Edit::Insert(text.chars().next().unwrap()))),
        2 => prop_oneof![
            Just(Edit::Accept), Just(Edit::Cancel), Just(Edit::Backspace), Just(Edit::DeleteWord),
            Just(Edit::Left), Just(Edit::Up), Just(Edit::Down), Just(Edit::Toggle), Just(Edit::Delete),
        ].prop_map(Input::Edit),
        3 => "[a-z!]".prop_map(|text| Input::Letter(text.chars().next().unwrap())),
        1 => place().prop_map(|(x, y)| Input::Mouse(Mouse::Press(x, y))),
        1 => place().prop_map(|(x, y)| Input::Mouse(Mouse::Drag(x, y))),
        1 => place().prop_map(|(x, y)| Input::Mouse(Mouse::Release(x, y))),
        1 => (place(), any::<bool>()).prop_map(|((x, y), down)| Input::Mouse(Mouse::Wheel(x, y, down))),
        1 => (1_u16..130, 1_u16..50).prop_map(|(x, y)| Input::Resize(x, y)),
        1 => (0_u64..2000).prop_map(|ms| Input::Tick(Duration::from_millis(ms))),
    ]
}

#[test]
fn no_sequence_of_inputs_panics() {
    let sample = sample();
    let reader = sample.store.session(None).unwrap();
    let last = reader.progress().last_seq;
    let source = sample.source();
    let cases = std::env::var("DIFFKEEPER_TEST_KEYS").ok();
    let cases = cases.and_then(|text| text.parse().ok()).unwrap_or(48);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let sequences = proptest::collection::vec((inputs(), any::<bool>()), 1..80);
    runner
        .run(&sequences, |sequence| {
            with(&source, (120, 40), Options::default(), |harness| {
                for (input, settles) in sequence {
                    if is_harmful(&input) {
                        continue;
                    }
                    harness.input(input);
                    if settles {
                        prop_assert!(harness.settle());
                    } else {
                        harness.take_answers();
                    }
                    harness.draw();
                    prop_assert!(harness.app().cursor() <= last);
                }
                Ok(())
            })
            .unwrap()
        })
        .unwrap();
}

/// A test writes no directories wherever it stands.
const fn is_harmful(input: &Input) -> bool {
    matches!(input, Input::Act(Action::Export))
}
