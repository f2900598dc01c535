//! `diffkeeper export`: the tree of one instant as a real directory, exactly, or with a
//! list of what is not.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use diffkeeper_store::export::{ExportError, LeftOut, Options, Report, Why, export};
use diffkeeper_store::model::escape;
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::{SessionReader, Snapshot};
use globset::{GlobBuilder, GlobSet};

use crate::cli;
use crate::config::{self, Config};
use crate::error::{CliError, at_path};
use crate::output::{counted, note, path_text, warn};
use crate::progress::Progress;
use crate::trace;

/// Entries that are named one by one; all are counted.
const NAMED: usize = 50;

/// Runs the command.
///
/// # Errors
/// An `--out` that is not empty, no such instant, a filesystem that gives up.
pub(crate) fn run(args: &cli::Export, config: &Config) -> Result<ExitCode, CliError> {
    let when = config::when(&args.time)?;
    let options = Options {
        paths: args.path.as_deref().map(glob).transpose()?,
    };
    refuse_inside("--out", &args.out, &config.state_dir)?;
    let store = trace::open(config, "export")?;
    let reader = trace::session(&store, args.session)?;
    let at = trace::seq_of(&reader, &when)?;
    let snapshot = reader.salvage(at)?;
    let progress = Progress::new(config, "exporting");
    let report = export(&reader, &snapshot, &args.out, &options, &progress)?;
    drop(progress);
    tell(&reader, &snapshot, &report, args, config);
    trace::warn_if_unsealed(&reader);
    let failed = report.is_damaged() || !snapshot.damage().is_empty() || was_refused(&report);
    Ok(ExitCode::from(u8::from(failed)))
}

/// The state directory holds the trace and nothing else.
pub(super) fn refuse_inside(option: &str, out: &Path, state_dir: &Path) -> Result<(), CliError> {
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
    if there.is_some_and(|there| there.starts_with(&state_dir)) {
        let text = format!("{option} {} is inside the state directory", path_text(out));
        return Err(CliError::usage(text).hint("name a directory elsewhere"));
    }
    Ok(())
}

/// As in filters: `*` stays within a name, `**` does not.
fn glob(text: &OsStr) -> Result<GlobSet, CliError> {
    let text = text
        .to_str()
        .ok_or_else(|| CliError::usage("--path takes a glob in UTF-8"))?;
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    let glob = glob.map_err(|error| CliError::usage(format!("--path: {error}")))?;
    let set = GlobSet::builder().add(glob).build();
    set.map_err(|error| CliError::usage(format!("--path: {error}")))
}

fn tell(
    reader: &SessionReader<'_>,
    snapshot: &Snapshot,
    report: &Report,
    args: &cli::Export,
    config: &Config,
) {
    let damage = snapshot.damage().iter();
    let damage = damage.map(|(path, why)| format!("{}: {why}", escape(path)));
    let left_out = report.left_out.iter().map(ToString::to_string);
    let all: Vec<String> = damage.chain(left_out).collect();
    name_left_out(&all);
    warn_of_refusals(report);
    note(
        config,
        format_args!(
            "{}, {} of session {} at {} (#{}) to {}; {}, {}",
            counted(report.files, "file"),
            format_bytes(report.bytes),
            reader.session().id.0,
            args.time,
            snapshot.seq().0,
            path_text(&args.out),
            trace::gaps(reader),
            trace::provenance(reader.session().backend),
        ),
    );
}

/// Names what was left out, one by one.
pub(super) fn name_left_out(all: &[String]) {
    for line in all.iter().take(NAMED) {
        warn(format_args!("left out: {line}"));
    }
    if let Some(more) = all.len().checked_sub(NAMED).filter(|more| *more > 0) {
        warn(format_args!("left out: {more} more"));
    }
}

pub(super) fn warn_of_refusals(report: &Report) {
    let refused = &report.refused;
    for (count, what) in [
        (refused.owners, "owner"),
        (refused.modes, "mode"),
        (refused.xattrs, "extended attribute"),
        (refused.times, "modification time"),
    ] {
        if count > 0 {
            let what = counted(count, what);
            warn(format_args!("{what} could not be set (not permitted here)"));
        }
    }
}

fn was_refused(report: &Report) -> bool {
    let refused = |left: &LeftOut| matches!(left.why, Why::Refused(_));
    report.left_out.iter().any(refused)
}

impl From<ExportError> for CliError {
    fn from(error: ExportError) -> Self {
        match &error {
            ExportError::NotEmpty(path) => {
                Self::usage(format!("--out {} is not empty", path_text(path)))
                    .hint("nothing is overwritten; name a new directory")
            }
            ExportError::NotADirectory(path) => {
                Self::usage(format!("--out {} is not a directory", path_text(path)))
                    .hint("name a new directory; links are not followed")
            }
            ExportError::NoTop => Self::negative(error.to_string()),
            ExportError::Io { path, source } => at_path(path, source),
        }
    }
}
