//! An event as a line for people:
//! `[00m:01.004s] WRITE    status.log (13B)  flaky-ci-test[4211]`.

use std::fmt::{self, Write as _};
use std::io::Write;

use diffkeeper_store::model::{Event, Op, Process};
use diffkeeper_store::when::format_time;
use diffkeeper_viewer::describe::{MAX_TEXT, write_details, write_path};
use diffkeeper_viewer::look::Found;
use diffkeeper_viewer::processes::{command_line, name};
use diffkeeper_viewer::sign;

use crate::error::CliError;
use crate::output::{Output, paint, shorten};

/// Writes one line.
///
/// # Errors
/// Those of `output`.
pub(super) fn write(found: &Found<'_>, output: &mut Output) -> Result<(), CliError> {
    let text = text(found, output.color());
    writeln!(output, "{text}")?;
    Ok(())
}

/// The line, without its end.
pub(super) fn text(found: &Found<'_>, color: bool) -> String {
    let what = found.event.op.kind().word().to_uppercase();
    let word = paint(color, sign::of(&found.event.op).style, &what);
    // Padding by hand: a style has no width.
    let pad = 8_usize.saturating_sub(what.len());
    let time = format_time(found.event.time);
    let rest = describe(found);
    format!("[{time}] {word}{:pad$}{rest}", "")
}

/// All behind the word: path, details, process; each with the space before it.
fn describe(found: &Found<'_>) -> String {
    let mut rest = String::new();
    // Writing to a String cannot fail.
    let _ = write_path(&mut rest, found);
    let _ = write_details(&mut rest, &found.event.op);
    if let Some(process) = found.who() {
        let _ = write_process(&mut rest, &found.event, process);
    }
    if found.is_redacted() {
        rest.push_str("  (redacted)");
    }
    if found.damaged() {
        rest.push_str("  (damaged)");
    }
    rest
}

/// The program with its arguments where it begins, the name and pid everywhere else.
fn write_process(out: &mut String, event: &Event, process: &Process) -> fmt::Result {
    if event.op == Op::Exec {
        write!(out, " {}", shorten(&command_line(process), MAX_TEXT))?;
    }
    write!(out, "  {}", name(process))
}
