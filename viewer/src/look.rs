//! What a listing knows of one event: its paths and process at once, all else when it is
//! asked for.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use diffkeeper_store::filter::{Known, Needle, Subject};
use diffkeeper_store::model::{Event, Process, Version, VersionRef};
use diffkeeper_store::{Content, ContentError, EventPaths, Paths, SessionReader, StoreError};

use crate::processes::Processes;

/// Longest content that a regular expression is looked for in, bytes.
const MAX_SEARCHED: u64 = 64 << 20;

/// Looks events up, one after the other.
pub struct Look<'r> {
    reader: &'r SessionReader<'r>,
    processes: Rc<Processes<'r>>,
    redacted: bool,
}

impl<'r> Look<'r> {
    /// Nothing is looked up yet.
    #[must_use]
    pub fn new(reader: &'r SessionReader<'r>) -> Self {
        Self {
            reader,
            processes: Rc::new(Processes::new(reader)),
            redacted: reader.is_redacted().unwrap_or(true),
        }
    }

    /// An event with what is known of it. Damage beside it does not hide the event.
    pub fn at(&self, event: Event, paths: &mut Paths<'r>) -> Found<'r> {
        let mut damaged = false;
        let paths = paths.resolve(&event).unwrap_or_else(|_| {
            damaged = true;
            EventPaths::default()
        });
        let process = event.process.and_then(|id| {
            // A process that an event names was recorded with it: without a record it was lost.
            let known = self.processes.get(id).unwrap_or_default();
            damaged |= known.is_none();
            known
        });
        Found {
            reader: self.reader,
            processes: self.processes.clone(),
            event,
            paths,
            process,
            damaged,
            redacted: self.redacted,
            ancestors: OnceCell::new(),
            unsearched: Cell::new(0),
        }
    }
}

/// One event.
pub struct Found<'r> {
    /// Where it stands.
    pub reader: &'r SessionReader<'r>,
    processes: Rc<Processes<'r>>,
    /// The event itself.
    pub event: Event,
    /// The paths that it concerns.
    pub paths: EventPaths,
    process: Option<Rc<Process>>,
    damaged: bool,
    redacted: bool,
    ancestors: OnceCell<Vec<Rc<Process>>>,
    unsearched: Cell<u64>,
}

impl Found<'_> {
    /// Who did it, where that is known.
    #[must_use]
    pub fn who(&self) -> Option<&Process> {
        self.process.as_deref()
    }

    /// Whether its paths or its process could not be read.
    #[must_use]
    pub const fn damaged(&self) -> bool {
        self.damaged
    }

    /// Whether parts of the content that the event led to were masked.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        let version = if self.redacted {
            self.version()
        } else {
            Ok(None)
        };
        version.is_ok_and(|version| version.is_some_and(|version| version.redacted))
    }

    /// How many contents could not be searched.
    #[must_use]
    pub fn unsearched(&self) -> u64 {
        self.unsearched.get()
    }

    /// The content that the event led to.
    ///
    /// # Errors
    /// A damaged record.
    pub fn version(&self) -> Result<Option<Version>, StoreError> {
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
                let found = match self.who() {
                    Some(process) => self.processes.above(process)?,
                    None => Vec::new(),
                };
                self.ancestors.get_or_init(|| found)
            }
        };
        Ok(known.iter().map(Rc::as_ref).collect())
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
pub(crate) fn search(
    content: &mut Content<'_>,
    needle: &Needle,
) -> Result<Option<bool>, ContentError> {
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
