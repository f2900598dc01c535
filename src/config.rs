//! From arguments and environment to what the commands work with.

use std::io::IsTerminal;
use std::path::PathBuf;

use diffkeeper_store::filter::Filter;
use diffkeeper_store::when::When;

use crate::cli::{Color, Global};
use crate::error::CliError;

/// Where a trace is kept if nobody says otherwise.
const DEFAULT_STATE_DIR: &str = "diffkeeper-trace";

/// The options that every command takes, resolved.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Directory of the trace.
    pub(crate) state_dir: PathBuf,
    /// Whether stdout is coloured.
    pub(crate) color: bool,
    /// Nothing on stderr but warnings and errors.
    pub(crate) quiet: bool,
    /// How much more than usual on stderr: 0, 1, 2.
    pub(crate) verbose: u8,
}

impl Config {
    /// Resolves the global options.
    pub(crate) fn new(global: Global) -> Self {
        let from_env = std::env::var_os("DIFFKEEPER_STATE_DIR").filter(|dir| !dir.is_empty());
        let state_dir = global
            .state_dir
            .or_else(|| from_env.map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_STATE_DIR));
        Self {
            state_dir,
            color: is_coloured(global.color),
            quiet: global.quiet,
            verbose: global.verbose,
        }
    }

    /// Whether the trace stands where it does if nobody says otherwise.
    pub(crate) fn is_default_state_dir(&self) -> bool {
        self.state_dir.as_os_str() == DEFAULT_STATE_DIR
    }

    /// Whether progress may be drawn on stderr.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
}

/// NO_COLOR, CLICOLOR and TERM count only where the user did not choose.
fn is_coloured(choice: Color) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let choice = anstream::AutoStream::choice(&std::io::stdout());
            choice != anstream::ColorChoice::Never
        }
    }
}

/// Where to serve metrics: the option, else the environment.
pub(crate) fn metrics_addr(given: Option<&str>) -> Option<String> {
    let from_env = || std::env::var("DIFFKEEPER_METRICS_ADDR").ok();
    let address = given.map(str::to_owned).or_else(from_env);
    address.filter(|address| !address.is_empty())
}

/// An instant as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    /// What it says.
    pub(crate) when: When,
    /// The very words, for messages.
    pub(crate) text: String,
}

/// Reads a WHEN.
///
/// # Errors
/// A text that is none.
pub(crate) fn when(text: &str) -> Result<Instant, CliError> {
    let when = When::parse(text)?;
    let text = text.trim().to_owned();
    Ok(Instant { when, text })
}

/// Reads a filter; none given matches everything.
///
/// # Errors
/// A text that is none.
pub(crate) fn filter(text: Option<&str>) -> Result<Filter, CliError> {
    Ok(text.map_or_else(|| Ok(Filter::default()), Filter::parse)?)
}
