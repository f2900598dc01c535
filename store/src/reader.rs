//! Questions to one recorded session. Everything is a range read; nothing loads a whole
//! session.

use std::ops::Bound;

use crate::content::{self, Content, ContentError};
use crate::cursor::Cursor;
use crate::db::{DbError, Space, Value};
use crate::density::{self, Bucket};
use crate::encode::{
    BlockHead, decode_base, decode_block, decode_name, decode_node, decode_process,
    decode_progress, decode_seal, decode_supply,
};
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::lookup::SessionLookup;
use crate::model::{
    Base, Counts, Digest, Event, FileId, Node, Process, ProcessId, Progress, Seal, Seq, Session,
    SessionId, Timestamp, TracePath, Version, VersionRef,
};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::versions;

/// Deepest path that is followed, a bound against loops in a damaged trace.
const MAX_DEPTH: usize = 4096;

/// One session of an open store.
pub struct SessionReader<'s> {
    pub(crate) store: &'s Store,
    session: Session,
    progress: Progress,
    seal: Option<Seal>,
    base: Option<Base>,
    lookup: SessionLookup<'s>,
}

impl<'s> SessionReader<'s> {
    pub(crate) fn new(store: &'s Store, session: Session) -> Result<Self, StoreError> {
        let part = |part| {
            store
                .db
                .get(Space::Session, &key::session(session.id, part))
        };
        let progress = match part(SessionPart::Progress)? {
            Some(value) => decode_progress(&value)?,
            None => Progress {
                last_seq: Seq::BASELINE,
                last_time: Timestamp::default(),
                baseline_done: false,
                counts: Counts::default(),
                chain: Digest::of(b""),
            },
        };
        let seal = part(SessionPart::Seal)?;
        let seal = seal.map(|value| decode_seal(&value)).transpose()?;
        let base = part(SessionPart::Base)?;
        let base = base.map(|value| decode_base(&value)).transpose()?;
        let lookup = SessionLookup::new(store, session.id);
        Ok(Self {
            store,
            session,
            progress,
            seal,
            base,
            lookup,
        })
    }

    pub(crate) const fn id(&self) -> SessionId {
        self.session.id
    }

    /// What was known at the start.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// How far it was recorded.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How it ended; `None` if the recorder is still at work or died.
    #[must_use]
    pub const fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Where it starts if its beginning was given up.
    #[must_use]
    pub const fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    /// The first state there is: the baseline, or that after the last event that is gone.
    #[must_use]
    pub fn start(&self) -> Seq {
        self.base.map_or(Seq::BASELINE, |base| base.seq)
    }

    /// Its time, ns since the session was begun.
    pub(crate) fn start_time(&self) -> Timestamp {
        self.base.map_or_else(Timestamp::default, |base| base.time)
    }

    /// The running hash there.
    pub(crate) fn start_chain(&self) -> Digest {
        self.base.map_or_else(|| Digest::of(b""), |base| base.chain)
    }

    /// States before the start cannot be had.
    fn check_start(&self, at: Seq) -> Result<(), StoreError> {
        let (session, start) = (self.session.id, self.start());
        if at < start {
            return Err(StoreError::BeforeStart { session, start });
        }
        Ok(())
    }

    /// Whether it is being recorded now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let newest = self.store.next_session().ok();
        let newest = newest.is_some_and(|next| next.0 == self.session.id.0.saturating_add(1));
        self.seal.is_none() && newest && self.store.is_live()
    }

    /// What can supply the contents that a thin pack left out, for people; nothing where
    /// none was left out.
    ///
    /// # Errors
    /// A damaged record.
    pub fn supply(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let key = key::session(self.session.id, SessionPart::Supply);
        match self.store.db.get(Space::Session, &key)? {
            Some(value) => Ok(decode_supply(&value)?),
            None => Ok(Vec::new()),
        }
    }

    /// Whether secrets are masked in it.
    ///
    /// # Errors
    /// A damaged record.
    pub fn is_redacted(&self) -> Result<bool, StoreError> {
        let key = key::session(self.session.id, SessionPart::Redaction);
        Ok(self.store.db.get(Space::Session, &key)?.is_some())
    }

    /// The end of the session: that of recording, or the last event that was committed.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let last = self.progress.last_time;
        self.seal.as_ref().map_or(last, |seal| seal.end.max(last))
    }

    /// The events from `from` to `to`, both included, in order. Forward and backward.
    pub fn events(&self, from: Seq, to: Seq) -> Events<'_> {
        Events {
            reader: self,
            next: from.max(self.start().next()),
            last: to.min(self.progress.last_seq),
            front: Vec::new().into_iter(),
            back: Vec::new().into_iter(),
        }
    }

    /// A position in the session that can be moved, after `at` to begin with.
    pub fn cursor(&self, at: Seq) -> Cursor<'_> {
        Cursor::new(self, at)
    }

    /// The block that holds `seq`.
    pub(crate) fn block(&self, seq: Seq) -> Result<Vec<Event>, StoreError> {
        let value = self
            .block_value(seq)?
            .ok_or(StoreError::MissingEvents(seq))?;
        let (events, _) = decode_block(&value)?;
        match events.last() {
            Some(last) if last.seq >= seq => Ok(events),
            _ => Err(StoreError::MissingEvents(seq)),
        }
    }

    fn block_value(&self, seq: Seq) -> Result<Option<Value>, StoreError> {
        let prefix = self.session.id.0.to_be_bytes();
        let key = key::event(self.session.id, seq);
        let found = self.store.db.floor(Space::Event, &prefix, key)?;
        Ok(found.map(|(_, value)| value))
    }

    /// The last event at or before `time`; the baseline if there is none.
    ///
    /// # Errors
    /// Damage in the event log.
    pub fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        let (mut low, mut high) = (self.start(), self.progress.last_seq);
        if time >= self.progress.last_time {
            return Ok(high);
        }
        // Blocks are found by Seq, so the time is bisected over Seq; heads are enough.
        while low < high {
            let middle = Seq(low.0 + (high.0 - low.0).div_ceil(2));
            let value = self
                .block_value(middle)?
                .ok_or(StoreError::MissingEvents(middle))?;
            let head = BlockHead::decode(&value)?;
            if head.last_time <= time {
                low = head.last_seq().min(high).max(middle);
            } else if head.first_time > time {
                high = Seq(head.first_seq.0.saturating_sub(1)).max(low);
            } else {
                let (events, _) = decode_block(&value)?;
                let upto = events.partition_point(|event| event.time <= time);
                let before = Seq(head.first_seq.0.saturating_sub(1));
                return Ok(events
                    .get(..upto)
                    .and_then(<[Event]>::last)
                    .map_or(before, |event| event.seq));
            }
        }
        Ok(low)
    }

    /// One event.
    ///
    /// # Errors
    /// Damage in the event log.
    pub fn event(&self, seq: Seq) -> Result<Option<Event>, StoreError> {
        self.events(seq, seq).next().transpose()
    }

    /// The state of a node after `at`, with the `Seq` it dates from.
    ///
    /// # Errors
    /// A damaged record.
    pub fn node_at(&self, file: FileId, at: Seq) -> Result<Option<(Seq, Node)>, StoreError> {
        let found = self.floor(Space::Node, file, at)?;
        found
            .map(|(seq, value)| Ok((seq, decode_node(&value)?)))
            .transpose()
    }

    /// The version of a file after `at`, with the `Seq` it dates from.
    ///
    /// # Errors
    /// A damaged record.
    pub fn version_at(&self, file: FileId, at: Seq) -> Result<Option<(Seq, Version)>, StoreError> {
        let at = VersionRef { file, seq: at };
        versions::floor(&self.store.db, self.session.id, at)
    }

    /// The `Seq` of the first version of a file after `after`.
    pub(crate) fn version_after(
        &self,
        file: FileId,
        after: Seq,
    ) -> Result<Option<Seq>, StoreError> {
        let at = VersionRef { file, seq: after };
        versions::after(&self.store.db, self.session.id, at)
    }

    fn floor(
        &self,
        space: Space,
        file: FileId,
        at: Seq,
    ) -> Result<Option<(Seq, Value)>, StoreError> {
        let prefix = key::file(self.session.id, file);
        let key = key::file_at(self.session.id, file, at);
        let found = self.store.db.floor(space, &prefix, key)?;
        found
            .map(|(key, value)| Ok((key::file_at_parts(&key)?.1, value)))
            .transpose()
    }

    /// All versions of a file in order.
    pub fn versions(
        &self,
        file: FileId,
    ) -> impl DoubleEndedIterator<Item = Result<(Seq, Version), StoreError>> + '_ {
        let prefix = key::file(self.session.id, file);
        let records = self.store.db.prefix(Space::Version, &prefix);
        records.flat_map(|record| {
            let of_record = record
                .map_err(StoreError::from)
                .and_then(|(key, value)| versions::of_record(&key, &value));
            let (versions, error) = match of_record {
                Ok(versions) => (Some(versions), None),
                Err(error) => (None, Some(Err(error))),
            };
            versions.into_iter().flatten().map(Ok).chain(error)
        })
    }

    /// The content of a version.
    ///
    /// # Errors
    /// A content that was not recorded, or damage.
    pub fn content(&self, at: VersionRef) -> Result<Content<'_>, ContentError> {
        content::open(&self.lookup, at)
    }

    /// What a name stood for after `at`.
    ///
    /// # Errors
    /// A damaged record.
    pub fn child(
        &self,
        parent: FileId,
        name: &[u8],
        at: Seq,
    ) -> Result<Option<FileId>, StoreError> {
        let key = key::name(self.session.id, parent, name, at);
        let prefix = key.get(..key.len() - 8).unwrap_or_default().to_vec();
        match self.store.db.floor(Space::Name, &prefix, key)? {
            Some((_, value)) => Ok(decode_name(&value)?),
            None => Ok(None),
        }
    }

    /// The entries of a directory after `at`, in the byte order of their names.
    ///
    /// # Errors
    /// A damaged record.
    pub fn children(&self, parent: FileId, at: Seq) -> Result<Vec<(Vec<u8>, FileId)>, StoreError> {
        let mut damage = Vec::new();
        let children = self.salvage_children(parent, at, &mut damage);
        damage.into_iter().next().map_or(Ok(children), Err)
    }

    /// As [`Self::children`], but damage does not hide the rest.
    pub(crate) fn salvage_children(
        &self,
        parent: FileId,
        at: Seq,
        damage: &mut Vec<StoreError>,
    ) -> Vec<(Vec<u8>, FileId)> {
        let mut found: Vec<NameRecord> = Vec::new();
        let prefix = key::name_dir(self.session.id, parent);
        for record in self.store.db.prefix(Space::Name, &prefix) {
            match name_record(record, at) {
                Ok(None) => {}
                Ok(Some((name, child))) => match found.last_mut() {
                    Some((last, latest)) if *last == name => *latest = child,
                    _ => found.push((name, child)),
                },
                Err(error) => {
                    let goes_on = error.is_of_one_record();
                    damage.push(error);
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        let living = |(name, child): NameRecord| Some((name, child?));
        found.into_iter().filter_map(living).collect()
    }

    /// The file a path led to after `at`.
    ///
    /// # Errors
    /// A damaged record.
    pub fn find(&self, path: &[u8], at: Seq) -> Result<Option<FileId>, StoreError> {
        let mut file = FileId::TOP;
        let names = path.split(|byte| *byte == b'/');
        for name in names.filter(|name| !name.is_empty() && *name != b".") {
            match self.child(file, name, at)? {
                Some(child) => file = child,
                None => return Ok(None),
            }
        }
        Ok(Some(file))
    }

    /// A path that led to the file after `at`: that of its oldest name, or of its last
    /// one if it has none any more. `None` if it never had one.
    ///
    /// # Errors
    /// A damaged record, or a loop.
    pub fn path_of(&self, file: FileId, at: Seq) -> Result<Option<TracePath>, StoreError> {
        let mut names = Vec::new();
        let mut file = file;
        while file != FileId::TOP {
            let Some(place) = self.place_of(file, at)? else {
                return Ok(None);
            };
            names.push(place.name);
            file = place.parent;
            if names.len() > MAX_DEPTH {
                return Err(StoreError::Loop);
            }
        }
        names.reverse();
        Ok(Some(names.join(&b'/')))
    }

    /// The oldest name of a file after `at`, or its last one once it is gone. Whoever asks
    /// knows of the file, so one of which nothing is recorded is damage.
    pub(crate) fn place_of(
        &self,
        file: FileId,
        at: Seq,
    ) -> Result<Option<crate::model::Place>, StoreError> {
        let mut found = Some(self.node_at(file, at)?.ok_or(StoreError::NoNode(file))?);
        while let Some((seq, node)) = found {
            if let Some(place) = node.links.into_iter().next() {
                return Ok(Some(place));
            }
            let Some(before) = seq.0.checked_sub(1) else {
                break;
            };
            found = self.node_at(file, Seq(before))?;
        }
        Ok(None)
    }

    /// The whole tree after `at`.
    ///
    /// # Errors
    /// A session without a baseline, or damage.
    pub fn snapshot(&self, at: Seq) -> Result<Snapshot, StoreError> {
        if !self.progress.baseline_done {
            return Err(StoreError::NoBaseline(self.session.id));
        }
        self.check_start(at)?;
        Snapshot::load(self, at, false)
    }

    /// The tree after `at` as far as it can be read; [`Snapshot::damage`] tells what
    /// cannot.
    ///
    /// # Errors
    /// A session without a baseline.
    pub fn salvage(&self, at: Seq) -> Result<Snapshot, StoreError> {
        if !self.progress.baseline_done {
            return Err(StoreError::NoBaseline(self.session.id));
        }
        self.check_start(at)?;
        Snapshot::load(self, at, true)
    }

    /// A process.
    ///
    /// # Errors
    /// A damaged record.
    pub fn process(&self, id: ProcessId) -> Result<Option<Process>, StoreError> {
        let value = self
            .store
            .db
            .get(Space::Process, &key::process(self.session.id, id))?;
        Ok(value.map(|value| decode_process(&value)).transpose()?)
    }

    /// All processes in the order in which they were seen.
    pub fn processes(&self) -> impl Iterator<Item = Result<(ProcessId, Process), StoreError>> + '_ {
        let prefix = self.session.id.0.to_be_bytes();
        self.store.db.prefix(Space::Process, &prefix).map(|record| {
            let (key, value) = record?;
            Ok((key::process_id(&key)?, decode_process(&value)?))
        })
    }

    /// The buckets of one of [`density::RESOLUTIONS`] that overlap a stretch of time.
    pub fn density(
        &self,
        resolution: u8,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = Result<Bucket, StoreError>> + '_ {
        let width = density::RESOLUTIONS
            .get(usize::from(resolution))
            .copied()
            .unwrap_or(u64::MAX);
        let key = |time: Timestamp| key::density(self.session.id, resolution, time.0 / width);
        let range = (Bound::Included(key(from)), Bound::Included(key(to)));
        self.store
            .db
            .range(Space::Density, range)
            .map(move |record| density::bucket(resolution, record))
    }
}

type NameRecord = (Vec<u8>, Option<FileId>);

/// A name and what it stood for, unless that is later than `at`.
fn name_record(
    record: Result<(Vec<u8>, Value), DbError>,
    at: Seq,
) -> Result<Option<NameRecord>, StoreError> {
    let (key, value) = record?;
    let (name, seq) = key::name_parts(&key)?;
    let child = decode_name(&value)?;
    Ok((seq <= at).then(|| (name.to_vec(), child)))
}

/// Events of a session, block by block, from both ends.
pub struct Events<'r> {
    reader: &'r SessionReader<'r>,
    /// First event not yet handed out at the front.
    next: Seq,
    /// Last event not yet handed out at the back.
    last: Seq,
    front: std::vec::IntoIter<Event>,
    back: std::vec::IntoIter<Event>,
}

impl Events<'_> {
    /// Ends the iteration with an error, so that a damaged log is reported once.
    fn fail(&mut self, error: StoreError) -> Option<Result<Event, StoreError>> {
        self.next = Seq(self.last.0.saturating_add(1));
        Some(Err(error))
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.last {
            return None;
        }
        if self.front.as_slice().is_empty() {
            match self.reader.block(self.next) {
                Ok(events) => self.front = events.into_iter(),
                Err(error) => return self.fail(error),
            }
        }
        let wanted = self.next;
        match self.front.find(|event| event.seq >= wanted) {
            Some(event) if event.seq == wanted => {
                self.next = wanted.next();
                Some(Ok(event))
            }
            _ => self.fail(StoreError::MissingEvents(wanted)),
        }
    }
}

impl DoubleEndedIterator for Events<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.next > self.last {
            return None;
        }
        if self.back.as_slice().is_empty() {
            match self.reader.block(self.last) {
                Ok(events) => self.back = events.into_iter(),
                Err(error) => return self.fail(error),
            }
        }
        let wanted = self.last;
        match self.back.rfind(|event| event.seq <= wanted) {
            Some(event) if event.seq == wanted => {
                self.last = Seq(wanted.0.saturating_sub(1));
                Some(Ok(event))
            }
            _ => self.fail(StoreError::MissingEvents(wanted)),
        }
    }
}
