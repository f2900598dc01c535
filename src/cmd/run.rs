//! `diffkeeper run`: the watched directory brought back as it was last, then a command in
//! it, recorded for as long as it lives.

use std::process::ExitCode;
use std::time::Duration;

use diffkeeper_recorder::source::Wishes;
use diffkeeper_recorder::{BringBack, BringBackError, Keep, Options, Progress, Restored, record};
use diffkeeper_store::model::Backend;
use diffkeeper_store::restore::{Fault, NewestError};
use diffkeeper_store::size::parse_bytes;
use diffkeeper_store::when::parse_duration;

use super::record::{self as recording, Bar};
use super::restore;
use crate::cli;
use crate::config::{Config, metrics_addr};
use crate::error::CliError;
use crate::metrics::Metrics;
use crate::output::{note, path_text, warn};

/// Runs the command.
///
/// # Errors
/// Whatever kept the directory from being brought back or the recording from beginning;
/// the command has not run then.
pub(crate) fn run(args: &cli::Run, config: &Config) -> Result<ExitCode, CliError> {
    std::fs::create_dir_all(&args.watch).map_err(|error| {
        CliError::recorder(format!("--watch {}: {error}", path_text(&args.watch)))
    })?;
    let address = metrics_addr(args.metrics_addr.as_deref());
    let metrics = Metrics::start(address.as_deref(), &config.state_dir)?;
    let agent = Agent {
        bar: Bar::new(config),
        config,
        metrics,
    };
    let outcome = record(&options(args, config)?, &agent)?;
    recording::tell(&outcome, config);
    Ok(recording::exit_code(outcome.status))
}

fn options(args: &cli::Run, config: &Config) -> Result<Options, CliError> {
    Ok(Options {
        argv: args.command.clone(),
        state_dir: config.state_dir.clone(),
        watch: vec![args.watch.clone()],
        exclude: recording::globs("--exclude", &args.exclude)?,
        backend: recording::backend(args.backend),
        output: false,
        wishes: Wishes {
            // They bring nothing back.
            reads: false,
            ring_bytes: args.ring_size,
            sudo: !args.no_sudo,
            ..Wishes::default()
        },
        durability: recording::durability(args.durability),
        max_file: None,
        keep: args.keep.as_deref().map(keep).transpose()?,
        // A masked state could not be brought back.
        redact: None,
        bring_back: Some(BringBack {
            last_good: args.on_damage == cli::OnDamage::LastGood,
        }),
    })
}

/// `10m`, `1000` or `1GiB`.
fn keep(text: &str) -> Result<Keep, CliError> {
    if let Ok(events) = text.parse() {
        return Ok(Keep::Events(events));
    }
    if text.ends_with(['b', 'B']) {
        let bytes = parse_bytes(text).map_err(|error| CliError::usage(error.to_string()))?;
        return Ok(Keep::Bytes(bytes));
    }
    let age = parse_duration(text).map_err(|error| {
        CliError::usage(format!(
            "--keep takes an age as in 10m, a number of events, or a size as in 1GiB: {error}"
        ))
    })?;
    Ok(Keep::Time(Duration::from_nanos(age)))
}

/// Follows the recording: what people read on stderr, what a scrape reads.
struct Agent<'c> {
    bar: Bar<'c>,
    config: &'c Config,
    metrics: Metrics,
}

impl Progress for Agent<'_> {
    fn backend(&self, backend: Backend, reason: &str) {
        self.bar.backend(backend, reason);
    }

    fn baseline(&self, files: u64, bytes: u64) {
        self.bar.baseline(files, bytes);
        self.metrics.baseline(files);
    }

    fn baseline_done(&self) {
        self.bar.baseline_done();
    }

    fn fault(&self, text: &str) {
        self.bar.fault(text);
        self.metrics.fault();
    }

    fn nothing_to_restore(&self) {
        self.metrics.nothing_to_restore();
        note(
            self.config,
            "diffkeeper: nothing was recorded yet; the directory stays as it is",
        );
    }

    fn restored(&self, restored: &Restored) {
        tell_passed_over(&restored.passed_over);
        let (session, seq) = (restored.session.0, restored.seq.0);
        let ms = restored.took.as_secs_f64() * 1000.0;
        let text = format!("diffkeeper: restored session {session} at #{seq} in {ms:.0} ms");
        if restored.passed_over.is_empty() {
            note(self.config, text);
        } else {
            warn(format_args!("{text}, the newest state that is whole"));
        }
        restore::tell(&restored.report, false, self.config);
        self.metrics.restored(restored);
    }

    fn started(&self, backend: Backend) {
        if backend == Backend::Notify {
            warn(
                "diffkeeper: file notifications do not tell the order of writes to different \
                 files: a state that is brought back holds each file as it was seen, which need \
                 not be one instant of all of them",
            );
        }
        self.metrics.ready(backend);
    }

    fn captured(&self, kind: &'static str, took: std::time::Duration, waiting: usize) {
        self.metrics
            .captured(kind, took.as_secs_f64() * 1000.0, waiting);
    }

    fn committed(&self, committed: &diffkeeper_recorder::Committed) {
        self.metrics.committed(committed);
    }
}

/// One line for each file: the newest of its versions that do not hold, and how many more.
fn tell_passed_over(faults: &[Fault]) {
    let is_same = |a: &Fault, b: &Fault| (a.session, &a.path) == (b.session, &b.path);
    for of_file in faults.chunk_by(is_same) {
        let Some((newest, older)) = of_file.split_first() else {
            continue;
        };
        match older.len() {
            0 => warn(format_args!("diffkeeper: passed over: {newest}")),
            more => warn(format_args!(
                "diffkeeper: passed over: {newest}; and {more} more versions before it"
            )),
        }
    }
}

impl From<BringBackError> for CliError {
    fn from(error: BringBackError) -> Self {
        let message = error.to_string();
        let failure = Self::recorder(message);
        match error {
            BringBackError::Newest(NewestError::Damaged(_)) => failure.hint(
                "--on-damage=last-good takes the newest undamaged state; `diffkeeper verify` lists all damage",
            ),
            BringBackError::Newest(NewestError::Masked(_)) => failure.hint(
                "a trace of `record --redact` is none to bring back; --on-damage=last-good takes the newest state without masks",
            ),
            BringBackError::Newest(NewestError::NoneExact(_)) => failure.hint(
                "`diffkeeper restore --to DIR --time WHEN` brings back what there is; start over with a new --state-dir",
            ),
            BringBackError::OtherRoot { .. } => failure.hint(
                "name the directory that was recorded, or take its state with `diffkeeper restore --to DIR`",
            ),
            BringBackError::Newest(NewestError::Store(_))
            | BringBackError::Restore(_)
            | BringBackError::Scope(_)
            | BringBackError::LeftOut(_) => failure,
        }
    }
}
