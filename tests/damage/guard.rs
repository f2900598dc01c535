//! No panic and no hang, also on threads that are not the test's own.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

/// Longest that a round may take. Most take some milliseconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Panics outside the database, which guards itself, on threads that are no test's own.
static PANICS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_TEST: Cell<bool> = const { Cell::new(false) };
}

/// Watches the rounds of one test.
pub(crate) struct Guard {
    /// When the present round began, and what was damaged in it.
    now: Arc<Mutex<Option<(Instant, String)>>>,
    ended: Arc<AtomicBool>,
}

impl Guard {
    pub(crate) fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(count_panics);
        IS_TEST.set(true);
        let guard = Self {
            now: Arc::default(),
            ended: Arc::default(),
        };
        let (now, ended) = (guard.now.clone(), guard.ended.clone());
        std::thread::spawn(move || watch(&now, &ended));
        guard
    }

    /// Runs a round: a panic in it, or one that hangs, is a failure that names `how`.
    pub(crate) fn run(&self, how: &str, round: impl FnOnce()) {
        let before = PANICS.load(Ordering::SeqCst);
        *self.now.lock().unwrap() = Some((Instant::now(), how.to_owned()));
        round();
        *self.now.lock().unwrap() = None;
        assert_eq!(PANICS.load(Ordering::SeqCst), before, "{how}: a panic");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

fn count_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !diffkeeper_store::panic_is_guarded() {
            PANICS.fetch_add(u64::from(!IS_TEST.get()), Ordering::SeqCst);
            print(info);
        }
    }));
}

/// A thread that hangs cannot be ended from outside: the process is.
fn watch(now: &Mutex<Option<(Instant, String)>>, ended: &AtomicBool) {
    while !ended.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(200));
        if let Ok(now) = now.lock()
            && let Some((begun, how)) = now.as_ref()
            && begun.elapsed() > LIMIT
        {
            eprintln!("{how}: hangs");
            std::process::abort();
        }
    }
}
