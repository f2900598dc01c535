//! The processes with what they did: at once without counts, then with them, as far as
//! counting has come.

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{ExitStatus, Seq};
use diffkeeper_store::size::format_bytes;

use super::Job;
use crate::ask::{Actor, Answer, Census, ProcessLine};
use crate::processes::tally::{MAX_PAIRS, Member, Tally};
use crate::processes::tree::{self, Strokes};
use crate::processes::{Processes, command_line, name};
use crate::text::{counted, shorten};

/// Most processes that are shown.
const MAX_LINES: usize = 20_000;
/// Events between two answers.
const STEP: u64 = 200_000;
/// Characters of a command line.
const MAX_COMMAND: usize = 300;

/// What is counted already, which more events only add to.
pub(super) struct State {
    tally: Tally,
    /// The last event that is counted.
    done: Seq,
}

impl Default for State {
    fn default() -> Self {
        Self {
            tally: Tally::new(Vec::new(), MAX_PAIRS),
            done: Seq(0),
        }
    }
}

impl State {
    pub(super) fn work(&mut self, job: Job<'_>) {
        if let Err(error) = self.count(job) {
            job.fail(&error);
        }
    }

    fn count(&mut self, job: Job<'_>) -> Result<(), StoreError> {
        let reader = job.reader;
        for found in reader.processes() {
            let (id, process) = found?;
            let mut member = Member::new(id, process.parent);
            member.chosen = true;
            self.tally.join(member);
        }
        let last = reader.progress().last_seq;
        if self.done < last {
            deliver(&self.tally, self.done.0, job)?;
        }
        for event in reader.events(self.done.next(), last) {
            let event = event?;
            if job.is_stopped() {
                return Ok(());
            }
            self.tally.meet(&event, true);
            self.done = event.seq;
            if event.seq.0.is_multiple_of(STEP) {
                deliver(&self.tally, event.seq.0, job)?;
            }
        }
        self.done = last;
        deliver(&self.tally, last.0, job)
    }
}

fn deliver(tally: &Tally, done: u64, job: Job<'_>) -> Result<(), StoreError> {
    let processes = Processes::new(job.reader);
    let all = tree::lines(&tally.members, Strokes::new(true));
    let mut lines = Vec::new();
    for line in all.iter().take(MAX_LINES) {
        if let Some(member) = tally.members.get(line.member) {
            lines.extend(process_line(&processes, member, &line.prefix)?);
        }
    }
    job.answer(Answer::Processes(Census {
        lines,
        counted: (done, job.reader.progress().last_seq.0),
        unattributed: tally.unattributed,
        more: all.len().saturating_sub(MAX_LINES),
    }));
    Ok(())
}

fn process_line(
    processes: &Processes<'_>,
    member: &Member,
    prefix: &str,
) -> Result<Option<ProcessLine>, StoreError> {
    let Some(process) = processes.get(member.id)? else {
        return Ok(None);
    };
    let status = process.exit.or(member.end.map(|(_, status)| status));
    let deeds = &member.deeds;
    let wrote = match (deeds.files, deeds.bytes) {
        (0, _) => String::new(),
        (files, bytes) => format!("{} {}", counted(files, "file"), format_bytes(bytes)),
    };
    Ok(Some(ProcessLine {
        id: member.id,
        name: format!("{prefix}{}", name(&process)),
        actor: Actor::of(&process),
        start: process.start,
        end: member.end.map(|(time, _)| time),
        exit: match status {
            Some(ExitStatus::Code(code)) => format!("exit {code}"),
            Some(ExitStatus::Signal(signal)) => format!("signal {signal}"),
            None => String::new(),
        },
        failed: status.is_some_and(|status| !status.success()),
        wrote,
        command: shorten(&command_line(&process), MAX_COMMAND),
    }))
}
