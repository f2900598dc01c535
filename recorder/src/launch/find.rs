//! Finding the program before anything is recorded, so that a mistyped command leaves no
//! session behind. The kernel has the last word when it is executed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{Caller, LaunchError};

/// Where `execvp` looks without a `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Whether the program of a command is there and may be executed, looked up as `execvp`
/// does, in the `PATH` of whoever it is to run as.
///
/// # Errors
/// [`LaunchError::NotFound`] or [`LaunchError::NotExecutable`].
pub fn check(program: &OsStr, caller: Option<&Caller>) -> Result<(), LaunchError> {
    let mut refused = None;
    for candidate in candidates(program, caller) {
        match executable(&candidate) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => refused = Some(error),
        }
    }
    let command: OsString = program.to_owned();
    Err(match refused {
        Some(source) => LaunchError::NotExecutable { command, source },
        None => LaunchError::NotFound { command },
    })
}

fn candidates(program: &OsStr, caller: Option<&Caller>) -> Vec<PathBuf> {
    if program.is_empty() || program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let path = match caller {
        Some(caller) => Some(caller.path()).filter(|path| !path.is_empty()),
        None => std::env::var_os("PATH"),
    };
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .collect()
}

fn executable(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_file() {
        Ok(accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_told_from_what_is_not() {
        assert!(check("sh".as_ref(), None).is_ok());
        assert!(check("/bin/sh".as_ref(), None).is_ok());
        let missing = check("no-such-command-anywhere".as_ref(), None);
        assert!(matches!(missing, Err(LaunchError::NotFound { .. })));
        let missing = check("".as_ref(), None);
        assert!(matches!(missing, Err(LaunchError::NotFound { .. })));
        let data = check("/etc/passwd".as_ref(), None);
        assert!(matches!(data, Err(LaunchError::NotExecutable { .. })));
        let dir = check("/".as_ref(), None);
        assert!(matches!(dir, Err(LaunchError::NotExecutable { .. })));
    }
}
