//! Mounts below a directory: file systems of their own, which the kernel's side cannot
//! reach by walking up from a file.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A mounted file system.
pub(super) struct Mount {
    pub(super) path: PathBuf,
    /// Such as `ext4`.
    pub(super) kind: String,
}

/// What a directory consists of.
pub(super) struct Mounts {
    /// The one that holds it; at the directory itself or above.
    pub(super) holder: Option<Mount>,
    /// Those below it.
    pub(super) below: Vec<Mount>,
}

impl Mounts {
    /// Whether every one is of one of these kinds.
    pub(super) fn are(&self, kinds: &[&str]) -> bool {
        let mut all = self.holder.iter().chain(&self.below);
        all.all(|mount| kinds.contains(&mount.kind.as_str()))
    }
}

/// The file system that holds `root` and those mounted below it, as of now.
pub(super) fn mounts_of(root: &Path) -> io::Result<Mounts> {
    Ok(sort(&std::fs::read("/proc/self/mountinfo")?, root))
}

fn sort(mountinfo: &[u8], root: &Path) -> Mounts {
    let mounts = mountinfo.split(|byte| *byte == b'\n').filter_map(parse);
    let (mut holder, mut below): (Option<Mount>, Vec<Mount>) = (None, Vec::new());
    for mount in mounts {
        if mount.path.starts_with(root) && mount.path != root {
            below.push(mount);
        } else if root.starts_with(&mount.path) {
            let depth = |mount: &Mount| mount.path.components().count();
            // Of two mounts at one place the later one is seen.
            if holder
                .as_ref()
                .is_none_or(|held| depth(held) <= depth(&mount))
            {
                holder = Some(mount);
            }
        }
    }
    Mounts { holder, below }
}

/// A line of proc(5): "id parent major:minor root MOUNTPOINT options [tags] - FSTYPE ...".
fn parse(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    Some(Mount {
        path: PathBuf::from(OsString::from_vec(unescape(fields.get(4)?))),
        kind: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
    })
}

/// Blanks, tabs, line ends and backslashes come as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.map(|digits| u8::from_str_radix(digits, 8)) {
            Some(Ok(code)) if byte == b'\\' => {
                plain.push(code);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_and_what_is_mounted_below_are_told() {
        let info = b"1 0 8:1 / / rw - ext4 /dev/a rw\n\
            2 1 0:5 / /a\\040b rw,x shared:1 - tmpfs none rw\n\
            3 2 0:6 / /a\\040b/c rw - ext4 /dev/b rw\n\
            4 1 0:7 / /else rw - xfs none rw\n\
            a line that is none\n";
        let at = |root: &str| {
            let Mounts { holder, below } = sort(info, Path::new(root));
            let told = |m: Mount| format!("{} {}", m.path.display(), m.kind);
            let below: Vec<String> = below.into_iter().map(told).collect();
            (holder.map(told).unwrap_or_default(), below)
        };
        assert_eq!(at("/x"), ("/ ext4".into(), vec![]));
        assert_eq!(
            at("/a b"),
            ("/a b tmpfs".into(), vec!["/a b/c ext4".into()])
        );
        assert_eq!(at("/a b/c/d"), ("/a b/c ext4".into(), vec![]));
        assert!(sort(info, Path::new("/x")).are(&["ext4"]));
        assert!(!sort(info, Path::new("/a b")).are(&["ext4"]));
        assert!(sort(info, Path::new("/a b")).are(&["ext4", "tmpfs"]));
    }
}
