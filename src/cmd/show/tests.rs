//! What the module around it promises, over a session whose every event is known.
#![allow(clippy::unwrap_used, reason = "tests")]
use std::path::Path;

use super::write;
use crate::cli::SessionArg;
use crate::config::{Config, when};
use crate::error::{CliError, Kind};
use crate::testing::{Bed, Captured, bed};
use crate::trace;

fn show(bed: &Bed, at: &str, path: &str) -> Result<Vec<u8>, CliError> {
    let store = bed.store();
    let reader = trace::session(&store, SessionArg { session: None })?;
    let seq = trace::seq_of(&reader, &when(at)?)?;
    let captured = Captured::default();
    let mut output = captured.output(true);
    let config = Config {
        state_dir: bed.path(),
        color: true,
        quiet: true,
        verbose: 0,
    };
    write(&reader, Path::new(path), seq, at, &config, &mut output)?;
    output.finish()?;
    Ok(captured.text().into_bytes())
}

#[test]
fn the_bytes_are_those_of_the_instant() {
    let bed = bed();
    for (at, path, expected) in [
        ("start", "status.log", "one\ntwo\n"),
        ("999ms", "status.log", "one\ntwo\n"),
        ("1s", "status.log", "one\nTWO\n\u{1b}[2J!"),
        ("1s", "/w/./status.log", "one\nTWO\n\u{1b}[2J!"),
        ("latest", "soft", "to\nthere"),
    ] {
        let shown = show(&bed, at, path).unwrap();
        assert_eq!(shown, expected.as_bytes(), "{path} at {at}");
    }
}

#[test]
fn what_cannot_be_shown_says_why() {
    let bed = bed();
    for (at, path, kind, text) in [
        (
            "latest",
            "bin",
            Kind::Negative,
            "diffkeeper: bin: the content was not recorded: torn\n\
             hint: `diffkeeper timeline` shows the gap beside it\n",
        ),
        (
            "start",
            ".",
            Kind::Refused,
            "diffkeeper: . is a directory\nhint: it holds bin, status.log\n",
        ),
        (
            "latest",
            "status.log",
            Kind::Refused,
            "diffkeeper: status.log does not exist at latest\n\
             hint: it is there at the start; `diffkeeper timeline` shows the rest\n",
        ),
        (
            "start",
            "soft",
            Kind::Refused,
            "diffkeeper: soft does not exist at start\n\
             hint: it is there at 00m:02.000s (#2); `diffkeeper timeline` shows the rest\n",
        ),
        (
            "latest",
            "Status.lgo",
            Kind::Refused,
            "diffkeeper: no such path in the session: Status.lgo\nhint: did you mean status.log?\n",
        ),
        (
            "latest",
            "x/bin",
            Kind::Refused,
            "diffkeeper: no such path in the session: x/bin\nhint: did you mean bin?\n",
        ),
        (
            "latest",
            "\u{1b}[2J",
            Kind::Refused,
            "diffkeeper: no such path in the session: \\x1b[2J\n\
             hint: paths are relative to the recorded directory\n",
        ),
    ] {
        let error = show(&bed, at, path).unwrap_err();
        assert_eq!(error.to_string(), text, "{path} at {at}");
        assert_eq!(error.kind, kind, "{path} at {at}");
    }
}
