//! What the program says about itself on stderr: logging, and panics as reports of a
//! fault.

use std::io::Write;

use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::error::CliError;
use crate::output::plain;

/// Makes a panic one line that asks for a report; those that the store catches are
/// silent, as they become errors.
pub(crate) fn hook_panics() {
    std::panic::set_hook(Box::new(|info| {
        if diffkeeper_store::panic_is_guarded() {
            return;
        }
        let what = info.payload_as_str().unwrap_or("panic");
        let place = info.location().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        // A stderr that is closed must not become a second panic.
        let _ = writeln!(
            std::io::stderr(),
            "diffkeeper: internal error: {} at {place}\nhint: this is a fault of diffkeeper {}; \
             please report it at {}",
            plain(what),
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_REPOSITORY"),
        );
    }));
}

/// Starts logging to stderr: `DIFFKEEPER_LOG` holds a filter, else `-v` decides.
///
/// # Errors
/// A `DIFFKEEPER_LOG` that is no filter.
pub(crate) fn start_logging(config: &Config) -> Result<(), CliError> {
    let filter = match std::env::var("DIFFKEEPER_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text)
            .map_err(|error| CliError::usage(format!("DIFFKEEPER_LOG: {error}")))?,
        _ => EnvFilter::new(default_filter(config)),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colour would need a feature of the library, without which asking for it panics.
        .with_ansi(false)
        .with_target(config.verbose > 1)
        .compact();
    // A second call only happens in tests; the first one stays in force.
    let _ = subscriber.try_init();
    Ok(())
}

/// Only the project's own crates: others log in terms nobody here knows.
fn default_filter(config: &Config) -> String {
    let level = match (config.quiet, config.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    // Targets are matched by their beginning, so this is every crate of the project.
    format!("diffkeeper={level}")
}
