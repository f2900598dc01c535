//! `diffkeeper tui`: a session in the terminal, see the viewer crate.

use std::io::{IsTerminal, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use diffkeeper_store::{SessionReader, Store, StoreError};
use diffkeeper_viewer::app::Begin;
use diffkeeper_viewer::keymap::Keymap;
use diffkeeper_viewer::source::Source;
use diffkeeper_viewer::theme::{Depth, Theme};
use diffkeeper_viewer::{Options, marks};

use crate::cli;
use crate::config::{self, Config};
use crate::error::CliError;
use crate::output::note;
use crate::trace;

/// The file in a state directory that keeps marks.
const MARKS: &str = "viewer-marks";
/// How long a look is put off for a recorder that is just starting.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs the command. The view that was left is printed as a command line, so that it can
/// be gone back to, or passed on.
///
/// # Errors
/// No terminal, no such session, instant or path, or a configuration nobody understands.
pub(crate) fn run(args: &cli::Tui, config: &Config) -> Result<ExitCode, CliError> {
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        let error = CliError::usage("tui needs a terminal");
        return Err(
            error.hint("`diffkeeper timeline`, `diff` and `processes` tell the same in text")
        );
    }
    config::filter(args.filter.as_deref())?;
    let (keymap, theme) = look(args, config)?;
    let store = trace::open(config, "tui").map_err(say_if_recording)?;
    let store = Arc::new(begun(store, config)?);
    let reader = trace::session(&store, args.session)?;
    if !reader.is_live() {
        trace::warn_if_unsealed(&reader);
    }
    let marks = config.state_dir.join(MARKS);
    let options = Options {
        program: program(args, config),
        begin: begin(args, &reader, &marks)?,
        keymap,
        theme,
        marks: Some(marks),
        follow: Some(config.state_dir.clone()),
    };
    let source = Source::new(store.clone(), reader.session().id);
    drop(reader);
    drop(store);
    let ended = diffkeeper_viewer::run(&source, options)?;
    note(config, &ended.command_line);
    Ok(match ended.signal {
        None => ExitCode::SUCCESS,
        Some(signal) => ExitCode::from(128_u8.wrapping_add(u8::try_from(signal).unwrap_or(0))),
    })
}

/// Waits for the first session of a recorder that is just starting.
fn begun(mut store: Store, config: &Config) -> Result<Store, CliError> {
    while store.is_live() && matches!(store.session(None), Err(StoreError::Empty)) {
        std::thread::sleep(PAUSE);
        store = trace::open(config, "tui").map_err(say_if_recording)?;
    }
    Ok(store)
}

/// Not every recorder can be asked: it may serve no more readers, or another user.
fn say_if_recording(error: CliError) -> CliError {
    if error.message.contains("a running recorder") {
        return error.hint("the trace is being recorded; it can be looked at once that has ended");
    }
    error
}

/// Keys and colours: the environment, then the configuration, then `--color`.
fn look(args: &cli::Tui, config: &Config) -> Result<(Keymap, Theme), CliError> {
    let mut theme = Theme::from_env(|name| std::env::var(name).ok());
    let mut keymap = Keymap::default();
    if let Some(path) = &args.config
        && !path.exists()
    {
        let path = crate::output::path_text(path);
        return Err(CliError::usage(format!("no such file: {path}")));
    }
    let default = || diffkeeper_viewer::config::default_path(|name| std::env::var_os(name));
    if let Some(path) = args.config.clone().or_else(default) {
        diffkeeper_viewer::config::apply(&path, &mut keymap, &mut theme).map_err(|error| {
            CliError::usage(error.to_string()).hint("docs/tui.md says what it may hold")
        })?;
    }
    if !config.color {
        theme.depth = Depth::None;
    }
    Ok((keymap, theme))
}

fn begin(
    args: &cli::Tui,
    reader: &SessionReader<'_>,
    marks: &std::path::Path,
) -> Result<Begin, CliError> {
    let at = args.at.as_deref().map(config::when).transpose()?;
    let at = at.map(|at| trace::seq_of(reader, &at)).transpose()?;
    let file = match &args.file {
        None => None,
        Some(path) => {
            let seq = at.unwrap_or(reader.progress().last_seq);
            Some(trace::find(
                reader,
                path,
                seq,
                args.at.as_deref().unwrap_or("latest"),
            )?)
        }
    };
    Ok(Begin {
        at,
        file,
        filter: args.filter.clone().unwrap_or_default(),
        marks: marks::load(marks, reader.session().id.0),
    })
}

/// The words that open this trace and session again.
fn program(args: &cli::Tui, config: &Config) -> Vec<Vec<u8>> {
    let mut words = vec![b"diffkeeper".to_vec(), b"tui".to_vec()];
    if !config.is_default_state_dir() {
        words.push(b"--state-dir".to_vec());
        words.push(config.state_dir.as_os_str().as_encoded_bytes().to_vec());
    }
    if let Some(session) = args.session.session {
        words.push(format!("--session={session}").into_bytes());
    }
    words
}
