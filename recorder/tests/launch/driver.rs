//! Test helper: stands where the recorder stands, between a test and a command.
//!
//! `launch-driver [--cwd DIR] [--tee FILE] [--report FILE] [--settle FIFO] [--before FIFO] -- CMD...`
//!
//! `--tee` writes each piece of output as `1:` or `2:`, its length, `:`, its bytes and a newline.
//! `--report` gets what the driver learned, one fact a line. `--before` and `--settle` open a FIFO
//! for reading, that is, wait for the test, ahead of the command and after it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::exit;

use diffkeeper_recorder::launch::{self, Command, OutputMode, Sink, Stream};

#[derive(Default)]
struct Options {
    cwd: Option<OsString>,
    tee: Option<OsString>,
    report: Option<OsString>,
    before: Option<OsString>,
    settle: Option<OsString>,
    argv: Vec<OsString>,
}

fn options() -> Options {
    let mut args = std::env::args_os().skip(1);
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let slot = match arg.to_str() {
            Some("--cwd") => &mut options.cwd,
            Some("--tee") => &mut options.tee,
            Some("--report") => &mut options.report,
            Some("--before") => &mut options.before,
            Some("--settle") => &mut options.settle,
            Some("--") => {
                options.argv = args.collect();
                break;
            }
            _ => panic!("unknown option {arg:?}"),
        };
        *slot = args.next();
    }
    options
}

fn sink(path: &OsString) -> Sink {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut latest = 0;
    Box::new(move |ns, stream, bytes| {
        assert!(ns >= latest, "time runs forward");
        latest = ns;
        let number = if stream == Stream::Stdout { 1 } else { 2 };
        write!(file, "{number}:{}:", bytes.len()).unwrap();
        file.write_all(bytes).unwrap();
        file.write_all(b"\n").unwrap();
        file.flush().unwrap();
    })
}

fn main() {
    let options = options();
    let mut report = options.report.map(|path| File::create(path).unwrap());
    let mut note = |fact: String| {
        if let Some(file) = &mut report {
            writeln!(file, "{fact}").unwrap();
        }
    };
    let prepared = launch::prepare().unwrap();
    note(format!("driver {}", std::process::id()));
    // A read end of a FIFO opens when the test opens the write end.
    options.before.map(fs::read);
    let output = options
        .tee
        .as_ref()
        .map_or(OutputMode::Inherit, |path| OutputMode::Tee(sink(path)));
    let command = Command {
        argv: options.argv,
        cwd: options.cwd.map(Into::into),
        output,
        held: launch::HeldBack::default(),
        caller: None,
    };
    let mut running = prepared.spawn(command).unwrap_or_else(|error| {
        eprintln!("launch-driver: {error}");
        exit(error.exit_code().into());
    });
    note(format!("child {}", running.pid()));
    let ended = running.wait().unwrap();
    note(format!("status {:?}", ended.status));
    note(format!(
        "duration {}",
        ended.ended_ns - running.started().monotonic_ns
    ));
    if let Some(output) = ended.output {
        note(format!("order {:?} {}", output.order, output.by_arrival));
        note(format!("left_open {}", output.left_open));
        note(format!("failed {}", output.failed.is_some()));
    }
    options.settle.map(fs::read);
    note(format!("interrupted {}", running.interrupted_after_exit()));
    exit(ended.status.exit_code().into());
}
