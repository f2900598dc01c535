//! What a listing knows of one event: its paths and process at once, all else when it is
//! asked for.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::rc::Rc;

use diffkeeper_store::filter::{Known, Needle, Subject};
use diffkeeper_store::model::{Event, Process, ProcessId, Version, VersionRef};
use diffkeeper_store::{Content, ContentError, EventPaths, Paths, SessionReader, StoreError};

/// Processes held in memory at most.
const MAX_PROCESSES: usize = 1 << 14;
/// Most processes above one another, a bound against loops.
const MAX_ANCESTORS: usize = 256;
/// Longest content that a regular expression is looked for in, bytes.
const MAX_SEARCHED: u64 = 64 << 20;

/// Looks events up, one after the other.
pub(super) struct Look<'r> {
    reader: &'r SessionReader<'r>,
    processes: HashMap<ProcessId, Option<Rc<Process>>>,
}

impl<'r> Look<'r> {
    pub(super) fn new(reader: &'r SessionReader<'r>) -> Self {
        Self {
            reader,
            processes: HashMap::new(),
        }
    }

    /// An event with what is known of it. Damage beside it does not hide the event.
    pub(super) fn at(&mut self, event: Event, paths: &mut Paths<'r>) -> Found<'r> {
        let mut damaged = false;
        let mut mend = |_| damaged = true;
        let paths = paths.resolve(&event).map_err(&mut mend).unwrap_or_default();
        let process = event.process.map(|id| self.process(id));
        let process = process.transpose().map_err(&mut mend).ok().flatten();
        Found {
            reader: self.reader,
            event,
            paths,
            process: process.flatten(),
            damaged,
            ancestors: OnceCell::new(),
            unsearched: Cell::new(0),
        }
    }

    fn process(&mut self, id: ProcessId) -> Result<Option<Rc<Process>>, StoreError> {
        if self.processes.len() > MAX_PROCESSES {
            self.processes.clear();
        }
        if let Some(known) = self.processes.get(&id) {
            return Ok(known.clone());
        }
        let process = self.reader.process(id)?.map(Rc::new);
        self.processes.insert(id, process.clone());
        Ok(process)
    }
}

/// One event.
pub(super) struct Found<'r> {
    pub(super) reader: &'r SessionReader<'r>,
    pub(super) event: Event,
    pub(super) paths: EventPaths,
    process: Option<Rc<Process>>,
    damaged: bool,
    ancestors: OnceCell<Vec<Process>>,
    unsearched: Cell<u64>,
}

impl Found<'_> {
    /// Who did it, where that is known.
    pub(super) fn who(&self) -> Option<&Process> {
        self.process.as_deref()
    }

    /// Whether its paths or its process could not be read.
    pub(super) const fn damaged(&self) -> bool {
        self.damaged
    }

    /// How many contents could not be searched.
    pub(super) fn unsearched(&self) -> u64 {
        self.unsearched.get()
    }

    /// The content that the event led to.
    pub(super) fn version(&self) -> Result<Option<Version>, StoreError> {
        let found = self.content()?;
        let of_this_event = found.filter(|(at, _)| at.seq == self.event.seq);
        Ok(of_this_event.map(|(_, version)| version))
    }

    /// The content of its file after the event.
    fn content(&self) -> Result<Option<(VersionRef, Version)>, StoreError> {
        let Some(file) = self.event.file else {
            return Ok(None);
        };
        let found = self.reader.version_at(file, self.event.seq)?;
        Ok(found.map(|(seq, version)| (VersionRef { file, seq }, version)))
    }

    fn load_ancestors(&self) -> Result<Vec<Process>, StoreError> {
        let mut above = Vec::new();
        let mut next = self.who().and_then(|process| process.parent);
        while let Some(id) = next.filter(|_| above.len() < MAX_ANCESTORS) {
            let Some(process) = self.reader.process(id)? else {
                break;
            };
            next = process.parent;
            above.push(process);
        }
        Ok(above)
    }
}

impl Subject for Found<'_> {
    type Error = StoreError;

    fn event(&self) -> &Event {
        &self.event
    }

    fn path(&self) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        Ok(self.paths.path.as_deref().map(Cow::Borrowed))
    }

    fn to(&self) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        Ok(self.paths.to.as_deref().map(Cow::Borrowed))
    }

    fn process(&self) -> Result<Option<&Process>, StoreError> {
        Ok(self.who())
    }

    fn ancestors(&self) -> Result<Vec<&Process>, StoreError> {
        let known = match self.ancestors.get() {
            Some(known) => known,
            None => {
                let found = self.load_ancestors()?;
                self.ancestors.get_or_init(|| found)
            }
        };
        Ok(known.iter().collect())
    }

    fn size(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.content()?.map(|(_, version)| version.length))
    }

    fn known(&self) -> Result<Option<Known>, StoreError> {
        Ok(self.version()?.as_ref().map(Known::of))
    }

    fn content_matches(&self, needle: &Needle) -> Result<bool, StoreError> {
        let Some((at, _)) = self.content()? else {
            return Ok(false);
        };
        let opened = self.reader.content(at);
        match opened.map(|mut content| search(&mut content, needle)) {
            Ok(Ok(Some(answer))) => Ok(answer),
            // What cannot be searched is counted, and told at the end.
            Ok(Ok(None) | Err(_)) | Err(_) => {
                self.unsearched.set(self.unsearched.get() + 1);
                Ok(false)
            }
        }
    }
}

/// Whether a content holds the needle: a text is looked for piece by piece, a regular
/// expression in the whole. `None` if that is too long.
fn search(content: &mut Content<'_>, needle: &Needle) -> Result<Option<bool>, ContentError> {
    let Some(text) = needle.text() else {
        let bytes = content.to_vec(MAX_SEARCHED)?;
        return Ok(bytes.map(|bytes| needle.is_in(&bytes)));
    };
    let overlap = text.len().saturating_sub(1);
    let (mut window, mut found) = (Vec::new(), text.is_empty());
    content.stream(|piece| {
        if !found {
            window.extend_from_slice(piece);
            found = needle.is_in(&window);
            window.drain(..window.len().saturating_sub(overlap));
        }
        Ok::<_, ContentError>(())
    })?;
    Ok(Some(found))
}
