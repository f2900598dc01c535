//! A process that has ended, and the watch that sees to it.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

/// How long any one process may take before the test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// What a process left behind.
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// What was run, for the messages.
    shown: String,
}

impl Run {
    /// The exit status; a death by a signal is none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails unless the process exited with this status and without a panic.
    pub(crate) fn expect(&self, code: i32) {
        self.no_panic();
        assert_eq!(self.code(), Some(code), "{self}");
    }

    /// Fails if the process panicked or died of a signal.
    pub(crate) fn no_panic(&self) {
        assert!(!self.err().contains("panicked at"), "{self}");
        assert_ne!(self.code(), Some(101), "{self}");
        assert_eq!(self.status.signal(), None, "{self}");
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// One JSON object a line.
    pub(crate) fn json(&self) -> Vec<Value> {
        let text = String::from_utf8(self.stdout.clone()).expect("JSON is UTF-8");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shorten = |bytes: &[u8]| -> String {
            let tail = bytes.get(bytes.len().saturating_sub(4000)..);
            String::from_utf8_lossy(tail.unwrap_or_default()).into_owned()
        };
        writeln!(f, "{}: {}", self.shown, self.status)?;
        writeln!(f, "--- stdout\n{}", shorten(&self.stdout))?;
        writeln!(f, "--- stderr\n{}", shorten(&self.stderr))
    }
}

/// Runs a command to its end, which must come within [`LIMIT`].
pub(crate) fn run(command: &mut Command) -> Run {
    run_for(command, LIMIT)
}

/// Runs a command to its end, which must come within `limit`. Without a stdin set, it gets none.
pub(crate) fn run_for(command: &mut Command, limit: Duration) -> Run {
    let shown = format!("{command:?}");
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{shown}: {e}"));
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, limit).unwrap_or_else(|| panic!("{shown}: no end in {limit:?}"));
    Run {
        status,
        stdout: stdout.join().expect("a reader"),
        stderr: stderr.join().expect("a reader"),
        shown,
    }
}

fn drain<R: Read + Send + 'static>(from: Option<R>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What arrived before an error is still worth showing.
            let _: io::Result<usize> = from.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// The status of a child, or none after `limit`: then the child is killed. Waits without polling,
/// because benchmarks time it.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let pid = Pid::from_child(child);
    let fd = pidfd_open(pid, PidfdFlags::empty()).expect("a descriptor of the child");
    let limit = Timespec::try_from(limit).expect("a limit in range");
    let mut ended = [PollFd::new(&fd, PollFlags::IN)];
    if poll(&mut ended, Some(&limit)).expect("a poll") == 0 {
        child.kill().expect("a child to kill");
        child.wait().expect("a child");
        return None;
    }
    Some(child.wait().expect("a child"))
}

/// Waits until `ready` holds; a failure after [`LIMIT`].
pub(crate) fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < LIMIT, "never: {what}");
        sleep(Duration::from_millis(5));
    }
}
