//! The tree or one file written out, as `diffkeeper export` does it.

use std::path::Path;

use diffkeeper_store::export::{Options, export};
use diffkeeper_store::model::escape;
use globset::{Glob, GlobSet};

use super::Job;
use crate::ask::{Answer, ExportAsk};
use crate::text::{counted, grouped};

pub(super) fn work(ask: &ExportAsk, job: Job<'_>) {
    job.answer(Answer::Exported(write(ask, job)));
}

fn write(ask: &ExportAsk, job: Job<'_>) -> Result<String, String> {
    let paths = ask.path.as_deref().map(only).transpose()?;
    let snapshot = job
        .reader
        .salvage(ask.at)
        .map_err(|error| error.to_string())?;
    let options = Options {
        paths,
        ..Options::default()
    };
    let report = export(job.reader, &snapshot, &ask.out, &options, &());
    let report = report.map_err(|error| error.to_string())?;
    let left_out = report.left_out.len() + snapshot.damage().len();
    let left_out = match (left_out, report.left_out.first()) {
        (0, _) => String::new(),
        (n, first) => {
            let first = first.map(|left| format!(", such as {}", escape(&left.path)));
            format!(
                "; {} left out{}",
                grouped(n as u64),
                first.unwrap_or_default()
            )
        }
    };
    let files = counted(report.files, "file");
    Ok(format!("{files} to {}{left_out}", shown(&ask.out)))
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).to_string()
}

/// A glob that means one path.
fn only(path: &[u8]) -> Result<GlobSet, String> {
    let text = std::str::from_utf8(path)
        .map_err(|_| "a name that is not UTF-8 cannot be exported by itself".to_owned())?;
    let glob = Glob::new(&globset::escape(text)).map_err(|error| error.to_string())?;
    let set = GlobSet::builder().add(glob).build();
    set.map_err(|error| error.to_string())
}
