//! A run that is cancelled: the runner sends a signal to the step.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{EXE, Env, clean, skip, until};
use crate::runner::{ACTION, Runner};

#[test]
fn a_cancelled_step_ends_at_once_and_leaves_a_packed_trace() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let env = Env::new();
        let dir = env.base().join("step");
        fs::create_dir(&dir).unwrap();
        let mut step = Command::new("bash");
        clean(&mut step);
        step.arg("-c")
            .arg(format!("exec {ACTION}/.github/action/record.sh"))
            .current_dir(env.tree())
            .stdin(Stdio::null())
            .env("DK_DIR", &dir)
            .env("DK_BINARY", EXE)
            .env("DK_UPLOAD", "on-failure");
        for (name, value) in [
            ("RUN", "echo half >state; touch \"$READY\"; exec sleep 600"),
            ("COMMAND", ""),
            ("SHELL", "bash"),
            ("WORKING_DIRECTORY", ""),
            ("WATCH", ""),
            ("EXCLUDE", ""),
            ("STATE_DIR", ""),
            ("BACKEND", "notify"),
        ] {
            step.env(format!("DK_{name}"), value);
        }
        let ready = env.base().join("ready");
        step.env("READY", &ready);
        let mut child = step.spawn().unwrap();
        until("the script runs", || ready.exists());
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), Some(status), "{signal:?}");
        let result = fs::read_to_string(dir.join("result")).unwrap();
        assert!(result.starts_with(&format!("{status}\n1\n")), "{result}");
        if !Runner::can_pack() {
            return skip("this diffkeeper cannot pack");
        }
        assert_trace_holds(&dir.join("trace.dkpack"), "state", "half\n");
    }
}

fn assert_trace_holds(trace: &Path, file: &str, content: &str) {
    let mut show = Command::new(EXE);
    clean(&mut show);
    show.arg("show").arg("--state-dir").arg(trace).arg(file);
    let shown = crate::common::run(&mut show);
    shown.expect(0);
    assert_eq!(shown.out(), content);
}
