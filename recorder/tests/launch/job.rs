//! Job control: the recorder stops with its command under a shell that would continue it, and
//! only there.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::bench::{Bench, until_no_signal_pends, until_state};

/// An interactive bash on a terminal of its own.
struct Shell {
    terminal: File,
    seen: String,
    bash: Child,
}

impl Shell {
    fn start(bench: &Bench) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || -> OwnedFd {
            File::options()
                .read(true)
                .write(true)
                .open(&name)
                .unwrap()
                .into()
        };
        let bash = Command::new("setsid")
            .args(["--ctty", "bash", "--norc", "--noprofile", "-i"])
            .env("PS1", "<prompt>")
            .current_dir(bench.path(""))
            .stdin(Stdio::from(slave()))
            .stdout(Stdio::from(slave()))
            .stderr(Stdio::from(slave()))
            .spawn()
            .unwrap();
        let mut shell = Self {
            terminal: File::from(master),
            seen: String::new(),
            bash,
        };
        shell.until("<prompt>");
        shell
    }

    fn send(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until `text` has come since the last call.
    fn until(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            self.more(text);
        }
    }

    /// Reads what there is, waiting for `text` no longer than a minute.
    fn more(&mut self, text: &str) {
        let mut terminal = [PollFd::new(&self.terminal, PollFlags::IN)];
        let patience = Timespec {
            tv_sec: 60,
            tv_nsec: 0,
        };
        assert_ne!(
            poll(&mut terminal, Some(&patience)),
            Ok(0),
            "no {text} after {}",
            self.seen
        );
        let mut buffer = [0; 1024];
        let length = self.terminal.read(&mut buffer).unwrap_or(0);
        assert_ne!(length, 0, "the shell ended before {text}: {}", self.seen);
        let text = String::from_utf8_lossy(&buffer[..length]);
        self.seen.push_str(&text);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.bash.kill();
        let _ = self.bash.wait();
    }
}

/// Says when it runs, echoes lines, and notes where each SIGINT came from: 128 is the kernel, for
/// the terminal; 0 is a process. In a file, since the terminal throws output away at Ctrl-C.
const ECHO: &str = "import os,signal,sys,threading
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
notes = os.open('interrupts', os.O_WRONLY | os.O_CREAT)
def watch():
    while True: os.write(notes, b'%d\\n' % signal.sigwaitinfo([signal.SIGINT]).si_code)
threading.Thread(target=watch, daemon=True).start()
os.write(1, b'up\\n')
for line in sys.stdin: os.write(1, b'[' + line.strip().encode() + b']\\n')
os._exit(9)";

fn driver(bench: &Bench) -> String {
    std::fs::write(bench.path("echo.py"), ECHO).unwrap();
    format!(
        "{} --report report -- python3 echo.py\n",
        env!("CARGO_BIN_EXE_launch-driver")
    )
}

#[test]
fn ctrl_z_and_fg() {
    let bench = Bench::new();
    let line = driver(&bench);
    let mut shell = Shell::start(&bench);
    shell.send(&line);
    shell.until("up\r\n");
    for round in 0..5 {
        shell.send("\x1a");
        shell.until("Stopped");
        shell.until("<prompt>");
        until_state(bench.pid("driver"), 'T');
        until_state(bench.pid("child"), 'T');
        shell.send("fg\n");
        shell.until("echo.py");
        // bash sets the terminal's modes between saying so and continuing the job.
        until_state(bench.pid("child"), 'S');
        shell.send(&format!("round {round}\n"));
        shell.until(&format!("[round {round}]"));
    }
    shell.send("\x04");
    shell.until("<prompt>");
    shell.send("echo status=$?\n");
    shell.until("status=9");
}

/// The command stops by itself: the shell gets its prompt back, and `fg` continues both.
#[test]
fn a_command_that_stops_itself() {
    let bench = Bench::new();
    let line = driver(&bench);
    let mut shell = Shell::start(&bench);
    shell.send(&line);
    shell.until("up\r\n");
    bench.signal("child", Signal::STOP);
    shell.until("Stopped");
    until_state(bench.pid("driver"), 'T');
    shell.send("fg\n");
    shell.until("echo.py");
    until_state(bench.pid("child"), 'S');
    shell.send("again\n");
    shell.until("[again]");
}

/// Ctrl-C reaches command and recorder at once and is not sent a second time.
#[test]
fn ctrl_c_counts_once() {
    let bench = Bench::new();
    let line = driver(&bench);
    let mut shell = Shell::start(&bench);
    shell.send(&line);
    shell.until("up\r\n");
    let interrupts = |count: usize| {
        while bench.read("interrupts").lines().count() < count {
            std::thread::yield_now();
        }
        // The kernel would put a signal together with one that the driver has not taken yet.
        until_no_signal_pends(bench.pid("driver"));
    };
    for count in 1..=20 {
        shell.send("\x03");
        interrupts(count);
    }
    // A fence, for signals are forwarded in order: no copy of a Ctrl-C can come after it.
    bench.signal("driver", Signal::INT);
    interrupts(21);
    assert_eq!(bench.read("interrupts"), "128\n".repeat(20) + "0\n");
}

/// A command that ignores SIGTSTP is not left alone in the foreground by a recorder that stops.
#[test]
fn ctrl_z_does_not_stop_the_recorder_alone() {
    let bench = Bench::new();
    let mut shell = Shell::start(&bench);
    let trap = driver(&bench).replace(
        "python3 echo.py",
        "sh -c \"trap '' TSTP; exec python3 echo.py\"",
    );
    shell.send(&trap);
    shell.until("up\r\n");
    shell.send("\x1a");
    shell.send("unmoved\n");
    shell.until("[unmoved]");
    until_state(bench.pid("driver"), 'S');
}

/// Without a shell that would continue it the recorder keeps running while its command is stopped.
#[test]
fn without_job_control_only_the_command_stops() {
    let bench = Bench::new();
    let driver = bench.driver(&[], &["sh", "-c", "echo ready; cat; exit 3"]);
    let mut command = Command::new("setsid");
    command
        .arg(driver.get_program())
        .args(driver.get_args())
        .current_dir(bench.path(""));
    let mut live = crate::bench::Live::start(command);
    assert_eq!(live.line(), "ready");
    for _ in 0..3 {
        bench.signal("child", Signal::STOP);
        until_state(bench.pid("child"), 'T');
        until_state(bench.pid("driver"), 'S');
        bench.signal("child", Signal::CONT);
        live.say("on");
        assert_eq!(live.line(), "on");
        // And through the recorder.
        bench.signal("child", Signal::STOP);
        until_state(bench.pid("child"), 'T');
        bench.signal("driver", Signal::CONT);
        until_state(bench.pid("child"), 'S');
    }
    assert_eq!(live.rest(), (vec![], Some(3)));
}
