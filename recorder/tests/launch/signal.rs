//! Signals sent to the recorder reach the command, once, and the recorder outlives them.

use std::process::Command;

use rustix::process::{Signal, kill_process};

use crate::bench::{Bench, until_state};

/// Announces itself, prints each signal it gets, and ends when its stdin does.
///
/// Signals come through a pipe: a handler in Python runs between two instructions, so a signal
/// that comes just before a `read` would not be seen until that returns.
const LISTEN: &str = "import os,select,signal,sys
told,tell = os.pipe()
os.set_blocking(tell, False)
signal.set_wakeup_fd(tell)
for name in sys.argv[1:]: signal.signal(getattr(signal, name), lambda number, frame: None)
os.write(1, b'ready\\n')
while True:
    for source in select.select([told, 0], [], [])[0]:
        come = os.read(source, 64)
        if source == told:
            for number in come: os.write(1, b'got %d\\n' % number)
        elif not come: os._exit(5)";

const NAMES: [(&str, Signal); 6] = [
    ("SIGINT", Signal::INT),
    ("SIGTERM", Signal::TERM),
    ("SIGHUP", Signal::HUP),
    ("SIGQUIT", Signal::QUIT),
    ("SIGUSR1", Signal::USR1),
    ("SIGUSR2", Signal::USR2),
];

fn listen() -> Vec<&'static str> {
    let mut argv = vec!["python3", "-c", LISTEN];
    argv.extend(NAMES.map(|(name, _)| name));
    argv
}

#[test]
fn each_signal_arrives_exactly_once() {
    let bench = Bench::new();
    let mut live = bench.start(&[], &listen());
    assert_eq!(live.line(), "ready");
    for (_, signal) in NAMES.iter().chain(&NAMES) {
        bench.signal("driver", *signal);
        assert_eq!(live.line(), format!("got {}", signal.as_raw()));
    }
    // A second copy of any of them would show up here.
    assert_eq!(live.rest(), (vec![], Some(5)));
}

#[test]
fn a_command_killed_by_a_forwarded_signal_reports_it() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let bench = Bench::new();
        let mut live = bench.start(&[], &["sh", "-c", "echo ready; exec cat"]);
        assert_eq!(live.line(), "ready");
        bench.signal("driver", signal);
        // stdin is still open: nothing but the signal ends it.
        assert_eq!(live.child.wait().unwrap().code(), Some(code));
        assert_eq!(bench.fact("interrupted"), "false");
    }
}

/// `kill 0` within the command reaches the recorder as well, which must not send it back.
#[test]
fn a_signal_from_the_command_to_its_group_is_not_returned() {
    let bench = Bench::new();
    let kill = LISTEN.replace(
        "os.write(1, b'ready",
        "os.kill(0, signal.SIGUSR1); os.write(1, b'ready",
    );
    // A group of its own, or the test itself would be hit.
    let mut command = Command::new("setsid");
    let driver = bench.driver(&[], &["python3", "-c", &kill, "SIGUSR1", "SIGUSR2"]);
    command
        .arg(driver.get_program())
        .args(driver.get_args())
        .current_dir(bench.path(""));
    let mut live = crate::bench::Live::start(command);
    let mut first = [live.line(), live.line()];
    first.sort();
    assert_eq!(first, ["got 10", "ready"]);
    bench.signal("driver", Signal::USR2);
    assert_eq!(live.line(), "got 12");
    assert_eq!(live.rest(), (vec![], Some(5)));
}

#[test]
fn under_nohup_a_hangup_changes_nothing() {
    let bench = Bench::new();
    let driver = bench.driver(&[], &["sh", "-c", "echo ready; cat; exit 6"]);
    let mut command = Command::new("nohup");
    command
        .arg(driver.get_program())
        .args(driver.get_args())
        .current_dir(bench.path(""));
    let mut live = crate::bench::Live::start(command);
    assert_eq!(live.line(), "ready");
    bench.signal("driver", Signal::HUP);
    bench.signal("child", Signal::HUP);
    live.say("still here");
    assert_eq!(live.line(), "still here");
    assert_eq!(live.rest(), (vec![], Some(6)));
}

#[test]
fn a_signal_before_the_command_keeps_it_from_starting() {
    let bench = Bench::new();
    bench.fifo("before");
    let mut live = bench.start(&["--before", "before"], &["touch", "ran"]);
    bench.until_fact("driver");
    bench.signal("driver", Signal::TERM);
    until_state(bench.pid("driver"), 'S');
    bench.meet("before");
    assert_eq!(live.child.wait().unwrap().code(), Some(143));
    assert!(!bench.path("ran").exists());
}

#[test]
fn a_signal_after_the_command_is_reported() {
    for (signal, reported) in [
        (Some(Signal::INT), "true"),
        (Some(Signal::TERM), "true"),
        (Some(Signal::HUP), "false"),
        (None, "false"),
    ] {
        let bench = Bench::new();
        bench.fifo("settle");
        let mut live = bench.start(&["--settle", "settle"], &["sh", "-c", "exit 4"]);
        bench.until_fact("duration");
        if let Some(signal) = signal {
            bench.signal("driver", signal);
        }
        bench.meet("settle");
        assert_eq!(live.child.wait().unwrap().code(), Some(4));
        assert_eq!(bench.fact("interrupted"), reported, "{signal:?}");
    }
}

/// The command does not die with the recorder.
#[test]
fn a_killed_recorder_leaves_the_command_alone() {
    let bench = Bench::new();
    let mut live = bench.start(
        &[],
        &[
            "sh",
            "-c",
            "echo ready; read word; echo \"$word\"; touch done; echo end",
        ],
    );
    assert_eq!(live.line(), "ready");
    let child = bench.pid("child");
    bench.signal("driver", Signal::KILL);
    live.child.wait().unwrap();
    kill_process(child, Signal::CONT).unwrap();
    live.say("onward");
    assert_eq!(live.line(), "onward");
    assert_eq!(live.line(), "end");
    assert!(bench.path("done").exists());
}
