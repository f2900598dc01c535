//! `diffkeeper timeline`: the events of a session, one a line, as they come from the
//! store; never all at once.

mod follow;
mod line;
mod record;

use std::process::ExitCode;

use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{Event, Seq, Timestamp, TracePath};
use diffkeeper_store::when::Target;
use diffkeeper_store::{Paths, SessionReader};

use crate::cli;
use crate::config::{self, Config, Instant};
use crate::error::CliError;
use crate::output::{Output, counted, grouped, note, warn};
use crate::trace;
use diffkeeper_viewer::look::Look;

/// Runs the command.
///
/// # Errors
/// Whatever keeps the events from being read or written.
pub(crate) fn run(args: &cli::Timeline, config: &Config) -> Result<ExitCode, CliError> {
    let asked = Asked::new(args)?;
    let mut output = Output::new(config);
    if args.follow {
        let (store, session, told) = follow::follow(&asked, config, &mut output)?;
        output.finish()?;
        return finish(&store.session(Some(session))?, &told, args.json, config);
    }
    let store = trace::open(config, "timeline")?;
    let reader = trace::session(&store, args.session)?;
    let mut told = Told::default();
    if let Err(error) = list(&reader, &asked.plan(&reader)?, &mut told, &mut output) {
        // What was printed before it is to be told of all the same.
        output.finish()?;
        told.warn();
        return Err(error);
    }
    output.finish()?;
    finish(&reader, &told, args.json, config)
}

fn finish(
    reader: &SessionReader<'_>,
    told: &Told,
    json: bool,
    config: &Config,
) -> Result<ExitCode, CliError> {
    if !json {
        note(config, footer(reader, told));
    }
    told.warn();
    trace::warn_if_unsealed(reader);
    Ok(ExitCode::from(u8::from(told.damaged > 0)))
}

/// Prints every event of a session as `timeline` does by default.
///
/// # Errors
/// Whatever keeps the events from being read or written.
pub(crate) fn print_all(reader: &SessionReader<'_>, output: &mut Output) -> Result<(), CliError> {
    let plan = Plan {
        range: (Seq(1), reader.progress().last_seq),
        filter: Filter::default(),
        reverse: false,
        limit: u64::MAX,
        json: false,
    };
    list(reader, &plan, &mut Told::default(), output)
}

/// An event as it is told.
pub(crate) struct Line {
    /// The event.
    pub(crate) event: Event,
    /// The file's path then.
    pub(crate) path: Option<TracePath>,
    /// As `timeline` prints it.
    pub(crate) text: String,
}

/// The last events that match, the very last first; `limit` at most.
///
/// # Errors
/// Whatever keeps the events from being read.
pub(crate) fn last(
    reader: &SessionReader<'_>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Line>, CliError> {
    let look = Look::new(reader);
    let mut lines = Vec::new();
    for event in reader.events(Seq(1), reader.progress().last_seq).rev() {
        let found = look.at(event?, &mut Paths::new(reader));
        if filter.matches(&found)? {
            let text = line::text(&found, false);
            lines.push(Line {
                path: found.paths.path,
                event: found.event,
                text,
            });
        }
        if lines.len() >= limit {
            break;
        }
    }
    Ok(lines)
}

/// What the user asks for, of whatever session.
struct Asked {
    session: cli::SessionArg,
    from: Option<Instant>,
    to: Option<Instant>,
    filter: Filter,
    reverse: bool,
    limit: u64,
    json: bool,
}

impl Asked {
    fn new(args: &cli::Timeline) -> Result<Self, CliError> {
        Ok(Self {
            session: args.session,
            from: args.from.as_deref().map(config::when).transpose()?,
            to: args.to.as_deref().map(config::when).transpose()?,
            filter: config::filter(args.filter.as_deref())?,
            reverse: args.reverse,
            limit: args.limit.unwrap_or(u64::MAX),
            json: args.json,
        })
    }

    fn plan(&self, reader: &SessionReader<'_>) -> Result<Plan, CliError> {
        Ok(Plan {
            range: range(reader, self.from.as_ref(), self.to.as_ref(), &self.filter)?,
            filter: self.filter.clone(),
            reverse: self.reverse,
            limit: self.limit,
            json: self.json,
        })
    }
}

/// What to list and how.
struct Plan {
    /// First and last event, both included.
    range: (Seq, Seq),
    filter: Filter,
    reverse: bool,
    limit: u64,
    json: bool,
}

/// What became of it so far.
#[derive(Default)]
struct Told {
    /// The last event that was looked at.
    last: Option<Seq>,
    /// Events printed.
    shown: u64,
    /// Events whose paths or processes are damaged.
    damaged: u64,
    /// Contents that the filter asked about and nobody can search.
    unsearched: u64,
}

impl Told {
    fn warn(&self) {
        if self.damaged > 0 {
            let events = counted(self.damaged, "event");
            warn(format_args!(
                "the trace is damaged: {events} shown without path or process"
            ));
        }
        trace::warn_if_unsearched(self.unsearched);
    }
}

/// Prints what is asked for; where an error ends that, `told` holds what went before.
fn list(
    reader: &SessionReader<'_>,
    plan: &Plan,
    told: &mut Told,
    output: &mut Output,
) -> Result<(), CliError> {
    let look = Look::new(reader);
    let mut paths = Paths::new(reader);
    let mut events = reader.events(plan.range.0, plan.range.1);
    while told.shown < plan.limit {
        let next = if plan.reverse {
            // Names are followed forward only; backward each is looked up by itself.
            paths = Paths::new(reader);
            events.next_back()
        } else {
            events.next()
        };
        let Some(event) = next else { break };
        let found = look.at(event?, &mut paths);
        if plan.filter.matches(&found)? {
            told.shown += 1;
            told.damaged += u64::from(found.damaged());
            if plan.json {
                record::object(&found)?.write(output)?;
            } else {
                line::write(&found, output)?;
            }
        }
        told.unsearched += found.unsearched();
        told.last = Some(found.event.seq);
    }
    Ok(())
}

/// First and last event that can be meant: a point in time takes all events at it.
fn range(
    reader: &SessionReader<'_>,
    from: Option<&Instant>,
    to: Option<&Instant>,
    filter: &Filter,
) -> Result<(Seq, Seq), CliError> {
    let from = from.map(|instant| trace::target_of(reader, instant));
    let mut first = match from.transpose()? {
        None => Seq(1),
        Some(Target::Seq(seq)) => seq,
        Some(Target::Time(time)) => first_from(reader, time)?,
    };
    let mut last = to
        .map(|instant| trace::seq_of(reader, instant))
        .transpose()?
        .unwrap_or(reader.progress().last_seq);
    if let Some((from, to)) = filter.seq_bounds() {
        (first, last) = (first.max(from), last.min(to));
    }
    if let Some((from, to)) = filter.time_bounds() {
        first = first.max(first_from(reader, from)?);
        last = last.min(reader.seq_at(to)?);
    }
    Ok((first, last))
}

/// The first event at or after a time.
fn first_from(reader: &SessionReader<'_>, time: Timestamp) -> Result<Seq, CliError> {
    match time.0.checked_sub(1) {
        None => Ok(Seq(1)),
        Some(before) => Ok(reader.seq_at(Timestamp(before))?.next()),
    }
}

/// `1,204 of 58,113 events, 0 gaps, observed (notify)`.
fn footer(reader: &SessionReader<'_>, told: &Told) -> String {
    let total = reader.progress().counts.total();
    let events = counted(total, "event");
    let shown = if told.shown < total {
        format!("{} of {events}", grouped(told.shown))
    } else {
        events
    };
    let provenance = trace::provenance(reader.session().backend);
    let earlier = trace::given_up(reader).map_or_else(String::new, |text| format!(", {text}"));
    format!("{shown}, {}, {provenance}{earlier}", trace::gaps(reader))
}

#[cfg(test)]
mod tests;
