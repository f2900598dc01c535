//! How processes ended, in the histogram of a session that is too long to be read at once.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{Pen, seal, session};
use diffkeeper_store::Store;
use diffkeeper_store::model::{ExitStatus, Op, SessionId};
use diffkeeper_viewer::Options;
use diffkeeper_viewer::harness::with;
use diffkeeper_viewer::source::Source;

/// The length of the session, ms.
const LENGTH: u64 = 100_000;

/// Looks for 25 s, then ends of both kinds far apart, with and without a change beside
/// them.
fn record(store: &Store) {
    let mut writer = store.begin(&session()).unwrap();
    let mut pen = Pen(&mut writer);
    pen.baseline();
    for ms in 0..25_000 {
        pen.event(ms, None, None, Op::Open { flags: 0 }, Vec::new());
    }
    for (ms, status) in [
        (40_500, ExitStatus::Code(0)),
        (50_500, ExitStatus::Code(7)),
        (60_500, ExitStatus::Signal(9)),
        (70_500, ExitStatus::Code(0)),
    ] {
        pen.event(ms, None, None, Op::Exit(status), Vec::new());
    }
    let label = b"beside".to_vec();
    pen.event(60_501, None, None, Op::Utimes, Vec::new());
    pen.event(70_501, None, None, Op::Utimes, Vec::new());
    pen.event(LENGTH, None, None, Op::Marker { label }, Vec::new());
    writer.seal(seal(LENGTH)).unwrap();
}

#[test]
fn a_failure_is_told_from_a_good_end_also_in_a_long_session() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("trace"), "test").unwrap();
    record(&store);
    let source = Source::new(Arc::new(store), SessionId(1));
    with(&source, (80, 24), Options::default(), |harness| {
        assert!(harness.settle());
        let screen = harness.screen();
        let bars: Vec<char> = screen.lines().nth(1).unwrap().chars().collect();
        let at = |second: usize| bars.get(second * 80 / 100).copied();
        assert_eq!(at(40), Some('△'), "{screen}");
        assert_eq!(at(50), Some('▲'), "{screen}");
        // A failure stands above a change, a good end does not.
        assert_eq!(at(60), Some('▲'), "{screen}");
        assert!(!matches!(at(70), Some('△' | '▲' | '?' | ' ')), "{screen}");
    })
    .unwrap();
}
