//! Every way in which a command can fail, as the user meets it: one line, a hint, an exit
//! status. The errors of the libraries become this in one place.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use diffkeeper_recorder::RecordError;
use diffkeeper_recorder::launch::LaunchError;
use diffkeeper_store::filter::FilterError;
use diffkeeper_store::model::MissingReason;
use diffkeeper_store::when::WhenError;
use diffkeeper_store::{ContentError, DbError, StateDirError, StoreError};

use crate::output::{path_text, plain};

/// What kind of failure, which decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The trace answers, and the answer is no: damage, or a content nobody recorded.
    Negative,
    /// The request cannot be met as it was put.
    Refused,
    /// The recorder that served the trace has ended meanwhile.
    RecorderGone,
    /// The recorder failed before the command ran.
    Recorder,
    /// The command could not be run: the status that a shell would report.
    NotRun(u8),
    /// The reader of stdout has gone: it had all that it wanted.
    ClosedPipe,
}

impl Kind {
    /// The exit status. A closed pipe is no failure, so that `diffkeeper timeline | head`
    /// is none either under `set -o pipefail`.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Negative => 1,
            Self::Refused | Self::RecorderGone => 2,
            Self::Recorder => 125,
            Self::NotRun(status) => status,
        }
    }
}

/// A failure with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CliError {
    /// What kind.
    pub(crate) kind: Kind,
    /// One line: what is wrong.
    pub(crate) message: String,
    /// One line: what to do about it.
    pub(crate) hint: Option<String>,
}

impl CliError {
    /// A request that cannot be met.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// A negative answer.
    pub(crate) fn negative(message: impl Into<String>) -> Self {
        Self::new(Kind::Negative, message)
    }

    /// A failure of the recorder before the command ran.
    pub(crate) fn recorder(message: impl Into<String>) -> Self {
        Self::new(Kind::Recorder, message)
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn hint_if(self, condition: bool, hint: &str) -> Self {
        if condition { self.hint(hint) } else { self }
    }

    /// Says what the failure was about: `what: message`.
    pub(crate) fn about(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Whether the recorder that served the trace has ended meanwhile.
    pub(crate) fn is_recorder_gone(&self) -> bool {
        self.kind == Kind::RecorderGone
    }

    /// Whether the reader of stdout has gone.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.kind == Kind::ClosedPipe
    }

    /// Tells the user, and gives the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.is_closed_pipe() {
            // There is nobody left to tell if stderr fails.
            let _ = write!(io::stderr(), "{self}");
        }
        ExitCode::from(self.kind.status())
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "diffkeeper: {}", plain(&self.message))?;
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {}", plain(hint)),
            None => Ok(()),
        }
    }
}

const VERIFY: &str = "`diffkeeper verify` lists all damage; the rest can still be read";

const REPAIR: &str = "`diffkeeper verify --repair` keeps a copy and makes what is whole readable";

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::StateDir(error) => error.into(),
            StoreError::Db(error) => error.into(),
            StoreError::Content(error) => error.into(),
            StoreError::NoSuchSession { .. } => {
                Self::usage(message).hint("`diffkeeper sessions` lists them")
            }
            StoreError::Empty => {
                Self::usage(message).hint("record one with: diffkeeper record -- CMD")
            }
            StoreError::NoBaseline(_) => {
                Self::negative(message).hint("`diffkeeper timeline` shows what it saw")
            }
            StoreError::BeforeStart { .. } => {
                Self::usage(message).hint("`diffkeeper sessions` says where each one starts")
            }
            StoreError::NoRoom { .. } => Self::usage(message)
                .hint("remove something else first, or move the state directory to a larger disk"),
            StoreError::Lost(_) => Self::negative(message).hint(REPAIR),
            // All others are damage of some record.
            _ => Self::negative(message).hint(VERIFY),
        }
    }
}

impl From<StateDirError> for CliError {
    fn from(error: StateDirError) -> Self {
        match &error {
            StateDirError::Absent(path) => {
                Self::usage(format!("no such state directory: {}", path_text(path)))
                    .hint("record with `diffkeeper record -- CMD`, or name one with --state-dir")
            }
            StateDirError::Foreign(path) => {
                Self::usage(format!("not a diffkeeper store: {}", path_text(path)))
                    .hint("--state-dir takes a directory that `diffkeeper record` made")
            }
            StateDirError::Newer { path, found } => Self::usage(format!(
                "{} has a newer format: {found}, and this program knows {}",
                path_text(path),
                diffkeeper_store::FORMAT_VERSION
            ))
            .hint("read it with a newer diffkeeper"),
            StateDirError::Locked { path, holder } => locked(path, holder),
            StateDirError::Io { path, source } => at_path(path, source),
        }
    }
}

/// `holder` is what the lock file says: the purpose and the pid.
fn locked(path: &Path, holder: &str) -> CliError {
    let who = match holder {
        "" => "another process".to_owned(),
        holder if holder.starts_with("record ") => format!("a running recorder: {holder}"),
        holder => holder.to_owned(),
    };
    CliError::usage(format!("{} is locked by {who}", path_text(path)))
        .hint("it is free once that process has ended")
}

/// A failure of the filesystem.
pub(crate) fn at_path(path: &Path, source: &io::Error) -> CliError {
    CliError::usage(format!("{}: {source}", path_text(path)))
}

impl From<DbError> for CliError {
    fn from(error: DbError) -> Self {
        let full = error.is_disk_full();
        let message = error.to_string();
        match error {
            DbError::Io { path, source } => at_path(&path, &source),
            _ if full => Self::usage(message).hint("the disk is full"),
            DbError::RecorderGone => Self::new(Kind::RecorderGone, message)
                .hint("ask again: a trace that is closed is read from its directory"),
            DbError::Checksum(_) | DbError::PackBlock(_) | DbError::PackLost => {
                Self::negative(message).hint(VERIFY)
            }
            _ => Self::negative(message).hint(REPAIR),
        }
    }
}

impl From<ContentError> for CliError {
    fn from(error: ContentError) -> Self {
        let message = error.to_string();
        match error {
            ContentError::Missing(MissingReason::Omitted) => Self::negative(message).hint(
                "a thin pack or a size limit left it out: `export` and `restore` take it with \
                 --from DIR from a directory that has it",
            ),
            ContentError::Missing(_) => {
                Self::negative(message).hint("`diffkeeper timeline` shows the gap beside it")
            }
            ContentError::Db(error) => error.into(),
            ContentError::Io(error) => error.into(),
            _ => Self::negative(message).hint(VERIFY),
        }
    }
}

/// Nothing was recorded, as the command has not run: whatever the cause, the status says
/// that the recorder failed, or why the command could not be run.
impl From<RecordError> for CliError {
    fn from(error: RecordError) -> Self {
        let message = error.to_string();
        match error {
            RecordError::Store(error) => into_a_store(error),
            RecordError::Launch(error) => Self::new(Kind::NotRun(error.exit_code()), message)
                .hint_if(
                    matches!(error, LaunchError::NotFound { .. }),
                    "is it in $PATH?",
                ),
            RecordError::Backend { .. } | RecordError::Source(_) => {
                Self::new(Kind::Recorder, message)
                    .hint("`diffkeeper doctor` says what works here and why")
            }
            RecordError::BringBack(error) => error.into(),
            RecordError::Unreadable { .. } => Self::new(Kind::Recorder, message)
                .hint("what cannot be read cannot be kept: give access to it, or --exclude it"),
            RecordError::Scope(_) | RecordError::Redact(_) => Self::new(Kind::Recorder, message),
        }
    }
}

/// To whoever records, a directory that is no store is one to stay out of.
fn into_a_store(error: StoreError) -> CliError {
    let foreign = matches!(error, StoreError::StateDir(StateDirError::Foreign(_)));
    let mut failure = CliError::from(error);
    failure.kind = Kind::Recorder;
    failure.hint_if(foreign, "--state-dir takes a new or empty directory")
}

impl From<WhenError> for CliError {
    fn from(error: WhenError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<FilterError> for CliError {
    fn from(error: FilterError) -> Self {
        Self::usage(error.to_string()).hint("`diffkeeper timeline --help` gives the grammar")
    }
}

/// Of stdout, as files are reported with [`at_path`].
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::ClosedPipe, error.to_string()),
            _ => Self::usage(format!("stdout: {error}")),
        }
    }
}

#[cfg(test)]
mod tests;
