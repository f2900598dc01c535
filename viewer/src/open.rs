//! Contents in other programs: a pager, an editor, a difftool.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::ask::{FetchAsk, Purpose};
use crate::worker::LENGTH;

/// What is run, and the directory with the files that it opens.
pub(crate) struct Opened {
    pub(crate) command: Command,
    _dir: TempDir,
}

/// Writes the files and names the program.
///
/// # Errors
/// No place for the files.
pub(crate) fn prepare(ask: &FetchAsk, bytes: &[u8]) -> io::Result<Opened> {
    let dir = tempfile::Builder::new().prefix("diffkeeper-").tempdir()?;
    let name = file_name(&ask.path);
    let command = match ask.purpose {
        Purpose::Difftool => {
            let (old, new) = both(bytes);
            let place = |side: &str| -> io::Result<PathBuf> {
                let dir = dir.path().join(side);
                std::fs::create_dir(&dir)?;
                Ok(dir.join(&name))
            };
            let (before, after) = (place("before")?, place("after")?);
            std::fs::write(&before, old)?;
            std::fs::write(&after, new)?;
            shell(
                "DIFFKEEPER_DIFFTOOL",
                "git --no-pager diff --no-index --color=always",
                "| ${PAGER:-less -R}",
                &[before, after],
            )
        }
        purpose => {
            let path = dir.path().join(&name);
            std::fs::write(&path, bytes)?;
            match purpose {
                Purpose::Editor => shell("VISUAL", "${EDITOR:-vi}", "", &[path]),
                _ => shell("PAGER", "less", "", &[path]),
            }
        }
    };
    Ok(Opened { command, _dir: dir })
}

/// `$variable` with the files, or what stands for it. A variable may hold arguments, so a
/// shell reads it; the files are arguments and never read by it.
fn shell(variable: &str, default: &str, behind: &str, files: &[PathBuf]) -> Command {
    let own = std::env::var(variable)
        .ok()
        .filter(|value| !value.trim().is_empty());
    let script = match own {
        Some(program) => format!("{program} \"$@\""),
        None => format!("{default} \"$@\" {behind}"),
    };
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("sh").args(files);
    command
}

/// The last name of a path, so that an editor knows its language; nothing that could lead
/// elsewhere or be taken for an option.
fn file_name(path: &[u8]) -> String {
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let text = String::from_utf8_lossy(last);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = text.chars().filter(|c| plain(*c)).take(100).collect();
    match name.trim_start_matches(['.', '-']) {
        "" => "content".to_owned(),
        name => name.to_owned(),
    }
}

fn both(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(bytes.len().min(LENGTH));
    let length = length.try_into().map_or(0, u64::from_be_bytes);
    let at = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(rest.len());
    rest.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::{both, file_name};

    #[test]
    fn names_lead_nowhere_else() {
        assert_eq!(file_name(b"src/main.rs"), "main.rs");
        assert_eq!(file_name(b"a/.."), "content");
        assert_eq!(file_name(b"-rf;\x1b[2J$x.log"), "rf2Jx.log");
    }

    #[test]
    fn two_contents_come_apart() {
        let bytes = [&3_u64.to_be_bytes()[..], b"oldnew"].concat();
        assert_eq!(both(&bytes), (&b"old"[..], &b"new"[..]));
        assert_eq!(both(b"x"), (&b""[..], &b""[..]));
    }
}
