//! What the module around it promises, over a session whose every event is known.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use diffkeeper_store::filter::Filter;
use serde_json::Value;

use super::{Plan, Told, footer, list, range};
use crate::cli::SessionArg;
use crate::config::when;
use crate::testing::{Captured, bed};
use crate::trace;

/// What a test asks for.
#[derive(Default)]
struct Ask<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
    filter: &'a str,
    reverse: bool,
    limit: Option<u64>,
    json: bool,
    color: bool,
}

/// The lines of stdout, and the footer.
fn ask(ask: &Ask<'_>) -> (Vec<String>, String) {
    let bed = bed();
    let store = bed.store();
    let reader = trace::session(&store, SessionArg { session: None }).unwrap();
    let filter = Filter::parse(ask.filter).unwrap();
    let read = |text: Option<&str>| text.map(|text| when(text).unwrap());
    let plan = Plan {
        range: range(
            &reader,
            read(ask.from).as_ref(),
            read(ask.to).as_ref(),
            &filter,
        )
        .unwrap(),
        filter,
        reverse: ask.reverse,
        limit: ask.limit.unwrap_or(u64::MAX),
        json: ask.json,
    };
    let captured = Captured::default();
    let mut output = captured.output(ask.color);
    let mut told = Told::default();
    list(&reader, &plan, &mut told, &mut output).unwrap();
    output.finish().unwrap();
    (captured.lines(), footer(&reader, &told))
}

fn seqs(asked: Ask<'_>) -> Vec<u64> {
    let (lines, _) = ask(&Ask {
        json: true,
        ..asked
    });
    let seq = |line: &String| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64();
    lines.iter().map(|line| seq(line).unwrap()).collect()
}

#[test]
fn every_event_is_one_line() {
    let (lines, footer) = ask(&Ask::default());
    let expected = [
        "[00m:01.000s] WRITE    status.log (9B)  flaky\\x1b[4211]",
        "[00m:02.000s] SYMLINK  soft -> to\\nthere",
        "[00m:03.000s] RENAME   status.log -> log\\xff",
        "[00m:04.000s] WRITE    bin (1B)",
        "[00m:05.000s] CHMOD    bin (0600)",
        "[00m:06.000s] OUTPUT   \"boom\\x07\" (stderr 6B)",
        "[00m:07.000s] WRITE    bin (6B)",
        "[00m:07.000s] GAP      bin (torn)",
        "[00m:08.000s] EXIT     1",
    ];
    assert_eq!(lines, expected);
    assert_eq!(footer, "9 events, 1 gap, observed (notify)");
}

#[test]
fn json_has_the_fields_of_the_contract() {
    let (lines, _) = ask(&Ask {
        json: true,
        ..Ask::default()
    });
    let expected = [
        r#"{"seq":1,"t_ns":1000000000,"wall":"1970-01-01T00:00:02.000000002Z","op":"write","path":"status.log","size":13,"offset":4,"len":9,"pid":4211,"comm":"flaky\u001b","provenance":"observed","session":1}"#,
        r#"{"seq":2,"t_ns":2000000000,"wall":"1970-01-01T00:00:03.000000002Z","op":"symlink","path":"soft","kind":"symlink","target":"to\nthere","session":1}"#,
        r#"{"seq":3,"t_ns":3000000000,"wall":"1970-01-01T00:00:04.000000002Z","op":"rename","path":"status.log","to_b64":"bG9n/w==","session":1}"#,
        r#"{"seq":4,"t_ns":4000000000,"wall":"1970-01-01T00:00:05.000000002Z","op":"write","path":"bin","size":64,"offset":20,"len":1,"provenance":"observed","session":1}"#,
        r#"{"seq":5,"t_ns":5000000000,"wall":"1970-01-01T00:00:06.000000002Z","op":"chmod","path":"bin","mode":384,"session":1}"#,
        r#"{"seq":6,"t_ns":6000000000,"wall":"1970-01-01T00:00:07.000000002Z","op":"output","stream":"stderr","text":"boom\u0007\n","session":1}"#,
        r#"{"seq":7,"t_ns":7000000000,"wall":"1970-01-01T00:00:08.000000002Z","op":"write","path":"bin","size":70,"offset":64,"len":6,"provenance":"missing","missing":"torn","session":1}"#,
        r#"{"seq":8,"t_ns":7000000000,"wall":"1970-01-01T00:00:08.000000002Z","op":"gap","path":"bin","reason":"torn","session":1}"#,
        r#"{"seq":9,"t_ns":8000000000,"wall":"1970-01-01T00:00:09.000000002Z","op":"exit","status":1,"session":1}"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn events_are_chosen_by_range_filter_and_limit() {
    let with = |from, to| Ask {
        from,
        to,
        ..Ask::default()
    };
    assert_eq!(seqs(with(Some("3s"), Some("5s"))), [3, 4, 5]);
    assert_eq!(seqs(with(Some("7s"), None)), [7, 8, 9]);
    assert_eq!(seqs(with(Some("#3"), Some("#4"))), [3, 4]);
    assert_eq!(seqs(with(Some("start"), Some("0s"))), [0; 0]);
    assert_eq!(seqs(with(Some("-12s"), None)), [9]);
    let filter = |filter| Ask {
        filter,
        ..Ask::default()
    };
    assert_eq!(seqs(filter("op:write")), [1, 4, 7]);
    assert_eq!(seqs(filter("t:2s..4s not op:rename")), [2, 4]);
    assert_eq!(seqs(filter("seq:8..")), [8, 9]);
    assert_eq!(seqs(filter("comm:flaky* or pid=1")), [1]);
    assert_eq!(seqs(filter("content:TWO")), [1, 3]);
    assert_eq!(seqs(filter("content:/^TWO$/ op:write")), [1]);
    assert_eq!(seqs(filter("provenance:missing")), [7]);
    assert_eq!(seqs(filter("size:64")), [4, 5]);
    let limited = Ask {
        limit: Some(2),
        reverse: true,
        ..Ask::default()
    };
    assert_eq!(seqs(limited), [9, 8]);
}

#[test]
fn backwards_has_the_same_lines() {
    let (forward, _) = ask(&Ask::default());
    let (mut backward, _) = ask(&Ask {
        reverse: true,
        ..Ask::default()
    });
    backward.reverse();
    assert_eq!(forward, backward);
}

#[test]
fn a_filter_tells_what_it_left_out() {
    let (lines, footer) = ask(&Ask {
        filter: "op:write",
        ..Ask::default()
    });
    assert_eq!(lines.len(), 3);
    assert_eq!(footer, "3 of 9 events, 1 gap, observed (notify)");
}

#[test]
fn colour_is_around_the_word_only() {
    let (lines, _) = ask(&Ask {
        color: true,
        limit: Some(1),
        ..Ask::default()
    });
    let expected = "[00m:01.000s] \u{1b}[33mWRITE\u{1b}[0m    status.log (9B)  flaky\\x1b[4211]";
    assert_eq!(lines, [expected]);
}
