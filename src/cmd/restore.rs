//! `diffkeeper restore`: a directory made to be the tree of one instant, changing no more
//! than it must.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use diffkeeper_recorder::Spared;
use diffkeeper_store::model::escape;
use diffkeeper_store::restore::{
    Options, RestoreError, RestorePlan, RestoreReport, Step, untouched,
};
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::supply::Supply;

use super::export::{name_left_out, tell_of_omitted, unsaid, warn_of_refusals};
use crate::cli;
use crate::config::{self, Config};
use crate::error::{CliError, at_path};
use crate::json::Object;
use crate::output::{Output, counted, note, path_text, warn};
use crate::progress::Progress;
use crate::{supply, trace};

/// Runs the command.
///
/// # Errors
/// No such instant, a damaged tree, a filesystem that gives up.
pub(crate) fn run(args: &cli::Restore, config: &Config) -> Result<ExitCode, CliError> {
    let when = config::when(&args.time)?;
    trace::refuse_inside("--to", &args.to, &config.state_dir)?;
    let supply = supply_of(args)?;
    let store = trace::open_once(config, "restore")?;
    let reader = trace::session(store, args.session)?;
    let at = trace::seq_of(&reader, &when)?;
    if !(args.dry_run || args.json)
        && let Some(names) = untouched(&reader, at, &args.to)
    {
        let report = RestoreReport {
            kept: names,
            ..RestoreReport::default()
        };
        tell(&report, false, config);
        trace::warn_if_unsealed(&reader);
        return Ok(ExitCode::SUCCESS);
    }
    // Names that cannot be read would be names to remove: nothing is restored by halves.
    let snapshot = reader.snapshot(at)?;
    let spared = Spared::new(&args.to, &config.state_dir, reader.session())
        .map_err(|error| CliError::usage(error.to_string()))?;
    let spare = |path: &[u8]| spared.holds(path);
    let options = Options {
        delete: args.delete,
        spare: &spare,
        supply: supply.as_ref(),
    };
    let progress = Progress::new(config, "restoring");
    let begun = Instant::now();
    let mut plan = RestorePlan::new(&reader, &snapshot, &args.to, &options, &progress)?;
    tell_steps(&plan, args, config)?;
    if args.dry_run {
        drop(progress);
        let left_out = plan.left_out(&options);
        let thin = tell_of_omitted(&reader, &left_out)?;
        name_left_out(&unsaid(&left_out, thin).collect::<Vec<_>>());
        return Ok(ExitCode::from(u8::from(!left_out.is_empty())));
    }
    let report = plan.execute(&options, &progress)?;
    drop(progress);
    let thin = tell_of_omitted(&reader, &report.written.left_out)?;
    tell(&report, thin, config);
    note(
        config,
        format_args!(
            "session {} at {} (#{}) restored to {} in {:.3}s",
            reader.session().id.0,
            args.time,
            at.0,
            path_text(&args.to),
            begun.elapsed().as_secs_f64()
        ),
    );
    trace::warn_if_unsealed(&reader);
    Ok(ExitCode::from(u8::from(
        !report.written.left_out.is_empty(),
    )))
}

/// The plan, for those who asked to see it.
fn tell_steps(
    plan: &RestorePlan<'_>,
    args: &cli::Restore,
    config: &Config,
) -> Result<(), CliError> {
    let mut output = Output::new(config);
    if args.json {
        for (step, path) in plan.steps() {
            let mut object = Object::default();
            object.set("step", step.word()).set_bytes("path", path);
            object.write(&mut output)?;
        }
    } else if args.dry_run {
        for (step, path) in plan.steps() {
            if step != Step::Keep {
                let path = if path.is_empty() {
                    b".".as_slice()
                } else {
                    path
                };
                writeln!(output, "{:8} {}", step.word(), escape(path))?;
            }
        }
    }
    output.finish()
}

/// The directories that supply what a thin pack left out.
///
/// # Errors
/// One that is none, or that the restore itself would change while it is read.
fn supply_of(args: &cli::Restore) -> Result<Option<Supply>, CliError> {
    let to = args.to.canonicalize().ok();
    for dir in &args.from {
        let dir = dir.canonicalize().map_err(|error| at_path(dir, &error))?;
        if to.as_ref().is_some_and(|to| dir.starts_with(to)) {
            let text = format!("--from {} is inside --to", path_text(&dir));
            return Err(CliError::usage(text)
                .hint("files in --to that are right stay without it; name a place elsewhere"));
        }
    }
    Ok(Some(supply::of(&args.from)?).filter(|supply| !supply.is_empty()))
}

/// What was done, and what was not; of a thin pack `thin` says that it was told.
pub(super) fn tell(report: &RestoreReport, thin: bool, config: &Config) {
    let lines: Vec<String> = unsaid(&report.written.left_out, thin).collect();
    name_left_out(&lines);
    warn_of_refusals(&report.written);
    if report.strangers > 0 {
        let names = counted(report.strangers, "name");
        warn(format_args!(
            "{names} that the trace does not hold stayed (--delete removes what should not be there)"
        ));
    }
    note(
        config,
        format_args!(
            "{} created, {} replaced, {} adjusted, {} removed, {} kept; {} written",
            report.created,
            report.replaced,
            report.adjusted,
            report.removed,
            report.kept,
            format_bytes(report.written.bytes),
        ),
    );
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> Self {
        match &error {
            RestoreError::NotADirectory(path) => {
                Self::usage(format!("--to {} is not a directory", path_text(path)))
                    .hint("name a directory, there already or not; links are not followed")
            }
            RestoreError::NoTop => Self::negative(error.to_string()),
            RestoreError::Io { path, source } => at_path(path, source),
        }
    }
}
