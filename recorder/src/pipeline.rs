//! The pipeline's thread: takes observations and the command's output in order, keeps
//! the commits coming, and finishes the recording when the command has ended.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use diffkeeper_store::StoreError;
use diffkeeper_store::model::{ExitStatus, Op, Process, ProcessId, Stream};

use crate::baseline::{Committed, Progress};
use crate::keep::{self, Keep, Keeper};
use crate::observation::{Fact, Observation};
use crate::reconcile::paths_of;
use crate::recording::Recording;
use crate::refinery::Refinery;
use crate::rest::Rest;

/// An event is committed at the latest this long after it was recorded.
const COMMIT_INTERVAL: Duration = Duration::from_millis(50);
/// So many waiting observations make the recording busy.
const BUSY: usize = 1000;

/// The command itself, the first process of every session.
pub(crate) const COMMAND: ProcessId = ProcessId(1);

/// What reaches the pipeline beside observations.
pub(crate) enum Control {
    /// The command wrote to one of its streams.
    Output {
        monotonic: u64,
        stream: Stream,
        bytes: Vec<u8>,
    },
    /// The command has ended; everything it did stands before this token in the facts
    /// (if the source could still say so).
    Ended {
        token: Option<u64>,
        status: ExitStatus,
        monotonic: u64,
    },
    /// The same for what was announced during the reconcile.
    Settled { token: Option<u64> },
}

/// The ends of the channels that the pipeline reads.
pub(crate) struct Inputs<'p> {
    /// Follows what is done.
    pub(crate) progress: &'p dyn Progress,
    pub(crate) facts: Receiver<Observation>,
    pub(crate) control: Receiver<Control>,
    /// Told when the reconcile is done and `Control::Settled` is awaited.
    pub(crate) reconciled: Sender<()>,
}

/// Why a phase of the pipeline ended.
enum Ending {
    Ended {
        status: ExitStatus,
        monotonic: u64,
    },
    Settled,
    /// Whoever controls the pipeline is gone.
    Abandoned,
}

pub(crate) struct Pipeline<'r, 's> {
    recording: &'r mut Recording<'s>,
    refinery: Refinery<'r>,
    inputs: Inputs<'r>,
    last_commit: Instant,
    /// Paths of the facts since the reconcile; `None` before it.
    announced: Option<HashSet<PathBuf>>,
    /// What bounds the history, if anything does.
    keeper: Option<Keeper>,
    rest: Rest,
    /// The last token that stood in the facts.
    synced: Option<u64>,
}

impl<'r, 's> Pipeline<'r, 's> {
    pub(crate) fn new(
        recording: &'r mut Recording<'s>,
        refinery: Refinery<'r>,
        inputs: Inputs<'r>,
        keep: Option<Keep>,
    ) -> Self {
        Self {
            keeper: keep.map(Keeper::new),
            rest: Rest::new(),
            recording,
            refinery,
            inputs,
            last_commit: Instant::now(),
            announced: None,
            synced: None,
        }
    }

    /// Runs until the recording is complete and committed.
    pub(crate) fn run(mut self, command: &Process) -> Result<(), StoreError> {
        if let Ending::Ended { status, monotonic } = self.phase()? {
            self.exited(command, status, monotonic)?;
        }
        self.announced = Some(HashSet::new());
        let found = self.recording.reconcile()?;
        self.recording.writer.commit()?;
        if self.inputs.reconciled.send(()).is_ok() {
            self.phase()?;
        }
        self.recording.read_deferred(true)?;
        let announced = self.announced.take().unwrap_or_default();
        self.recording.report_unannounced(found, &announced)?;
        self.recording.writer.commit()?;
        self.refinery.finish(&mut self.recording.writer);
        self.recording.writer.commit()?;
        if let Some(keeper) = &mut self.keeper {
            keeper.hurry();
        }
        keep::bound(&mut self.keeper, self.recording, self.inputs.progress);
        Ok(())
    }

    fn exited(
        &mut self,
        command: &Process,
        status: ExitStatus,
        monotonic: u64,
    ) -> Result<(), StoreError> {
        self.recording.flush_all()?;
        self.recording.read_deferred(true)?;
        let ended = Process {
            exit: Some(status),
            ..command.clone()
        };
        self.recording.process(COMMAND, &ended);
        let time = self.recording.timestamp(monotonic);
        let command = self.recording.command_now();
        self.recording
            .emit_of(command, time, Op::Exit(status))
            .map(drop)
    }

    /// Takes what comes until a control message ends the phase and its token has come.
    fn phase(&mut self) -> Result<Ending, StoreError> {
        loop {
            let facts = self.inputs.facts.clone();
            let control = self.inputs.control.clone();
            select! {
                recv(facts) -> observation => match observation {
                    Ok(observation) => self.observe(observation)?,
                    Err(_) => return self.await_control(),
                },
                recv(control) -> message => match message {
                    Ok(message) => if let Some(ending) = self.control(message)? {
                        return Ok(ending);
                    },
                    Err(_) => return Ok(Ending::Abandoned),
                },
                default(self.patience()) => {}
            }
            self.tick()?;
        }
    }

    /// The source is gone: only control messages can come.
    fn await_control(&mut self) -> Result<Ending, StoreError> {
        while let Ok(message) = self.inputs.control.recv() {
            if let Some(ending) = self.control(message)? {
                return Ok(ending);
            }
        }
        Ok(Ending::Abandoned)
    }

    fn observe(&mut self, observation: Observation) -> Result<(), StoreError> {
        tracing::trace!(at = observation.monotonic, fact = ?observation.fact);
        if let Fact::Synced(token) = observation.fact {
            self.synced = Some(token);
        }
        if let Some(announced) = &mut self.announced {
            announced.extend(paths_of(&observation.fact).cloned());
            if let Fact::Record(bytes) = &observation.fact {
                announced.extend(self.recording.paths_of_record(bytes));
            }
        }
        self.recording.busy = self.inputs.facts.len() > BUSY;
        let (kind, begun) = (observation.fact.word(), Instant::now());
        self.recording.apply(observation)?;
        let waiting = self.inputs.facts.len();
        self.inputs
            .progress
            .captured(kind, begun.elapsed(), waiting);
        Ok(())
    }

    fn control(&mut self, message: Control) -> Result<Option<Ending>, StoreError> {
        match message {
            Control::Output {
                monotonic,
                stream,
                bytes,
            } => {
                let time = self.recording.timestamp(monotonic);
                self.recording.print((COMMAND, time), stream, bytes)?;
                Ok(None)
            }
            Control::Ended {
                token,
                status,
                monotonic,
            } => {
                self.drain_to(token)?;
                Ok(Some(Ending::Ended { status, monotonic }))
            }
            Control::Settled { token } => {
                self.drain_to(token)?;
                Ok(Some(Ending::Settled))
            }
        }
    }

    /// Takes the observations up to a token; without one, those that are there.
    fn drain_to(&mut self, token: Option<u64>) -> Result<(), StoreError> {
        while token.is_none() || self.synced < token {
            let next = match token {
                Some(_) => self.inputs.facts.recv().ok(),
                None => self.inputs.facts.try_recv().ok(),
            };
            let Some(observation) = next else {
                return Ok(());
            };
            self.observe(observation)?;
            self.tick()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), StoreError> {
        if self
            .recording
            .next_due()
            .is_some_and(|due| due <= Instant::now())
        {
            self.recording.read_deferred(false)?;
        }
        if self.inputs.facts.is_empty() {
            self.recording.resolve_doubt()?;
            self.recording.settle_dirs()?;
            self.recording.check_closed()?;
        }
        if self.recording.writer.is_dirty() && self.last_commit.elapsed() >= COMMIT_INTERVAL {
            self.commit()?;
            self.last_commit = Instant::now();
            self.rest.disturb();
            self.refinery.turn(&mut self.recording.writer);
            keep::bound(&mut self.keeper, self.recording, self.inputs.progress);
        }
        self.rest.turn(&mut self.recording.writer)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.recording.writer.commit()?;
        let waiting = self.inputs.facts.len();
        self.inputs
            .progress
            .captured("commit", begun.elapsed(), waiting);
        self.inputs.progress.committed(&Committed {
            counts: self.recording.writer.progress().counts.clone(),
            tally: *self.recording.writer.tally(),
            files: self.recording.tree.len() as u64,
        });
        Ok(())
    }

    /// How long nothing needs to be done if nothing comes.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let commit = if self.recording.writer.is_dirty() {
            COMMIT_INTERVAL.saturating_sub(self.last_commit.elapsed())
        } else {
            Duration::from_secs(3600)
        };
        let due = self.recording.next_due().into_iter();
        let due = due.chain(self.recording.next_check()).min();
        let due = due.map_or(commit, |due| due.saturating_duration_since(now));
        let rest = self.rest.patience().unwrap_or(commit);
        commit.min(due).min(rest)
    }
}
