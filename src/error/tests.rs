//! Every failure as the user meets it: its line, its status.
#![allow(clippy::unwrap_used, reason = "tests")]
use std::fs;
use std::io;
use std::path::Path;

use diffkeeper_recorder::RecordError;
use diffkeeper_recorder::launch::LaunchError;
use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{Digest, MissingReason, Seq, SessionId};
use diffkeeper_store::{ContentError, DbError, Malformed, StateDirError, Store, StoreError};

use super::{CliError, Kind};
use crate::cli::SessionArg;
use crate::config::when;
use crate::testing::bed;
use crate::trace;

/// Every refusal that needs no trace, with its text after `diffkeeper: ` and its status.
#[test]
fn each_failure_is_one_clear_line() {
    let path = || Path::new("/t/\u{1b}x").to_owned();
    let holder = |text: &str| StateDirError::Locked {
        path: path(),
        holder: text.to_owned(),
    };
    let newer = StateDirError::Newer {
        path: path(),
        found: "9".to_owned(),
    };
    let missing = |reason| StoreError::Content(ContentError::Missing(reason));
    let cases: Vec<(CliError, u8, &str)> = vec![
        (
            StateDirError::Absent(path()).into(),
            2,
            "no such state directory: /t/\\x1bx",
        ),
        (
            StateDirError::Foreign(path()).into(),
            2,
            "not a diffkeeper store: /t/\\x1bx",
        ),
        (
            newer.into(),
            2,
            "/t/\\x1bx has a newer format: 9, and this program knows 1",
        ),
        (
            holder("record (pid 42)").into(),
            2,
            "/t/\\x1bx is locked by a running recorder: record (pid 42)",
        ),
        (
            holder("show (pid 7)\u{1b}").into(),
            2,
            "/t/\\x1bx is locked by show (pid 7)\\x1b",
        ),
        (
            holder("").into(),
            2,
            "/t/\\x1bx is locked by another process",
        ),
        (
            StoreError::NoSuchSession {
                wanted: SessionId(7),
                known: "1, 2".to_owned(),
            }
            .into(),
            2,
            "no session 7 (there are: 1, 2)",
        ),
        (
            StoreError::Empty.into(),
            2,
            "the store holds no session yet",
        ),
        (
            StoreError::NoBaseline(SessionId(1)).into(),
            1,
            "session 1 ended before its baseline was complete: no state of it can be rebuilt",
        ),
        (
            StoreError::MissingEvents(Seq(5)).into(),
            1,
            "the trace is damaged: no events from #5 on",
        ),
        (
            StoreError::Malformed(Malformed("node")).into(),
            1,
            "the trace is damaged: malformed node",
        ),
        (
            missing(MissingReason::Torn).into(),
            1,
            "the content was not recorded: torn",
        ),
        (
            ContentError::DamagedBlob(Digest([0; 32])).into(),
            1,
            "the trace is damaged: blob 0000000000000000000000000000000000000000000000000000000000000000 is corrupt",
        ),
        (
            DbError::Checksum("node").into(),
            1,
            "a record of the node keyspace is damaged",
        ),
        (
            Filter::parse("op:wirte").unwrap_err().into(),
            2,
            "unknown word \"wirte\": did you mean write? (at byte 3 of the filter)",
        ),
        (
            when("2x").unwrap_err(),
            2,
            "\"2x\" is not a time: expected a unit (d, h, m, s, ms, us or ns) after a number, found \"x\"",
        ),
    ];
    for (error, status, text) in cases {
        let shown = error.to_string();
        let line = shown.lines().next().unwrap();
        assert_eq!(line, format!("diffkeeper: {text}"));
        assert_eq!(error.kind.status(), status, "{text}");
        assert!(shown.lines().count() <= 2, "{shown}");
    }
}

#[test]
fn a_time_outside_the_session_states_what_there_is() {
    let bed = bed();
    let store = bed.store();
    let reader = trace::session(&store, SessionArg { session: None }).unwrap();
    for outside in ["21s", "0m21s", "-21s", "#10", "1999-01-01T00:00:00Z"] {
        let error = trace::seq_of(&reader, &when(outside).unwrap()).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        let rest = " is outside the session, which spans 0s to 20s, #0 to #9, \
            1970-01-01T00:00:01.000000002Z to 1970-01-01T00:00:21.000000002Z";
        assert_eq!(error.message, format!("{outside}{rest}"));
        assert!(!error.message.contains('\n'));
    }
}

#[test]
fn a_locked_store_names_the_pid() {
    let bed = bed();
    let held = Store::create(&bed.path(), "record").unwrap();
    let refused = Store::create(&bed.path(), "record").err().unwrap();
    let error = CliError::from(RecordError::Store(refused));
    let pid = std::process::id();
    let expected = format!("locked by a running recorder: record (pid {pid})");
    assert!(error.message.ends_with(&expected), "{}", error.message);
    assert_eq!(error.kind.status(), 125);
    drop(held);
}

#[test]
fn a_recording_that_cannot_begin_has_the_status_of_a_shell() {
    let missing = LaunchError::NotFound {
        command: "nosuch".into(),
    };
    let denied = LaunchError::NotExecutable {
        command: "./dir".into(),
        source: io::Error::from_raw_os_error(13),
    };
    for (error, status) in [
        (missing, 127),
        (denied, 126),
        (LaunchError::Interrupted(2), 130),
    ] {
        let error = CliError::from(RecordError::from(error));
        assert_eq!(error.kind.status(), status);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), "").unwrap();
    let foreign = Store::create(dir.path(), "record").err().unwrap();
    let error = CliError::from(RecordError::Store(foreign));
    assert_eq!(error.kind.status(), 125);
    assert!(error.to_string().ends_with("a new or empty directory\n"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
    assert!(error.is_closed_pipe());
    assert_eq!(error.kind.status(), 0);
    let full = CliError::from(io::Error::from(io::ErrorKind::StorageFull));
    assert_eq!(full.kind.status(), 2);
    assert!(full.message.starts_with("stdout: "));
}
