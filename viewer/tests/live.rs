//! A session that is looked at while it is being recorded: what is new appears, the cursor
//! stays where the user put it, and the end of the recorder is told.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use common::{Pen, seal, session};
use diffkeeper_store::Store;
use diffkeeper_store::live::Server;
use diffkeeper_store::model::{Seq, SessionId};
use diffkeeper_viewer::Options;
use diffkeeper_viewer::app::Begin;
use diffkeeper_viewer::harness::{Harness, with};
use diffkeeper_viewer::source::Source;

/// What the recorder sees next.
enum Step {
    /// Four events of a migration.
    Database,
    /// Six events, up to the exit of the command.
    Failure,
    /// The end of the session.
    Seal,
}

/// A recorder on a thread of its own. It ends with its steps; that of a session without
/// [`Step::Seal`] is one that was killed.
struct Recorder {
    steps: Sender<Step>,
    done: Receiver<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Recorder {
    fn start(path: &Path) -> Self {
        let (steps, to_do) = channel();
        let (told, done) = channel();
        let path = path.to_owned();
        let thread = std::thread::spawn(move || record(&path, &to_do, &told));
        done.recv().unwrap();
        Self {
            steps,
            done,
            thread,
        }
    }

    fn step(&self, step: Step) {
        self.steps.send(step).unwrap();
        self.done.recv().unwrap();
    }

    fn end(self) {
        drop(self.steps);
        self.thread.join().unwrap();
    }
}

fn record(path: &Path, to_do: &Receiver<Step>, told: &Sender<()>) {
    let store = Store::create(path, "test").unwrap();
    let server = Server::bind(path).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| server.serve(&store));
        let mut writer = Some(store.begin(&session()).unwrap());
        if let Some(writer) = &mut writer {
            let mut pen = Pen(writer);
            pen.baseline();
            pen.beginning();
            writer.commit().unwrap();
        }
        told.send(()).unwrap();
        for step in to_do {
            let mut of = writer.take().unwrap();
            match step {
                Step::Database => Pen(&mut of).database(),
                Step::Failure => Pen(&mut of).failure(),
                Step::Seal => {
                    of.seal(seal(140_110)).unwrap();
                    told.send(()).unwrap();
                    continue;
                }
            }
            of.commit().unwrap();
            writer = Some(of);
            told.send(()).unwrap();
        }
        server.stop();
    });
    drop(server);
    store.close().unwrap();
}

/// Looks at a recording that has just begun.
fn live(at: Option<u64>, size: (u16, u16), drive: impl FnOnce(&mut Harness<'_>, Recorder)) {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("trace");
    let recorder = Recorder::start(&path);
    let store = Store::open(&path, "test").unwrap();
    assert!(store.is_live());
    let source = Source::new(Arc::new(store), SessionId(1));
    let begin = Begin {
        at: at.map(Seq),
        ..Begin::default()
    };
    let options = Options {
        program: [&b"diffkeeper"[..], b"tui"].map(<[u8]>::to_vec).into(),
        begin,
        follow: Some(path),
        ..Options::default()
    };
    with(&source, size, options, |harness| {
        assert!(harness.settle());
        drive(harness, recorder);
    })
    .unwrap();
}

#[test]
fn a_cursor_at_the_end_goes_with_it() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        live(None, (width, height), |harness, recorder| {
            assert!(harness.expect("#46/46"));
            assert!(harness.screen().contains("live: recording"));
            insta::assert_snapshot!(format!("live-{width}x{height}"), harness.screen());
            recorder.step(Step::Database);
            assert!(harness.expect("#50/50"), "{}", harness.screen());
            recorder.step(Step::Failure);
            assert!(harness.expect("#56/56"), "{}", harness.screen());
            insta::assert_snapshot!(format!("live-grown-{width}x{height}"), harness.screen());
            recorder.step(Step::Seal);
            recorder.end();
            assert!(harness.expect("the recording has ended: exit 1"));
            insta::assert_snapshot!(format!("live-ended-{width}x{height}"), harness.screen());
        });
    }
}

#[test]
fn a_cursor_elsewhere_stays_while_all_else_grows() {
    live(Some(40), (120, 40), |harness, recorder| {
        harness.keys(&["p"]);
        assert!(harness.expect("#40/46"));
        let writer = |screen: String| {
            let mut lines = screen.lines();
            lines.any(|line| line.contains("migrate[81]") && line.contains("2 files"))
        };
        assert!(!writer(harness.screen()));
        recorder.step(Step::Database);
        assert!(harness.expect("#40/50"), "{}", harness.screen());
        assert!(writer(harness.screen()), "{}", harness.screen());
        harness.keys(&["$", "tab"]);
        assert!(harness.expect("#50/50"));
        assert!(harness.expect("db.lock"));
        recorder.step(Step::Failure);
        assert!(harness.expect("#56/56"));
        recorder.end();
        assert!(harness.expect("the recorder died"), "{}", harness.screen());
        assert!(harness.screen().contains("not finished"));
        // It is an ordinary trace now.
        harness.keys(&["!", "~"]);
        assert!(harness.expect("#55/56"), "{}", harness.screen());
    });
}

#[test]
fn a_filter_takes_what_comes_later_too() {
    live(Some(3), (120, 40), |harness, recorder| {
        harness.text("fpath:db.lock");
        harness.keys(&["enter"]);
        assert!(harness.expect("events 0 of 46"));
        recorder.step(Step::Database);
        assert!(harness.expect("events 2 of 50"), "{}", harness.screen());
        recorder.step(Step::Failure);
        assert!(harness.expect("events 3 of 56"), "{}", harness.screen());
        harness.keys(&["l"]);
        assert!(harness.expect("#48/56"), "{}", harness.screen());
        recorder.step(Step::Seal);
        recorder.end();
        assert!(harness.expect("exit 1"));
        assert!(harness.expect("events 3 of 56"), "{}", harness.screen());
    });
}

#[test]
fn a_file_that_comes_later_can_be_picked_and_gone_to() {
    live(Some(3), (120, 40), |harness, recorder| {
        recorder.step(Step::Database);
        assert!(harness.expect("#3/50"));
        harness.text("gdblock");
        assert!(harness.expect("1 of 4 files"), "{}", harness.screen());
        harness.keys(&["enter"]);
        assert!(harness.expect("db.lock"));
        harness.keys(&["t"]);
        assert!(harness.expect("#48/50"), "{}", harness.screen());
        assert!(harness.screen().contains("db.lock  v1 of 2"));
        recorder.end();
    });
}
