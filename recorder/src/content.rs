//! Reading contents: a stable read becomes a version; what cannot be read now is put
//! off, and what can never be read is a gap.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use diffkeeper_store::model::{
    FileId, GapReason, MissingReason, Op, Provenance, Repr, UnixTime, Version,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, ContentError, NewContent, Seen, StoreError, WHOLE_MAX};

use crate::look::Reading;
use crate::observation::monotonic;
use crate::probe::{self, Large, Read, Stat};
use crate::recording::Recording;
use crate::tree::ReadState;

/// A file that changes under every read is tried again at these growing distances, and
/// a gap is recorded after as many.
const TORN_TRIES: u32 = 6;
const TORN_PAUSE: Duration = Duration::from_millis(5);
/// After a racy read, the file is looked at again once its clock must have moved on.
const RACY_PAUSE: Duration = Duration::from_millis(20);
/// A long file that has not been written to for this long rests.
const REST: Duration = Duration::from_millis(100);
/// One that never rests is read all the same after this time.
const RESTLESS: Duration = Duration::from_secs(2);
/// A file that is not found under its name is looked for under all of them after this
/// time, until it is read or gone.
const ELSEWHERE_PAUSE: Duration = Duration::from_millis(20);
/// A file is read again at the earliest after this many times what the last read took,
/// so that one that is written without pause does not take the whole recorder.
const READ_SHARE: u32 = 4;
/// Longest time a read of a file that fits in memory is put off for that reason.
const READ_PAUSE: Duration = Duration::from_millis(200);

/// What a read has brought.
pub(crate) enum Fetched {
    /// The content, `None` if it is what the file held, and the file at that moment.
    Content(Option<Box<NewContent>>, ReadState),
    /// It changed while it was read.
    Torn,
    /// The name no longer leads to it.
    Moved,
    /// It may not or cannot be read.
    Unreadable,
    /// It is longer than what is kept.
    Omitted(ReadState),
    /// It will be read later.
    Later,
}

impl Fetched {
    /// The content to show a new file with: one that was seen, or none at all. Most
    /// files begin empty, but that is not for a trace to guess.
    pub(crate) fn first_version(&self) -> NewContent {
        let reason = match self {
            Self::Content(Some(content), _) => return content.as_ref().clone(),
            Self::Torn | Self::Later | Self::Content(None, _) => MissingReason::Torn,
            Self::Moved => MissingReason::Vanished,
            Self::Unreadable => MissingReason::Unreadable,
            Self::Omitted(read) => {
                return Recording::missing(MissingReason::Omitted, read.stat.size);
            }
        };
        Recording::missing(reason, 0)
    }

    /// For a file that was created with this content: nothing more to tell if it is
    /// empty.
    pub(crate) fn after_create(self) -> Self {
        match self {
            Self::Content(content, read) => {
                let written = content.filter(|content| content.encoded.version.length > 0);
                Self::Content(written, read)
            }
            other => other,
        }
    }
}

impl Recording<'_> {
    /// Reads a file and records its content if it is another one than before.
    pub(crate) fn read(
        &mut self,
        file: FileId,
        path: &Path,
        reading: Reading,
    ) -> Result<(), StoreError> {
        let fetched = self.fetch(file, path, reading)?;
        self.take(file, path, fetched, reading)
    }

    /// Reads a file without recording anything yet.
    pub(crate) fn fetch(
        &mut self,
        file: FileId,
        path: &Path,
        reading: Reading,
    ) -> Result<Fetched, StoreError> {
        if reading != Reading::Final && self.is_too_soon(file) {
            return Ok(Fetched::Later);
        }
        self.deferred.remove(&file);
        let Some(ident) = self.tree.get(file).map(|known| known.node.ident) else {
            return Ok(Fetched::Later);
        };
        let (started, begun) = (Instant::now(), monotonic());
        let mut buffer = std::mem::take(&mut self.buffer);
        let limit = self.whole_limit();
        let outcome = probe::read_stable(path, &ident, limit, &mut buffer);
        let fetched = match outcome {
            Read::Stable { stat, racy } => {
                let seen = self.seen(&stat);
                let redacted = self.redact(file, path, &mut buffer);
                let content = self.writer.encode(file, &buffer, seen);
                content.map(|content| {
                    let content = content.map(|content| Box::new(content.redacted(redacted)));
                    Fetched::Content(content, ReadState { stat, racy, begun })
                })
            }
            Read::Large(large) if large.stat.size > self.max_file => {
                let (stat, racy) = (large.stat, false);
                Ok(Fetched::Omitted(ReadState { stat, racy, begun }))
            }
            Read::Large(large) if reading != Reading::Final && self.is_restless(file, &large) => {
                Ok(Fetched::Later)
            }
            Read::Large(large) => self.fetch_long(file, path, (&large, begun)),
            Read::Torn => Ok(Fetched::Torn),
            Read::Gone | Read::Replaced => Ok(Fetched::Moved),
            Read::Unreadable(error) => {
                tracing::debug!(?path, %error, "cannot read");
                Ok(Fetched::Unreadable)
            }
        };
        self.buffer = buffer;
        self.pace(file, started.elapsed());
        fetched
    }

    /// Records what a read has brought.
    pub(crate) fn take(
        &mut self,
        file: FileId,
        path: &Path,
        fetched: Fetched,
        reading: Reading,
    ) -> Result<(), StoreError> {
        match fetched {
            Fetched::Content(content, read) => self.keep(file, content, read),
            Fetched::Torn => self.torn(file, path, reading),
            // What it moved to, or its removal, is announced.
            Fetched::Moved => {
                self.mark_unread(file);
                Ok(())
            }
            Fetched::Omitted(read) => self.omit(file, path, read),
            Fetched::Unreadable => self.lose(file, path, GapReason::Unreadable),
            Fetched::Later => Ok(()),
        }
    }

    /// Longest content that is read into memory, bytes.
    pub(crate) fn whole_limit(&self) -> usize {
        usize::try_from(WHOLE_MAX.min(self.max_file)).unwrap_or(usize::MAX)
    }

    /// The file is longer than what is kept: that it changed is recorded, its content is not. The
    /// first time is a gap.
    fn omit(&mut self, file: FileId, path: &Path, read: ReadState) -> Result<(), StoreError> {
        let (size, mtime) = (read.stat.size, read.stat.mtime);
        let Some(known) = self.tree.get_mut(file) else {
            return Ok(());
        };
        known.read = Some(read);
        known.torn = 0;
        let before = self.omitted.insert(file, (size, mtime));
        if before == Some((size, mtime)) {
            return Ok(());
        }
        known.changed = true;
        known.node.mtime = mtime;
        let content = Self::omitted(size, mtime);
        let changes = vec![Change::Content { file, content }];
        if before.is_none() {
            return self.gap(GapReason::Omitted, Some(file), Some(path), changes);
        }
        // Nothing tells which bytes differ.
        let (offset, len) = (0, size);
        let op = Op::Write { offset, len, size };
        self.emit(self.now(), Some(file), op, changes).map(drop)
    }

    /// The version of a file that is longer than what is kept.
    pub(crate) fn omitted(length: u64, mtime: UnixTime) -> NewContent {
        let mut content = Self::missing(MissingReason::Omitted, length);
        content.encoded.version.mtime = mtime;
        content
    }

    /// The content changed and could not be read under the name at hand.
    pub(crate) fn mark_unread(&mut self, file: FileId) {
        if let Some(known) = self.tree.get_mut(file) {
            known.read = None;
            known.changed = true;
            let due = Instant::now() + ELSEWHERE_PAUSE;
            self.deferred.entry(file).or_insert(due);
        }
    }

    pub(crate) fn seen(&self, stat: &Stat) -> Seen {
        Seen {
            mtime: stat.mtime,
            sparse: stat.sparse(),
            provenance: Provenance::Observed,
            load: if self.busy { Load::Busy } else { Load::Calm },
        }
    }

    /// A version without content.
    pub(crate) fn missing(reason: MissingReason, length: u64) -> NewContent {
        NewContent::missing(Version {
            length,
            digest: None,
            provenance: Provenance::Observed,
            mtime: UnixTime::default(),
            sparse: false,
            redacted: false,
            repr: Repr::Missing(reason),
        })
    }

    /// Records a content that was read, and what the file was at that moment.
    pub(crate) fn keep(
        &mut self,
        file: FileId,
        content: Option<Box<NewContent>>,
        read: ReadState,
    ) -> Result<(), StoreError> {
        let stat = read.stat;
        let Some(known) = self.tree.get_mut(file) else {
            return Ok(());
        };
        known.read = Some(read);
        known.lost = false;
        known.torn = 0;
        self.omitted.remove(&file);
        if read.racy {
            self.deferred.insert(file, Instant::now() + RACY_PAUSE);
        }
        let Some(content) = content else {
            return Ok(());
        };
        known.seen = read.begun;
        known.changed = true;
        known.node.mtime = stat.mtime;
        let op = write_op(&content, stat.size);
        let content = *content;
        let changes = vec![Change::Content { file, content }];
        self.emit(self.now(), Some(file), op, changes).map(drop)
    }

    /// Whether a long file is still being written: a read would take longer than the
    /// pauses between the writes, and be torn. It is put off until the file rests, or
    /// does not for too long.
    fn is_restless(&mut self, file: FileId, large: &Large) -> bool {
        let now = Instant::now();
        let since = *self.restless.entry(file).or_insert(now);
        let mtime = large.stat.mtime.as_nanos();
        let wall = crate::host::unix_time(std::time::SystemTime::now()).as_nanos();
        let rests = wall.saturating_sub(mtime) >= REST.as_nanos().cast_signed();
        if rests || now.duration_since(since) > RESTLESS {
            self.restless.remove(&file);
            return false;
        }
        self.mark_unread(file);
        self.deferred.insert(file, now + REST);
        true
    }

    fn fetch_long(
        &mut self,
        file: FileId,
        path: &Path,
        (large, begun): (&Large, u64),
    ) -> Result<Fetched, StoreError> {
        let seen = self.seen(&large.stat);
        let (masks, any) = (self.masks(file, path), Cell::new(false));
        let open = || masks.open(large, &any);
        let content = match self.writer.encode_long(file, seen, open) {
            Err(StoreError::Content(ContentError::Io(error))) => {
                tracing::debug!(?path, %error, "cannot read");
                return Ok(Fetched::Unreadable);
            }
            content => content?,
        };
        let stat = large.stat;
        self.note_redacted(file, any.get());
        Ok(match large.recheck() {
            Ok(Some(racy)) => {
                let read = ReadState { stat, racy, begun };
                let content = content.map(|content| Box::new(content.redacted(any.get())));
                Fetched::Content(content, read)
            }
            _ => Fetched::Torn,
        })
    }

    /// The file changed while it was read: nothing of that is recorded.
    fn torn(&mut self, file: FileId, path: &Path, reading: Reading) -> Result<(), StoreError> {
        let Some(known) = self.tree.get_mut(file) else {
            return Ok(());
        };
        known.read = None;
        known.changed = true;
        known.torn += 1;
        let torn = known.torn;
        let pause = TORN_PAUSE * 2_u32.pow(torn.min(8));
        self.deferred.insert(file, Instant::now() + pause);
        if torn >= TORN_TRIES || reading == Reading::Final {
            return self.lose(file, path, GapReason::Torn);
        }
        Ok(())
    }

    /// Records that the content of a file is not known from here on, once until it is.
    pub(crate) fn lose(
        &mut self,
        file: FileId,
        path: &Path,
        reason: GapReason,
    ) -> Result<(), StoreError> {
        let Some(known) = self.tree.get_mut(file).filter(|known| !known.lost) else {
            return Ok(());
        };
        known.lost = true;
        let why = match reason {
            GapReason::Torn => MissingReason::Torn,
            GapReason::Vanished => MissingReason::Vanished,
            _ => MissingReason::Unreadable,
        };
        let length = probe::stat(path).ok().flatten().map_or(0, |stat| stat.size);
        let content = Self::missing(why, length);
        let changes = vec![Change::Content { file, content }];
        self.gap(reason, Some(file), Some(path), changes)
    }

    /// Puts a read off if the last one was so expensive that the next has to wait.
    fn is_too_soon(&mut self, file: FileId) -> bool {
        match self.not_before.get(&file) {
            Some(due) if Instant::now() < *due => {
                self.deferred.insert(file, *due);
                self.mark_unread(file);
                true
            }
            _ => false,
        }
    }

    fn pace(&mut self, file: FileId, took: Duration) {
        const CHEAP: Duration = Duration::from_millis(2);
        if took < CHEAP {
            self.not_before.remove(&file);
        } else {
            let pause = (took * READ_SHARE).min(READ_PAUSE.max(took));
            self.not_before.insert(file, Instant::now() + pause);
        }
    }

    /// Reads what was put off and is due now (or, at the end, all of it).
    pub(crate) fn read_deferred(&mut self, all: bool) -> Result<(), StoreError> {
        let now = Instant::now();
        let due = |(file, due): (&FileId, &Instant)| (all || *due <= now).then_some(*file);
        let due: Vec<FileId> = self.deferred.iter().filter_map(due).collect();
        for file in due {
            self.deferred.remove(&file);
            if all {
                self.not_before.remove(&file);
            }
            self.look_again(file)?;
        }
        Ok(())
    }

    /// Looks at a file under whichever name leads to it.
    pub(crate) fn look_again(&mut self, file: FileId) -> Result<(), StoreError> {
        let Some(known) = self.tree.get(file) else {
            return Ok(());
        };
        let links = known.node.links.clone();
        let there = links.iter().find(|link| self.leads_to(link, file));
        let path = there.and_then(|link| self.tree.place_path(link));
        match path.as_deref().map(probe::stat) {
            Some(Ok(Some(stat))) => {
                let path = path.unwrap_or_default();
                self.update(file, &path, &stat, Reading::IfChanged)
            }
            _ if known.read.is_none() => {
                self.deferred.insert(file, Instant::now() + ELSEWHERE_PAUSE);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// When something that was put off is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let deferred = self.deferred.values().min().copied();
        deferred.into_iter().chain(self.doubtful).min()
    }
}

/// How a change of content shows: as a truncation if nothing else happened.
fn write_op(content: &NewContent, size: u64) -> Op {
    match content.encoded.changed {
        Some((offset, len)) => Op::Write { offset, len, size },
        None => Op::Truncate { size },
    }
}
