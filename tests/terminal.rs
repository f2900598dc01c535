//! The listings on a terminal: in colour, and no wider than it is.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::process::Command;
use std::thread;

use common::Env;
use common::family::record;
use diffkeeper_store::model::Backend;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What a command shows on a terminal of so many columns, without control sequences that
/// colour; it must end well.
fn on_terminal(command: &mut Command, columns: u16) -> (String, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = File::options().read(true).write(true).open(name).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&slave, size).unwrap();
    let reader = thread::spawn(move || read_all(File::from(master)));
    command.env("TERM", "xterm-256color").env_remove("CLICOLOR");
    let streams = [(); 3].map(|()| slave.try_clone().unwrap());
    let [stdin, stdout, stderr] = streams;
    let mut child = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    drop(slave);
    // The command holds copies, which would keep the terminal open.
    *command = Command::new("true");
    let status = child.wait().unwrap();
    let raw = reader.join().unwrap();
    assert!(status.success(), "{status}: {raw}");
    let plain = without_sequences(&raw);
    (raw, plain)
}

/// Everything up to the hang-up, which reads as EIO.
fn read_all(mut master: File) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match master.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => all.extend_from_slice(piece.get(..len).unwrap()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    String::from_utf8(all).unwrap()
}

fn without_sequences(raw: &str) -> String {
    let mut parts = raw.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        text + part.get(end.map_or(0, |at| at + 1)..).unwrap_or_default()
    })
}

#[test]
fn every_listing_is_shown_in_colour() {
    let env = Env::new();
    record(&env.state(), Backend::Fentry);
    for (name, args, coloured) in [
        ("timeline", &[][..], true),
        ("processes", &["--filter=comm=tee"], true),
        ("diff", &["--from=start"], true),
        ("sessions", &[], false),
    ] {
        let (raw, plain) = on_terminal(env.command(name).args(args), 80);
        assert!(!plain.contains("internal error"), "{plain}");
        assert_eq!(raw.contains("\x1b["), coloured, "{name}: {raw:?}");
    }
}

#[test]
fn the_process_table_is_as_wide_as_the_terminal() {
    let env = Env::new();
    record(&env.state(), Backend::Fentry);
    let quiet = |columns| on_terminal(env.command("processes").arg("-q"), columns).1;
    let wide = quiet(200);
    assert!(wide.contains("sh -ec \\x1b[2J\\n&&"), "{wide}");
    let narrow = quiet(124);
    let tree: Vec<&str> = narrow
        .lines()
        .filter(|line| line.contains("00m:"))
        .collect();
    assert_eq!(tree.len(), 5, "{narrow}");
    assert!(
        tree.iter().all(|line| line.trim_end().len() <= 124),
        "{narrow}"
    );
    assert!(
        tree.iter().any(|line| line.trim_end().ends_with("...")),
        "{narrow}"
    );
}
