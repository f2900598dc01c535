//! The `diffkeeper` program: reads the command line, runs one command, ends with its
//! exit status.

mod cli;
mod cmd;
mod config;
mod diagnostics;
mod error;
mod http;
mod json;
mod metrics;
mod near;
mod output;
mod progress;
mod screen;
mod supply;
#[cfg(test)]
mod testing;
mod trace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    diagnostics::hook_panics();
    let cli = cli::Cli::parse();
    match cmd::run(cli) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
