//! `diffkeeper prune` and `diffkeeper gc`: gives up history, and the blobs that nothing names.

use std::io::Write;
use std::process::ExitCode;

use diffkeeper_store::Store;
use diffkeeper_store::model::SessionId;
use diffkeeper_store::prune::{Plan, Request, Step, execute, plan};
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::when::format_time;

use crate::cli;
use crate::config::{self, Config};
use crate::error::CliError;
use crate::json::Object;
use crate::output::{Output, counted, note};
use crate::progress::Progress;
use crate::trace;

/// Runs `prune`.
///
/// # Errors
/// No such session or instant, damage, a disk without room, or a stdout that fails.
pub(crate) fn run(args: &cli::Prune, config: &Config) -> Result<ExitCode, CliError> {
    let store = Store::own(&config.state_dir, "prune")?;
    let request = request(&store, args)?;
    carry_out(store, &request, &args.how, config)
}

/// Runs `gc`.
///
/// # Errors
/// As `prune`.
pub(crate) fn gc(args: &cli::Gc, config: &Config) -> Result<ExitCode, CliError> {
    let store = Store::own(&config.state_dir, "gc")?;
    carry_out(store, &Request::default(), &args.how, config)
}

fn request(store: &Store, args: &cli::Prune) -> Result<Request, CliError> {
    let given: Vec<SessionId> = args.session.iter().copied().map(SessionId).collect();
    if let Some(when) = &args.before {
        let when = config::when(when)?;
        let chosen = match given.as_slice() {
            [] => vec![store.session(None)?.session().id],
            given => given.to_vec(),
        };
        let at = |id: SessionId| Ok((id, trace::seq_of(&store.session(Some(id))?, &when)?));
        let before = chosen
            .into_iter()
            .map(at)
            .collect::<Result<_, CliError>>()?;
        let remove = Vec::new();
        return Ok(Request { remove, before });
    }
    let mut remove = given;
    if let Some(keep) = args.keep_sessions {
        let all: Vec<SessionId> = store.sessions()?.iter().map(|session| session.id).collect();
        remove = all.iter().rev().skip(keep).rev().copied().collect();
    }
    let before = Vec::new();
    Ok(Request { remove, before })
}

fn carry_out(
    store: Store,
    request: &Request,
    how: &cli::Destructive,
    config: &Config,
) -> Result<ExitCode, CliError> {
    let progress = Progress::new(config, "reading");
    let plan = plan(&store, request, &progress)?;
    drop(progress);
    let mut output = Output::new(config);
    write(&plan, how.json, &mut output)?;
    output.finish()?;
    if how.dry_run {
        note(
            config,
            format_args!("nothing was changed: this is what would be done"),
        );
    } else if plan.is_empty() {
        note(config, format_args!("nothing to give up"));
    } else {
        let progress = Progress::new(config, "copying what stays");
        execute(store, &config.state_dir, &plan, &progress)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(plan: &Plan, json: bool, output: &mut Output) -> Result<(), CliError> {
    for step in &plan.steps {
        if json {
            object(step).write(output)?;
        } else {
            writeln!(output, "{}", line(step))?;
        }
    }
    if json {
        let mut object = Object::default();
        object
            .set("action", "remove-blobs")
            .set("blobs", plan.blobs)
            .set("of", plan.all_blobs)
            .set("bytes", plan.bytes);
        object.write(output)?;
    } else {
        let size = format_bytes(plan.bytes);
        writeln!(
            output,
            "remove {} of {} ({size})",
            counted(plan.blobs, "blob"),
            plan.all_blobs
        )?;
    }
    Ok(())
}

fn line(step: &Step) -> String {
    match step {
        Step::Remove { session, events } => {
            format!(
                "remove session {} ({})",
                session.0,
                counted(*events, "event")
            )
        }
        Step::Cut {
            session,
            last,
            time,
            events,
        } => format!(
            "start session {} after #{} at {} ({} less)",
            session.0,
            last.0,
            format_time(*time),
            counted(*events, "event"),
        ),
    }
}

fn object(step: &Step) -> Object {
    let mut object = Object::default();
    match step {
        Step::Remove { session, events } => object
            .set("action", "remove-session")
            .set("session", session.0)
            .set("events", *events),
        Step::Cut {
            session,
            last,
            time,
            events,
        } => object
            .set("action", "cut-session")
            .set("session", session.0)
            .set("seq", last.0)
            .set("t_ns", time.0)
            .set("events", *events),
    };
    object
}
