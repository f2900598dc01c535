//! An event in words: its paths and what only the event knows.

use std::fmt::{self, Write};

use diffkeeper_store::model::{ExitStatus, Op, escape};
use diffkeeper_store::size::format_bytes;

use crate::flags;
use crate::look::Found;
use crate::text::shorten;

/// Characters of a text or label that are shown.
pub const MAX_TEXT: usize = 72;

/// The paths of an event, with the target of a new symbolic link; a space before each.
///
/// # Errors
/// Those of `out`.
pub fn write_path(out: &mut impl Write, found: &Found<'_>) -> fmt::Result {
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

/// What only the event knows, with a space before it.
///
/// # Errors
/// Those of `out`.
pub fn write_details(out: &mut impl Write, op: &Op) -> fmt::Result {
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
