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

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use diffkeeper_store::SessionReader;

use crate::ask::{Answer, Request};

pub(crate) use content::BUDGET;
pub(crate) use density::column_of;
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

    /// Tells what went wrong.
    pub(crate) fn fail(&self, error: &impl ToString) {
        self.answer(Answer::Failed(crate::text::plain(&error.to_string())));
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

/// All workers.
#[derive(Clone, Default)]
pub(crate) struct Workers {
    lanes: Arc<[Lane; LANES]>,
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
        reader: &'env SessionReader<'env>,
        deliver: Deliver<'env>,
    ) -> std::io::Result<Vec<ScopedJoinHandle<'scope, ()>>> {
        (0..LANES)
            .map(|lane| {
                let lanes = self.lanes.clone();
                let work = move || {
                    if let Some(lane) = lanes.get(lane) {
                        lane.work(reader, deliver);
                    }
                };
                let name = format!("viewer-{lane}");
                std::thread::Builder::new()
                    .name(name)
                    .spawn_scoped(scope, work)
            })
            .collect()
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

    /// Ends all work.
    pub(crate) fn close(&self) {
        for lane in self.lanes.iter() {
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

    fn work<'e>(&self, reader: &'e SessionReader<'e>, deliver: Deliver<'e>) {
        let mut state = State::default();
        while let Some((request, stop)) = self.take() {
            let stop = &*stop;
            let job = Job {
                reader,
                deliver,
                stop,
            };
            state.work(request, job);
        }
    }

    /// Waits for the next question.
    fn take(&self) -> Option<(Request, Arc<AtomicBool>)> {
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
            Request::Processes => processes::work(job),
            Request::History(ask) => history::work(&ask, job),
            Request::Pick(ask) => self.pick.work(ask, job),
            Request::Export(ask) => export::work(&ask, job),
            Request::Fetch(ask) => fetch::work(ask, job),
        }
    }
}
