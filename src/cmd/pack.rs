//! `diffkeeper pack`: sessions of a trace as one file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use diffkeeper_recorder::redact::{Matcher, Rules, Words};
use diffkeeper_store::model::SessionId;
use diffkeeper_store::pack::{PackError, PackOptions, PackReport, Suspects, pack};
use diffkeeper_store::size::format_bytes;

use crate::cli;
use crate::config::Config;
use crate::error::{CliError, at_path};
use crate::output::{counted, note, path_text, warn};
use crate::progress::Progress;
use crate::{supply, trace};

/// What the name of a packed trace ends with, if nobody names it.
const EXTENSION: &str = ".dkpack";

/// Runs the command.
///
/// # Errors
/// A trace that cannot be read, or a file that cannot be written.
pub(crate) fn run(args: &cli::Pack, config: &Config) -> Result<ExitCode, CliError> {
    let out = args.out.clone().unwrap_or_else(|| default_out(config));
    trace::refuse_inside("-o", &out, &config.state_dir)?;
    let store = trace::open(config, "pack")?;
    let sessions: Vec<SessionId> = args.session.iter().copied().map(SessionId).collect();
    let supply = if args.thin {
        Some(supply::for_packing(&store, &sessions, &args.from)?)
    } else {
        None
    };
    let matcher = matcher()?;
    let inspect = |text: &[u8]| matcher.is_in(text);
    let options = PackOptions {
        sessions,
        thin: supply.as_ref(),
        inspect: Some(&inspect),
        refuse: args.refuse_secrets,
    };
    let progress = Progress::new(config, "packing");
    let report = pack(&store, &out, &options, &progress)?;
    drop(progress);
    tell(&report, &out, config);
    Ok(ExitCode::from(u8::from(report.damaged > 0)))
}

/// What looks like a secret here: the shapes, and the values of the environment.
fn matcher() -> Result<Matcher, CliError> {
    let words = Words::of(&Rules::default(), std::env::vars_os());
    Matcher::new(words.all()).map_err(|error| CliError::recorder(error.to_string()))
}

/// The name of the state directory, here.
fn default_out(config: &Config) -> PathBuf {
    let canonical = config.state_dir.canonicalize();
    let state_dir = canonical.as_ref().unwrap_or(&config.state_dir);
    let mut name = state_dir.file_stem().map_or_else(
        || OsString::from("diffkeeper-trace"),
        std::ffi::OsStr::to_owned,
    );
    name.push(EXTENSION);
    name.into()
}

fn tell(report: &PackReport, out: &std::path::Path, config: &Config) {
    if report.damaged > 0 {
        let records = counted(report.damaged, "record");
        warn(format_args!(
            "the trace is damaged: {records} damaged or missing, and so they are in the pack"
        ));
    }
    if report.suspects.total() > 0 {
        warn(format_args!(
            "{} what looks like a secret; `record --redact` keeps such things out of a trace",
            holding(&report.suspects)
        ));
    }
    let omitted = match report.omitted {
        0 => String::new(),
        omitted => format!(", without {}", counted(omitted, "unchanged content")),
    };
    note(
        config,
        format_args!(
            "{}, {}{omitted}: {} in {}",
            counted(report.sessions, "session"),
            counted(report.blobs, "blob"),
            format_bytes(report.bytes),
            path_text(out),
        ),
    );
}

/// `1 content and 2 blocks hold`.
fn holding(suspects: &Suspects) -> String {
    let parts = [
        (suspects.contents, "content"),
        (suspects.events, "block"),
        (suspects.others, "other record"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, what)| counted(*count, what)).collect();
    let verb = if suspects.total() == 1 {
        "holds"
    } else {
        "hold"
    };
    format!("{} {verb}", parts.join(", "))
}

impl From<PackError> for CliError {
    fn from(error: PackError) -> Self {
        let message = error.to_string();
        match error {
            PackError::Store(error) => error.into(),
            PackError::Occupied(path) => Self::usage(format!(
                "{} is there already and is no packed trace",
                path_text(&path)
            ))
            .hint("only a pack is replaced; name another file with -o"),
            PackError::NotEmpty(path) => {
                Self::usage(format!("--to {} is not empty", path_text(&path)))
                    .hint("nothing is overwritten; name a new directory")
            }
            PackError::Io { path, source } => at_path(&path, &source),
            PackError::TooLong(_) => Self::usage(message),
            PackError::Suspect(suspects) => Self::negative(format!(
                "nothing was packed: {} what looks like a secret",
                holding(&suspects)
            ))
            .hint("`record --redact` keeps such things out of a trace"),
            PackError::OutOfOrder => Self::negative(message),
        }
    }
}
