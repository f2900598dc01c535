//! An event as a line for people:
//! `[00m:01.004s] WRITE    status.log (13B)  flaky-ci-test[4211]`.

use std::fmt::{self, Write as _};
use std::io::Write;

use diffkeeper_store::model::{Event, ExitStatus, Op, Process, escape};
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::when::format_time;
use diffkeeper_viewer::sign;

use super::flags;
use crate::error::CliError;
use crate::look::Found;
use crate::output::{Output, paint, shorten};
use crate::processes::{command_line, name};

/// Characters of a text or label that are shown.
const MAX_TEXT: usize = 72;

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
    if found.damaged() {
        rest.push_str("  (damaged)");
    }
    rest
}

fn write_path(out: &mut String, found: &Found<'_>) -> fmt::Result {
    if let Some(path) = &found.paths.path {
        match path.as_slice() {
            b"" => out.write_str(" ."),
            path => write!(out, " {}", escape(path)),
        }?;
    }
    let arrow = match &found.event.op {
        Op::Rename { exchange: true, .. } => "<->",
        _ => "->",
    };
    if let Some(to) = &found.paths.to {
        write!(out, " {arrow} {}", escape(to))?;
    }
    if let (Op::Symlink(_), Some(file)) = (&found.event.op, found.event.file)
        && let Ok(Some((_, node))) = found.reader.node_at(file, found.event.seq)
    {
        write!(out, " {arrow} {}", escape(&node.target))?;
    }
    Ok(())
}

fn write_details(out: &mut String, op: &Op) -> fmt::Result {
    match op {
        Op::Write { len, .. } => write!(out, " ({})", format_bytes(*len)),
        Op::Read { offset, len } => write!(out, " ({} at {offset})", format_bytes(*len)),
        Op::Open { flags } => write!(out, " ({})", flags::words(*flags)),
        Op::Truncate { size } => write!(out, " (to {})", format_bytes(*size)),
        Op::Chmod { mode } => write!(out, " ({mode:04o})"),
        Op::Chown { uid, gid } => write!(out, " ({uid}:{gid})"),
        Op::Setxattr { name } | Op::Removexattr { name } => write!(out, " ({})", escape(name)),
        Op::Exit(ExitStatus::Code(code)) => write!(out, " {code}"),
        Op::Exit(ExitStatus::Signal(signal)) => write!(out, " signal {signal}"),
        Op::Output { stream, bytes } => {
            let size = format_bytes(bytes.len() as u64);
            write!(out, " \"{}\" ({} {size})", first_line(bytes), stream.word())
        }
        Op::Marker { label } => {
            let text = shorten(&escape(label).to_string(), MAX_TEXT);
            write!(out, " {text}")
        }
        Op::Gap { reason, .. } => write!(out, " ({})", reason.word()),
        Op::Create(_)
        | Op::Mkdir(_)
        | Op::Mknod(_)
        | Op::Symlink(_)
        | Op::Link(_)
        | Op::Unlink(_)
        | Op::Rmdir(_)
        | Op::Rename { .. }
        | Op::Utimes
        | Op::Exec => Ok(()),
    }
}

/// The first line that holds anything, with a sign if it is not all.
fn first_line(bytes: &[u8]) -> String {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let start = bytes.iter().position(|byte| !is_end(byte));
    let text = bytes.get(start.unwrap_or(0)..).unwrap_or_default();
    let mut lines = text.splitn(2, is_end);
    let line = escape(lines.next().unwrap_or_default()).to_string();
    let more = lines.next().is_some_and(|rest| !rest.iter().all(is_end));
    match shorten(&line, MAX_TEXT) {
        whole if whole == line && more => whole + "...",
        shown => shown,
    }
}

/// The program with its arguments where it begins, the name and pid everywhere else.
fn write_process(out: &mut String, event: &Event, process: &Process) -> fmt::Result {
    if event.op == Op::Exec {
        write!(out, " {}", shorten(&command_line(process), MAX_TEXT))?;
    }
    write!(out, "  {}", name(process))
}
