//! `diffkeeper demo`: a flaky test is recorded, and its trace tells what went wrong.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use diffkeeper_demo::{STEP, flaky_ci_test};
use diffkeeper_recorder::source::Wishes;
use diffkeeper_recorder::{Options, record};
use diffkeeper_store::model::{Event, Op, Seq, Timestamp, TracePath, escape};
use diffkeeper_store::when::{format_duration, format_time};
use diffkeeper_store::{Durability, Paths, SessionReader, Store};

use super::record::Bar;
use super::{diff, timeline};
use crate::cli;
use crate::config::Config;
use crate::error::{CliError, at_path};
use crate::output::{Output, note, path_text};

/// Runs the command.
///
/// # Errors
/// Whatever keeps the recording from beginning, or the trace from being read.
pub(crate) fn run(args: &cli::Demo, config: &Config) -> Result<ExitCode, CliError> {
    if args.flaky_ci_test {
        return Ok(flaky_ci_test(Path::new("."), STEP));
    }
    // The trace is left behind, as the commands that the demo ends with work on it.
    let dir = tempfile::Builder::new()
        .prefix("diffkeeper-demo-")
        .tempdir()?;
    let dir = dir.keep();
    let (tree, state_dir) = (dir.join("tree"), dir.join("trace"));
    std::fs::create_dir(&tree).map_err(|error| at_path(&tree, &error))?;
    let exe = std::env::current_exe()?;
    std::env::set_current_dir(&tree).map_err(|error| at_path(&tree, &error))?;
    note(config, "Recording a flaky test, which takes some seconds:");
    let options = Options {
        argv: [exe.as_os_str(), "demo".as_ref(), "--flaky-ci-test".as_ref()]
            .map(ToOwned::to_owned)
            .into(),
        state_dir: state_dir.clone(),
        watch: vec![tree],
        exclude: Vec::new(),
        backend: None,
        output: false,
        wishes: Wishes::default(),
        durability: Durability::Crash,
        max_file: None,
        keep: None,
        redact: None,
        bring_back: None,
    };
    let outcome = record(&options, &Bar::new(config))?;
    let store = Store::open(&state_dir, "demo")?;
    let reader = store.session(Some(outcome.session))?;
    let mut output = Output::new(config);
    tell(&reader, &state_dir, &mut output)?;
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Tells the story of a recorded demo: what happened, the write that broke it with what
/// it changed, and the commands to go on with.
///
/// # Errors
/// Damage in the session that was just written.
fn tell(reader: &SessionReader<'_>, state_dir: &Path, output: &mut Output) -> Result<(), CliError> {
    writeln!(output, "What happened on disk:\n")?;
    timeline::print_all(reader, output)?;
    let Some((event, path)) = culprit(reader)? else {
        return Ok(());
    };
    let before = reader.seq_at(shortly_before(&event))?;
    writeln!(
        output,
        "\nThe last write before it failed, at {}, was to {}:\n",
        format_time(event.time),
        escape(&path)
    )?;
    diff::print_between(reader, before, event.seq, output)?;
    write_ways_on(&event, &path, state_dir, output)
}

/// The last write of a session.
fn culprit(reader: &SessionReader<'_>) -> Result<Option<(Event, TracePath)>, CliError> {
    let events = reader.events(Seq(1), reader.progress().last_seq);
    for event in events.rev() {
        let event = event?;
        if matches!(event.op, Op::Write { .. })
            && let Some(path) = Paths::new(reader).resolve(&event)?.path
        {
            return Ok(Some((event, path)));
        }
    }
    Ok(None)
}

/// Half a second earlier, in whole ms: an overwrite is often a truncate and a write, and
/// what stood there before is the state ahead of both.
const fn shortly_before(event: &Event) -> Timestamp {
    Timestamp((event.time.0 / 1_000_000).saturating_sub(500) * 1_000_000)
}

fn write_ways_on(
    event: &Event,
    path: &[u8],
    state_dir: &Path,
    output: &mut Output,
) -> Result<(), CliError> {
    let (path, state) = (escape(path), path_text(state_dir));
    let earlier = format_duration(shortly_before(event).0);
    let number = event.seq.0;
    writeln!(
        output,
        "\nGo on with:\n\n  \
         export DIFFKEEPER_STATE_DIR={state}\n  \
         diffkeeper timeline --filter path:{path}\n  \
         diffkeeper show --time={earlier} {path}\n  \
         diffkeeper diff --from={earlier} --to='#{number}'\n  \
         diffkeeper export --time={earlier} --out=debug_fs"
    )?;
    Ok(())
}
