//! What the module around it promises, over a session whose every event is known.
#![allow(clippy::unwrap_used, reason = "tests")]
use std::path::Path;

use diffkeeper_store::model::{Root, Session};

use super::{session, trace_path};
use crate::cli::SessionArg;
use crate::testing::bed;

#[test]
fn paths_become_relative_to_the_top() {
    let bed = bed();
    let store = bed.store();
    let reader = session(&store, SessionArg { session: Some(1) }).unwrap();
    let mut recorded = reader.session().clone();
    fn found(given: &str, recorded: &Session) -> Vec<u8> {
        trace_path(recorded, Path::new(given))
    }
    for (given, expected) in [
        ("a/b", "a/b"),
        ("./a//b/", "a/b"),
        ("/w/a", "a"),
        ("/w", ""),
        (".", ""),
        ("/web/a", "web/a"),
        ("../a", "../a"),
    ] {
        assert_eq!(found(given, &recorded), expected.as_bytes(), "{given}");
    }
    recorded.roots = [("/w/x", "x"), ("/v", "v")]
        .map(|(path, label)| Root {
            path: path.into(),
            label: label.into(),
        })
        .into();
    assert_eq!(found("/v/a", &recorded), b"v/a");
    assert_eq!(found("/w/x", &recorded), b"x");
}
