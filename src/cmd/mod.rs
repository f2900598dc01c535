//! One file a command.

mod completions;
mod demo;
mod diff;
mod doctor;
mod export;
mod man;
mod pack;
mod processes;
mod prune;
mod record;
mod restore;
mod run;
mod sessions;
mod show;
mod summary;
mod timeline;
mod tui;
mod unpack;
mod verify;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::diagnostics;
use crate::error::CliError;

/// Runs what the command line asks for.
///
/// # Errors
/// What the command reports.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let config = Config::new(cli.global);
    diagnostics::start_logging(&config)?;
    match &cli.command {
        Command::Record(args) => record::run(args, &config),
        Command::Run(args) => run::run(args, &config),
        Command::Timeline(args) => timeline::run(args, &config),
        Command::Tui(args) => tui::run(args, &config),
        Command::Show(args) => show::run(args, &config),
        Command::Diff(args) => diff::run(args, &config),
        Command::Export(args) => export::run(args, &config),
        Command::Restore(args) => restore::run(args, &config),
        Command::Sessions(args) => sessions::run(*args, &config),
        Command::Summary(args) => summary::run(args, &config),
        Command::Processes(args) => processes::run(args, &config),
        Command::Verify(args) => verify::run(args, &config),
        Command::Prune(args) => prune::run(args, &config),
        Command::Gc(args) => prune::gc(args, &config),
        Command::Pack(args) => pack::run(args, &config),
        Command::Unpack(args) => unpack::run(args, &config),
        Command::Doctor(args) => doctor::run(args, &config),
        Command::Demo(args) => demo::run(args, &config),
        Command::Completions(args) => completions::run(args, &config),
        Command::Man(args) => man::run(args, &config),
        Command::Watchdog => watchdog(),
        Command::Loader => loader(),
    }
}

/// Without a recorder at its stdin there is nothing to do.
fn watchdog() -> Result<ExitCode, CliError> {
    match diffkeeper_recorder::watchdog::watch() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(CliError::usage(format!("no recorder at stdin: {error}"))),
    }
}

/// The recorder has been told as well, where there is one.
fn loader() -> Result<ExitCode, CliError> {
    match diffkeeper_recorder::elevation::load_for() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(CliError::recorder(format!("nothing is loaded: {error}"))),
    }
}
