//! The ear: what runs inside the notify callback. It filters, stamps and queues, and
//! never waits: the notify thread also answers our requests for watches, so whoever
//! blocks it here and waits for a watch there would wait for ever.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ::notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use ::notify::{Event, EventHandler, EventKind};
use crossbeam_channel::{Receiver, Sender, bounded};
use diffkeeper_store::model::GapReason;

use crate::observation::{Hint, monotonic};
use crate::scope::Scope;

/// Something announced by the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// CLOCK_MONOTONIC when the callback ran, ns.
    pub(super) monotonic: u64,
    /// What.
    pub(super) news: News,
}

/// What was announced.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A path was touched.
    Touched(PathBuf, Hint),
    /// A name moved away; the other half has the same cookie, if it stays in the scope.
    Left(PathBuf, usize),
    /// A name moved here.
    Arrived(PathBuf, Option<usize>),
    /// A watched directory itself was moved; its new path is not known.
    Moved(PathBuf),
    /// The canary of this token.
    Canary(u64),
}

/// The reading end of an ear. Once one event is lost the ear hears no more: the queue
/// ends after what came before the loss, and `fault` says why.
#[derive(Debug)]
pub(super) struct Hearing {
    /// What was heard.
    pub(super) queue: Receiver<Heard>,
    /// Why the queue ended; empty if the notify thread itself died.
    pub(super) fault: Arc<OnceLock<GapReason>>,
    /// Disconnected when the notify thread has ended and its kernel resources are free.
    pub(super) gone: Receiver<()>,
}

/// The callback.
pub(super) struct Ear {
    scope: Arc<Scope>,
    canaries: PathBuf,
    queue: Option<Sender<Heard>>,
    fault: Arc<OnceLock<GapReason>>,
    /// The last thing queued, if the same again would say nothing new.
    last: Option<(PathBuf, Hint)>,
    _gone: Sender<()>,
}

impl Ear {
    /// An ear that queues up to `bound` items.
    pub(super) fn new(scope: Arc<Scope>, canaries: PathBuf, bound: usize) -> (Self, Hearing) {
        let (sender, queue) = bounded(bound);
        let (alive, gone) = bounded(0);
        let fault = Arc::new(OnceLock::new());
        let ear = Self {
            scope,
            canaries,
            queue: Some(sender),
            fault: Arc::clone(&fault),
            last: None,
            _gone: alive,
        };
        let hearing = Hearing { queue, fault, gone };
        (ear, hearing)
    }

    fn hear(&mut self, event: Event) {
        if event.need_rescan() {
            return self.give_up(GapReason::Overflow);
        }
        let cookie = event.tracker();
        let kind = event.kind;
        let Some(path) = event.paths.into_iter().next() else {
            return;
        };
        if let Some(news) = self.translate(kind, path, cookie) {
            self.push(news);
        }
    }

    fn translate(&self, kind: EventKind, path: PathBuf, cookie: Option<usize>) -> Option<News> {
        if path.starts_with(&self.canaries) {
            let created = matches!(kind, EventKind::Create(_));
            return created.then(|| token(&path)).flatten().map(News::Canary);
        }
        if !self.scope.covers(&path) {
            return None;
        }
        Some(match (kind, cookie) {
            (EventKind::Modify(ModifyKind::Name(RenameMode::From)), Some(cookie)) => {
                News::Left(path, cookie)
            }
            (EventKind::Modify(ModifyKind::Name(RenameMode::From)), None) => News::Moved(path),
            (EventKind::Modify(ModifyKind::Name(RenameMode::To)), cookie) => {
                News::Arrived(path, cookie)
            }
            (kind, _) => News::Touched(path, hint(kind)?),
        })
    }

    fn push(&mut self, news: News) {
        let Some(queue) = &self.queue else { return };
        // The last item is still in the queue and will be acted upon later than now.
        let repeated = match (&self.last, &news) {
            (Some((path, hint)), News::Touched(new, new_hint)) => path == new && hint == new_hint,
            _ => false,
        };
        if repeated && !queue.is_empty() {
            return;
        }
        self.last = match &news {
            News::Touched(path, hint) => Some((path.clone(), *hint)),
            _ => None,
        };
        let heard = Heard {
            monotonic: monotonic(),
            news,
        };
        if queue.try_send(heard).is_err() {
            self.give_up(GapReason::Overflow);
        }
    }

    fn give_up(&mut self, reason: GapReason) {
        let _ = self.fault.set(reason);
        self.queue = None;
    }
}

impl EventHandler for Ear {
    fn handle_event(&mut self, event: ::notify::Result<Event>) {
        match event {
            Ok(event) => self.hear(event),
            Err(error) => {
                tracing::warn!(%error, "reading file notifications failed");
                self.give_up(GapReason::Recorder);
            }
        }
    }
}

fn hint(kind: EventKind) -> Option<Hint> {
    Some(match kind {
        EventKind::Create(kind) => Hint::Created {
            dir: kind == CreateKind::Folder,
        },
        EventKind::Modify(ModifyKind::Data(_)) => Hint::Modified,
        EventKind::Modify(ModifyKind::Metadata(_)) => Hint::Attributes,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Hint::Closed,
        // `Other` is an unmount, after which another directory has the path.
        EventKind::Remove(kind) => Hint::Removed {
            dir: kind != RemoveKind::File,
        },
        _ => return None,
    })
}

/// The token in the name of a canary.
fn token(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}
