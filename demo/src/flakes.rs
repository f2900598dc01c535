//! Three flakes as they happen: what two programs do to each other in one directory, and the
//! test that fails by it. Each is right unless somebody is in the way at the wrong moment;
//! `unlucky` makes the moment the wrong one.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// A moment in which the others get ahead.
const MOMENT: Duration = Duration::from_millis(60);

/// Why a test failed.
#[derive(Debug)]
pub enum Failed {
    /// It did not find what it expected.
    Assertion(String),
    /// Something else went wrong.
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Two tests, of which each believes that `fixture.txt` is its own: writes its name there and
/// expects to find it again.
///
/// # Errors
/// It finds the other's.
pub fn shares_a_path(dir: &Path, name: &str, unlucky: bool) -> Result<(), Failed> {
    let fixture = dir.join("fixture.txt");
    fs::write(&fixture, format!("fixture of {name}\n"))?;
    sleep(if unlucky { 3 * MOMENT } else { Duration::ZERO });
    let found = fs::read_to_string(&fixture)?;
    match found == format!("fixture of {name}\n") {
        true => Ok(()),
        false => Err(Failed::Assertion(format!("{name} found {found:?}"))),
    }
}

/// Writes `config.ini` anew, in two pieces.
///
/// # Errors
/// It cannot be written.
pub fn writes_a_config(dir: &Path, unlucky: bool) -> Result<(), Failed> {
    let mut config = fs::File::create(dir.join("config.ini"))?;
    config.write_all(b"[server]\nport = 80")?;
    sleep(if unlucky { 3 * MOMENT } else { Duration::ZERO });
    config.write_all(b"80\nhost = localhost\n")?;
    Ok(())
}

/// Reads `config.ini` and expects a port and a host in it.
///
/// # Errors
/// Half of it is there.
pub fn reads_a_config(dir: &Path) -> Result<(), Failed> {
    sleep(MOMENT);
    let config = fs::read_to_string(dir.join("config.ini"))?;
    match config.contains("port = 8080\n") && config.contains("host = ") {
        true => Ok(()),
        false => Err(Failed::Assertion(format!("no such server in {config:?}"))),
    }
}

/// A test that cleans up after itself: everything in `out` whose name begins with its own.
///
/// # Errors
/// The directory cannot be read or written.
pub fn cleans_up(dir: &Path, name: &str) -> Result<(), Failed> {
    let out = dir.join("out");
    fs::create_dir_all(&out)?;
    fs::write(out.join(format!("{name}.txt")), "result\n")?;
    sleep(MOMENT);
    for entry in fs::read_dir(&out)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Its neighbour: writes a result and expects to find it when it is needed.
///
/// # Errors
/// It has gone.
pub fn keeps_a_result(dir: &Path, name: &str, unlucky: bool) -> Result<(), Failed> {
    let result = dir.join("out").join(format!("{name}.txt"));
    fs::create_dir_all(dir.join("out"))?;
    fs::write(&result, "result\n")?;
    sleep(if unlucky { 3 * MOMENT } else { Duration::ZERO });
    match result.exists() {
        true => Ok(()),
        false => Err(Failed::Assertion(format!("{name}.txt has gone"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn each_test_is_right_alone() {
        let dir = tempfile::tempdir().unwrap();
        shares_a_path(dir.path(), "a", true).unwrap();
        writes_a_config(dir.path(), true).unwrap();
        reads_a_config(dir.path()).unwrap();
        cleans_up(dir.path(), "user").unwrap();
        keeps_a_result(dir.path(), "user-list", true).unwrap();
    }

    #[test]
    fn half_a_config_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.ini"), "[server]\nport = 80").unwrap();
        assert!(matches!(
            reads_a_config(dir.path()),
            Err(Failed::Assertion(_))
        ));
    }
}
