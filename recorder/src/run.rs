//! The run: the command under way on one thread, the pipeline on another, and the
//! messages by which they finish together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded};
use diffkeeper_store::StoreError;
use diffkeeper_store::model::{
    Digest, ExitStatus, Op, Process, Progress as SessionProgress, Seal, Session,
};

use crate::baseline::Progress;
use crate::host;
use crate::keep::Keep;
use crate::observation::{Observation, monotonic};
use crate::pipeline::{COMMAND, Control, Inputs, Pipeline};
use crate::priority::{GivesWay, defer_this_thread};
use crate::record::Outcome;
use crate::recording::Recording;
use crate::refinery::Refinery;
use crate::scope::Scope;
use crate::source::{Source, SourceError};

/// Observations that may wait for the pipeline.
const QUEUE: usize = 16 * 1024;
/// Pieces of output that may wait; the command waits with them.
const OUTPUT_QUEUE: usize = 1024;
/// How long the source may take to deliver what has happened.
const SYNC_TIMEOUT: Duration = Duration::from_secs(300);
/// The canary at the start must come through within this time.
const CANARY_TIMEOUT: Duration = Duration::from_secs(10);
/// Scans recurse once per level of the tree.
const STACK: usize = 64 << 20;

/// The channels of a recording.
pub(crate) struct Channels {
    pub(crate) facts: Receiver<Observation>,
    pub(crate) control: Sender<Control>,
    pub(crate) controls: Receiver<Control>,
}

impl Channels {
    /// Starts a source and proves with a canary that it delivers.
    pub(crate) fn start(source: &mut dyn Source, scope: &Arc<Scope>) -> Result<Self, SourceError> {
        let (sink, facts) = bounded(QUEUE);
        std::thread::scope(|threads| {
            let start = || {
                defer_this_thread();
                source.start(scope.clone(), sink)
            };
            match threads.spawn(start).join() {
                Ok(started) => started,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        source.sync(CANARY_TIMEOUT)?;
        let (control, controls) = bounded(OUTPUT_QUEUE);
        Ok(Self {
            facts,
            control,
            controls,
        })
    }
}

/// A command under way.
pub(crate) struct Run<'r> {
    /// How much history stays.
    pub(crate) keep: Option<Keep>,
    pub(crate) gives_way: GivesWay,
    pub(crate) source: &'r mut dyn Source,
    pub(crate) progress: &'r dyn Progress,
    /// Waits for the command: its status and when it ended, CLOCK_MONOTONIC ns.
    pub(crate) wait: &'r mut dyn FnMut() -> std::io::Result<(ExitStatus, u64)>,
}

impl Run<'_> {
    /// Waits for the command while the pipeline works, then lets that finish. Gives the
    /// command's status and the pipeline's end.
    pub(crate) fn complete(
        mut self,
        recording: &mut Recording<'_>,
        channels: Channels,
        process: &Process,
    ) -> (ExitStatus, Result<(), String>) {
        let (progress, keep, gives_way) = (self.progress, self.keep, self.gives_way);
        let (reconciled, done) = bounded(1);
        let inputs = Inputs {
            progress,
            facts: channels.facts,
            control: channels.controls,
            reconciled,
        };
        std::thread::scope(|scope| {
            let pipeline = || {
                gives_way.settle_this_thread();
                let result = pipeline(recording, inputs, process, keep);
                if let Err(text) = &result {
                    progress.fault(text);
                }
                result
            };
            let thread = std::thread::Builder::new()
                .name("pipeline".into())
                .stack_size(STACK)
                .spawn_scoped(scope, pipeline);
            let status = self.wait(&channels.control, &done);
            let end = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err("it panicked".into())),
                Err(error) => Err(format!("cannot start a thread: {error}")),
            };
            (status, end)
        })
    }

    fn wait(&mut self, control: &Sender<Control>, reconciled: &Receiver<()>) -> ExitStatus {
        let (status, ended) = match (self.wait)() {
            Ok(ended) => ended,
            Err(error) => {
                let text = format!("cannot wait for the command: {error}");
                self.progress.fault(&text);
                (ExitStatus::Code(125), monotonic())
            }
        };
        let token = self.sync();
        let _ = control.send(Control::Ended {
            token,
            status,
            monotonic: ended,
        });
        if reconciled.recv().is_ok() {
            let token = self.sync();
            let _ = control.send(Control::Settled { token });
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

fn pipeline(
    recording: &mut Recording<'_>,
    inputs: Inputs<'_>,
    process: &Process,
    keep: Option<Keep>,
) -> Result<(), String> {
    recording.process(COMMAND, process);
    recording.know_command(process);
    let started = recording.timestamp(recording.zero);
    let store = recording.store;
    std::thread::scope(|scope| {
        let refinery = Refinery::start(scope, store);
        recording
            .emit_of(COMMAND, started, Op::Exec)
            .and_then(|_| Pipeline::new(recording, refinery, inputs, keep).run(process))
    })
    .map_err(|error| error.to_string())
}

/// Ends a session in order.
pub(crate) fn seal(
    recording: Recording<'_>,
    status: ExitStatus,
    faults: &[String],
) -> Result<SessionProgress, StoreError> {
    let seal = seal_of(&recording, status, faults);
    recording.writer.seal(seal)
}

fn seal_of(recording: &Recording<'_>, status: ExitStatus, faults: &[String]) -> Seal {
    Seal {
        end: recording.now(),
        end_wall: host::unix_time(SystemTime::now()),
        status,
        root: Digest::of(b""),
        faults: faults.iter().map(|text| recording.masked(text)).collect(),
    }
}

/// Seals a session whose command has run, and says how it went.
pub(crate) fn finish(
    recording: Recording<'_>,
    session: &Session,
    status: ExitStatus,
    end: Result<(), String>,
) -> Outcome {
    let mut faults: Vec<String> = end.err().into_iter().collect();
    let seal = seal_of(&recording, status, &faults);
    let (progress, unwritten) = match recording.writer.seal(seal.clone()) {
        Ok(progress) => (Some(progress), None),
        Err(error) => {
            faults.push(error.to_string());
            (None, Some(seal))
        }
    };
    Outcome {
        session: session.id,
        status,
        progress,
        unwritten,
        backend: session.backend,
        faults,
    }
}
