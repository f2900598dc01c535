//! Verify: everything a store holds checked against everything that is known of it.
//!
//! Blobs against their digests, versions rebuilt against theirs, event blocks against
//! the running hash, the counts and the names they lead to. A finding never ends the
//! search; memory is bounded by the largest tree, not by the history.

mod events;
mod names;
mod records;
#[cfg(test)]
mod tests;
mod versions;

use crate::blob;
use crate::db::{Range, Space, Value};
use crate::encode::decode_session;
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::meter::Meter;
use crate::model::{FileId, Seq, SessionId, TracePath};
use crate::reader::SessionReader;
use crate::store::Store;

/// Most findings that are kept; further ones are only counted.
const MAX_FINDINGS: usize = 1000;
/// Most failures of the engine in one keyspace before the rest of it is given up: an
/// iterator that failed once may fail for ever.
const MAX_FAILURES: u32 = 16;

/// What was checked and what was found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Every damage, in the order in which it was met.
    pub findings: Vec<Finding>,
    /// How many more there are than [`VerifyReport::findings`] holds.
    pub further: u64,
    /// Sessions that have no seal: their recorder is still at work or died. No damage.
    pub unsealed: Vec<SessionId>,
    /// Sessions that were checked.
    pub sessions: u64,
    /// Blobs that match their digest.
    pub blobs: u64,
    /// Versions that were rebuilt and match their digest.
    pub versions: u64,
    /// Contents that were left out on purpose, by a thin pack or a size limit. No damage.
    pub omitted: u64,
    /// Versions that had parts masked before they were stored. No damage: their digests are
    /// those of the masked contents.
    pub redacted: u64,
    /// Events that were read.
    pub events: u64,
    /// Plain bytes of the blobs.
    pub bytes: u64,
}

/// One damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which session; `None` for what all sessions share.
    pub session: Option<SessionId>,
    /// Where.
    pub kind: FindingKind,
    /// The file concerned, where it can be named.
    pub path: Option<TracePath>,
    /// The event concerned, where there is one.
    pub seq: Option<Seq>,
    /// What is wrong, for people.
    pub text: String,
}

/// The part of a store that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// A session's own records.
    Session,
    /// The event log.
    Event,
    /// Names of files.
    Name,
    /// Attributes of files.
    Node,
    /// Contents of files.
    Version,
    /// Blobs.
    Blob,
    /// Processes.
    Process,
    /// The histogram.
    Density,
    /// The packed file as such.
    Pack,
}

impl FindingKind {
    /// The word users read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Event => "event",
            Self::Name => "name",
            Self::Node => "node",
            Self::Version => "version",
            Self::Blob => "blob",
            Self::Process => "process",
            Self::Density => "density",
            Self::Pack => "pack",
        }
    }
}

impl VerifyReport {
    /// Whether no damage was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.further += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        other.findings.into_iter().for_each(|found| self.add(found));
        self.further += other.further;
        self.unsealed.extend(other.unsealed);
        self.sessions += other.sessions;
        self.blobs += other.blobs;
        self.versions += other.versions;
        self.omitted += other.omitted;
        self.redacted += other.redacted;
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

/// Checks a whole store, or one session of it with every blob.
///
/// # Errors
/// A session that is not there. Damage is no error but a finding.
pub fn verify(
    store: &Store,
    only: Option<SessionId>,
    meter: &dyn Meter,
) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport::default();
    let sessions = sessions(store, only, &mut report)?;
    marks(store, only, &mut report);
    let (blobs, sessions) = rayon::join(
        || blobs(store, meter),
        || {
            let mut report = VerifyReport::default();
            for session in &sessions {
                one_session(session, &mut report, meter);
            }
            report
        },
    );
    report.merge(blobs);
    report.merge(sessions);
    if let Some(text) = store.damage() {
        report.add(Finding {
            session: None,
            kind: FindingKind::Pack,
            path: None,
            seq: None,
            text,
        });
    }
    Ok(report)
}

/// What the high-water marks tell.
fn marks(store: &Store, only: Option<SessionId>, report: &mut VerifyReport) {
    let mut found = |session, text| {
        report.add(Finding {
            session,
            kind: FindingKind::Session,
            path: None,
            seq: None,
            text,
        });
    };
    for loss in store.losses() {
        if only.is_none_or(|only| only == loss.session) {
            found(Some(loss.session), loss.to_string());
        }
    }
    if store.known.damaged > 0 {
        let text = "a high-water mark is damaged: what its session has lost cannot be told";
        found(None, text.to_owned());
    }
}

/// Opens every session that can be opened.
fn sessions<'s>(
    store: &'s Store,
    only: Option<SessionId>,
    report: &mut VerifyReport,
) -> Result<Vec<SessionReader<'s>>, StoreError> {
    let mut opened = Vec::new();
    let mut known = Vec::new();
    for record in tolerant(store.db.range(Space::Session, ..)) {
        let mut session = None;
        let reader = record.and_then(|(key, value)| {
            let id = key::session_of(&key)?;
            session = Some(id);
            let is_info = key.last() == Some(&(SessionPart::Info as u8));
            if !is_info || only.is_some_and(|only| only != id) {
                known.push(id);
                return Ok(None);
            }
            let info = decode_session(&value)?;
            if info.id != id {
                return Err(crate::encode::Malformed("session record").into());
            }
            SessionReader::new(store, info).map(Some)
        });
        match reader {
            Ok(reader) => opened.extend(reader),
            Err(error) => report.add(Finding {
                session,
                kind: FindingKind::Session,
                path: None,
                seq: None,
                text: error.to_string(),
            }),
        }
    }
    match only {
        Some(wanted) if opened.is_empty() && report.is_sound() => {
            known.dedup();
            let known: Vec<_> = known.iter().map(|id| id.0.to_string()).collect();
            let known = known.join(", ");
            Err(StoreError::NoSuchSession { wanted, known })
        }
        _ => Ok(opened),
    }
}

fn one_session(session: &SessionReader<'_>, report: &mut VerifyReport, meter: &dyn Meter) {
    report.sessions += 1;
    if session.seal().is_none() {
        report.unsealed.push(session.id());
    }
    let mut check = Check {
        session,
        report: VerifyReport::default(),
        baseline: 0,
        meter,
    };
    let mut replay = names::Replay::baseline(&mut check);
    events::check(&mut check, &mut replay);
    replay.compare(&mut check);
    records::check(&mut check);
    versions::check(&mut check);
    check.compare_baseline();
    report.merge(check.report);
}

fn blobs(store: &Store, meter: &dyn Meter) -> VerifyReport {
    let mut report = VerifyReport::default();
    for record in tolerant(store.db.range(Space::Blob, ..)) {
        let plain = record.and_then(|(key, value)| {
            let digest = key::blob_digest(&key)?;
            Ok(blob::unpack(&digest, &value)?)
        });
        match plain {
            Ok(plain) => {
                report.blobs += 1;
                report.bytes += plain.len() as u64;
            }
            Err(error) => report.add(Finding {
                session: None,
                kind: FindingKind::Blob,
                path: None,
                seq: None,
                text: error.to_string(),
            }),
        }
        meter.advance(1);
    }
    report
}

/// The check of one session.
struct Check<'s> {
    session: &'s SessionReader<'s>,
    report: VerifyReport,
    /// Names and versions of the baseline so far.
    baseline: u64,
    meter: &'s dyn Meter,
}

impl<'s> Check<'s> {
    fn records(&self, space: Space) -> impl Iterator<Item = Record> + use<'s> {
        let prefix = self.session.id().0.to_be_bytes();
        let session = self.session;
        tolerant(session.store.db.prefix(space, &prefix))
    }

    /// No event tells what the baseline held; its number of records was marked.
    fn compare_baseline(&mut self) {
        let id = self.session.id();
        let marks = &self.session.store.known.marks;
        let Some(mark) = marks.iter().find(|mark| mark.session == id) else {
            return;
        };
        if self.session.progress().baseline_done && mark.baseline != self.baseline {
            let text = format!(
                "{} names and contents in the baseline where {} were counted",
                self.baseline, mark.baseline
            );
            self.found(FindingKind::Session, None, text);
        }
    }

    fn found(&mut self, kind: FindingKind, seq: Option<Seq>, text: impl ToString) {
        self.report.add(Finding {
            session: Some(self.session.id()),
            kind,
            path: None,
            seq,
            text: text.to_string(),
        });
    }

    fn found_at(&mut self, kind: FindingKind, file: FileId, seq: Seq, text: impl ToString) {
        let path = self.session.path_of(file, seq).ok().flatten();
        self.report.add(Finding {
            session: Some(self.session.id()),
            kind,
            path,
            seq: Some(seq),
            text: text.to_string(),
        });
    }
}

type Record = Result<(Vec<u8>, Value), StoreError>;

/// The records of a range, ending after too many failures of the engine.
fn tolerant(range: Range<'_>) -> impl Iterator<Item = Record> {
    let mut failures = 0;
    let records = range.map(|record| record.map_err(StoreError::from));
    records.take_while(move |record| {
        if let Err(error) = record
            && !error.is_of_one_record()
        {
            failures += 1;
        }
        failures <= MAX_FAILURES
    })
}
