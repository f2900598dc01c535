//! Who is whose parent: owns the questions about the process tree that signals and job control
//! depend on.

use rustix::process::{Pid, getpid};

/// More generations than any real tree has between a command and the recorder's shell; bounds the
/// walk if ids are reused under it.
const GENERATIONS: usize = 256;

/// What `/proc/PID/stat` says of a process's place. A parent, group or session outside our PID
/// namespace is 0 there, as it is in the answers of `getpgid` and `getsid`, which rustix takes for
/// positive.
#[derive(Clone, Copy)]
struct Place {
    parent: Option<Pid>,
    group: u32,
    session: u32,
}

impl Place {
    /// `None` if there is no such process (any more).
    fn of(pid: Pid) -> Option<Self> {
        Self::parse(&std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
    }

    /// "pid (comm) state ppid pgrp session ...": comm may hold anything, but the last ')' ends it.
    fn parse(stat: &[u8]) -> Option<Self> {
        let after = stat.rsplitn(2, |&byte| byte == b')').next()?;
        let mut fields = std::str::from_utf8(after)
            .ok()?
            .split_ascii_whitespace()
            .skip(1)
            .map_while(|field| field.parse::<u32>().ok());
        Some(Self {
            parent: Pid::from_raw(fields.next()?.try_into().ok()?),
            group: fields.next()?,
            session: fields.next()?,
        })
    }
}

fn parent(pid: Pid) -> Option<Pid> {
    Place::of(pid)?.parent
}

/// The children of this process, whichever of its threads started them.
pub(super) fn children() -> Vec<Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let listed = tasks.flatten().flat_map(|task| {
        let listed = std::fs::read_to_string(task.path().join("children"));
        let listed = listed.unwrap_or_default();
        let pids = listed
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok());
        pids.filter_map(Pid::from_raw).collect::<Vec<Pid>>()
    });
    listed.collect()
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
    let Some(own) = Place::of(getpid()) else {
        return false;
    };
    std::iter::successors(own.parent.and_then(Place::of), |place| {
        place.parent.and_then(Place::of)
    })
    .take(GENERATIONS)
    .take_while(|place| place.session == own.session)
    .any(|place| place.group != own.group)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use rustix::process::getppid;

    #[test]
    fn parents_are_read_from_proc() {
        assert_eq!(parent(getpid()), getppid());
        assert!(descends(getpid(), getpid()));
        if let Some(parent) = getppid() {
            assert!(descends(getpid(), parent));
            assert!(!descends(parent, getpid()));
        }
    }

    #[test]
    fn a_group_outside_the_namespace_is_a_number_like_any_other() {
        let place = Place::parse(b"1 (a) b) S 0 0 0 34816 -1 4194560").unwrap();
        assert_eq!((place.parent, place.group, place.session), (None, 0, 0));
        let place = Place::parse(b"9 (sh) T 7 8 6 0 -1").unwrap();
        assert_eq!(
            (place.parent, place.group, place.session),
            (Pid::from_raw(7), 8, 6)
        );
        assert!(Place::parse(b"9 (sh) T 7 8").is_none());
        assert!(Place::parse(b"").is_none());
    }
}
