//! `diffkeeper diff`: what changed between two instants, as text that `patch` and
//! `git apply` understand wherever they can express it.

mod binary;
mod head;
mod hex;
mod listing;
mod pair;
mod side;
mod stat;
mod text;

use std::process::ExitCode;

use diffkeeper_store::model::{MissingReason, Seq, TracePath, escape};
use diffkeeper_store::{SessionReader, Snapshot};

use self::pair::Pair;
use self::side::{Body, Side};
use self::stat::Stats;
use crate::cli;
use crate::config::{self, Config};
use crate::error::CliError;
use crate::near;
use crate::output::{Output, counted, warn};
use crate::trace;

/// How changes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Unified text; binary files in a line.
    Unified,
    /// Rows of bytes.
    Hex,
    /// A count a file.
    Stat,
    /// One JSON object a line.
    Json,
}

/// What was shown.
#[derive(Default)]
struct Told {
    /// Entries that differ.
    changed: u64,
    /// Contents that cannot be rebuilt.
    damaged: u64,
    /// Contents that were not recorded.
    missing: u64,
    /// Of those, ones that were left out on purpose.
    omitted: u64,
    /// Entries with masked parts.
    redacted: u64,
    /// Lines that hold control bytes or are not UTF-8, and so are shown escaped.
    escaped: u64,
    /// For `--stat`.
    stats: Stats,
}

/// Runs the command.
///
/// # Errors
/// No such instant or path, or a trace that cannot be read.
pub(crate) fn run(args: &cli::Diff, config: &Config) -> Result<ExitCode, CliError> {
    let (from, to) = (config::when(&args.from)?, config::when(&args.to)?);
    let store = trace::open(config, "diff")?;
    let reader = trace::session(&store, args.session)?;
    let span = (trace::seq_of(&reader, &from)?, trace::seq_of(&reader, &to)?);
    let mut output = Output::new(config);
    let mut job = Job {
        reader: &reader,
        form: form(args),
        context: args.context,
        output: &mut output,
        told: Told::default(),
    };
    let (before, after) = (reader.snapshot(span.0)?, reader.snapshot(span.1)?);
    let scope = Scope::new(&reader, args, &before, &after)?;
    let shown = job.show_all(&before, &after, &scope);
    let told = job.told;
    let differs = args.exit_code && told.changed > 0;
    // Whoever stops reading has seen a difference, and the status says so all the same.
    match shown.and_then(|()| output.finish()) {
        Err(error) if error.is_closed_pipe() && differs => return Ok(ExitCode::from(1)),
        result => result?,
    }
    told.warn();
    trace::warn_if_unsealed(&reader);
    Ok(ExitCode::from(u8::from(differs || told.damaged > 0)))
}

/// Prints every change between two events, as `diff` does by default.
///
/// # Errors
/// A trace that cannot be read, or those of `output`.
pub(crate) fn print_between(
    reader: &SessionReader<'_>,
    from: Seq,
    to: Seq,
    output: &mut Output,
) -> Result<(), CliError> {
    let mut job = Job {
        reader,
        form: Form::Unified,
        context: 3,
        output,
        told: Told::default(),
    };
    let (before, after) = (reader.snapshot(from)?, reader.snapshot(to)?);
    job.show_all(&before, &after, &Scope::default())
}

fn form(args: &cli::Diff) -> Form {
    match (args.hex, args.stat, args.json) {
        (true, ..) => Form::Hex,
        (_, true, _) => Form::Stat,
        (.., true) => Form::Json,
        _ => Form::Unified,
    }
}

/// The paths that were asked for; none means all.
#[derive(Default)]
struct Scope(Vec<TracePath>);

impl Scope {
    /// # Errors
    /// A path that is there at neither instant.
    fn new(
        reader: &SessionReader<'_>,
        args: &cli::Diff,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Result<Self, CliError> {
        let path = |path| trace::trace_path(reader.session(), path);
        let paths: Vec<TracePath> = args.path.iter().map(|given| path(given)).collect();
        for path in &paths {
            if before.find(path).is_none() && after.find(path).is_none() {
                let when = format!("{} and {}", args.from, args.to);
                return Err(near::no_such_path(reader, path, after.seq(), &when));
            }
        }
        Ok(Self(paths))
    }

    fn holds(&self, pair: &Pair<'_>) -> bool {
        let below = |path: &[u8], top: &[u8]| match path.strip_prefix(top) {
            Some(rest) => top.is_empty() || rest.is_empty() || rest.starts_with(b"/"),
            None => false,
        };
        let mut names = pair.paths();
        self.0.is_empty() || names.any(|path| self.0.iter().any(|top| below(path, top)))
    }
}

/// The work and what it shows.
struct Job<'a, 's> {
    reader: &'a SessionReader<'s>,
    form: Form,
    context: usize,
    output: &'a mut Output,
    told: Told,
}

impl Job<'_, '_> {
    fn show_all(
        &mut self,
        before: &Snapshot,
        after: &Snapshot,
        scope: &Scope,
    ) -> Result<(), CliError> {
        for pair in pair::pairs(before, after) {
            if scope.holds(&pair) {
                self.show(&pair)?;
            }
        }
        if self.form == Form::Stat {
            self.told.stats.write(self.output)?;
        }
        Ok(())
    }

    fn show(&mut self, pair: &Pair<'_>) -> Result<(), CliError> {
        self.told.changed += 1;
        self.told.redacted += u64::from(pair.is_masked());
        let (mut old, mut new) = (Side::new(pair.before), Side::new(pair.after));
        if !pair.same_content() {
            old.load(self.reader);
            new.load(self.reader);
        }
        for side in [&old, &new] {
            match &side.body {
                Body::Damaged(_) => self.told.damaged += 1,
                Body::Missing(reason) => {
                    self.told.missing += 1;
                    self.told.omitted += u64::from(*reason == MissingReason::Omitted);
                }
                _ => {}
            }
        }
        match self.form {
            Form::Unified => self.show_unified(pair, &mut old, &mut new),
            Form::Hex => self.show_hex(pair, &mut old, &mut new),
            Form::Stat => self.told.stats.add(pair, &mut old, &mut new),
            Form::Json => {
                let object = listing::object(pair, &mut old, &mut new)?;
                Ok(object.write(self.output)?)
            }
        }
    }

    fn show_unified(
        &mut self,
        pair: &Pair<'_>,
        old: &mut Side<'_>,
        new: &mut Side<'_>,
    ) -> Result<(), CliError> {
        head::write(pair, self.output)?;
        if pair.same_content() {
            return Ok(());
        }
        match (old.text(), new.text()) {
            // Directories, and files that are empty on both sides, have no lines to show;
            // `patch` would make a file of the names.
            (Some(before), Some(after)) if before == after => Ok(()),
            (Some(before), Some(after)) => {
                head::write_names(pair, self.output)?;
                let escaped = text::write(before, after, self.context, self.output)?;
                self.told.escaped += escaped;
                Ok(())
            }
            _ => binary::write(pair, ("Binary file", old, new), self.output),
        }
    }

    fn show_hex(
        &mut self,
        pair: &Pair<'_>,
        old: &mut Side<'_>,
        new: &mut Side<'_>,
    ) -> Result<(), CliError> {
        head::write(pair, self.output)?;
        if pair.same_content() {
            return Ok(());
        }
        binary::write(pair, ("File", old, new), self.output)?;
        if old.is_known() && new.is_known() {
            hex::write(old, new, self.context, self.output)?;
        }
        Ok(())
    }
}

impl Told {
    fn warn(&self) {
        if self.escaped > 0 {
            let lines = counted(self.escaped, "line");
            warn(format_args!(
                "{lines} shown escaped (control bytes, or not UTF-8); `diffkeeper show` gives the bytes"
            ));
        }
        if self.redacted > 0 {
            let changes = counted(self.redacted, "change");
            warn(format_args!(
                "{changes} redacted: parts were masked when they were recorded"
            ));
        }
        if self.missing > 0 {
            let contents = counted(self.missing, "content");
            warn(format_args!("{contents} not recorded"));
        }
        if self.omitted > 0 {
            warn(format_args!(
                "{} of these left out by a thin pack or a size limit: `diffkeeper export --from DIR` \
                 makes the tree before and the one after of a directory that has them",
                self.omitted
            ));
        }
        if self.damaged > 0 {
            let contents = counted(self.damaged, "content");
            warn(format_args!(
                "the trace is damaged: {contents} cannot be rebuilt"
            ));
        }
    }
}

/// `a/path`, escaped.
fn named(prefix: &str, path: &[u8]) -> String {
    format!("{prefix}/{}", escape(path))
}

#[cfg(test)]
mod tests;
