//! A program that behaves like a flaky test: the culprit of the demo.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

/// What `status.log` holds from the start.
pub const INIT: &str = "INIT: System OK\n";
/// What `status.log` holds two steps later.
pub const ERROR: &str = "ERROR: Connection Lost\n";
/// The time between two steps when nobody asks for another.
pub const STEP: Duration = Duration::from_secs(1);

/// Writes `status.log` below `dir`, a step later `db.lock`, a step later the error over
/// `status.log`, and a step later fails as a test does: a report on stderr and status 1.
///
/// The last step keeps a recording open past the error, so that a time between the two exists.
/// Status 2 means that the directory could not be written.
pub fn flaky_ci_test(dir: &Path, step: Duration) -> ExitCode {
    match write_steps(dir, step) {
        Ok(()) => {
            eprint!("{REPORT}");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("flaky-ci-test: {}: {error}", dir.display());
            ExitCode::from(2)
        }
    }
}

fn write_steps(dir: &Path, step: Duration) -> io::Result<()> {
    eprintln!("running 1 test");
    fs::write(dir.join("status.log"), INIT)?;
    sleep(step);
    fs::write(dir.join("db.lock"), format!("{}\n", std::process::id()))?;
    sleep(step);
    fs::write(dir.join("status.log"), ERROR)?;
    sleep(step);
    Ok(())
}

const REPORT: &str = "\
test checkout::places_an_order ... FAILED

---- checkout::places_an_order ----
assertion failed: the service answers while an order is placed
  expected: 200 OK
       got: connection reset by peer

test result: FAILED. 0 passed; 1 failed
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn leaves_the_error_and_the_lock_behind() {
        let dir = tempfile::tempdir().unwrap();
        let code = flaky_ci_test(dir.path(), Duration::from_millis(1));
        assert_eq!(code, ExitCode::from(1));
        let status = fs::read_to_string(dir.path().join("status.log")).unwrap();
        assert_eq!(status, ERROR);
        assert!(dir.path().join("db.lock").exists());
    }

    #[test]
    fn a_directory_that_is_not_there_is_another_failure() {
        let code = flaky_ci_test(Path::new("/nonexistent/dir"), Duration::ZERO);
        assert_eq!(code, ExitCode::from(2));
    }
}
