//! What can supply the contents that a thin pack leaves out: the git commit that was
//! checked out, or a directory that was named.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use diffkeeper_store::Store;
use diffkeeper_store::model::SessionId;
use diffkeeper_store::supply::Supply;

use crate::error::{CliError, at_path};
use crate::output::path_text;

/// The directories that were named.
///
/// # Errors
/// One that is none.
pub(crate) fn of(dirs: &[PathBuf]) -> Result<Supply, CliError> {
    let mut supply = Supply::default();
    for dir in dirs {
        let entries = std::fs::read_dir(dir);
        entries.map_err(|error| at_path(dir, &error))?;
        supply.add(dir, &format!("directory {}", dir.display()));
    }
    Ok(supply)
}

/// What a pack may rely on: the directories that were named, else the git commits that
/// the recorded directories have checked out.
///
/// # Errors
/// There is nothing of the kind.
pub(crate) fn for_packing(
    store: &Store,
    sessions: &[SessionId],
    dirs: &[PathBuf],
) -> Result<Supply, CliError> {
    if !dirs.is_empty() {
        return of(dirs);
    }
    let mut supply = Supply::default();
    let mut seen = HashSet::new();
    for session in store.sessions()? {
        if !sessions.is_empty() && !sessions.contains(&session.id) {
            continue;
        }
        for root in session.roots {
            let path = PathBuf::from(OsStr::from_bytes(&root.path));
            if seen.insert(path.clone())
                && let Some((commit, files)) = committed(&path)
            {
                supply.add_some(&path, files, &format!("git commit {commit}"));
            }
        }
    }
    if supply.is_empty() {
        return Err(CliError::usage(
            "--thin: no recorded directory is a git work tree whose commit has files below it",
        )
        .hint("name a directory that has the unchanged files with --from DIR"));
    }
    Ok(supply)
}

/// The commit that a directory has checked out, and the files below it that are as the
/// commit has them.
fn committed(dir: &Path) -> Option<(String, HashSet<Vec<u8>>)> {
    let commit = git(dir, &["rev-parse", "--verify", "HEAD"])?;
    let commit = String::from_utf8(commit).ok()?.trim().to_owned();
    let mut files = paths(&git(dir, &["ls-files", "-z"])?);
    for changed in paths(&git(
        dir,
        &["diff", "--name-only", "-z", "--relative", "HEAD"],
    )?) {
        files.remove(&changed);
    }
    (!files.is_empty()).then_some((commit, files))
}

fn git(dir: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_OPTIONAL_LOCKS", "0");
    let output = git.output().ok()?;
    if !output.status.success() {
        pass_on(dir, &output.stderr);
        return None;
    }
    Some(output.stdout)
}

fn pass_on(dir: &Path, stderr: &[u8]) {
    let said = String::from_utf8_lossy(stderr);
    crate::output::warn(format_args!(
        "--thin: git says of {}: {}",
        path_text(dir),
        crate::output::plain(said.trim())
    ));
}

fn paths(listing: &[u8]) -> HashSet<Vec<u8>> {
    let paths = listing.split(|byte| *byte == 0);
    paths
        .filter(|path| !path.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}
