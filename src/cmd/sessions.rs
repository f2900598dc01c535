//! `diffkeeper sessions`: what was recorded into a state directory.

use std::io::Write;
use std::process::ExitCode;

use diffkeeper_store::model::{Counts, ExitStatus, OpKind, Session, escape};
use diffkeeper_store::when::{format_time, wall};
use diffkeeper_store::{SessionReader, Store};

use crate::cli;
use crate::config::Config;
use crate::error::CliError;
use crate::json::Object;
use crate::output::{Output, grouped, shorten, warn};
use crate::trace;

/// Characters of a command line in the table.
const MAX_COMMAND: usize = 60;

/// Runs the command.
///
/// # Errors
/// Whatever keeps the sessions from being read.
pub(crate) fn run(args: cli::Listing, config: &Config) -> Result<ExitCode, CliError> {
    let store = trace::open(config, "sessions")?;
    for loss in store.losses() {
        warn(format_args!("{loss}; see `diffkeeper verify --repair`"));
    }
    let mut output = Output::new(config);
    if args.json {
        for session in whole(&store)? {
            object(&reader(&store, &session)?).write(&mut output)?;
        }
    } else {
        write_table(&store, &mut output)?;
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// The sessions that can be opened.
fn whole(store: &Store) -> Result<Vec<Session>, CliError> {
    let mut sessions = store.sessions()?;
    sessions.retain(|session| !store.losses().iter().any(|loss| loss.session == session.id));
    Ok(sessions)
}

fn reader<'s>(store: &'s Store, session: &Session) -> Result<SessionReader<'s>, CliError> {
    Ok(store.session(Some(session.id))?)
}

const HEADINGS: [&str; 8] = [
    "#",
    "START (UTC)",
    "LENGTH",
    "EXIT",
    "EVENTS",
    "GAPS",
    "BACKEND",
    "COMMAND",
];

fn write_table(store: &Store, output: &mut dyn Write) -> Result<(), CliError> {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for session in whole(store)? {
        rows.push(row(&reader(store, &session)?));
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

fn row(reader: &SessionReader<'_>) -> [String; 8] {
    let session = reader.session();
    let counts = &reader.progress().counts;
    let start = wall(session.start_wall, diffkeeper_store::model::Timestamp(0));
    let command = escape(&session.argv.join(&b' ')).to_string();
    [
        session.id.0.to_string(),
        start.get(..19).unwrap_or(&start).replace('T', " "),
        format_time(reader.end()),
        exit_text(reader),
        grouped(counts.total()),
        grouped(counts.get(OpKind::Gap)),
        session.backend.word().to_owned(),
        shorten(&command, MAX_COMMAND),
    ]
}

fn exit_text(reader: &SessionReader<'_>) -> String {
    match reader.seal().map(|seal| seal.status) {
        Some(ExitStatus::Code(code)) => code.to_string(),
        Some(ExitStatus::Signal(signal)) => format!("signal {signal}"),
        None if reader.is_live() => "recording".to_owned(),
        None => "unsealed".to_owned(),
    }
}

fn object(reader: &SessionReader<'_>) -> Object {
    let (session, progress) = (reader.session(), reader.progress());
    let mut object = Object::default();
    object
        .set("session", session.id.0)
        .set(
            "start",
            wall(session.start_wall, diffkeeper_store::model::Timestamp(0)),
        )
        .set("duration_ns", reader.end().0)
        .set_list("command", &session.argv)
        .set_bytes("cwd", &session.cwd);
    let roots: Vec<Vec<u8>> = session.roots.iter().map(|root| root.path.clone()).collect();
    object
        .set_list("roots", &roots)
        .set_list("excludes", &session.excludes)
        .set_bytes("host", &session.host)
        .set_bytes("kernel", &session.kernel)
        .set("uid", session.uid)
        .set("backend", session.backend.word())
        .set_bytes("backend_reason", &session.backend_reason)
        .set_bytes("recorder", &session.recorder)
        .set("events", progress.counts.total())
        .set("gaps", progress.counts.get(OpKind::Gap))
        .set("counts", by_kind(&progress.counts))
        .set_some("start_seq", reader.base().map(|base| base.seq.0))
        .set_some("start_ns", reader.base().map(|base| base.time.0))
        .set_some("dropped", reader.base().map(|base| base.dropped))
        .set("baseline", progress.baseline_done)
        .set("sealed", reader.seal().is_some())
        .set("redacted", reader.is_redacted().unwrap_or(true));
    if let Some(seal) = reader.seal() {
        object.set("exit", seal.status.shell_code());
        if let ExitStatus::Signal(signal) = seal.status {
            object.set("signal", signal);
        }
        object.set_list("faults", &seal.faults);
    }
    object
}

fn by_kind(counts: &Counts) -> Object {
    let mut object = Object::default();
    for kind in OpKind::ALL {
        if counts.get(*kind) > 0 {
            object.set(kind.word(), counts.get(*kind));
        }
    }
    object
}

#[cfg(test)]
mod tests;
