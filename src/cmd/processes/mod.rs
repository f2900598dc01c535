//! `diffkeeper processes`: who took part in a session, who started whom, and what each did.

mod record;
mod table;

use std::process::ExitCode;

use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{Event, ExitStatus, Op, Process, Seq, Timestamp};
use diffkeeper_store::{Meter, Paths, SessionReader};

use crate::cli;
use crate::config::{self, Config};
use crate::error::CliError;
use crate::output::{Output, counted, grouped, note, warn};
use crate::progress::Progress;
use crate::{screen, trace};
use diffkeeper_viewer::look::Look;
use diffkeeper_viewer::processes::Processes;
use diffkeeper_viewer::processes::tally::{MAX_PAIRS, Member, Tally};
use diffkeeper_viewer::processes::tree::{self, Strokes};

/// Events after which progress is told again.
const METER_STEP: u64 = 1 << 12;

/// Runs the command.
///
/// # Errors
/// Whatever keeps the processes from being read or written. What could be counted before
/// damage in the event log is written first.
pub(crate) fn run(args: &cli::Processes, config: &Config) -> Result<ExitCode, CliError> {
    let filter = config::filter(args.filter.as_deref())?;
    let store = trace::open(config, "processes")?;
    let reader = trace::session(&store, args.session)?;
    let progress = Progress::new(config, "counting");
    let mut census = Census::new(&reader);
    let counted = census.count(&filter, &progress);
    drop(progress);
    let mut output = Output::new(config);
    if args.json {
        write_objects(&reader, &census.tally.members, &mut output)?;
    } else {
        let place = table::Place {
            width: screen::width(),
            utf8: screen::is_utf8(),
        };
        let processes = Processes::new(&reader);
        table::write(&census.tally.members, &processes, place, &mut output)?;
    }
    output.finish()?;
    if !args.json {
        note(config, footer(&reader, &census.tally));
    }
    census.warn();
    trace::warn_if_unsealed(&reader);
    counted?;
    Ok(ExitCode::from(u8::from(census.damaged > 0)))
}

/// The processes of a session and what is lost of them.
struct Census<'r> {
    reader: &'r SessionReader<'r>,
    tally: Tally,
    /// Records of processes that cannot be read.
    damaged: u64,
    /// Contents that the filter asked about and nobody can search.
    unsearched: u64,
}

impl<'r> Census<'r> {
    fn new(reader: &'r SessionReader<'r>) -> Self {
        let (mut members, mut damaged) = (Vec::new(), 0);
        for found in reader.processes() {
            match found {
                Ok((id, process)) => members.push(Member::new(id, process.parent)),
                Err(error) => {
                    damaged += 1;
                    if !error.is_of_one_record() {
                        break;
                    }
                }
            }
        }
        Self {
            reader,
            tally: Tally::new(members, MAX_PAIRS),
            damaged,
            unsearched: 0,
        }
    }

    /// Counts the events that match. Processes are chosen by having one, or, where the
    /// filter asks about nothing else, by themselves, since some have no event.
    fn count(&mut self, filter: &Filter, meter: &dyn Meter) -> Result<(), CliError> {
        let look = Look::new(self.reader);
        let only_who = filter.asks_only_who();
        if only_who {
            self.choose(filter, &look)?;
        }
        let mut paths = Paths::new(self.reader);
        let last = self.reader.progress().last_seq;
        meter.expect(last.0);
        for event in self.reader.events(Seq(1), last) {
            let event = event?;
            if event.seq.0.is_multiple_of(METER_STEP) {
                meter.advance(METER_STEP);
            }
            let counts = if only_who {
                self.tally.is_chosen(event.process)
            } else {
                let found = look.at(event.clone(), &mut paths);
                let matches = filter.matches(&found)?;
                self.unsearched += found.unsearched();
                matches
            };
            self.tally.meet(&event, counts);
        }
        Ok(())
    }

    fn choose(&mut self, filter: &Filter, look: &Look<'r>) -> Result<(), CliError> {
        let mut paths = Paths::new(self.reader);
        for member in &mut self.tally.members {
            // A filter that asks only who never looks at the rest.
            let standing = Event {
                seq: self.reader.start(),
                time: Timestamp::default(),
                process: Some(member.id),
                file: None,
                op: Op::Exec,
            };
            member.chosen = filter.matches(&look.at(standing, &mut paths))?;
        }
        Ok(())
    }

    fn warn(&self) {
        if self.damaged > 0 {
            let records = counted(self.damaged, "record");
            warn(format_args!(
                "the trace is damaged: {records} of processes cannot be read"
            ));
        }
        trace::warn_if_unsearched(self.unsearched);
    }
}

fn write_objects(
    reader: &SessionReader<'_>,
    members: &[Member],
    output: &mut Output,
) -> Result<(), CliError> {
    let processes = Processes::new(reader);
    for line in tree::lines(members, Strokes::new(false)) {
        if let Some(member) = members.get(line.member)
            && member.chosen
            && let Some(process) = processes.get(member.id)?
        {
            record::object(reader, &processes, (member, &process))?.write(output)?;
        }
    }
    Ok(())
}

/// How a process ended, by its record or else by its last event.
fn exit_of(member: &Member, process: &Process) -> Option<ExitStatus> {
    process.exit.or(member.end.map(|(_, status)| status))
}

/// `2 of 5 processes, 0 changes by unknown processes, 0 gaps, fentry`.
fn footer(reader: &SessionReader<'_>, tally: &Tally) -> String {
    let total = tally.members.len();
    let chosen = tally.members.iter().filter(|member| member.chosen).count();
    let noun = if total == 1 { "process" } else { "processes" };
    let of = if chosen < total {
        format!("{} of ", grouped(chosen as u64))
    } else {
        String::new()
    };
    format!(
        "{of}{} {noun}, {} by unknown processes, {}, {}",
        grouped(total as u64),
        counted(tally.unattributed, "change"),
        trace::gaps(reader),
        trace::provenance(reader.session().backend),
    )
}
