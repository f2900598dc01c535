//! Who is whose parent: owns the questions about the process tree that signals and job control
//! depend on.

use rustix::process::{Pid, getpgid, getpgrp, getppid, getsid};

/// More generations than any real tree has between a command and the recorder's shell; bounds the
/// walk if ids are reused under it.
const GENERATIONS: usize = 256;

/// The parent of `pid`, or `None` if there is no such process (any more).
fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // "pid (comm) state ppid ...": comm may hold anything, but the last ')' ends it.
    let after = stat.rsplitn(2, |&byte| byte == b')').next()?;
    let field = after
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .nth(1)?;
    Pid::from_raw(std::str::from_utf8(field).ok()?.parse().ok()?)
}

/// Whether `pid` is `ancestor` or descends from it, as far as the parents are still alive.
pub(super) fn descends(pid: Pid, ancestor: Pid) -> bool {
    std::iter::successors(Some(pid), |&pid| parent(pid))
        .take(GENERATIONS)
        .any(|pid| pid == ancestor)
}

/// Whether somebody stands above the recorder who would continue it after a stop: an ancestor in
/// the same session and another process group. A shell with job control is one; in a CI job, a
/// script or a container there is none, and the group is what POSIX calls orphaned.
pub(super) fn has_job_control() -> bool {
    let (group, session) = (getpgrp(), getsid(None).ok());
    std::iter::successors(getppid(), |&pid| parent(pid))
        .take(GENERATIONS)
        .take_while(|&pid| getsid(Some(pid)).ok() == session)
        .any(|pid| getpgid(Some(pid)).is_ok_and(|other| other != group))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use rustix::process::getpid;

    #[test]
    fn parents_are_read_from_proc() {
        assert_eq!(parent(getpid()), getppid());
        assert!(descends(getpid(), getppid().unwrap()));
        assert!(descends(getpid(), getpid()));
        assert!(!descends(getppid().unwrap(), getpid()));
    }
}
