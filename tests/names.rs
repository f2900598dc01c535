//! Names are bytes: whatever a filesystem allows comes back the same, and no terminal sees it raw.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Env, run};
use serde_json::Value;

const ODD: [&[u8]; 14] = [
    b"\xff\xfe\x80",
    b"latin1-\xe9",
    b"half a rune \xe2\x82",
    b"line\nbreak",
    b"tab\tand\rreturn",
    b"\x1b[2J\x1b[31mred",
    b"\x1b]0;title\x07",
    b"\xc2\x9b2Jc1",
    b"\x7f\x01\x02",
    b"-rf",
    b" spaces ",
    b"back\\slash'\"$(echo)",
    "\u{202e}right-to-left".as_bytes(),
    "\u{1f600}".as_bytes(),
];

fn name(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Files of all odd names in the tree beforehand, and a script that makes them again elsewhere.
fn recorded() -> Env {
    let env = Env::new();
    let list = env.tree().join("list");
    fs::create_dir(&list).unwrap();
    for odd in ODD {
        fs::write(list.join(name(odd)), odd).unwrap();
    }
    fs::write(list.join("x".repeat(255)), "long").unwrap();
    env.sh(
        "cp -r list made; for f in made/*; do echo more >> \"$f\"; done
        sleep 0.7; mv -- made/-rf made/renamed; ln -s -- \"$(printf 'to\\n\\033[1m\\377')\" soft
        d=deep; for i in $(seq 60); do d=$d/directory-with-a-long-name-$i; done
        mkdir -p $d; echo bottom > $d/file; mv deep \"$(printf 'deep\\377')\"",
    );
    env
}

#[test]
fn odd_names_are_exported_exactly() {
    let env = recorded();
    env.assert_latest();
    assert!(run(&mut env.command("verify")).code() == Some(0));
}

/// Bytes that a terminal obeys: C0 but the newline that ends a line, DEL, and C1 in UTF-8.
fn control(bytes: &[u8]) -> Option<usize> {
    let lone = |byte: u8| (byte < 0x20 && byte != b'\n') || byte == 0x7f;
    let c1 = |pair: &[u8]| matches!(pair, [0xc2, 0x80..=0x9f]);
    let single = bytes.iter().position(|&byte| lone(byte));
    single.or_else(|| bytes.windows(2).position(c1))
}

#[test]
fn no_output_holds_a_raw_control_byte() {
    let env = recorded();
    let events = env.timeline(&[]).len();
    for args in [
        &["timeline"][..],
        &["timeline", "--json"],
        &["timeline", "--color", "never"],
        &["diff", "--from", "start", "--stat"],
        &["diff", "--from", "start", "--to", "latest"],
        &["sessions"],
        &["sessions", "--json"],
        &["show", "\x1b[2Jnever"],
    ] {
        let done = run(env.command(args[0]).args(&args[1..]));
        done.no_panic();
        assert!(args[0] == "show" || done.code() == Some(0), "{done}");
        for output in [&done.stdout, &done.stderr] {
            let found = control(output).map(|at| output[at..].escape_ascii().to_string());
            assert_eq!(found, None, "{args:?}");
            assert!(std::str::from_utf8(output).is_ok(), "{args:?}: not UTF-8");
        }
        if args == ["timeline"] {
            let lines = done.stdout.iter().filter(|&&byte| byte == b'\n').count();
            assert!(lines >= events, "{lines} lines for {events} events");
            let text = done.out();
            let line = |text: &str| text.lines().filter(|l| l.starts_with('[')).count();
            assert_eq!(line(&text), events, "a newline in a name splits no line");
        }
    }
}

/// The path of an event as bytes.
fn path_of(event: &Value) -> Option<Vec<u8>> {
    match (&event["path"], &event["path_b64"]) {
        (Value::String(path), Value::Null) => Some(path.clone().into_bytes()),
        (Value::Null, Value::String(coded)) => Some(BASE64_STANDARD.decode(coded).unwrap()),
        (Value::Null, Value::Null) => None,
        both => panic!("both forms of a path: {both:?}"),
    }
}

#[test]
fn json_gives_every_name_as_its_bytes() {
    let env = recorded();
    let events = env.timeline(&[]);
    for odd in ODD {
        let path = [b"made/", odd].concat();
        let event = events.iter().find(|e| path_of(e).as_deref() == Some(&path));
        let event = event.unwrap_or_else(|| panic!("no event of {}", path.escape_ascii()));
        let utf8 = std::str::from_utf8(&path).is_ok();
        assert_eq!(event["path"].is_string(), utf8, "{event}");
        assert_eq!(event["path_b64"].is_string(), !utf8, "{event}");
    }
}

#[test]
fn show_takes_an_odd_name_and_gives_its_bytes() {
    let env = recorded();
    for odd in ODD {
        let mut command = env.command("show");
        command.arg("--").arg(PathBuf::from("list").join(name(odd)));
        let done = run(&mut command);
        done.expect(0);
        assert_eq!(done.stdout, odd);
    }
}
