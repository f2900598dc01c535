//! `diffkeeper show`: the bytes of one file at one instant.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use diffkeeper_store::SessionReader;
use diffkeeper_store::model::{FileId, Kind, Seq, VersionRef, escape};

use crate::cli;
use crate::config::{self, Config};
use crate::error::CliError;
use crate::output::{Output, note, shorten, warn};
use crate::trace;

/// Names of a directory that a hint lists.
const LISTED: usize = 12;
/// Characters of a hint's listing.
const MAX_LISTING: usize = 300;

/// Runs the command.
///
/// # Errors
/// No such file, no content, or damage.
pub(crate) fn run(args: &cli::Show, config: &Config) -> Result<ExitCode, CliError> {
    let when = config::when(&args.time)?;
    let store = trace::open(config, "show")?;
    let reader = trace::session(&store, args.session)?;
    let at = trace::seq_of(&reader, &when)?;
    let mut output = Output::new(config);
    write(&reader, &args.path, at, &args.time, config, &mut output)?;
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn write(
    reader: &SessionReader<'_>,
    path: &Path,
    at: Seq,
    when: &str,
    config: &Config,
    output: &mut dyn Write,
) -> Result<(), CliError> {
    let (file, path) = trace::find(reader, path, at, when)?;
    let shown = if path.is_empty() {
        b"."
    } else {
        path.as_slice()
    };
    let shown = escape(shown);
    let Some((_, node)) = reader.node_at(file, at)? else {
        return Err(CliError::negative(format!(
            "the trace is damaged: no attributes of {shown}"
        )));
    };
    match node.kind {
        Kind::File => write_content(reader, file, at, output).map_err(|error| {
            if error.is_closed_pipe() {
                error
            } else {
                error.about(shown)
            }
        }),
        Kind::Symlink => {
            output.write_all(&node.target)?;
            output.flush()?;
            note(
                config,
                format_args!("{shown} is a symbolic link; this is its target"),
            );
            Ok(())
        }
        Kind::Dir => {
            Err(CliError::usage(format!("{shown} is a directory")).hint(listing(reader, file, at)?))
        }
        other => Err(CliError::usage(format!(
            "{shown} is a {} and has no content",
            other.word()
        ))),
    }
}

fn write_content(
    reader: &SessionReader<'_>,
    file: FileId,
    at: Seq,
    output: &mut dyn Write,
) -> Result<(), CliError> {
    let Some((seq, version)) = reader.version_at(file, at)? else {
        return Err(CliError::negative("the content was not recorded"));
    };
    let mut content = reader.content(VersionRef { file, seq })?;
    content.write_to(output)?;
    if version.redacted {
        output.flush()?;
        warn("redacted: parts of it were masked when it was recorded");
    }
    Ok(())
}

fn listing(reader: &SessionReader<'_>, dir: FileId, at: Seq) -> Result<String, CliError> {
    let children = reader.children(dir, at)?;
    if children.is_empty() {
        return Ok("it is empty".to_owned());
    }
    let names = children.iter().take(LISTED);
    let names: Vec<_> = names.map(|(name, _)| escape(name).to_string()).collect();
    let more = match children.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Ok(format!(
        "it holds {}{more}",
        shorten(&names.join(", "), MAX_LISTING)
    ))
}

#[cfg(test)]
mod tests;
