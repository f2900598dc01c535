//! Recording a session: events and the states they lead to, in atomic batches.
//!
//! A batch holds a block of events with every `name`, `node`, `version` and `blob`
//! record that belongs to them, and the session's new high-water mark: a trace never
//! shows an event without its state, nor a state without its event.

mod bursts;
mod contents;
mod rest;

use crate::content::{Built, ContentEncoder, Encoded};
use crate::db::{Batch, Space};
use crate::density::Density;
use crate::encode::{
    BlockBuilder, decode_version, encode_name, encode_node, encode_process, encode_progress,
    encode_seal, encode_session, encode_version,
};
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::marks::{Mark, MarkSlot};
use crate::model::{
    Counts, Digest, Event, FileId, Node, Op, Process, ProcessId, Progress, Seal, Seq, Session,
    SessionId, Timestamp, Version, VersionRef,
};
use crate::pending::{FULL_BATCH, Pending};
use crate::prune::Start;
use crate::refine::{Candidate, Refined};
use crate::store::Store;
use crate::tally::Tally;

use bursts::Bursts;

/// A state that an event led to.
#[derive(Clone, Debug)]
pub enum Change {
    /// A name now stands for a file, or for nothing.
    Name {
        /// The directory.
        parent: FileId,
        /// The entry.
        name: Vec<u8>,
        /// The file, `None` once the name is gone.
        child: Option<FileId>,
    },
    /// A node's attributes or names are now these.
    Node {
        /// The file.
        file: FileId,
        /// Its state.
        node: Node,
    },
    /// A file's content is now this.
    Content {
        /// The file.
        file: FileId,
        /// From [`SessionWriter::encode`] and its kin.
        content: NewContent,
    },
}

/// A content that is encoded but not yet part of the session.
#[derive(Clone, Debug)]
pub struct NewContent {
    /// The version record and what changed.
    pub encoded: Encoded,
    built: Option<Built>,
}

impl NewContent {
    /// A content that could not be had.
    #[must_use]
    pub const fn missing(version: Version) -> Self {
        let encoded = Encoded {
            version,
            old_length: None,
            changed: None,
        };
        Self {
            encoded,
            built: None,
        }
    }

    /// The same, as one whose secrets were masked before it was encoded.
    #[must_use]
    pub const fn redacted(mut self, redacted: bool) -> Self {
        self.encoded.version.redacted = redacted;
        self
    }

    fn new((encoded, built): (Encoded, Built)) -> Self {
        Self {
            encoded,
            built: Some(built),
        }
    }
}

/// What a file was found to hold.
#[derive(Clone, Debug)]
pub enum Checked {
    /// What its last version says, whose digest is now known.
    Equal(Digest),
    /// Something else: the content to record.
    Differs(NewContent),
    /// What it held was not known: the content to record.
    Unknown(NewContent),
}

/// An event to be recorded; its `Seq` is given by the writer.
#[derive(Clone, Debug)]
pub struct Record {
    /// When; moved up to the time of the event before if it is earlier.
    pub time: Timestamp,
    /// Who.
    pub process: Option<ProcessId>,
    /// What it happened to.
    pub file: Option<FileId>,
    /// What happened.
    pub op: Op,
    /// The states it led to.
    pub changes: Vec<Change>,
}

/// Writes one session.
pub struct SessionWriter<'s> {
    store: &'s Store,
    session: SessionId,
    pending: Pending<'s>,
    bursts: Bursts,
    block: BlockBuilder,
    progress: Progress,
    committed: Seq,
    slot: MarkSlot,
    /// Names and versions of the baseline.
    baseline: u64,
    density: Density,
    contents: ContentEncoder,
}

impl<'s> SessionWriter<'s> {
    pub(crate) fn new(store: &'s Store, session: &Session) -> Result<Self, StoreError> {
        let mut writer = Self {
            store,
            session: session.id,
            pending: Pending::new(&store.db),
            bursts: Bursts::default(),
            block: BlockBuilder::default(),
            progress: Progress {
                last_seq: Seq::BASELINE,
                last_time: Timestamp::default(),
                baseline_done: false,
                counts: Counts::default(),
                chain: Digest::of(b""),
            },
            committed: Seq::BASELINE,
            slot: store.marks.begin()?,
            baseline: 0,
            density: Density::default(),
            contents: ContentEncoder::new(),
        };
        writer.begin(session)?;
        Ok(writer)
    }

    #[cfg(test)]
    pub(crate) const fn contents(&mut self) -> &mut ContentEncoder {
        &mut self.contents
    }

    fn begin(&mut self, session: &Session) -> Result<(), StoreError> {
        let key = key::session(self.session, SessionPart::Info);
        self.pending
            .batch
            .put(Space::Session, key, encode_session(session));
        self.commit()
    }

    /// Says that secrets are masked in this session.
    pub fn declare_redacted(&mut self) {
        let key = key::session(self.session, SessionPart::Redaction);
        self.pending.batch.put(Space::Session, key, vec![1]);
    }

    /// Rewrites what was not known when the session began: its clock anchors are those
    /// of the command's start, which comes after the baseline.
    ///
    /// # Errors
    /// A failing database.
    pub fn restate(&mut self, session: &Session) -> Result<(), StoreError> {
        self.begin(session)
    }

    /// Adds to the baseline, the state before the first event.
    ///
    /// # Errors
    /// A failing database.
    pub fn baseline(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        // A node is written once more for each further name it has; the others once.
        let counts = |change: &&Change| !matches!(change, Change::Node { .. });
        self.baseline += changes.iter().filter(counts).count() as u64;
        self.put(Seq::BASELINE, changes)?;
        if self.pending.batch.bytes() > FULL_BATCH {
            self.pending.commit()?;
        }
        Ok(())
    }

    /// Ends the baseline.
    ///
    /// # Errors
    /// A failing database.
    pub fn baseline_done(&mut self) -> Result<(), StoreError> {
        self.progress.baseline_done = true;
        self.commit()
    }

    /// Records an event. It is safe from a crash after the next commit.
    ///
    /// # Errors
    /// A failing database, when the batch was full.
    pub fn append(&mut self, record: Record) -> Result<Seq, StoreError> {
        let seq = self.progress.last_seq.next();
        let time = record.time.max(self.progress.last_time);
        let event = Event {
            seq,
            time,
            process: record.process,
            file: record.file,
            op: record.op,
        };
        self.progress.last_seq = seq;
        self.progress.last_time = time;
        self.progress.counts.add(event.op.kind(), 1);
        self.density.add(time, event.op.kind());
        self.block.push(&event);
        self.put(seq, record.changes)?;
        let bytes = self.pending.batch.bytes() + self.bursts.bytes();
        if self.block.is_full() || bytes > FULL_BATCH {
            self.commit()?;
        }
        Ok(seq)
    }

    fn put(&mut self, seq: Seq, changes: Vec<Change>) -> Result<(), StoreError> {
        let session = self.session;
        for change in changes {
            match change {
                Change::Name {
                    parent,
                    name,
                    child,
                } => {
                    let key = key::name(session, parent, &name, seq);
                    self.pending.batch.put(Space::Name, key, encode_name(child));
                }
                Change::Node { file, node } => {
                    let key = key::file_at(session, file, seq);
                    self.pending.batch.put(Space::Node, key, encode_node(&node));
                }
                Change::Content { file, content } => {
                    self.put_content(VersionRef { file, seq }, content)?;
                }
            }
        }
        Ok(())
    }

    fn put_content(&mut self, at: VersionRef, content: NewContent) -> Result<(), StoreError> {
        let (session, VersionRef { file, seq }) = (self.session, at);
        let NewContent { encoded, built } = content;
        self.pending.tally.version(&encoded.version);
        if let Some(below) = self.contents.chain(file, encoded.version.repr.base()) {
            let version = &encoded.version;
            self.pending.refinery.offer(session, at, version, below);
        }
        let goes_on = self.bursts.goes_on(file, &encoded);
        if !goes_on {
            self.end_burst(file)?;
        }
        let is_laid = self.contents.settle(at, &encoded, built, goes_on);
        if goes_on {
            self.bursts.push(file, seq, &encoded);
            return Ok(());
        }
        if is_laid && Bursts::begins(&encoded) {
            self.bursts.begin(file, seq, encoded);
            return Ok(());
        }
        let key = key::file_at(session, file, seq);
        let value = encode_version(&encoded.version);
        self.pending.batch.put(Space::Version, key, value);
        Ok(())
    }

    /// Records who a process is; may be called again when more is known.
    pub fn process(&mut self, id: ProcessId, process: &Process) {
        let key = key::process(self.session, id);
        let value = encode_process(process);
        self.pending.batch.put(Space::Process, key, value);
    }

    /// Makes everything appended so far safe from a crash of this process.
    ///
    /// # Errors
    /// A failing database.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.end_bursts()?;
        if let Some(first) = self.block.first_seq()
            && let Some((block, plain)) = self.block.finish()
        {
            let key = key::event(self.session, first);
            self.pending.batch.put(Space::Event, key, block);
            self.progress.chain = extend_chain(&self.progress.chain, &plain);
        }
        let now = self.progress.last_time;
        self.density
            .flush(self.session, now, &mut self.pending.batch);
        let key = key::session(self.session, SessionPart::Progress);
        let value = encode_progress(&self.progress);
        self.pending.batch.put(Space::Session, key, value);
        self.pending.commit()?;
        self.committed = self.progress.last_seq;
        self.mark(false)?;
        self.settle_learnt()
    }

    /// Notes beside the database what it was told.
    fn mark(&self, sealed: bool) -> Result<(), StoreError> {
        let mark = Mark {
            session: self.session,
            baseline_done: self.progress.baseline_done,
            sealed,
            last_seq: self.progress.last_seq,
            baseline: self.baseline,
            chain: self.progress.chain,
        };
        Ok(self.slot.put(&mark)?)
    }

    /// Writes the digests that checks have shown into the records of their versions, with
    /// the next batch.
    fn settle_learnt(&mut self) -> Result<(), StoreError> {
        for (at, digest) in self.contents.learnt() {
            let key = key::file_at(self.session, at.file, at.seq);
            if let Some(value) = self.store.db.get(Space::Version, &key)? {
                let mut version = decode_version(&value)?;
                version.digest = Some(digest);
                let value = encode_version(&version);
                self.pending.batch.put(Space::Version, key, value);
            }
        }
        Ok(())
    }

    /// Leaves nothing pending.
    pub(crate) fn commit_all(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        self.pending.commit()
    }

    pub(crate) const fn store(&self) -> &'s Store {
        self.store
    }

    /// The session that it writes.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Goes on after `batch` has given up what came before a new start. Nothing may be pending.
    pub(crate) fn restart(
        &mut self,
        start: &Start,
        mut density: Density,
        mut batch: Batch<'_>,
    ) -> Result<(), StoreError> {
        density.flush(self.session, self.progress.last_time, &mut batch);
        // A crash between the two leaves a session without a mark, and not one that lacks
        // what its mark counts.
        self.slot.clear()?;
        batch.commit()?;
        self.progress.counts = start.progress.counts.clone();
        self.baseline = start.baseline;
        self.density = density;
        self.pending.refinery.restart();
        let session = self.session;
        self.contents.restart(|at| {
            let key = key::file_at(session, at.file, at.seq);
            !start.drops(Space::Version, &key)
        });
        self.mark(false)
    }

    /// Whether events wait for a commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.block.is_empty()
    }

    /// How far the session has got.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What has been stored so far, and how.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.pending.tally
    }

    /// A committed version that [`Store::refine`] may find a smaller form for.
    pub fn candidate(&mut self) -> Option<Candidate> {
        self.pending.refinery.next(self.committed)
    }

    /// Replaces the form of a version by a smaller one of the same content.
    pub fn apply(&mut self, refined: Refined) {
        if !self.pending.refinery.is_current(&refined) {
            return;
        }
        let key = key::file_at(self.session, refined.at.file, refined.at.seq);
        let value = encode_version(&refined.version);
        let batch = &mut self.pending.batch;
        batch.put(Space::Version, key, value);
        for blob in refined.blobs {
            if let Some(value) = blob.value {
                batch.put(Space::Blob, key::blob(&blob.digest), value);
            }
        }
        for digest in refined.replaced {
            if self.pending.refinery.owns_alone(&digest) {
                batch.remove(Space::Blob, key::blob(&digest));
            }
        }
        let file = refined.at.file;
        self.contents.burden(file, refined.root, refined.extra_cost);
    }

    /// Ends the session in order.
    ///
    /// # Errors
    /// A failing database.
    pub fn seal(mut self, mut seal: Seal) -> Result<Progress, StoreError> {
        self.commit()?;
        seal.root = self.progress.chain;
        let key = key::session(self.session, SessionPart::Seal);
        self.pending
            .batch
            .put(Space::Session, key, encode_seal(&seal));
        self.pending.commit()?;
        self.mark(true)?;
        Ok(self.progress)
    }
}

/// The running hash over a session's blocks: blake3 of the hash so far and the plain
/// block.
pub(crate) fn extend_chain(chain: &Digest, plain: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&chain.0);
    hasher.update(plain);
    Digest(*hasher.finalize().as_bytes())
}
