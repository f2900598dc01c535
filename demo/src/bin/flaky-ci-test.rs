//! A test that fails one run in one: writes in the current directory, one step a second.
//!
//! `flaky-ci-test [MS]`, or `FLAKY_STEP_MS`, sets the length of a step in milliseconds.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let given = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("FLAKY_STEP_MS").ok());
    let step = match given.map(|ms| ms.parse()) {
        None => diffkeeper_demo::STEP,
        Some(Ok(ms)) => Duration::from_millis(ms),
        Some(Err(error)) => {
            eprintln!("flaky-ci-test: the step is a number of milliseconds: {error}");
            return ExitCode::from(2);
        }
    };
    diffkeeper_demo::flaky_ci_test(Path::new("."), step)
}
