//! A workload whose every state can be told from its number: what a killed recorder is judged by.
//!
//! Step `n` appends the line `n` to `log` and renames a finished file into place as `n-00000042`,
//! whose content is the number. So a tree is a prefix of the run when its numbered files are
//! 1 to some K without a hole, each with its own content, and its log begins as the real one does.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Counts below `dir` from 1 to `count`, with `pause` after every step.
///
/// # Errors
/// The first write that fails.
pub fn count(dir: &Path, count: u64, pause: Duration) -> io::Result<()> {
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("log"))?;
    let temporary = dir.join("unfinished");
    for n in 1..=count {
        writeln!(log, "{n}")?;
        fs::write(&temporary, content(n))?;
        fs::rename(&temporary, dir.join(name(n)))?;
        sleep(pause);
    }
    Ok(())
}

fn name(n: u64) -> String {
    format!("n-{n:08}")
}

/// Long enough to be written in more than one page.
fn content(n: u64) -> String {
    format!("{n}\n").repeat(1000)
}

/// The number K of the state that `dir` holds.
///
/// # Errors
/// What shows that the tree is no prefix of a run.
pub fn reached(dir: &Path) -> Result<u64, String> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(dir).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let name = name.to_string_lossy().into_owned();
        match name.strip_prefix("n-").map(str::parse) {
            Some(Ok(n)) => drop(numbers.insert(n)),
            _ if name == "log" || name == "unfinished" => {}
            _ => return Err(format!("a name that never was: {name:?}")),
        }
    }
    let last = numbers.last().copied().unwrap_or(0);
    for n in 1..=last {
        match fs::read_to_string(dir.join(name(n))) {
            Ok(found) if found == content(n) => {}
            Ok(found) => return Err(format!("{} has {} wrong bytes", name(n), found.len())),
            Err(error) => return Err(format!("{} of {last}: {error}", name(n))),
        }
    }
    check_log(dir, last)?;
    Ok(last)
}

/// The log may be read later than the name that stands beside it, never earlier.
fn check_log(dir: &Path, last: u64) -> Result<(), String> {
    let log = match fs::read_to_string(dir.join("log")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && last == 0 => return Ok(()),
        result => result.map_err(|error| format!("log: {error}"))?,
    };
    let mut expected = String::new();
    let mut n = 0;
    while n < last || expected.len() < log.len() {
        n += 1;
        expected.push_str(&format!("{n}\n"));
    }
    match expected.starts_with(&log) {
        true => Ok(()),
        false => Err("the log is no beginning of the real one".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn counted() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        count(dir.path(), 5, Duration::ZERO).unwrap();
        dir
    }

    #[test]
    fn a_run_and_its_prefixes_are_told() {
        let dir = counted();
        assert_eq!(reached(dir.path()), Ok(5));
        fs::remove_file(dir.path().join(name(5))).unwrap();
        fs::write(dir.path().join("unfinished"), "torn").unwrap();
        assert_eq!(reached(dir.path()), Ok(4));
        assert_eq!(reached(tempfile::tempdir().unwrap().path()), Ok(0));
    }

    #[test]
    fn a_hole_a_torn_file_and_a_wrong_log_are_not() {
        let hole = counted();
        fs::remove_file(hole.path().join(name(3))).unwrap();
        assert!(reached(hole.path()).is_err());
        let torn = counted();
        fs::write(torn.path().join(name(3)), "3\n").unwrap();
        assert!(reached(torn.path()).is_err());
        let log = counted();
        fs::write(log.path().join("log"), "1\n2\n4\n").unwrap();
        assert!(reached(log.path()).is_err());
        let name = counted();
        fs::write(name.path().join("other"), "").unwrap();
        assert!(reached(name.path()).is_err());
    }
}
