//! The bytes of a content, for other programs and the clipboard.

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{Seq, VersionRef, escape};
use similar::TextDiff;

use super::Job;
use crate::ask::{Answer, FetchAsk, Purpose};

/// Longest content that is handed to another program, bytes.
const MAX_OPENED: u64 = 64 << 20;
/// Longest content that is put into the clipboard, bytes.
const MAX_COPIED: u64 = 1 << 20;
/// What separates the two contents of a difftool's answer: its length comes first.
pub(crate) const LENGTH: usize = 8;

pub(super) fn work(ask: FetchAsk, job: Job<'_>) {
    let bytes = fetch(&ask, job);
    job.answer(Answer::Fetched(ask, bytes));
}

fn fetch(ask: &FetchAsk, job: Job<'_>) -> Result<Vec<u8>, String> {
    let limit = match ask.purpose {
        Purpose::CopyContent | Purpose::CopyDiff => MAX_COPIED,
        Purpose::Pager | Purpose::Editor | Purpose::Difftool => MAX_OPENED,
    };
    let new = content(ask, ask.at, limit, job)?.ok_or("there is no content here")?;
    let base = base(ask, job).map_err(|error| error.to_string())?;
    match ask.purpose {
        Purpose::CopyContent | Purpose::Pager | Purpose::Editor => Ok(new),
        Purpose::CopyDiff => {
            let old = content(ask, base, limit, job)?.unwrap_or_default();
            Ok(unified(&old, &new, &ask.path))
        }
        Purpose::Difftool => {
            let old = content(ask, base, limit, job)?.unwrap_or_default();
            let length = (old.len() as u64).to_be_bytes();
            Ok([&length[..], &old, &new].concat())
        }
    }
}

/// The state before the version that is shown, unless another was asked for.
fn base(ask: &FetchAsk, job: Job<'_>) -> Result<Seq, StoreError> {
    if let Some(base) = ask.base {
        return Ok(base);
    }
    let found = job.reader.version_at(ask.file, ask.at)?;
    Ok(Seq(found.map_or(0, |(seq, _)| seq.0.saturating_sub(1))))
}

fn content(ask: &FetchAsk, at: Seq, limit: u64, job: Job<'_>) -> Result<Option<Vec<u8>>, String> {
    let found = job.reader.version_at(ask.file, at);
    let Some((seq, _)) = found.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let at = VersionRef {
        file: ask.file,
        seq,
    };
    let content = job
        .reader
        .content(at)
        .and_then(|mut content| content.to_vec(limit));
    match content.map_err(|error| error.to_string())? {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(format!(
            "longer than {}: use `diffkeeper show`",
            diffkeeper_store::size::format_bytes(limit)
        )),
    }
}

/// A unified diff, with the bytes as they are.
fn unified(old: &[u8], new: &[u8], path: &[u8]) -> Vec<u8> {
    let lines = |bytes| -> Vec<&[u8]> { <[u8]>::split_inclusive(bytes, |b| *b == b'\n').collect() };
    let (old, new) = (lines(old), lines(new));
    let diff = TextDiff::configure().diff_slices(&old, &new);
    let path = escape(path);
    let mut out = format!("--- a/{path}\n+++ b/{path}\n").into_bytes();
    for hunk in diff.unified_diff().iter_hunks() {
        out.extend(format!("{}\n", hunk.header()).into_bytes());
        for change in hunk.iter_changes() {
            out.extend(change.tag().to_string().into_bytes());
            out.extend(change.value());
            if !change.value().ends_with(b"\n") {
                out.extend(b"\n\\ No newline at end of file\n");
            }
        }
    }
    out
}
