//! `diffkeeper unpack`: a packed trace as a state directory again.

use std::process::ExitCode;

use diffkeeper_store::Store;
use diffkeeper_store::pack::unpack;

use crate::cli;
use crate::config::Config;
use crate::error::CliError;
use crate::output::{counted, note, path_text};
use crate::progress::Progress;

/// Runs the command.
///
/// # Errors
/// A pack that cannot be read to its end, a directory that holds something.
pub(crate) fn run(args: &cli::Unpack, config: &Config) -> Result<ExitCode, CliError> {
    let store = Store::open(&args.file, "unpack")?;
    let progress = Progress::new(config, "unpacking");
    let report = unpack(&store, &args.to, &progress)?;
    drop(progress);
    note(
        config,
        format_args!(
            "{}, {} to {}",
            counted(report.sessions, "session"),
            counted(report.records, "record"),
            path_text(&args.to),
        ),
    );
    Ok(ExitCode::SUCCESS)
}
