//! Finding one's way in a trace: the store, the session, the instant, the path.

use std::path::Path;

use diffkeeper_store::model::{
    Backend, FileId, OpKind, Seq, Session, SessionId, Timestamp, TracePath,
};
use diffkeeper_store::when::{SessionSpan, Target, WhenError, format_time};
use diffkeeper_store::{SessionReader, Store};

use crate::cli::SessionArg;
use crate::config::{Config, Instant};
use crate::error::CliError;
use crate::near;
use crate::output::{counted, grouped, path_text, plain, warn};

/// Opens the store; `purpose` is what others read who find it locked.
///
/// # Errors
/// Whatever keeps it from being opened.
pub(crate) fn open(config: &Config, purpose: &str) -> Result<Store, CliError> {
    let store = Store::open(&config.state_dir, purpose)?;
    warn_if_damaged(&store);
    Ok(store)
}

/// Opens the store for the rest of the process, which reads each content once: to close in
/// order what was only read would take about as long as to open it.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_once(config: &Config, purpose: &str) -> Result<&'static Store, CliError> {
    let store = Store::open_once(&config.state_dir, purpose)?;
    warn_if_damaged(&store);
    Ok(Box::leak(Box::new(store)))
}

fn warn_if_damaged(store: &Store) {
    if let Some(damage) = store.damage() {
        warn(format_args!(
            "{}: what can be read is shown; `diffkeeper verify` lists the damage",
            plain(&damage)
        ));
    }
}

/// The state directory holds the trace and nothing else; `option` named `out`.
///
/// # Errors
/// An `out` inside it.
pub(crate) fn refuse_inside(option: &str, out: &Path, state_dir: &Path) -> Result<(), CliError> {
    let Ok(state_dir) = state_dir.canonicalize() else {
        return Ok(());
    };
    let there = out.ancestors().find_map(|dir| {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        dir.canonicalize().ok()
    });
    if state_dir.is_dir() && there.is_some_and(|there| there.starts_with(&state_dir)) {
        let text = format!("{option} {} is inside the state directory", path_text(out));
        return Err(CliError::usage(text).hint("name a place elsewhere"));
    }
    Ok(())
}

/// The session that was asked for, else the last one.
///
/// # Errors
/// None with that number, or damage.
pub(crate) fn session(store: &Store, arg: SessionArg) -> Result<SessionReader<'_>, CliError> {
    Ok(store.session(arg.session.map(SessionId))?)
}

/// What a session spans.
pub(crate) fn span(reader: &SessionReader<'_>) -> SessionSpan {
    SessionSpan {
        start_wall: reader.session().start_wall,
        end: reader.end(),
        last_seq: reader.progress().last_seq,
        start: (
            reader.start(),
            reader.base().map_or(Timestamp(0), |base| base.time),
        ),
    }
}

/// The state that was asked for.
///
/// # Errors
/// An instant outside the session, in the words of the user.
pub(crate) fn target_of(reader: &SessionReader<'_>, instant: &Instant) -> Result<Target, CliError> {
    instant
        .when
        .resolve(&span(reader))
        .map_err(|error| match error {
            WhenError::Outside { span, .. } => CliError::usage(format!(
                "{} is outside the session, which spans {span}",
                instant.text
            )),
            error @ WhenError::Syntax { .. } => error.into(),
        })
}

/// The event after which the state is the one asked for.
///
/// # Errors
/// An instant outside the session, or damage.
pub(crate) fn seq_of(reader: &SessionReader<'_>, instant: &Instant) -> Result<Seq, CliError> {
    match target_of(reader, instant)? {
        Target::Seq(seq) => Ok(seq),
        Target::Time(time) => Ok(reader.seq_at(time)?),
    }
}

/// A path as the user gave it, in terms of the trace: an absolute one below a recorded
/// directory becomes relative to the top.
pub(crate) fn trace_path(session: &Session, path: &Path) -> TracePath {
    let given = path.as_os_str().as_encoded_bytes();
    let below = session.roots.iter().find_map(|root| {
        let rest = given.strip_prefix(root.path.as_slice())?;
        (path.is_absolute() && (rest.is_empty() || rest.starts_with(b"/")))
            .then(|| [root.label.as_slice(), b"/", rest].concat())
    });
    let path = below.unwrap_or_else(|| given.to_vec());
    let names: Vec<&[u8]> = diffkeeper_store::components(&path).collect();
    names.join(&b'/')
}

/// The file a path led to, and the path in terms of the trace.
///
/// # Errors
/// None there, with what may have been meant; or damage.
pub(crate) fn find(
    reader: &SessionReader<'_>,
    path: &Path,
    at: Seq,
    when: &str,
) -> Result<(FileId, TracePath), CliError> {
    let path = trace_path(reader.session(), path);
    match reader.find(&path, at)? {
        Some(file) => Ok((file, path)),
        None => Err(near::no_such_path(reader, &path, at, when)),
    }
}

/// How contents of a session are known, for summaries: `observed (notify)`.
pub(crate) fn provenance(backend: Backend) -> String {
    match backend {
        Backend::Notify => format!("observed ({})", backend.word()),
        // Their versions differ, so nothing is claimed for all of them.
        Backend::Tracepoint | Backend::Fentry | Backend::Scripted => backend.word().to_owned(),
    }
}

/// Whether a session tells who made each change.
pub(crate) const fn knows_who(backend: Backend) -> bool {
    match backend {
        Backend::Notify => false,
        Backend::Tracepoint | Backend::Fentry | Backend::Scripted => true,
    }
}

/// `0 gaps`: a claim that can be checked.
pub(crate) fn gaps(reader: &SessionReader<'_>) -> String {
    counted(reader.progress().counts.get(OpKind::Gap), "gap")
}

/// `starts at 12.400s, after 1,204 earlier events that were given up`, where that is so.
pub(crate) fn given_up(reader: &SessionReader<'_>) -> Option<String> {
    let base = reader.base()?;
    let events = match base.dropped {
        1 => "1 earlier event that was".to_owned(),
        n => format!("{} earlier events that were", grouped(n)),
    };
    let time = format_time(base.time);
    Some(format!("starts at {time}, after {events} given up"))
}

/// Tells about contents that a filter asked about and that could not be searched.
pub(crate) fn warn_if_unsearched(contents: u64) {
    if contents > 0 {
        let contents = counted(contents, "content");
        warn(format_args!(
            "{contents} could not be searched: not recorded, damaged or too long"
        ));
    }
}

/// Tells about a session that is not whole.
pub(crate) fn warn_if_unsealed(reader: &SessionReader<'_>) {
    if reader.is_live() {
        warn(format_args!(
            "session {} is still being recorded: this is what it was at {} (#{})",
            reader.session().id.0,
            format_time(reader.end()),
            reader.progress().last_seq.0,
        ));
    } else if reader.seal().is_none() {
        warn(format_args!(
            "session {} is not finished: the recorder died, or was at work when \
             this was packed; the trace ends at {} (#{})",
            reader.session().id.0,
            format_time(reader.end()),
            reader.progress().last_seq.0,
        ));
    }
}

#[cfg(test)]
mod tests;
