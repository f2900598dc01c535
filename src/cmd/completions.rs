//! `diffkeeper completions`: a script for a shell, generated from the command line.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{self, Cli};
use crate::config::Config;
use crate::error::CliError;
use crate::output::Output;

/// Runs the command.
///
/// # Errors
/// Those of stdout.
pub(crate) fn run(args: &cli::Completions, config: &Config) -> Result<ExitCode, CliError> {
    // The generator panics where a write fails, so it gets memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "diffkeeper", &mut script);
    let mut output = Output::new(config);
    output.write_all(&script)?;
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
