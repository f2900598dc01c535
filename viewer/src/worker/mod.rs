//! The workers: a thread for each kind of question, with one place for the question that
//! comes next. A newer question replaces one that waits and stops the one at work.

mod changes;
mod content;
mod density;
mod export;
mod fetch;
mod history;
mod pick;
mod processes;
mod rows;
mod scan;
mod seek;
mod syntax;
mod tree;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use diffkeeper_store::{SessionReader, StoreError};

use crate::ask::{Answer, Request};
use crate::follow::{follow, is_gone};
use crate::source::Source;

pub(crate) use content::BUDGET;
pub(crate) use density::{changes, column_of};
pub(crate) use fetch::LENGTH;
pub(crate) use history::term;

/// Where answers go.
pub(crate) type Deliver<'e> = &'e (dyn Fn(Answer) + Send + Sync);

/// What a question is worked on with.
#[derive(Clone, Copy)]
pub(crate) struct Job<'e> {
    /// The session.
    pub(crate) reader: &'e SessionReader<'e>,
    /// Where answers go.
    pub(crate) deliver: Deliver<'e>,
    /// Set once nobody waits for the answer any more.
    stop: &'e AtomicBool,
}

impl Job<'_> {
    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Answers.
    pub(crate) fn answer(&self, answer: Answer) {
        (self.deliver)(answer);
    }

    /// Tells what went wrong. A recorder that has gone is told of by who follows it, and
    /// all is asked anew then.
    pub(crate) fn fail<E: std::error::Error + 'static>(&self, error: &E) {
        let error: &(dyn std::error::Error + 'static) = error;
        if !error.downcast_ref::<StoreError>().is_some_and(is_gone) {
            self.answer(Answer::Failed(crate::text::plain(&error.to_string())));
        }
    }
}

/// The kinds of questions, a worker each.
const LANES: usize = 12;

const fn lane(request: &Request) -> usize {
    match request {
        Request::Rows(_) => 0,
        Request::Page(_) => 1,
        Request::Tree(_) => 2,
        Request::Changes(..) => 3,
        Request::Density(_) => 4,
        Request::Scan(_) => 5,
        Request::Seek(_) => 6,
        Request::Processes => 7,
        Request::History(_) => 8,
        Request::Pick(_) => 9,
        Request::Export(_) => 10,
        Request::Fetch(_) => 11,
    }
}

/// The place of one worker.
#[derive(Default)]
struct Lane {
    next: Mutex<Next>,
    awake: Condvar,
}

#[derive(Default)]
struct Next {
    request: Option<Request>,
    /// Stops the question at work.
    stop: Arc<AtomicBool>,
    is_working: bool,
    closed: bool,
}

/// A question, and what stops the work on it.
type Taken = (Request, Arc<AtomicBool>);

/// All workers.
#[derive(Clone, Default)]
pub(crate) struct Workers {
    lanes: Arc<[Lane; LANES]>,
    /// Where one rests that is asked nothing.
    rest: Arc<Lane>,
}

/// Closes the workers, however the use of them ends: their threads are waited for.
pub(crate) struct Closing<'w>(pub(crate) &'w Workers);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Workers {
    /// Starts the threads; they end after [`Workers::close`].
    pub(crate) fn start<'scope, 'env: 'scope>(
        &self,
        scope: &'scope Scope<'scope, 'env>,
        source: &'env Source,
        deliver: Deliver<'env>,
    ) -> std::io::Result<Vec<ScopedJoinHandle<'scope, ()>>> {
        (0..LANES)
            .map(|lane| {
                let lanes = self.lanes.clone();
                let work = move || {
                    if let Some(lane) = lanes.get(lane) {
                        lane.work(source, deliver);
                    }
                };
                let name = format!("viewer-{lane}");
                std::thread::Builder::new()
                    .name(name)
                    .spawn_scoped(scope, work)
            })
            .collect()
    }

    /// Starts a thread that follows a trace while it is being recorded.
    pub(crate) fn follow<'scope, 'env: 'scope>(
        &self,
        scope: &'scope Scope<'scope, 'env>,
        source: &'env Source,
        state_dir: PathBuf,
        deliver: Deliver<'env>,
    ) -> std::io::Result<()> {
        if !source.store().is_live() {
            return Ok(());
        }
        let workers = self.clone();
        let work = move || follow(source, &state_dir, &workers, deliver);
        let thread = std::thread::Builder::new().name("viewer-follow".to_owned());
        thread.spawn_scoped(scope, work).map(drop)
    }

    /// Asks; an older question of the same kind is given up.
    pub(crate) fn ask(&self, request: Request) {
        if let Some(lane) = self.lanes.get(lane(&request)) {
            let mut next = lane.lock();
            next.stop.store(true, Ordering::Relaxed);
            next.request = Some(request);
            lane.awake.notify_one();
        }
    }

    /// Whether no question waits or is worked on.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| {
            let next = lane.lock();
            next.request.is_none() && !next.is_working
        })
    }

    /// Rests for a while; whether work is to go on.
    pub(crate) fn rest(&self, time: Duration) -> bool {
        let next = self.rest.lock();
        let open = |next: &mut Next| !next.closed;
        let rested = self.rest.awake.wait_timeout_while(next, time, open);
        let (next, _) = rested.unwrap_or_else(PoisonError::into_inner);
        !next.closed
    }

    /// Ends all work.
    pub(crate) fn close(&self) {
        for lane in self.lanes.iter().chain([&*self.rest]) {
            let mut next = lane.lock();
            next.stop.store(true, Ordering::Relaxed);
            next.closed = true;
            lane.awake.notify_one();
        }
    }
}

impl Lane {
    fn lock(&self) -> std::sync::MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, source: &Source, deliver: Deliver<'_>) {
        let mut state = State::default();
        while let Some(first) = self.take() {
            let store = source.store();
            match store.session(Some(source.session())) {
                Ok(reader) => {
                    let lasts = !store.is_live();
                    self.answer(first, &mut state, (&reader, lasts), deliver);
                }
                Err(error) if is_gone(&error) => {}
                Err(error) => deliver(Answer::Failed(crate::text::plain(&error.to_string()))),
            }
        }
    }

    /// Answers one question, and those after it where the view of the trace lasts.
    fn answer(
        &self,
        first: Taken,
        state: &mut State,
        (reader, lasts): (&SessionReader<'_>, bool),
        deliver: Deliver<'_>,
    ) {
        let mut next = Some(first);
        while let Some((request, stop)) = next {
            let stop = &*stop;
            let job = Job {
                reader,
                deliver,
                stop,
            };
            state.work(request, job);
            next = if lasts { self.take() } else { None };
        }
    }

    /// Waits for the next question.
    fn take(&self) -> Option<Taken> {
        let mut next = self.lock();
        next.is_working = false;
        loop {
            if next.closed {
                return None;
            }
            if let Some(request) = next.request.take() {
                next.stop = Arc::new(AtomicBool::new(false));
                next.is_working = true;
                return Some((request, next.stop.clone()));
            }
            next = self
                .awake
                .wait(next)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a worker keeps between questions.
#[derive(Default)]
struct State {
    changes: changes::State,
    pick: pick::State,
    processes: processes::State,
}

impl State {
    fn work(&mut self, request: Request, job: Job<'_>) {
        match request {
            Request::Rows(wanted) => rows::work(&wanted, job),
            Request::Page(ask) => content::work(&ask, job),
            Request::Tree(ask) => tree::work(ask, job),
            Request::Changes(base, at) => self.changes.work(base, at, job),
            Request::Density(ask) => density::work(ask, job),
            Request::Scan(ask) => scan::work(&ask, job),
            Request::Seek(ask) => seek::work(ask, job),
            Request::Processes => self.processes.work(job),
            Request::History(ask) => history::work(&ask, job),
            Request::Pick(ask) => self.pick.work(ask, job),
            Request::Export(ask) => export::work(&ask, job),
            Request::Fetch(ask) => fetch::work(ask, job),
        }
    }
}
