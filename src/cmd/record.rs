//! `diffkeeper record`: runs a command and records every change below the watched
//! directories.

use std::process::ExitCode;
use std::time::Duration;

use diffkeeper_recorder::redact::{Rules, SHORTEST, Words};
use diffkeeper_recorder::source::Wishes;
use diffkeeper_recorder::{Keep, Options, Outcome, Progress, record};
use diffkeeper_store::model::{self, GapReason, Op, OpKind, Seq};
use diffkeeper_store::{Durability, SessionReader, Store};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli;
use crate::config::Config;
use crate::error::CliError;
use crate::output::{counted, note, path_text, warn};
use crate::trace;

/// Status of a recorder that failed.
const RECORDER_FAILED: u8 = 125;

/// Runs the command.
///
/// # Errors
/// Whatever kept the recording from beginning; the command has not run then.
pub(crate) fn run(args: &cli::Record, config: &Config) -> Result<ExitCode, CliError> {
    let bar = Bar::new(config);
    let outcome = record(&options(args, config)?, &bar)?;
    tell(&outcome, config);
    if args.strict && !outcome.faults.is_empty() {
        return Ok(ExitCode::from(RECORDER_FAILED));
    }
    Ok(exit_code(outcome.status))
}

fn options(args: &cli::Record, config: &Config) -> Result<Options, CliError> {
    let watch = match args.watch.as_slice() {
        [] => vec![".".into()],
        given => given.to_vec(),
    };
    Ok(Options {
        argv: args.command.clone(),
        state_dir: config.state_dir.clone(),
        watch,
        exclude: globs("--exclude", &args.exclude)?,
        backend: backend(args.backend),
        output: args.output,
        wishes: Wishes {
            reads: !args.no_reads,
            output: !args.output,
            ring_bytes: args.ring_size,
            btf: args.btf.clone(),
            sudo: !args.no_sudo,
        },
        durability: durability(args.durability),
        max_file: args.max_file.as_deref().map(size).transpose()?,
        keep: args
            .max_size
            .as_deref()
            .map(size)
            .transpose()?
            .map(Keep::Bytes),
        redact: rules(args)?,
        bring_back: None,
    })
}

fn size(text: &str) -> Result<u64, CliError> {
    let size = diffkeeper_store::size::parse_bytes(text);
    size.map_err(|error| CliError::usage(error.to_string()))
}

/// What is to be masked; tells of values that were named and cannot be.
fn rules(args: &cli::Record) -> Result<Option<Rules>, CliError> {
    let asked = args.redact || !args.redact_env.is_empty() || !args.redact_path.is_empty();
    let rules = Rules {
        env: args.redact_env.clone(),
        paths: globs("--redact-path", &args.redact_path)?,
    };
    if !asked {
        return Ok(None);
    }
    for name in &rules.env {
        if std::env::var_os(name).is_none_or(|value| value.is_empty()) {
            let name = path_text(name.as_ref());
            warn(format_args!("diffkeeper: --redact-env {name} is not set"));
        }
    }
    for name in Words::of(&rules, std::env::vars_os()).short {
        let name = path_text(name.as_ref());
        warn(format_args!(
            "diffkeeper: the value of {name} is not masked: it has fewer than {SHORTEST} bytes"
        ));
    }
    Ok(Some(rules))
}

pub(super) fn globs(option: &str, globs: &[std::ffi::OsString]) -> Result<Vec<String>, CliError> {
    let utf8 = |glob: &std::ffi::OsString| {
        let text = glob.to_str().map(str::to_owned);
        text.ok_or_else(|| CliError::usage(format!("{option} takes a glob in UTF-8")))
    };
    globs.iter().map(utf8).collect()
}

/// The tier that was asked for; `None` takes the best that works.
pub(super) const fn backend(backend: cli::Backend) -> Option<model::Backend> {
    match backend {
        cli::Backend::Auto => None,
        cli::Backend::Fentry => Some(model::Backend::Fentry),
        cli::Backend::Tracepoint => Some(model::Backend::Tracepoint),
        cli::Backend::Notify => Some(model::Backend::Notify),
    }
}

pub(super) const fn durability(durability: cli::Durability) -> Durability {
    match durability {
        cli::Durability::Crash => Durability::Crash,
        cli::Durability::Power => Durability::Power,
    }
}

/// The command's own status, as a shell reports it.
pub(super) fn exit_code(status: model::ExitStatus) -> ExitCode {
    ExitCode::from(u8::try_from(status.shell_code() & 0xff).unwrap_or(RECORDER_FAILED))
}

/// How far the baseline is, on a terminal; faults at once, before the command prints on.
pub(super) struct Bar<'a> {
    bar: ProgressBar,
    config: &'a Config,
}

impl<'a> Bar<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let target = if config.shows_progress() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { bar, config }
    }
}

impl Progress for Bar<'_> {
    fn backend(&self, backend: model::Backend, reason: &str) {
        let word = backend.word();
        note(
            self.config,
            format_args!("diffkeeper: backend {word}: {reason}"),
        );
    }

    fn baseline(&self, files: u64, bytes: u64) {
        let size = diffkeeper_store::size::format_bytes(bytes);
        self.bar
            .set_message(format!("baseline: {}, {size}", counted(files, "file")));
        self.bar.tick();
    }

    fn baseline_done(&self) {
        self.bar.finish_and_clear();
    }

    fn fault(&self, text: &str) {
        self.bar.finish_and_clear();
        warn(format_args!("diffkeeper: recorder fault: {text}"));
    }
}

/// Tells on stderr what was recorded: what was missed always, the rest unless the user
/// wants quiet. Faults were told when they happened.
pub(super) fn tell(outcome: &Outcome, config: &Config) {
    let Some(progress) = &outcome.progress else {
        return;
    };
    let gaps = progress.counts.get(OpKind::Gap);
    if gaps > 0 {
        // The store is whole again only if it can be read; the count stands in any case.
        let reasons = gap_reasons(outcome, config).unwrap_or_default();
        warn(format_args!(
            "diffkeeper: {}{reasons}",
            counted(gaps, "gap")
        ));
    }
    let end = Duration::from_nanos(progress.last_time.0);
    note(
        config,
        format_args!(
            "diffkeeper: session {}: {}, {}, {}, last at {:.3}s, in {}",
            outcome.session.0,
            counted(progress.counts.total(), "event"),
            counted(gaps, "gap"),
            trace::provenance(outcome.backend),
            end.as_secs_f64(),
            path_text(&config.state_dir),
        ),
    );
}

/// `: 2 torn, 1 unreadable`.
fn gap_reasons(outcome: &Outcome, config: &Config) -> Result<String, CliError> {
    let store = Store::open(&config.state_dir, "record")?;
    let reader = store.session(Some(outcome.session))?;
    let counts = gaps_by_reason(&reader)?;
    let parts = counts
        .iter()
        .map(|(reason, n)| format!("{n} {}", reason.word()));
    Ok(format!(": {}", parts.collect::<Vec<_>>().join(", ")))
}

/// How many gaps of each reason; reads the events only if there are any.
fn gaps_by_reason(reader: &SessionReader<'_>) -> Result<Vec<(GapReason, u64)>, CliError> {
    let mut left = reader.progress().counts.get(OpKind::Gap);
    let mut counts: Vec<_> = GapReason::ALL.iter().map(|reason| (*reason, 0)).collect();
    // Most gaps stand at the end, where the last reconcile puts them.
    let mut events = reader.events(Seq(1), reader.progress().last_seq);
    while left > 0
        && let Some(event) = events.next_back()
    {
        if let Op::Gap { reason, .. } = event?.op {
            left -= 1;
            let found = counts.iter_mut().find(|(known, _)| *known == reason);
            found.into_iter().for_each(|(_, count)| *count += 1);
        }
    }
    counts.retain(|(_, count)| *count > 0);
    Ok(counts)
}
