//! What the tests share: a private directory, the driver in it, and waiting for facts instead of
//! for time.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The value of `key` in the driver's report.
    pub(crate) fn fact(&self, key: &str) -> String {
        let report = self.read("report");
        let line = report
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key} ")));
        line.unwrap_or_else(|| panic!("no {key} in {report}"))
            .to_owned()
    }

    /// Of `driver` or `child`; the command may be ahead of the report.
    pub(crate) fn pid(&self, who: &str) -> Pid {
        self.until_fact(who);
        Pid::from_raw(self.fact(who).parse().unwrap()).unwrap()
    }

    /// Waits until the driver's report has `key`.
    pub(crate) fn until_fact(&self, key: &str) {
        let there = |report: String| report.lines().any(|line| line.starts_with(key));
        while !fs::read_to_string(self.path("report")).is_ok_and(there) {
            std::thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, who: &str, signal: Signal) {
        kill_process(self.pid(who), signal).unwrap();
    }

    /// Makes a FIFO: whoever opens one end waits for the other.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        path
    }

    /// Opens the write end of `name`: returns when the reader is there, and lets it go on.
    pub(crate) fn meet(&self, name: &str) {
        fs::OpenOptions::new()
            .write(true)
            .open(self.path(name))
            .unwrap();
    }

    /// The driver with `options`, about to run `argv` in the bench's directory.
    pub(crate) fn driver(&self, options: &[&str], argv: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launch-driver"));
        command
            .args(["--report", "report"])
            .args(options)
            .arg("--")
            .args(argv);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, options: &[&str], argv: &[&str]) -> Output {
        self.driver(options, argv).output().unwrap()
    }

    /// The same for a shell script.
    pub(crate) fn sh(&self, script: &str) -> Output {
        self.run(&[], &["/bin/sh", "-c", script])
    }

    pub(crate) fn start(&self, options: &[&str], argv: &[&str]) -> Live {
        Live::start(self.driver(options, argv))
    }
}

/// A driver in the middle of its work, whose command talks over stdout.
pub(crate) struct Live {
    pub(crate) child: Child,
    // Apart from `child`, whose `wait` would close it.
    stdin: Option<ChildStdin>,
    lines: BufReader<std::process::ChildStdout>,
}

impl Live {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// The next line; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Everything up to the end of the output, then the exit code.
    pub(crate) fn rest(mut self) -> (Vec<String>, Option<i32>) {
        drop(self.stdin.take());
        let lines =
            std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect();
        (lines, self.child.wait().unwrap().code())
    }
}

/// The letter that /proc gives for the process's state; waits until it is `state`.
pub(crate) fn until_state(pid: Pid, state: char) {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    for _ in 0..10_000 {
        let stat = fs::read_to_string(&path).unwrap();
        if stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with(state)
        {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("{path} never got into state {state}");
}

/// Waits until the process has taken every signal that was sent to it.
pub(crate) fn until_no_signal_pends(pid: Pid) {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    while !fs::read_to_string(&path)
        .unwrap()
        .contains("ShdPnd:\t0000000000000000")
    {
        std::thread::yield_now();
    }
}
