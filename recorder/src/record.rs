//! `record`: one session from the baseline to the seal, around one command.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Sender;
use diffkeeper_store::model::{
    Backend, ExitStatus, GapReason, Op, Progress as SessionProgress, Seal, Session, SessionId,
};
use diffkeeper_store::{Durability, Store, StoreError, conclude};

use crate::baseline::{self, BaselineError, Progress};
use crate::bring_back::{BringBack, BringBackError, bring_back};
use crate::host;
use crate::keep::Keep;
use crate::launch::{self, Caller, Command, HeldBack, LaunchError, OutputMode, Prepared, Running};
use crate::live;
use crate::pipeline::Control;
use crate::priority::GivesWay;
use crate::recording::Recording;
use crate::redact::{RedactError, Redaction, Redactor, Rules, Words};
use crate::run::{Channels, Run, finish, seal};
use crate::scope::{Scope, ScopeError};
use crate::source::{Source, SourceError, Wishes};
use crate::tier::{self, Chosen};
use crate::tree::Tree;

/// What is to be recorded and how.
pub struct Options {
    /// The command with its arguments.
    pub argv: Vec<OsString>,
    /// Where the trace is kept.
    pub state_dir: PathBuf,
    /// The directories to record.
    pub watch: Vec<PathBuf>,
    /// Patterns to leave out.
    pub exclude: Vec<String>,
    /// The tier that was asked for; `None` takes the best that works.
    pub backend: Option<Backend>,
    /// Whether to record what the command prints.
    pub output: bool,
    /// What a kernel tier is to tell.
    pub wishes: Wishes,
    /// What is to survive what.
    pub durability: Durability,
    /// Contents of files above this length are left out, bytes.
    pub max_file: Option<u64>,
    /// How much history stays; all of it if that is not said.
    pub keep: Option<Keep>,
    /// Whether secrets are masked, and which.
    pub redact: Option<Rules>,
    /// Whether, and how, the directory is first brought back to its newest exact state.
    /// There must be one directory then, and all of it must be readable.
    pub bring_back: Option<BringBack>,
}

impl Options {
    /// An agent that brings states back is to have them.
    fn gives_way(&self) -> GivesWay {
        match self.bring_back {
            Some(_) => GivesWay::Nobody,
            None => GivesWay::Trace,
        }
    }
}

/// How a recording went.
#[derive(Debug)]
pub struct Outcome {
    /// The session's number.
    pub session: SessionId,
    /// How the command ended.
    pub status: ExitStatus,
    /// What was recorded; `None` if even that could not be written.
    pub progress: Option<SessionProgress>,
    /// The tier that recorded.
    pub backend: Backend,
    /// The seal that could not be written.
    pub(crate) unwritten: Option<Seal>,
    /// Faults of the recorder; the trace may lack what came after the first.
    pub faults: Vec<String>,
}

/// Why a recording did not begin. The command has not run.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// What was to be watched cannot be.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The trace cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be observed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The command cannot be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The directory cannot be brought back.
    #[error(transparent)]
    BringBack(#[from] BringBackError),
    /// Something could not be read that must be kept.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// Secrets cannot be masked.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// A tier was asked for that is not to be had.
    #[error("the {} backend is not available: {reason}", backend.word())]
    Backend {
        /// What was asked for.
        backend: Backend,
        /// Why not.
        reason: &'static str,
    },
}

/// Records a command.
///
/// # Errors
/// What kept the recording from beginning. Faults after that stand in the outcome.
pub fn record(options: &Options, progress: &dyn Progress) -> Result<Outcome, RecordError> {
    let prepared = launch::prepare()?;
    let caller = Caller::under_sudo();
    let program = options.argv.first().map_or(OsStr::new(""), |arg| arg);
    launch::check(program, caller.as_ref())?;
    let scope = Scope::new(&options.watch, &options.state_dir, &options.exclude)?;
    let scope = Arc::new(scope);
    let redaction = redaction(options, caller.as_ref())?;
    tier::check(options.backend)?;
    let store = open_store(options)?;
    if let Some(how) = options.bring_back {
        bring_back(&store, &scope, how, progress)?;
    }
    let Chosen {
        mut source,
        channels,
        reason,
    } = tier::choose(options, &scope)?;
    let source = source.as_mut();
    if options.backend.is_none() {
        progress.backend(source.backend(), &reason);
    }
    let id = store.next_session()?;
    let mut session = host::session(id, &options.argv, &scope, (source.backend(), &reason));
    if let Some(redaction) = &redaction {
        redaction.session(&mut session);
    }
    let owner = caller.clone();
    let recorded = live::served(&store, &options.state_dir, owner.as_ref(), || {
        let what = (options, scope, session, owner.clone());
        with_store(
            (&store, redaction),
            source,
            what,
            prepared,
            channels,
            progress,
        )
    });
    source.stop();
    let mut outcome = match recorded {
        Ok(outcome) => outcome,
        Err(error) => {
            let _ = store.close();
            return Err(error);
        }
    };
    let closed = match outcome.unwritten.take() {
        None => store.close(),
        Some(seal) => {
            // A store that has failed takes nothing more before it is opened again.
            drop(store);
            let id = outcome.session;
            conclude(&options.state_dir, id, &seal, GapReason::Store)
                .map(|progress| outcome.progress = Some(progress))
        }
    };
    if let Err(error) = closed {
        progress.fault(&error.to_string());
        outcome.faults.push(error.to_string());
    }
    if let Some(Err(error)) = caller.map(|caller| caller.own(&options.state_dir)) {
        progress.fault(&format!("the trace stays the superuser's: {error}"));
    }
    Ok(outcome)
}

fn with_store(
    (store, redaction): (&Store, Option<Redaction>),
    source: &mut dyn Source,
    (options, scope, mut session, caller): (&Options, Arc<Scope>, Session, Option<Caller>),
    prepared: Prepared,
    channels: Channels,
    progress: &dyn Progress,
) -> Result<Outcome, RecordError> {
    let mut writer = store.begin(&session)?;
    if redaction.is_some() {
        writer.declare_redacted();
    }
    let tree = Tree::new(scope.clone(), host::top(&scope));
    let mut recording = Recording::new(store, scope, tree, writer);
    recording.max_file = options.max_file.unwrap_or(u64::MAX);
    recording.redaction = redaction;
    recording.captured.widely = source.backend() == Backend::Fentry;
    let interrupted = || prepared.interrupted().is_some();
    let losses = match baseline::scan(&mut recording, progress, &interrupted) {
        Ok(losses) => losses,
        Err(BaselineError::Store(error)) => return Err(error.into()),
        Err(BaselineError::Interrupted) => {
            let signal = prepared.interrupted().unwrap_or(2);
            return Err(LaunchError::Interrupted(signal).into());
        }
    };
    if let (Some(_), Some((_, path, reason))) = (options.bring_back, losses.first()) {
        // What cannot be read cannot be brought back: better now than after a crash.
        let (path, reason) = (path.clone(), reason.word());
        return Err(RecordError::Unreadable { path, reason });
    }
    let control = channels.control.clone();
    let uid = caller.as_ref().map(Caller::uid);
    let mut running = match spawn(prepared, options, (control, source.held(), caller)) {
        Ok(running) => running,
        Err(error) => {
            let status = ExitStatus::Code(i32::from(error.exit_code()));
            seal(recording, status, &[])?;
            return Err(error.into());
        }
    };
    let begun = anchor(&mut recording, &mut session, running.started())
        .and_then(|()| baseline::report(&mut recording, losses));
    if let Err(error) = begun {
        progress.fault(&error.to_string());
    }
    progress.started(session.backend);
    let mut process = host::command(running.pid(), &options.argv);
    process.uid = uid.unwrap_or(process.uid);
    let run = Run {
        keep: options.keep,
        gives_way: options.gives_way(),
        source,
        progress,
        wait: &mut || wait(&mut running),
    };
    let (status, end) = run.complete(&mut recording, channels, &process);
    Ok(finish(recording, &session, status, end))
}

/// What is to be masked: the command sees the environment of the caller, or the recorder's.
fn redaction(options: &Options, caller: Option<&Caller>) -> Result<Option<Redaction>, RedactError> {
    let Some(rules) = &options.redact else {
        return Ok(None);
    };
    let words = Words::of(rules, std::env::vars_os());
    let of_caller = caller.map(|caller| Words::of(rules, caller.env().iter().cloned()));
    let words = words.and(of_caller.unwrap_or_default());
    let redactor = Redactor::new(words.all(), &rules.paths)?;
    Ok(Some(Redaction::new(redactor)))
}

/// Opens the store on a thread whose priority the store's own threads inherit.
fn open_store(options: &Options) -> Result<Store, StoreError> {
    std::thread::scope(|scope| {
        let open = || {
            options.gives_way().settle_this_thread();
            let mut store = Store::create(&options.state_dir, "record")?;
            store.set_durability(options.durability)?;
            Ok(store)
        };
        match scope.spawn(open).join() {
            Ok(store) => store,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The session starts with the command: times count from there.
fn anchor(
    recording: &mut Recording<'_>,
    session: &mut Session,
    start: launch::Start,
) -> Result<(), StoreError> {
    session.start_monotonic = start.monotonic_ns;
    session.start_wall = host::unix_time(start.wall);
    recording.zero = session.start_monotonic;
    recording.writer.restate(session)
}

fn spawn(
    prepared: Prepared,
    options: &Options,
    (control, held, caller): (Sender<Control>, HeldBack, Option<Caller>),
) -> Result<Running, LaunchError> {
    let output = if options.output {
        OutputMode::Tee(tee(control))
    } else {
        OutputMode::Inherit
    };
    prepared.spawn(Command {
        argv: options.argv.clone(),
        cwd: None,
        output,
        held,
        caller,
    })
}

fn tee(control: Sender<Control>) -> launch::Sink {
    Box::new(move |monotonic, stream, bytes| {
        let stream = match stream {
            launch::Stream::Stdout => diffkeeper_store::model::Stream::Stdout,
            launch::Stream::Stderr => diffkeeper_store::model::Stream::Stderr,
        };
        for piece in bytes.chunks(Op::MAX_OUTPUT) {
            let bytes = piece.to_vec();
            // The pipeline may have failed; the output still reaches its reader.
            let _ = control.send(Control::Output {
                monotonic,
                stream,
                bytes,
            });
        }
    })
}

fn wait(running: &mut Running) -> std::io::Result<(ExitStatus, u64)> {
    let exit = running.wait()?;
    let status = match exit.status {
        launch::ExitStatus::Code(code) => ExitStatus::Code(i32::from(code)),
        launch::ExitStatus::Signal(signal) => ExitStatus::Signal(signal),
    };
    Ok((status, exit.ended_ns))
}
