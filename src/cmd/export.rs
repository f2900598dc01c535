//! `diffkeeper export`: the tree of one instant as a real directory, exactly, or with a
//! list of what is not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use diffkeeper_store::export::{ExportError, LeftOut, Options, Report, Why, export};
use diffkeeper_store::model::{MissingReason, escape};
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::{SessionReader, Snapshot};
use globset::{GlobBuilder, GlobSet};

use crate::cli;
use crate::config::{self, Config};
use crate::error::{CliError, at_path};
use crate::output::{counted, note, path_text, warn};
use crate::progress::Progress;
use crate::{supply, trace};

/// Entries that are named one by one; all are counted.
const NAMED: usize = 50;
/// What a thin pack makes of a content.
const OMITTED: Why = Why::Missing(MissingReason::Omitted);

/// Runs the command.
///
/// # Errors
/// An `--out` that is not empty, no such instant, a filesystem that gives up.
pub(crate) fn run(args: &cli::Export, config: &Config) -> Result<ExitCode, CliError> {
    let when = config::when(&args.time)?;
    let options = Options {
        paths: args.path.as_deref().map(glob).transpose()?,
        supply: Some(supply::of(&args.from)?).filter(|supply| !supply.is_empty()),
    };
    trace::refuse_inside("--out", &args.out, &config.state_dir)?;
    let store = trace::open_once(config, "export")?;
    let reader = trace::session(store, args.session)?;
    let at = trace::seq_of(&reader, &when)?;
    let snapshot = reader.salvage(at)?;
    let progress = Progress::new(config, "exporting");
    let report = export(&reader, &snapshot, &args.out, &options, &progress)?;
    drop(progress);
    let thin = tell_of_omitted(&reader, &report.left_out)?;
    tell(&reader, &snapshot, &report, thin, args, config);
    trace::warn_if_unsealed(&reader);
    let failed =
        thin || report.is_damaged() || !snapshot.damage().is_empty() || was_refused(&report);
    Ok(ExitCode::from(u8::from(failed)))
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
    thin: bool,
    args: &cli::Export,
    config: &Config,
) {
    let damage = snapshot.damage().iter();
    let damage = damage.map(|(path, why)| format!("{}: {why}", escape(path)));
    let all: Vec<String> = damage.chain(unsaid(&report.left_out, thin)).collect();
    name_left_out(&all);
    warn_of_masks(snapshot, args);
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

/// Names what is not what was on disk.
fn warn_of_masks(snapshot: &Snapshot, args: &cli::Export) {
    let chosen = args.path.as_deref().and_then(|path| glob(path).ok());
    let masked = snapshot.entries().iter().filter(|entry| entry.is_masked());
    let masked = masked.filter(|entry| {
        let path = OsStr::from_bytes(&entry.path);
        chosen.as_ref().is_none_or(|chosen| chosen.is_match(path))
    });
    let masked: Vec<_> = masked.collect();
    for entry in masked.iter().take(NAMED) {
        let path = escape(&entry.path);
        warn(format_args!(
            "redacted: {path}: parts of it were masked when it was recorded"
        ));
    }
    if let Some(more) = masked.len().checked_sub(NAMED).filter(|more| *more > 0) {
        warn(format_args!("redacted: {more} more"));
    }
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

/// What was left out, but for what [`tell_of_omitted`] has said of a thin pack.
pub(super) fn unsaid(left_out: &[LeftOut], thin: bool) -> impl Iterator<Item = String> {
    let unsaid = left_out
        .iter()
        .filter(move |left| !thin || left.why != OMITTED);
    unsaid.map(ToString::to_string)
}

/// Says how to supply what a thin pack left out; whether there was any such thing.
///
/// # Errors
/// A damaged record.
pub(super) fn tell_of_omitted(
    reader: &SessionReader<'_>,
    left_out: &[LeftOut],
) -> Result<bool, CliError> {
    let omitted = left_out.iter().filter(|left| left.why == OMITTED);
    let omitted = omitted.count() as u64;
    let sources = reader.supply()?;
    if omitted == 0 || sources.is_empty() {
        return Ok(false);
    }
    let sources: Vec<String> = sources
        .iter()
        .map(|text| escape(text).to_string())
        .collect();
    warn(format_args!(
        "{} left out of a thin pack; --from DIR takes them from a directory that has them: {}",
        counted(omitted, "content"),
        sources.join(", ")
    ));
    Ok(true)
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
