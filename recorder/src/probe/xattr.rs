//! The parts of a node that statx does not tell: link targets and extended attributes.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use diffkeeper_store::model::{Kind, Xattr};
use rustix::fs::{lgetxattr, llistxattr};
use rustix::io::Errno;

use super::Stat;

/// Longest list of names and longest value that Linux allows, bytes
/// (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const LONGEST: usize = 64 * 1024;

/// What a node holds beside its stat and its content.
#[derive(Debug, Default)]
pub struct NodeParts {
    /// Target of a symbolic link, else empty.
    pub target: Vec<u8>,
    /// Extended attributes that could be read, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// Attributes that could not: the rest of the node is still exact.
    pub faults: Vec<XattrFault>,
}

/// An attribute (or, without a name, the list of them) that could not be read.
#[derive(Debug)]
pub struct XattrFault {
    /// Its name, empty for the list.
    pub name: Vec<u8>,
    /// What stood in the way.
    pub error: io::Error,
}

/// Reads the link target and every extended attribute that may be read: `user.*`,
/// `security.*`, `system.posix_acl_*` and, for the privileged, `trusted.*`. `None` when
/// the path has gone or is no longer of the kind that `stat` says.
///
/// # Errors
/// A link target that cannot be read. Attributes that cannot are `faults`.
pub fn node(path: &Path, stat: &Stat) -> io::Result<Option<NodeParts>> {
    let mut parts = NodeParts::default();
    if stat.kind == Kind::Symlink {
        match std::fs::read_link(path) {
            Ok(target) => parts.target = target.into_os_string().into_vec(),
            Err(error) if is_gone(&error) => return Ok(None),
            // EINVAL: another kind of file has the name by now.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let names = match list(path) {
        Ok(names) => names,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Some(parts)),
        Err(error) => {
            parts.fault(Vec::new(), error);
            return Ok(Some(parts));
        }
    };
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        match value(path, name) {
            Ok(value) => parts.xattrs.push(Xattr {
                name: name.to_vec(),
                value,
            }),
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => parts.fault(name.to_vec(), error),
        }
    }
    parts.xattrs.sort_unstable();
    Ok(Some(parts))
}

impl NodeParts {
    fn fault(&mut self, name: Vec<u8>, error: Errno) {
        self.faults.push(XattrFault {
            name,
            error: error.into(),
        });
    }
}

fn list(path: &Path) -> Result<Vec<u8>, Errno> {
    grow(|buf| llistxattr(path, buf))
}

fn value(path: &Path, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    grow(|buf| lgetxattr(path, &*name, buf))
}

/// Most lists and values are short: try a small buffer, then the longest possible.
fn grow(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match read(&mut small) {
        Ok(len) => Ok(small.get(..len).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; LONGEST];
            let len = read(&mut large)?;
            large.truncate(len);
            large.shrink_to_fit();
            Ok(large)
        }
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]

    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use rustix::fs::{XattrFlags, setxattr};

    use super::super::stat;
    use super::*;

    fn parts(path: &Path) -> NodeParts {
        node(path, &stat(path).unwrap().unwrap()).unwrap().unwrap()
    }

    #[test]
    fn attributes_come_sorted_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let long = vec![b'v'; 3000];
        for (name, value) in [("user.z", &b"1"[..]), ("user.a", &long), ("user.m", b"")] {
            setxattr(&path, name, value, XattrFlags::empty()).unwrap();
        }
        let found = parts(&path);
        let of = |name: &[u8]| found.xattrs.iter().find(|x| x.name == name).unwrap();
        let user: Vec<&[u8]> = found
            .xattrs
            .iter()
            .map(|x| &x.name[..])
            .filter(|name| name.starts_with(b"user."))
            .collect();
        assert_eq!(user, [&b"user.a"[..], b"user.m", b"user.z"]);
        assert_eq!(of(b"user.a").value, long);
        assert_eq!(of(b"user.m").value, b"");
        assert!(found.faults.is_empty());
    }

    #[test]
    fn link_targets_are_bytes_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        symlink(OsStr::from_bytes(b"to/\xff"), &path).unwrap();
        assert_eq!(parts(&path).target, b"to/\xff");
    }

    #[test]
    fn what_has_gone_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        symlink("x", &path).unwrap();
        let link = stat(&path).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(node(&path, &link).unwrap().is_none());
        fs::write(&path, "a file now").unwrap();
        assert!(node(&path, &link).unwrap().is_none());
    }
}
