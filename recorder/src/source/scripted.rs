//! A source that plays a script: changes made and observations sent in a fixed order,
//! one thread, no privileges. Drives the tests of everything behind the sink.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use diffkeeper_store::model::Backend;

use super::{Source, SourceError};
use crate::observation::{Fact, Observation};
use crate::scope::Scope;

type Act = Box<dyn FnOnce(&Scope) + Send>;

enum Step {
    Act(Act),
    Fact(Fact),
    Observation(Observation),
    Rest,
}

/// The steps, in order.
#[derive(Default)]
pub struct Script(VecDeque<Step>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} steps)", self.0.len())
    }
}

impl Script {
    /// An empty script.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does something, usually to the filesystem.
    #[must_use]
    pub fn act(self, act: impl FnOnce(&Scope) + Send + 'static) -> Self {
        self.step(Step::Act(Box::new(act)))
    }

    /// Sends a fact, received at the time it is played.
    #[must_use]
    pub fn fact(self, fact: Fact) -> Self {
        self.step(Step::Fact(fact))
    }

    /// Sends an observation with a time of its own.
    #[must_use]
    pub fn observe(self, observation: Observation) -> Self {
        self.step(Step::Observation(observation))
    }

    /// Lets the next `sync` stop here.
    #[must_use]
    pub fn rest(self) -> Self {
        self.step(Step::Rest)
    }

    fn step(mut self, step: Step) -> Self {
        self.0.push_back(step);
        self
    }
}

/// Plays a [`Script`]: every `sync` plays on to the next rest or the end. Nothing is
/// played by `start`.
#[derive(Debug)]
pub struct Scripted {
    script: Script,
    target: Option<(Arc<Scope>, Sender<Observation>)>,
    token: u64,
}

impl Scripted {
    /// A source that has not started.
    #[must_use]
    pub const fn new(script: Script) -> Self {
        Self {
            script,
            target: None,
            token: 0,
        }
    }
}

impl Source for Scripted {
    fn backend(&self) -> Backend {
        Backend::Scripted
    }

    fn start(&mut self, scope: Arc<Scope>, sink: Sender<Observation>) -> Result<(), SourceError> {
        self.target = Some((scope, sink));
        Ok(())
    }

    fn sync(&mut self, timeout: Duration) -> Result<u64, SourceError> {
        let (scope, sink) = self.target.as_ref().ok_or(SourceError::Stopped)?;
        let send = |observation| {
            sink.send_timeout(observation, timeout)
                .map_err(|error| match error {
                    crossbeam_channel::SendTimeoutError::Timeout(_) => SourceError::Late(timeout),
                    crossbeam_channel::SendTimeoutError::Disconnected(_) => SourceError::Stopped,
                })
        };
        while let Some(step) = self.script.0.pop_front() {
            match step {
                Step::Act(act) => act(scope),
                Step::Fact(fact) => send(Observation::now(fact))?,
                Step::Observation(observation) => send(observation)?,
                Step::Rest => break,
            }
        }
        self.token += 1;
        send(Observation::now(Fact::Synced(self.token)))?;
        Ok(self.token)
    }

    fn stop(&mut self) {
        self.target = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]

    use std::fs;

    use diffkeeper_store::model::GapReason;

    use super::*;

    #[test]
    fn steps_are_played_in_order_up_to_each_rest() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let made = file.clone();
        let lost = Fact::Lost {
            path: None,
            reason: GapReason::Overflow,
        };
        let at = Observation {
            monotonic: 7,
            fact: lost.clone(),
        };
        let script = Script::new()
            .act(move |_| fs::write(&made, "x").unwrap())
            .fact(lost.clone())
            .rest()
            .observe(at.clone());
        let roots = [dir.path().to_owned()];
        let scope = Scope::new(&roots, &dir.path().join("state"), &[]).unwrap();
        let (sink, facts) = crossbeam_channel::bounded(8);
        let mut source = Scripted::new(script);
        assert!(source.sync(Duration::ZERO).is_err());
        source.start(Arc::new(scope), sink).unwrap();
        assert!(!file.exists());
        assert_eq!(source.sync(Duration::ZERO).unwrap(), 1);
        assert!(file.exists());
        assert_eq!(facts.recv().unwrap().fact, lost);
        assert_eq!(facts.recv().unwrap().fact, Fact::Synced(1));
        assert!(facts.is_empty());
        assert_eq!(source.sync(Duration::ZERO).unwrap(), 2);
        assert_eq!(facts.recv().unwrap(), at);
        assert_eq!(facts.recv().unwrap().fact, Fact::Synced(2));
        source.stop();
        assert!(facts.recv().is_err());
    }
}
