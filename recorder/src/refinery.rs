//! The refinery: a thread of low priority that looks for smaller forms of what has been
//! recorded. Whatever it does not get done stands as it is.

use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use diffkeeper_store::{Candidate, Refined, SessionWriter, Store};

use crate::priority::lower_this_thread;

/// Candidates on their way; the writer keeps the others.
const WAITING: usize = 4;
/// At the end of a session, the refinery gets this much longer.
const LAST_CALL: Duration = Duration::from_millis(200);

pub(crate) struct Refinery<'scope> {
    candidates: Sender<Candidate>,
    refined: Receiver<Refined>,
    /// Candidates handed over and not answered for.
    under_way: usize,
    answers: Receiver<()>,
    _thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> Refinery<'scope> {
    /// Starts the thread. Without one, nothing is refined.
    pub(crate) fn start<'env>(scope: &'scope Scope<'scope, 'env>, store: &'env Store) -> Self {
        let (candidates, inbox) = bounded::<Candidate>(WAITING);
        let (outbox, refined) = unbounded();
        let (answer, answers) = unbounded();
        let work = move || {
            lower_this_thread();
            for candidate in inbox {
                match store.refine(&candidate) {
                    Ok(Some(smaller)) => drop(outbox.send(smaller)),
                    Ok(None) => {}
                    Err(error) => tracing::debug!(%error, "cannot refine"),
                }
                if answer.send(()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("refinery".into());
        Self {
            candidates,
            refined,
            under_way: 0,
            answers,
            _thread: thread.spawn_scoped(scope, work).ok(),
        }
    }

    /// Takes over what is done and hands out what waits, without waiting itself.
    pub(crate) fn turn(&mut self, writer: &mut SessionWriter<'_>) {
        self.under_way -= self.answers.try_iter().count().min(self.under_way);
        for refined in self.refined.try_iter() {
            writer.apply(refined);
        }
        while self.under_way < WAITING {
            let Some(candidate) = writer.candidate() else {
                return;
            };
            if self.candidates.try_send(candidate).is_err() {
                return;
            }
            self.under_way += 1;
        }
    }

    /// The last turns of a session, which are over soon.
    pub(crate) fn finish(mut self, writer: &mut SessionWriter<'_>) {
        let deadline = Instant::now() + LAST_CALL;
        loop {
            self.turn(writer);
            let left = deadline.saturating_duration_since(Instant::now());
            if self.under_way == 0 || left.is_zero() {
                return;
            }
            if self.answers.recv_timeout(left).is_ok() {
                self.under_way -= 1;
            }
        }
    }
}
