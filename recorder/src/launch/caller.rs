//! The caller: who asked for the recording, where that is not the recorder's own user. Under
//! `sudo` the recorder is root and the command is to run as if it were not there: as the user
//! who called `sudo`, with the groups, environment and `PATH` of before.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Gid, Pid, Uid, geteuid, getppid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Most groups that are asked for: NGROUPS_MAX.
const GROUPS: usize = 65_536;

/// A user and what their commands begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    env: Vec<(OsString, OsString)>,
}

impl Caller {
    /// The user who called `sudo`, if `sudo` started this process for another user than root.
    /// A shell that `sudo` has started is a caller of its own.
    #[must_use]
    pub fn under_sudo() -> Option<Self> {
        let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
        let (uid, gid) = (number("SUDO_UID")?, number("SUDO_GID")?);
        if !geteuid().is_root() || uid == 0 {
            return None;
        }
        let sudo = getppid().filter(|parent| is_sudo(*parent))?;
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let groups = std::env::var_os("SUDO_USER").map(|user| groups_of(&user, gid));
        Some(Self {
            uid,
            gid,
            groups: groups.unwrap_or_else(|| vec![gid]),
            env: variables(&fs::read(proc_file(sudo, "environ")).ok()?),
        })
    }

    /// The environment of the command.
    pub(crate) fn env(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    /// Where the command is looked for.
    pub(super) fn path(&self) -> OsString {
        let path = self.env.iter().rev().find(|(name, _)| name == "PATH");
        path.map_or_else(OsString::new, |(_, value)| value.clone())
    }

    /// Becomes that user: in the child, where there is one thread. Makes only system calls.
    pub(super) fn become_them(&self) -> io::Result<()> {
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)?;
        Ok(())
    }

    /// The number of the user.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Gives them a directory with all in it, as far as it is root's.
    ///
    /// # Errors
    /// What cannot be listed or given away.
    pub fn own(&self, dir: &Path) -> io::Result<()> {
        if fs::symlink_metadata(dir)?.is_dir() {
            for entry in fs::read_dir(dir)? {
                self.own(&entry?.path())?;
            }
        }
        if fs::symlink_metadata(dir)?.uid() == 0 {
            std::os::unix::fs::lchown(dir, Some(self.uid.as_raw()), Some(self.gid.as_raw()))?;
        }
        Ok(())
    }
}

fn proc_file(pid: Pid, name: &str) -> String {
    format!("/proc/{}/{name}", pid.as_raw_nonzero())
}

fn is_sudo(pid: Pid) -> bool {
    let comm = fs::read(proc_file(pid, "comm")).unwrap_or_default();
    let is_root = fs::metadata(proc_file(pid, "")).is_ok_and(|meta| meta.uid() == 0);
    comm.trim_ascii_end() == b"sudo" && is_root
}

/// `NAME=value` that each end with a NUL.
fn variables(environ: &[u8]) -> Vec<(OsString, OsString)> {
    let own = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let pair = |variable: &[u8]| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        let (name, value) = variable.split_at_checked(at)?;
        (!name.is_empty()).then(|| (own(name), own(value.get(1..).unwrap_or_default())))
    };
    environ.split(|byte| *byte == 0).filter_map(pair).collect()
}

/// All groups of a user; their own alone if the system does not know more.
fn groups_of(user: &OsStr, gid: Gid) -> Vec<Gid> {
    let Ok(name) = CString::new(user.as_bytes()) else {
        return vec![gid];
    };
    let mut groups = vec![0; GROUPS];
    let mut count = libc::c_int::try_from(groups.len()).unwrap_or(0);
    // SAFETY: the name ends with a NUL, and there is room for `count` groups.
    let got = unsafe {
        libc::getgrouplist(
            name.as_ptr(),
            gid.as_raw(),
            groups.as_mut_ptr(),
            &raw mut count,
        )
    };
    match usize::try_from(count) {
        Ok(count) if got >= 0 => {
            groups.truncate(count);
            groups.into_iter().map(Gid::from_raw).collect()
        }
        _ => vec![gid],
    }
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn an_environment_is_read_as_it_was_given() {
        let pairs = variables(b"A=1\0B=x=y\0EMPTY=\0no\0=odd\0");
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}:{}", name.display(), value.display()))
            .collect();
        assert_eq!(pairs, ["A:1", "B:x=y", "EMPTY:"]);
    }
}
