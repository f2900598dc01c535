//! Counting what each process did: once over the events, in memory that grows with the
//! processes and not with the events.

use std::collections::HashSet;

use diffkeeper_store::model::{Event, ExitStatus, FileId, Op, ProcessId, Timestamp};

/// Pairs of process and changed file that are held at most, 16 bytes each. Beyond, a
/// number of files is a lower bound and says so.
pub const MAX_PAIRS: usize = 1 << 20;

/// A process with what it did.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which.
    pub id: ProcessId,
    /// The one that started it, if that is recorded.
    pub parent: Option<ProcessId>,
    /// Whether the filter chose it.
    pub chosen: bool,
    /// What it did.
    pub deeds: Deeds,
    /// When it ended and how, if there is an event of it.
    pub end: Option<(Timestamp, ExitStatus)>,
}

impl Member {
    /// One that did nothing yet.
    #[must_use]
    pub fn new(id: ProcessId, parent: Option<ProcessId>) -> Self {
        Self {
            id,
            parent,
            chosen: false,
            deeds: Deeds::default(),
            end: None,
        }
    }
}

/// Counts of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Write events.
    pub writes: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files of which it changed content, names or attributes, each once.
    pub files: u64,
    /// Whether there may be more files than `files`.
    pub more_files: bool,
    /// Names that appeared.
    pub created: u64,
    /// Names that went away.
    pub removed: u64,
    /// Names that moved.
    pub renamed: u64,
    /// Open events.
    pub opens: u64,
    /// Read events.
    pub reads: u64,
}

impl Deeds {
    /// Adds an event; whether it changed its file.
    fn add(&mut self, op: &Op) -> bool {
        match op {
            Op::Write { len, .. } => {
                self.writes += 1;
                self.bytes = self.bytes.saturating_add(*len);
            }
            Op::Create(_) | Op::Mkdir(_) | Op::Mknod(_) | Op::Symlink(_) | Op::Link(_) => {
                self.created += 1;
            }
            Op::Unlink(_) | Op::Rmdir(_) => self.removed += 1,
            Op::Rename { .. } => self.renamed += 1,
            Op::Open { .. } => self.opens += 1,
            Op::Read { .. } => self.reads += 1,
            _ => {}
        }
        changes_a_file(op)
    }
}

/// Whether an event is a change below the recorded directories.
#[must_use]
pub const fn changes_a_file(op: &Op) -> bool {
    match op {
        Op::Create(_)
        | Op::Mkdir(_)
        | Op::Mknod(_)
        | Op::Symlink(_)
        | Op::Link(_)
        | Op::Unlink(_)
        | Op::Rmdir(_)
        | Op::Rename { .. }
        | Op::Write { .. }
        | Op::Truncate { .. }
        | Op::Chmod { .. }
        | Op::Chown { .. }
        | Op::Utimes
        | Op::Setxattr { .. }
        | Op::Removexattr { .. } => true,
        Op::Open { .. }
        | Op::Read { .. }
        | Op::Exec
        | Op::Exit(_)
        | Op::Output { .. }
        | Op::Marker { .. }
        | Op::Gap { .. } => false,
    }
}

/// All processes of a session, in the order of their identities.
pub struct Tally {
    /// The processes.
    pub members: Vec<Member>,
    pairs: HashSet<(ProcessId, FileId)>,
    max_pairs: usize,
    /// Changes of which nobody knows who made them.
    pub unattributed: u64,
}

impl Tally {
    /// Nothing is counted yet; at most `max_pairs` pairs are held.
    #[must_use]
    pub fn new(mut members: Vec<Member>, max_pairs: usize) -> Self {
        members.sort_unstable_by_key(|member| member.id);
        Self {
            members,
            pairs: HashSet::new(),
            max_pairs,
            unattributed: 0,
        }
    }

    /// Takes a process in that is not known yet.
    pub fn join(&mut self, member: Member) {
        let key = |member: &Member| member.id;
        if let Err(at) = self.members.binary_search_by_key(&member.id, key) {
            self.members.insert(at, member);
        }
    }

    /// Takes the next event: what it says of its process is kept whether it counts or
    /// not.
    pub fn meet(&mut self, event: &Event, counts: bool) {
        let Some(at) = self.find(event.process) else {
            self.unattributed += u64::from(changes_a_file(&event.op));
            return;
        };
        let Some(member) = self.members.get_mut(at) else {
            return;
        };
        if let Op::Exit(status) = event.op {
            member.end = Some((event.time, status));
        }
        if !counts {
            return;
        }
        member.chosen = true;
        if member.deeds.add(&event.op)
            && let Some(file) = event.file
        {
            let pair = (member.id, file);
            if self.pairs.len() < self.max_pairs {
                member.deeds.files += u64::from(self.pairs.insert(pair));
            } else {
                member.deeds.more_files |= !self.pairs.contains(&pair);
            }
        }
    }

    /// Whether the process of an event has been chosen.
    #[must_use]
    pub fn is_chosen(&self, id: Option<ProcessId>) -> bool {
        let member = self.find(id).and_then(|at| self.members.get(at));
        member.is_some_and(|member| member.chosen)
    }

    fn find(&self, id: Option<ProcessId>) -> Option<usize> {
        let members = &self.members;
        members.binary_search_by_key(&id?, |member| member.id).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::{Deeds, MAX_PAIRS, Member, Tally};
    use diffkeeper_store::model::{Event, ExitStatus, FileId, Op, ProcessId, Seq, Timestamp};

    fn event(process: u32, file: u64, op: Op) -> Event {
        Event {
            seq: Seq(1),
            time: Timestamp(9),
            process: Some(ProcessId(process)),
            file: Some(FileId(file)),
            op,
        }
    }

    fn write(process: u32, file: u64) -> Event {
        let (offset, len, size) = (0, 10, 10);
        event(process, file, Op::Write { offset, len, size })
    }

    fn tally(max_pairs: usize) -> Tally {
        let members = [2, 1].map(|id| Member::new(ProcessId(id), None));
        Tally::new(members.into(), max_pairs)
    }

    #[test]
    fn a_file_counts_once_a_process() {
        let mut tally = tally(MAX_PAIRS);
        for event in [write(1, 5), write(1, 5), write(2, 5), write(1, 6)] {
            tally.meet(&event, true);
        }
        tally.meet(&event(1, 7, Op::Open { flags: 0 }), true);
        let expected = Deeds {
            writes: 3,
            bytes: 30,
            files: 2,
            opens: 1,
            ..Deeds::default()
        };
        assert_eq!(tally.members[0].deeds, expected);
        assert_eq!(tally.members[1].deeds.files, 1);
    }

    #[test]
    fn beyond_the_bound_a_number_of_files_says_that_it_is_too_low() {
        let mut tally = tally(2);
        for event in [write(1, 5), write(2, 5), write(2, 6), write(1, 5)] {
            tally.meet(&event, true);
        }
        let deeds = |at: usize| &tally.members[at].deeds;
        assert_eq!((deeds(0).files, deeds(0).more_files), (1, false));
        assert_eq!((deeds(1).files, deeds(1).more_files), (1, true));
        assert_eq!(deeds(1).writes, 2);
    }

    #[test]
    fn what_is_left_out_still_tells_how_a_process_ended() {
        let mut tally = tally(MAX_PAIRS);
        let status = ExitStatus::Signal(9);
        tally.meet(&write(1, 5), false);
        tally.meet(&event(1, 5, Op::Exit(status)), false);
        let member = &tally.members[0];
        assert_eq!(member.end, Some((Timestamp(9), status)));
        assert_eq!(member.deeds, Deeds::default());
        assert!(!member.chosen);
    }

    #[test]
    fn changes_of_nobody_known_are_counted_apart() {
        let mut tally = tally(MAX_PAIRS);
        tally.meet(&write(77, 5), true);
        let mut anonymous = write(1, 5);
        anonymous.process = None;
        tally.meet(&anonymous, false);
        anonymous.op = Op::Marker { label: vec![] };
        tally.meet(&anonymous, true);
        assert_eq!(tally.unattributed, 2);
        assert!(tally.members.iter().all(|member| !member.chosen));
    }
}
