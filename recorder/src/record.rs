//! `record`: one session from the baseline to the seal, around one command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded};
use diffkeeper_store::model::{
    Backend, Digest, ExitStatus, Op, Process, Progress as SessionProgress, Seal, Session, SessionId,
};
use diffkeeper_store::{Store, StoreError};

use crate::baseline::{self, BaselineError, Progress};
use crate::host;
use crate::launch::{self, Command, LaunchError, OutputMode, Running};
use crate::observation::Observation;
use crate::pipeline::{COMMAND, Control, Inputs, Pipeline};
use crate::probe;
use crate::recording::{Recording, made_up_top, node_of};
use crate::scope::{Scope, ScopeError};
use crate::source::{Notify, Source, SourceError};
use crate::tree::Tree;

/// Observations that may wait for the pipeline.
const QUEUE: usize = 64 * 1024;
/// Pieces of output that may wait; the command waits with them.
const OUTPUT_QUEUE: usize = 1024;
/// How long the source may take to deliver what has happened.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);
/// Scans recurse once per level of the tree.
const STACK: usize = 64 << 20;

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
}

/// How a recording went.
#[derive(Debug)]
pub struct Outcome {
    /// The session's number.
    pub session: SessionId,
    /// How the command ended.
    pub status: ExitStatus,
    /// What was recorded.
    pub progress: Option<SessionProgress>,
    /// The tier that recorded.
    pub backend: Backend,
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
    /// A tier was asked for that is not to be had.
    #[error("the {} backend is not available: {reason}", backend.word())]
    Backend {
        /// What was asked for.
        backend: Backend,
        /// Why not.
        reason: &'static str,
    },
}

/// Why the tier that `auto` takes is the best one.
pub const AUTO_REASON: &str =
    "this version captures through file notifications; kernel tiers are not part of it yet";

/// Records a command.
///
/// # Errors
/// What kept the recording from beginning. Faults after that stand in the outcome.
pub fn record(options: Options, progress: &dyn Progress) -> Result<Outcome, RecordError> {
    let prepared = launch::prepare()?;
    let scope = Arc::new(Scope::new(
        &options.watch,
        &options.state_dir,
        &options.exclude,
    )?);
    let reason = check_backend(options.backend)?;
    let store = Store::create(&options.state_dir, "record")?;
    let mut source = Notify::new(options.state_dir.join("canary"));
    let (sink, facts) = bounded(QUEUE);
    source.start(scope.clone(), sink)?;
    let id = store.next_session()?;
    let backend = source.backend();
    let mut session = host::session(id, &options.argv, &scope, (backend, reason));
    let writer = store.begin(&session)?;
    let tree = Tree::new(scope.clone(), top(&scope));
    let mut recording = Recording::new(&store, scope, tree, writer);
    let interrupted = || prepared.interrupted().is_some();
    match baseline::scan(&mut recording, progress, &interrupted) {
        Ok(()) => {}
        Err(BaselineError::Store(error)) => return Err(error.into()),
        Err(BaselineError::Interrupted) => {
            let signal = prepared.interrupted().unwrap_or(2);
            return Err(LaunchError::Interrupted(signal).into());
        }
    }
    session.start_monotonic = crate::observation::monotonic();
    session.start_wall = host::unix_time(SystemTime::now());
    recording.zero = session.start_monotonic;
    recording.writer.restate(&session)?;
    let (control, controls) = bounded(OUTPUT_QUEUE);
    let output = if options.output {
        OutputMode::Tee(tee(control.clone()))
    } else {
        OutputMode::Inherit
    };
    let command = Command {
        argv: options.argv.clone(),
        cwd: None,
        output,
    };
    let running = match prepared.spawn(command) {
        Ok(running) => running,
        Err(error) => {
            let status = ExitStatus::Code(i32::from(error.exit_code()));
            let _ = seal(recording, status, Vec::new());
            source.stop();
            let _ = store.close();
            return Err(error.into());
        }
    };
    let run = Run {
        argv: &options.argv,
        running,
        source: &mut source,
        control,
        progress,
    };
    let (status, end) = run.to_end(&mut recording, (facts, controls));
    source.stop();
    let outcome = finish(recording, &session, status, end);
    close(store, outcome, progress)
}

/// A kernel tier that was asked for by name is never silently replaced.
fn check_backend(wanted: Option<Backend>) -> Result<&'static str, RecordError> {
    match wanted {
        None => Ok(AUTO_REASON),
        Some(Backend::Notify) => Ok("asked for"),
        Some(backend) => Err(RecordError::Backend {
            backend,
            reason: AUTO_REASON,
        }),
    }
}

fn top(scope: &Scope) -> diffkeeper_store::model::Node {
    let [root] = scope.roots() else {
        return made_up_top();
    };
    let stat = probe::stat(&root.path).ok().flatten();
    let parts = stat.and_then(|stat| probe::node(&root.path, &stat).ok().flatten());
    match (stat, parts) {
        (Some(stat), Some(parts)) => node_of(&stat, parts),
        _ => made_up_top(),
    }
}

fn tee(control: Sender<Control>) -> launch::Sink {
    Box::new(move |monotonic, stream, bytes| {
        let stream = match stream {
            launch::Stream::Stdout => diffkeeper_store::model::Stream::Stdout,
            launch::Stream::Stderr => diffkeeper_store::model::Stream::Stderr,
        };
        let bytes = bytes.to_vec();
        // The pipeline may have failed; the output still reaches its reader.
        let _ = control.send(Control::Output {
            monotonic,
            stream,
            bytes,
        });
    })
}

/// A command under way.
struct Run<'r> {
    argv: &'r [OsString],
    running: Running,
    source: &'r mut dyn Source,
    control: Sender<Control>,
    progress: &'r dyn Progress,
}

impl Run<'_> {
    /// Waits for the command while the pipeline works, then lets that finish.
    fn to_end(
        mut self,
        recording: &mut Recording<'_>,
        (facts, controls): (Receiver<Observation>, Receiver<Control>),
    ) -> (ExitStatus, Result<(), String>) {
        let process = host::command(self.running.pid(), self.argv);
        let progress = self.progress;
        let (reconciled, done) = bounded(1);
        let inputs = Inputs {
            facts,
            control: controls,
            reconciled,
        };
        std::thread::scope(|scope| {
            let pipeline = || {
                let result = pipeline(recording, inputs, &process);
                if let Err(text) = &result {
                    progress.fault(text);
                }
                result
            };
            let thread = std::thread::Builder::new()
                .name("pipeline".into())
                .stack_size(STACK)
                .spawn_scoped(scope, pipeline);
            let status = self.wait(&done);
            let end = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err("it panicked".into())),
                Err(error) => Err(format!("cannot start a thread: {error}")),
            };
            (status, end)
        })
    }

    fn wait(&mut self, reconciled: &Receiver<()>) -> ExitStatus {
        let (status, monotonic) = match self.running.wait() {
            Ok(exit) => (exit_status(exit.status), exit.ended_ns),
            Err(error) => {
                let text = format!("cannot wait for the command: {error}");
                self.progress.fault(&text);
                (ExitStatus::Code(125), crate::observation::monotonic())
            }
        };
        let token = self.sync();
        let _ = self.control.send(Control::Ended {
            token,
            status,
            monotonic,
        });
        if reconciled.recv().is_ok() {
            let token = self.sync();
            let _ = self.control.send(Control::Settled { token });
        }
        status
    }

    fn sync(&mut self) -> Option<u64> {
        match self.source.sync(SYNC_TIMEOUT) {
            Ok(token) => Some(token),
            Err(error) => {
                self.progress.fault(&error.to_string());
                None
            }
        }
    }
}

fn exit_status(status: launch::ExitStatus) -> ExitStatus {
    match status {
        launch::ExitStatus::Code(code) => ExitStatus::Code(i32::from(code)),
        launch::ExitStatus::Signal(signal) => ExitStatus::Signal(signal),
    }
}

fn pipeline(
    recording: &mut Recording<'_>,
    inputs: Inputs,
    process: &Process,
) -> Result<(), String> {
    recording.writer.process(COMMAND, process);
    let started = recording.timestamp(recording.zero);
    recording
        .emit_of(COMMAND, started, Op::Exec)
        .and_then(|_| Pipeline::new(recording, inputs).run(process))
        .map_err(|error| error.to_string())
}

fn seal(
    recording: Recording<'_>,
    status: ExitStatus,
    faults: Vec<Vec<u8>>,
) -> Result<SessionProgress, StoreError> {
    let end = recording.now();
    recording.writer.seal(Seal {
        end,
        end_wall: host::unix_time(SystemTime::now()),
        status,
        root: Digest::of(b""),
        faults,
    })
}

fn finish(
    recording: Recording<'_>,
    session: &Session,
    status: ExitStatus,
    end: Result<(), String>,
) -> Outcome {
    let mut faults: Vec<String> = end.err().into_iter().collect();
    let told = faults
        .iter()
        .map(|text| text.clone().into_bytes())
        .collect();
    let progress = match seal(recording, status, told) {
        Ok(progress) => Some(progress),
        Err(error) => {
            faults.push(error.to_string());
            None
        }
    };
    Outcome {
        session: session.id,
        status,
        progress,
        backend: session.backend,
        faults,
    }
}

fn close(
    store: Store,
    mut outcome: Outcome,
    progress: &dyn Progress,
) -> Result<Outcome, RecordError> {
    if let Err(error) = store.close() {
        let text = error.to_string();
        progress.fault(&text);
        outcome.faults.push(text);
    }
    Ok(outcome)
}
