//! The state without a terminal, a store or a worker.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use diffkeeper_store::model::{OpKind, Seq, Timestamp, UnixTime};

use super::{App, Begin, Effect, Input};
use crate::action::Action;
use crate::ask::{Answer, Request, Row, Sought};
use crate::facts::Facts;
use crate::keymap::Keymap;
use crate::mode::{Edit, Mode};
use crate::sign;

fn facts() -> Facts {
    Facts {
        session: 1,
        command: "make".to_owned(),
        outcome: None,
        live: false,
        end: Timestamp(100_000),
        start: (Seq(0), Timestamp(0)),
        last_seq: Seq(100),
        start_wall: UnixTime::default(),
        provenance: "observed (notify)".to_owned(),
        gaps: 0,
        has_tree: true,
        program: vec![b"diffkeeper".to_vec(), b"tui".to_vec()],
    }
}

fn app(at: u64) -> App {
    let begin = Begin {
        at: Some(Seq(at)),
        ..Begin::default()
    };
    App::new(facts(), Arc::new(Keymap::default()), (120, 40), begin).0
}

fn act(app: &mut App, actions: &[Action]) -> Vec<Effect> {
    let effects = actions.iter().map(|action| app.update(Input::Act(*action)));
    effects.last().unwrap_or_default()
}

fn typed(app: &mut App, text: &str) -> Vec<Effect> {
    for c in text.chars() {
        app.update(Input::Edit(Edit::Insert(c)));
    }
    app.update(Input::Edit(Edit::Accept))
}

fn sought(effects: &[Effect]) -> crate::ask::SeekAsk {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Ask(Request::Seek(ask)) => Some(ask.clone()),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn steps_end_at_both_ends() {
    let mut app = app(2);
    act(&mut app, &[Action::PrevEvent; 5]);
    assert_eq!(app.cursor, Seq(0));
    act(&mut app, &[Action::NextEvent]);
    assert_eq!(app.cursor, Seq(1));
    act(&mut app, &[Action::End, Action::NextEvent]);
    assert_eq!(app.cursor, Seq(100));
}

#[test]
fn without_an_instant_it_begins_at_the_last_failure() {
    let begun = App::new(facts(), Arc::default(), (120, 40), Begin::default());
    let (mut app, effects) = begun;
    let ask = sought(&effects);
    assert!(matches!(ask.what, Sought::Landing));
    let effects = app.update(Input::Answer(Box::new(Answer::Found(ask, Some(Seq(77))))));
    assert_eq!(app.cursor, Seq(77));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Ask(Request::Page(_))))
    );
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let mut app = app(50);
    let old = sought(&act(&mut app, &[Action::NextTrouble]));
    let new = sought(&act(&mut app, &[Action::NextTrouble]));
    app.update(Input::Answer(Box::new(Answer::Found(old, Some(Seq(60))))));
    assert_eq!(app.cursor, Seq(50));
    app.update(Input::Answer(Box::new(Answer::Found(new, Some(Seq(70))))));
    assert_eq!(app.cursor, Seq(70));
}

#[test]
fn a_question_that_stands_is_not_asked_twice() {
    let mut app = app(50);
    let effects = app.update(Input::Notice("hello".to_owned(), false));
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn a_filter_that_is_none_leaves_the_last_good_one() {
    let mut app = app(50);
    act(&mut app, &[Action::Filter]);
    typed(&mut app, "op:write");
    assert_eq!(app.filtering.text, "op:write");
    act(&mut app, &[Action::Filter]);
    typed(&mut app, " size>");
    let Mode::Prompt(prompt) = &app.mode else {
        panic!("{:?}", app.mode);
    };
    assert!(prompt.error.is_some());
    // What was typed before it went wrong is a filter: a word in the path.
    assert_eq!(app.filtering.text, "op:write size");
    app.update(Input::Edit(Edit::Cancel));
    assert_eq!(
        (&app.mode, app.filtering.text.as_str()),
        (&Mode::Browse, "op:write")
    );
}

#[test]
fn a_filter_moves_the_cursor_only_among_its_events() {
    let mut app = app(50);
    act(&mut app, &[Action::Filter]);
    typed(&mut app, "op:write");
    let id = app.filtering.id;
    let words = vec![1 << 10 | 1 << 20, 1 << (70 - 64)];
    let answer = Answer::Matches {
        id,
        first: 0,
        words,
        done: 100,
        finished: true,
        unsearched: 0,
    };
    app.update(Input::Answer(Box::new(answer)));
    assert_eq!(
        app.cursor,
        Seq(50),
        "nothing moves that the user did not move"
    );
    act(&mut app, &[Action::NextEvent]);
    assert_eq!(app.cursor, Seq(70));
    act(&mut app, &[Action::PrevEvent, Action::PrevEvent]);
    assert_eq!(app.cursor, Seq(10));
}

#[test]
fn every_form_of_a_when_goes_somewhere() {
    for (text, to) in [("#7", Some(7)), ("start", Some(0)), ("latest", Some(100))] {
        let mut app = app(50);
        act(&mut app, &[Action::GoTo]);
        typed(&mut app, text);
        assert_eq!(Some(app.cursor.0), to, "{text}");
    }
    for (text, time) in [
        ("50%", 50_000),
        ("+5us", 5_000),
        ("-10us", 90_000),
        ("20us", 20_000),
    ] {
        let mut app = app(50);
        act(&mut app, &[Action::GoTo]);
        let ask = sought(&typed(&mut app, text));
        let Sought::Time(found) = ask.what else {
            panic!("{text}: {ask:?}");
        };
        assert_eq!(found, Timestamp(time), "{text}");
    }
    for text in ["1h", "#101", "101%", "'q", "nonsense"] {
        let mut app = app(50);
        act(&mut app, &[Action::GoTo]);
        typed(&mut app, text);
        assert!(
            matches!(&app.mode, Mode::Prompt(prompt) if prompt.error.is_some()),
            "{text}"
        );
        assert_eq!(app.cursor, Seq(50));
    }
}

#[test]
fn marks_are_set_kept_and_gone_to() {
    let mut app = app(50);
    act(&mut app, &[Action::SetMark]);
    let effects = app.update(Input::Letter('k'));
    let kept = BTreeMap::from([('k', Seq(50))]);
    let saves = |effect: &Effect| matches!(effect, Effect::SaveMarks(marks) if *marks == kept);
    assert!(effects.iter().any(saves), "{effects:?}");
    act(&mut app, &[Action::Start, Action::GoToMark]);
    app.update(Input::Letter('k'));
    assert_eq!(app.cursor, Seq(50));
    act(&mut app, &[Action::GoToMark]);
    app.update(Input::Letter('x'));
    assert!(app.notice.as_ref().unwrap().is_error);
}

#[test]
fn the_view_is_a_command_line() {
    let mut app = app(50);
    app.pinned = Some((super::UNKNOWN, b"a b\x1b".to_vec()));
    app.filtering.text = "op:write size>3".to_owned();
    let expected = "diffkeeper tui '--at=#50' $'--file=a b\\033' '--filter=op:write size>3'";
    assert_eq!(app.command_line(), expected);
}

/// The session of [`facts`] while it is being recorded, at an event, and its next state.
fn live(at: u64) -> (App, Facts) {
    let begin = Begin {
        at: Some(Seq(at)),
        ..Begin::default()
    };
    let begun = Facts {
        live: true,
        ..facts()
    };
    let app = App::new(begun.clone(), Arc::default(), (120, 40), begin).0;
    let grown = Facts {
        last_seq: Seq(120),
        end: Timestamp(120_000),
        program: Vec::new(),
        ..begun
    };
    (app, grown)
}

fn grow(app: &mut App, facts: &Facts) -> Vec<Effect> {
    let answer = Answer::Grown(Ok(Box::new(facts.clone())));
    app.update(Input::Answer(Box::new(answer)))
}

#[test]
fn only_a_cursor_at_the_end_goes_with_a_growing_session() {
    for (at, then) in [(100, 120), (99, 99), (0, 0)] {
        let (mut app, grown) = live(at);
        let effects = grow(&mut app, &grown);
        assert_eq!(app.cursor, Seq(then));
        assert_eq!(app.zoom, (Timestamp(0), Timestamp(120_000)));
        assert_eq!(app.order.count(), 120);
        let asks = |effect: &Effect| matches!(effect, Effect::Ask(Request::Density(_)));
        assert!(effects.iter().any(asks), "{effects:?}");
        assert!(app.command_line().starts_with("diffkeeper tui"));
    }
}

#[test]
fn a_stretch_that_was_chosen_stays_while_the_session_grows() {
    let (mut app, grown) = live(10);
    act(&mut app, &[Action::ZoomIn]);
    let before = app.zoom;
    grow(&mut app, &grown);
    assert_eq!(app.zoom, before);
}

#[test]
fn a_live_session_begins_at_its_end() {
    let (_, grown) = live(0);
    let (app, effects) = App::new(grown, Arc::default(), (120, 40), Begin::default());
    assert_eq!(app.cursor, Seq(120));
    let seeks = |effect: &Effect| matches!(effect, Effect::Ask(Request::Seek(_)));
    assert!(!effects.iter().any(seeks), "{effects:?}");
}

#[test]
fn a_filter_is_asked_about_what_is_new_alone() {
    let (mut app, mut grown) = live(50);
    act(&mut app, &[Action::Filter]);
    typed(&mut app, "op:write");
    let scan = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Ask(Request::Scan(ask)) => Some(ask.from),
            _ => None,
        })
    };
    let finished = |app: &mut App, done| {
        let answer = Answer::Matches {
            id: app.filtering.id,
            first: 0,
            words: Vec::new(),
            done,
            finished: true,
            unsearched: 0,
        };
        app.update(Input::Answer(Box::new(answer)))
    };
    // The scan at work is not stopped by what comes meanwhile; that is asked about then.
    assert_eq!(scan(&grow(&mut app, &grown)), None);
    assert_eq!(scan(&finished(&mut app, 100)), Some(Seq(101)));
    assert_eq!(scan(&finished(&mut app, 120)), None);
    (grown.last_seq, grown.end) = (Seq(130), Timestamp(130_000));
    assert_eq!(scan(&grow(&mut app, &grown)), Some(Seq(121)));
}

#[test]
fn the_end_of_a_recorder_is_told_and_all_is_asked_anew() {
    for (outcome, told) in [
        (Some(("exit 0".to_owned(), false)), "has ended: exit 0"),
        (None, "the recorder died"),
    ] {
        let (mut app, mut grown) = live(50);
        let is_killed = outcome.is_none();
        (grown.live, grown.outcome) = (false, outcome);
        let effects = grow(&mut app, &grown);
        let page = |effect: &Effect| matches!(effect, Effect::Ask(Request::Page(_)));
        assert!(effects.iter().any(page), "{effects:?}");
        let notice = app.notice.clone().unwrap();
        assert!(notice.text.contains(told), "{notice:?}");
        assert_eq!(notice.is_error, is_killed);
        // The recorder has gone for good: what it may have left unanswered is asked again.
        app.notice = None;
        assert!(grow(&mut app, &grown).iter().any(page));
        assert_eq!(app.notice, None);
    }
}

#[test]
fn a_trace_that_is_lost_sight_of_is_told() {
    let (mut app, _) = live(50);
    let answer = Answer::Grown(Err("locked".to_owned()));
    app.update(Input::Answer(Box::new(answer)));
    assert!(app.notice.as_ref().unwrap().is_error);
    assert!(!app.facts.live);
}

#[test]
fn rows_far_away_are_forgotten() {
    let mut app = app(50);
    let row = |seq| Row {
        seq: Seq(seq),
        time: Timestamp(seq),
        sign: sign::of_kind(OpKind::Write),
        kind: OpKind::Write,
        text: String::new(),
        who: String::new(),
        file: None,
        process: None,
        actor: None,
        known: ' ',
    };
    for first in (0..100_000).step_by(1000) {
        let rows = (first..first + 1000).map(row).collect();
        app.update(Input::Answer(Box::new(Answer::Rows(rows))));
    }
    assert!(app.rows.len() <= 5000 && app.rows.contains_key(&Seq(50)));
    assert_eq!(app.time, Timestamp(50));
}
