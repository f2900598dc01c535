//! The viewer in a real terminal (tmux): opened, scrubbed, left; and that the terminal is as
//! it was, whatever ends it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::family::record;
use common::{EXE, Env, missing, run, skip};
use diffkeeper_store::model::Backend;

/// How long a screen may take to show what is expected: generous, as machines are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal of its own, with a shell in it.
struct Terminal {
    env: Env,
    socket: String,
}

impl Terminal {
    /// `None`, said aloud, where there is no tmux.
    fn new() -> Option<Self> {
        let terminal = Self::without_trace()?;
        record(&terminal.env.state(), Backend::Fentry);
        Some(terminal)
    }

    fn without_trace() -> Option<Self> {
        if let Some(program) = missing(&["tmux", "sh"]) {
            skip(&format!("no {program}"));
            return None;
        }
        let env = Env::new();
        let socket = env.base().join("tmux").to_str().unwrap().to_owned();
        let terminal = Self { env, socket };
        let size = ["-x", "120", "-y", "40"];
        let shell = "PS1='ready$ ' PAGER=cat exec sh";
        let mut command = terminal.tmux(&["-f", "/dev/null", "new-session", "-d"]);
        common::clean(&mut command);
        command
            .args(size)
            .arg(shell)
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color");
        command.current_dir(terminal.env.tree());
        let started = command.output().unwrap();
        if !started.status.success() {
            skip(&format!(
                "tmux does not start: {}",
                String::from_utf8_lossy(&started.stderr)
            ));
            return None;
        }
        terminal.expect(&["ready$"]);
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(&self.socket).args(args);
        command
    }

    fn done(&self, args: &[&str]) -> Output {
        let output = self.tmux(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        output
    }

    fn screen(&self) -> String {
        String::from_utf8(self.done(&["capture-pane", "-p", "-J"]).stdout).unwrap()
    }

    /// Waits for texts that are all on the screen.
    fn expect(&self, texts: &[&str]) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(begin.elapsed() < PATIENCE, "no {texts:?} in:\n{screen}");
            sleep(Duration::from_millis(30));
        }
    }

    /// Closes what shows a text; a key that comes too soon after would be one with Alt.
    fn escape(&self, shown: &str) {
        self.keys(&["Escape"]);
        let begin = Instant::now();
        while self.screen().contains(shown) {
            assert!(begin.elapsed() < PATIENCE, "still {shown:?}");
            sleep(Duration::from_millis(30));
        }
    }

    fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.done(&["send-keys", key]);
        }
    }

    fn text(&self, text: &str) {
        self.done(&["send-keys", "-l", text]);
    }

    /// Starts the viewer and waits for it.
    fn open(&self, args: &str) {
        let state = self.env.state();
        self.text(&format!(
            "clear; {EXE} tui --state-dir {} {args}",
            state.display()
        ));
        self.keys(&["Enter"]);
        self.expect(&["diffkeeper", "events", "[inline]"]);
    }

    /// The shell is back, echoes, and breaks lines as it should.
    fn assert_restored(&self) {
        // What is typed before the shell reads again is lost with the modes that it sets.
        let prompts = |screen: &str| screen.matches("ready$").count();
        let before = prompts(&self.expect(&["ready$"]));
        self.keys(&["Enter"]);
        let begin = Instant::now();
        while prompts(&self.screen()) <= before && begin.elapsed() < PATIENCE {
            sleep(Duration::from_millis(30));
        }
        self.text("printf 'a\\nb\\n'; stty -a | grep -o ' -\\?echo '; echo over-$?");
        self.keys(&["Enter"]);
        let screen = self.expect(&["\na\nb\n", "over-0"]);
        assert!(!screen.contains(" -echo "), "{screen}");
        assert!(!screen.contains("[inline]"), "{screen}");
        let modes = self.done(&["display-message", "-p", "#{alternate_on}#{mouse_any_flag}"]);
        assert_eq!(String::from_utf8_lossy(&modes.stdout).trim(), "00");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).output();
    }
}

#[test]
fn a_session_is_scrubbed_and_left() {
    let Some(terminal) = Terminal::new() else {
        return;
    };
    terminal.open("");
    terminal.keys(&["0"]);
    terminal.expect(&["#0/"]);
    terminal.keys(&["l", "l"]);
    terminal.expect(&["#2/"]);
    terminal.keys(&["h"]);
    terminal.expect(&["#1/"]);
    terminal.text(":#3");
    terminal.keys(&["Enter"]);
    terminal.expect(&["#3/"]);
    terminal.keys(&["?"]);
    terminal.expect(&["keys", "previous event"]);
    terminal.escape("previous event");
    terminal.keys(&["q"]);
    terminal.expect(&["ready$", "--at=#3"]);
    terminal.assert_restored();
}

#[test]
fn filters_and_searches_are_typed() {
    let Some(terminal) = Terminal::new() else {
        return;
    };
    terminal.open("'--at=#1'");
    terminal.text("fop:write");
    terminal.expect(&["filter: op:write"]);
    terminal.keys(&["Enter"]);
    terminal.expect(&[" of "]);
    terminal.text("f size>");
    terminal.expect(&["at byte"]);
    terminal.escape("at byte");
    terminal.text("/no such thing");
    terminal.keys(&["Enter"]);
    terminal.expect(&["no further match"]);
    terminal.keys(&["q"]);
    terminal.assert_restored();
}

#[test]
fn an_export_can_be_made_and_made_again() {
    let Some(terminal) = Terminal::new() else {
        return;
    };
    terminal.open("");
    let out = terminal.env.base().join("out");
    terminal.keys(&["x"]);
    terminal.expect(&["export the tree to"]);
    terminal.keys(&["C-u"]);
    terminal.text(&out.display().to_string());
    terminal.keys(&["Enter"]);
    terminal.expect(&["exported", "the same again"]);
    assert!(std::fs::read_dir(&out).unwrap().next().is_some());
    terminal.escape("the same again");
    terminal.keys(&["y", "v"]);
    terminal.expect(&["copied: this view", "diffkeeper tui --state-dir"]);
    terminal.escape("copied: this view");
    terminal.keys(&["q"]);
    terminal.assert_restored();
    let again = terminal.env.export("latest");
    common::assert_tree_equal(&out, &again);
}

#[test]
fn another_size_keeps_the_cursor() {
    let Some(terminal) = Terminal::new() else {
        return;
    };
    terminal.open("'--at=#2'");
    for (width, height, seen) in [
        ("80", "24", "content"),
        ("30", "5", "needs 40x8"),
        ("160", "50", "[inline]"),
    ] {
        terminal.done(&["resize-window", "-x", width, "-y", height]);
        terminal.expect(&[seen]);
    }
    terminal.expect(&["#2/", "▶"]);
    terminal.keys(&["q"]);
    terminal.assert_restored();
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let Some(terminal) = Terminal::new() else {
        return;
    };
    for signal in ["TERM", "HUP"] {
        terminal.open("");
        let pid = terminal.done(&["display-message", "-p", "#{pane_pid}"]);
        let pid = String::from_utf8_lossy(&pid.stdout).trim().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let child = children.split_whitespace().next().unwrap();
        let mut kill = Command::new("kill");
        run(kill.arg(format!("-{signal}")).arg(child)).expect(0);
        terminal.expect(&["ready$"]);
        terminal.assert_restored();
    }
}

#[test]
fn the_shell_can_be_gone_back_to() {
    let Some(terminal) = Terminal::new() else {
        return;
    };
    terminal.text("set -m; clear");
    terminal.keys(&["Enter"]);
    terminal.open("'--at=#2'");
    terminal.keys(&["C-z"]);
    terminal.expect(&["ready$"]);
    terminal.assert_restored();
    terminal.text("fg");
    terminal.keys(&["Enter"]);
    terminal.expect(&["#2/", "[inline]"]);
    terminal.keys(&["l"]);
    terminal.expect(&["#3/"]);
    terminal.keys(&["o", "p"]);
    // The pager is `cat`, which ends at once.
    terminal.expect(&["#3/", "[inline]"]);
    terminal.keys(&["q"]);
    terminal.assert_restored();
}

/// A recording that goes on as it is told to.
struct Slow {
    recorder: Child,
    base: PathBuf,
}

impl Slow {
    fn start(env: &Env) -> Self {
        let wait = |name: &str| {
            let file = env.base().join(name);
            format!("until [ -e {} ]; do sleep 0.1; done", file.display())
        };
        let (go, end) = (wait("go"), wait("end"));
        let script = format!("echo early > early.txt; {go}; echo late > late.txt; {end}; exit 3");
        let mut command = env.recording();
        command.args(["sh", "-c", &script]);
        let quiet = || std::process::Stdio::null();
        let recorder = command.stdin(quiet()).stdout(quiet()).stderr(quiet());
        Self {
            recorder: recorder.spawn().unwrap(),
            base: env.base().to_owned(),
        }
    }

    fn tell(&self, name: &str) {
        std::fs::write(self.base.join(name), "").unwrap();
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.tell("go");
        self.tell("end");
        let _ = self.recorder.wait();
    }
}

#[test]
fn a_session_is_followed_while_it_is_recorded() {
    let Some(terminal) = Terminal::without_trace() else {
        return;
    };
    let slow = Slow::start(&terminal.env);
    wait_for(&terminal.env.state());
    terminal.open("");
    terminal.expect(&["live: recording", "early.txt"]);
    assert!(!terminal.screen().contains("late.txt"));
    slow.tell("go");
    terminal.expect(&["live: recording", "late.txt"]);
    slow.tell("end");
    terminal.expect(&["the recording has ended: exit 3"]);
    // It is an ordinary trace now.
    terminal.keys(&["0"]);
    let screen = terminal.expect(&["#0/", "exit 3"]);
    assert!(!screen.contains("live"), "{screen}");
    terminal.keys(&["q"]);
    terminal.assert_restored();
}

#[test]
fn a_recorder_that_is_killed_is_told() {
    let Some(terminal) = Terminal::without_trace() else {
        return;
    };
    let mut slow = Slow::start(&terminal.env);
    wait_for(&terminal.env.state());
    terminal.open("");
    terminal.expect(&["live: recording", "early.txt"]);
    slow.recorder.kill().unwrap();
    slow.recorder.wait().unwrap();
    terminal.expect(&["the recorder died"]);
    terminal.keys(&["0"]);
    terminal.expect(&["#0/", "not finished"]);
    terminal.keys(&["q"]);
    terminal.assert_restored();
}

/// Waits for a recorder that serves its trace.
fn wait_for(state: &Path) {
    let begin = Instant::now();
    while !state.join("live/socket").exists() {
        assert!(begin.elapsed() < PATIENCE, "no recorder");
        sleep(Duration::from_millis(20));
    }
}

/// What a name or a content would have a terminal do; none of it is what the viewer does.
const ATTACKS: [&str; 5] = [
    "\u{1b}]0;title\u{7}",
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "\u{1b}P+q544e\u{1b}\\",
    "\u{1b}[31337z",
    "\u{9b}31337z",
];

/// Puts a thousand names and contents that try to command a terminal into a directory.
fn plant(dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    for n in 0..1000 {
        let attack = ATTACKS[n % ATTACKS.len()];
        let text = format!("{attack}{n}\n").repeat(3);
        std::fs::write(dir.join(format!("{n:03}{attack}")), text).unwrap();
    }
}

#[test]
fn nothing_of_a_trace_commands_the_terminal() {
    let Some(terminal) = Terminal::without_trace() else {
        return;
    };
    let planted = terminal.env.base().join("planted");
    plant(&planted);
    let from = format!("{}/.", planted.display());
    terminal.env.record(&["cp", "-r", &from, "."]).expect(0);
    let raw = terminal.env.base().join("raw");
    let pipe = format!("cat > {}", raw.display());
    terminal.done(&["pipe-pane", &pipe]);
    terminal.open("'--at=#1'");
    terminal.keys(&["v", "p"]);
    for _ in 0..60 {
        terminal.keys(&["C-f", "d"]);
    }
    terminal.keys(&["Tab", "Tab", "Tab"]);
    terminal.keys(&["PageDown"; 30]);
    terminal.expect(&["observed (notify)", "gaps"]);
    terminal.keys(&["y", "v"]);
    terminal.expect(&["copied: this view"]);
    terminal.escape("copied: this view");
    terminal.keys(&["q"]);
    terminal.assert_restored();
    let written = std::fs::read(&raw).unwrap();
    let holds = |bytes: &[u8]| written.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(b"31337z"), "nothing of the trace was shown");
    for attack in ATTACKS {
        assert!(!holds(attack.as_bytes()), "{attack:?}");
    }
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let env = Env::new();
    record(&env.state(), Backend::Fentry);
    let done = run(&mut env.command("tui"));
    done.expect(2);
    assert!(done.to_string().contains("tui needs a terminal"), "{done}");
}
