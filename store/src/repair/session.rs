//! One session cut to what is whole.

use std::collections::HashMap;

use super::Cut;
use crate::db::{Batch, Db, DbError, Space};
use crate::density::Density;
use crate::encode::{
    BlockBuilder, decode_base, decode_block, decode_progress, decode_seal, decode_session,
    decode_version, encode_progress, encode_seal, encode_version,
};
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::marks::Mark;
use crate::model::{
    Base, Counts, Digest, Event, FileId, GapReason, Op, ProcessId, Progress, Seq, SessionId,
    Timestamp,
};
use crate::pending::FULL_BATCH;
use crate::states;
use crate::versions::Held;
use crate::writer::extend_chain;

/// The prefix of a session's events whose states are all there.
struct Whole {
    progress: Progress,
    density: Density,
    /// Events of the block that was cut in the middle.
    partial: Vec<Event>,
    /// Processes that events name, and whether they are there.
    processes: HashMap<ProcessId, bool>,
}

/// Cuts a session, or removes what is left of it where its own record is lost. `None` if it had
/// lost nothing.
pub(super) fn cut(
    db: &Db,
    session: SessionId,
    mark: Option<&Mark>,
) -> Result<Option<Cut>, StoreError> {
    let acknowledged = mark.map(|mark| mark.last_seq);
    let info = read(db, session, SessionPart::Info)?;
    if info.and_then(|value| decode_session(&value).ok()).is_none() {
        remove(db, session)?;
        return Ok(Some(Cut {
            session,
            acknowledged,
            kept: None,
            tree: false,
        }));
    }
    let stored = read(db, session, SessionPart::Progress)?;
    let stored = stored.and_then(|value| decode_progress(&value).ok());
    let base = read(db, session, SessionPart::Base)?;
    let base = base.and_then(|value| decode_base(&value).ok());
    let start = base.map_or(Seq::BASELINE, |base| base.seq);
    let (records, has_top) = baseline(db, session, start)?;
    let baseline_done = match (mark, &stored) {
        (Some(mark), _) => mark.baseline_done && mark.baseline == records && has_top,
        (None, Some(stored)) => stored.baseline_done && has_top,
        (None, None) => false,
    };
    let mut whole = follow(db, session, baseline_done, base)?;
    if stored.as_ref() == Some(&whole.progress)
        && mark.is_none_or(|mark| !mark.exceeds(stored.as_ref(), is_sealed(db, session)))
        && !whole.lacks_processes()
    {
        // It can be made of the events, so nothing is lost with it.
        return renew_histogram(db, session, &mut whole).map(|()| None);
    }
    let kept = whole.progress.last_seq;
    remove_after(db, session, kept)?;
    write(db, session, whole)?;
    Ok(Some(Cut {
        session,
        acknowledged,
        kept: Some(kept),
        tree: baseline_done,
    }))
}

/// A session's mark as the database is; `None` if there is nothing to mark.
pub(super) fn mark(
    db: &Db,
    session: SessionId,
    old: Option<&Mark>,
) -> Result<Option<Mark>, StoreError> {
    let progress = read(db, session, SessionPart::Progress)?;
    let Some(progress) = progress.and_then(|value| decode_progress(&value).ok()) else {
        return Ok(old.cloned());
    };
    let baseline = match old {
        Some(old) if old.baseline_done == progress.baseline_done => old.baseline,
        _ => {
            let base = read(db, session, SessionPart::Base)?;
            let base = base.and_then(|value| decode_base(&value).ok());
            baseline(db, session, base.map_or(Seq::BASELINE, |base| base.seq))?.0
        }
    };
    Ok(Some(Mark {
        session,
        baseline_done: progress.baseline_done,
        sealed: is_sealed(db, session),
        last_seq: progress.last_seq,
        baseline,
        chain: progress.chain,
    }))
}

/// A part of a session's own records; none if it is damaged.
fn read(db: &Db, session: SessionId, part: SessionPart) -> Result<Option<Vec<u8>>, DbError> {
    match db.get(Space::Session, &key::session(session, part)) {
        Ok(value) => Ok(value.map(|value| value.to_vec())),
        Err(DbError::Checksum(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_sealed(db: &Db, session: SessionId) -> bool {
    let seal = key::session(session, SessionPart::Seal);
    db.contains(Space::Session, &seal).unwrap_or(false)
}

/// How many names and versions the baseline has, and whether the top is known.
fn baseline(db: &Db, session: SessionId, start: Seq) -> Result<(u64, bool), StoreError> {
    let mut records = 0;
    for space in [Space::Name, Space::Version] {
        for record in db.prefix(space, &session.0.to_be_bytes()) {
            match record {
                Ok((key, _)) => {
                    let seq = key.last_chunk::<8>().map(|seq| u64::from_be_bytes(*seq));
                    records += u64::from(seq.is_some_and(|seq| seq <= start.0));
                }
                // It is there, and reading it says what is wrong with it.
                Err(DbError::Checksum(_)) => records += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let top = key::file_at(session, FileId::TOP, start);
    let prefix = key::file(session, FileId::TOP);
    let found = match db.floor(Space::Node, &prefix, top) {
        Err(DbError::Checksum(_)) => true,
        found => found?.is_some(),
    };
    Ok((records, found))
}

/// Follows the events from the first one to the first that lacks a state, or is not there.
fn follow(
    db: &Db,
    session: SessionId,
    baseline_done: bool,
    base: Option<Base>,
) -> Result<Whole, StoreError> {
    let mut whole = Whole {
        progress: Progress {
            last_seq: base.map_or(Seq::BASELINE, |base| base.seq),
            last_time: base.map_or(Timestamp::default(), |base| base.time),
            baseline_done,
            counts: Counts::default(),
            chain: base.map_or_else(|| Digest::of(b""), |base| base.chain),
        },
        density: Density::default(),
        partial: Vec::new(),
        processes: HashMap::new(),
    };
    let mut held = Held::default();
    for record in db.prefix(Space::Event, &session.0.to_be_bytes()) {
        let Ok((events, plain)) = record
            .map_err(StoreError::from)
            .and_then(|(_, value)| Ok(decode_block(&value)?))
        else {
            break;
        };
        let complete = events.iter().map_while(|event| {
            let next = event.seq == whole.progress.last_seq.next();
            (next && has_states(db, session, event, &mut held)).then(|| {
                whole.add(event);
                whole.look_for_process(db, session, event);
            })
        });
        let complete = complete.count();
        if complete < events.len() {
            whole.partial = events.into_iter().take(complete).collect();
            break;
        }
        whole.progress.chain = extend_chain(&whole.progress.chain, &plain);
    }
    Ok(whole)
}

impl Whole {
    fn add(&mut self, event: &Event) {
        self.progress.last_seq = event.seq;
        self.progress.last_time = event.time;
        self.progress.counts.add(event.op.kind(), 1);
        self.density.add(event.time, event.op.kind());
    }

    fn look_for_process(&mut self, db: &Db, session: SessionId, event: &Event) {
        if let Some(id) = event.process {
            let key = || key::process(session, id);
            let is_there = || db.contains(Space::Process, &key()).unwrap_or(false);
            self.processes.entry(id).or_insert_with(is_there);
        }
    }

    /// Whether it is not known who some events are of.
    fn lacks_processes(&self) -> bool {
        self.processes.values().any(|is_there| !is_there)
    }
}

fn has_states(db: &Db, session: SessionId, event: &Event, held: &mut Held) -> bool {
    // A recorder gives every new file a content, if only a missing one.
    let content = match (&event.op, event.file) {
        (Op::Create(_), Some(file)) => Some(key::file_at(session, file, event.seq)),
        _ => None,
    };
    let expected = states::of(session, event);
    expected
        .iter()
        .all(|state| state.is_there(db, held).unwrap_or(false))
        && content.is_none_or(|key| db.contains(Space::Version, &key).unwrap_or(false))
}

/// Records in batches of a bounded size.
struct Writing<'d> {
    db: &'d Db,
    batch: Batch<'d>,
    pending: usize,
}

impl<'d> Writing<'d> {
    fn new(db: &'d Db) -> Self {
        let batch = db.batch();
        Self {
            db,
            batch,
            pending: 0,
        }
    }

    fn remove(&mut self, space: Space, key: Vec<u8>) -> Result<(), DbError> {
        self.pending += key.len();
        self.batch.remove(space, key);
        if self.pending > FULL_BATCH / 4 {
            self.pending = 0;
            std::mem::replace(&mut self.batch, self.db.batch()).commit()?;
        }
        Ok(())
    }
}

/// Everything of a session.
pub(crate) fn remove(db: &Db, session: SessionId) -> Result<(), StoreError> {
    let mut writing = Writing::new(db);
    for space in Space::OF_SESSIONS {
        for key in db.keys(space, &session.0.to_be_bytes()) {
            writing.remove(space, key?)?;
        }
    }
    Ok(writing.batch.commit()?)
}

/// The histogram, which is made anew, and all that is later than `kept`.
fn remove_after(db: &Db, session: SessionId, kept: Seq) -> Result<(), StoreError> {
    let mut writing = Writing::new(db);
    let prefix = session.0.to_be_bytes();
    for key in db.keys(Space::Density, &prefix) {
        writing.remove(Space::Density, key?)?;
    }
    for key in db.keys(Space::Event, &prefix) {
        let key = key?;
        if key::event_seq(&key)? > kept {
            writing.remove(Space::Event, key)?;
        }
    }
    for space in [Space::Name, Space::Node, Space::Version] {
        for key in db.keys(space, &prefix) {
            let key = key?;
            let seq = key.last_chunk::<8>().map(|seq| u64::from_be_bytes(*seq));
            if seq.is_some_and(|seq| seq > kept.0) {
                if space == Space::Version {
                    keep_part(db, &key, kept, &mut writing)?;
                }
                writing.remove(space, key)?;
            }
        }
    }
    Ok(writing.batch.commit()?)
}

/// Of a burst that goes on after `kept`, the versions up to there stay.
fn keep_part(db: &Db, key: &[u8], kept: Seq, writing: &mut Writing<'_>) -> Result<(), StoreError> {
    let session = key::session_of(key)?;
    let (file, seq) = key::file_at_parts(key)?;
    let part = match db.get(Space::Version, key) {
        Ok(value) => value.and_then(|value| decode_version(&value).ok()),
        Err(DbError::Checksum(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some((seq, version)) = part.and_then(|version| version.as_of(seq, kept)) {
        let key = key::file_at(session, file, seq);
        writing
            .batch
            .put(Space::Version, key, encode_version(&version));
    }
    Ok(())
}

fn renew_histogram(db: &Db, session: SessionId, whole: &mut Whole) -> Result<(), StoreError> {
    let mut batch = db.batch();
    whole.density.remove_others(db, session, &mut batch)?;
    let last = whole.progress.last_time;
    whole.density.flush(session, last, &mut batch);
    Ok(batch.commit()?)
}

/// What is left, with the gap that says so.
fn write(db: &Db, session: SessionId, mut whole: Whole) -> Result<(), StoreError> {
    let mut batch = db.batch();
    let partial = std::mem::take(&mut whole.partial);
    put_block(&mut batch, session, &mut whole.progress, &partial);
    let gap = gap_event(&whole.progress, GapReason::Lost);
    whole.add(&gap);
    put_block(
        &mut batch,
        session,
        &mut whole.progress,
        std::slice::from_ref(&gap),
    );
    whole
        .density
        .flush(session, whole.progress.last_time, &mut batch);
    let key = key::session(session, SessionPart::Progress);
    batch.put(Space::Session, key, encode_progress(&whole.progress));
    let seal = read(db, session, SessionPart::Seal)?;
    if let Some(mut seal) = seal.and_then(|value| decode_seal(&value).ok()) {
        seal.root = whole.progress.chain;
        let key = key::session(session, SessionPart::Seal);
        batch.put(Space::Session, key, encode_seal(&seal));
    }
    Ok(batch.commit()?)
}

/// The loss of all that came after the last event.
pub(crate) fn gap_event(progress: &Progress, reason: GapReason) -> Event {
    Event {
        seq: progress.last_seq.next(),
        time: progress.last_time,
        process: None,
        file: None,
        op: Op::Gap { reason, path: None },
    }
}

/// Puts events as one block and takes them into the running hash; the rest of `progress` is
/// the caller's.
pub(crate) fn put_block(
    batch: &mut Batch<'_>,
    session: SessionId,
    progress: &mut Progress,
    events: &[Event],
) {
    let mut builder = BlockBuilder::default();
    events.iter().for_each(|event| builder.push(event));
    if let (Some(first), Some((block, plain))) = (builder.first_seq(), builder.finish()) {
        batch.put(Space::Event, key::event(session, first), block);
        progress.chain = extend_chain(&progress.chain, &plain);
    }
}
