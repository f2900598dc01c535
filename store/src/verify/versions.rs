//! Versions: every settled one is rebuilt and compared with its digest; the others must
//! stand on something.
//!
//! Versions are visited in the order of their files, so that mostly the content before
//! is at hand and one step makes the next: a chain takes time in proportion to its
//! length.

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::{Check, FindingKind};
use crate::content::{self, ContentError, Lookup, WHOLE_MAX};
use crate::db::Space;
use crate::encode::{decode_manifest, decode_version};
use crate::key;
use crate::lookup::SessionLookup;
use crate::model::{Digest, MissingReason, Repr, Seq, Version, VersionRef};

/// Contents kept at hand: how many, and how many bytes.
const KEPT: usize = 1024;
const KEPT_BYTES: u64 = 32 << 20;

#[derive(Clone)]
struct Length;

impl Weighter<VersionRef, Vec<u8>> for Length {
    fn weight(&self, _: &VersionRef, bytes: &Vec<u8>) -> u64 {
        bytes.len() as u64 + 64
    }
}

struct Rebuild<'s> {
    lookup: SessionLookup<'s>,
    kept: Cache<VersionRef, Vec<u8>, Length>,
}

/// Rebuilds all versions.
pub(super) fn check(check: &mut Check<'_>) {
    let session = check.session;
    let last = session.progress().last_seq;
    let mut rebuild = Rebuild {
        lookup: SessionLookup::new(session.store, session.id()),
        kept: Cache::with_weighter(KEPT, KEPT_BYTES, Length),
    };
    for record in check.records(Space::Version) {
        let version = record.and_then(|(key, value)| {
            let (file, seq) = key::file_at_parts(&key)?;
            Ok((VersionRef { file, seq }, decode_version(&value)?))
        });
        let (at, version) = match version {
            Ok(version) => version,
            Err(error) => {
                check.found(FindingKind::Version, None, error);
                continue;
            }
        };
        check.baseline += u64::from(at.seq <= session.start());
        if at.seq > last {
            let text = "a content is later than the last event";
            check.found_at(FindingKind::Version, at.file, at.seq, text);
        }
        match rebuild.check(at, &version) {
            Ok(rebuilt) => {
                let omitted = matches!(version.repr, Repr::Missing(MissingReason::Omitted));
                check.report.omitted += u64::from(omitted && !version.redacted);
                check.report.redacted += u64::from(version.redacted);
                check.report.versions += u64::from(rebuilt);
            }
            Err(error) => check.found_at(FindingKind::Version, at.file, at.seq, error),
        }
        check.meter.advance(1);
    }
}

impl Rebuild<'_> {
    /// Whether the version could be and was compared with its digest.
    fn check(&mut self, at: VersionRef, version: &Version) -> Result<bool, ContentError> {
        if let Some(base) = version.repr.base() {
            self.stands(base)?;
        }
        let Some(digest) = version.digest else {
            self.check_parts(at, version)?;
            return Ok(false);
        };
        if let Repr::Missing(_) = version.repr {
            return Ok(false);
        }
        match self.next(at, version)? {
            Some(bytes) => {
                if bytes.len() as u64 != version.length || Digest::of(&bytes) != digest {
                    return Err(ContentError::Mismatch(at));
                }
                self.kept.insert(at, bytes);
            }
            None => {
                let mut content = content::open(&self.lookup, at)?;
                if version.length <= WHOLE_MAX {
                    let whole = content.to_vec(WHOLE_MAX)?;
                    self.kept.insert(at, whole.unwrap_or_default());
                } else {
                    content.stream(|_| Ok::<_, ContentError>(()))?;
                }
            }
        }
        Ok(true)
    }

    /// The content in one step from the one below, if that is at hand.
    fn next(&self, at: VersionRef, version: &Version) -> Result<Option<Vec<u8>>, ContentError> {
        let slice = matches!(version.repr, Repr::Slice { .. });
        if version.length > WHOLE_MAX || slice {
            return Ok(None);
        }
        let base = match version.repr.base() {
            None => Vec::new(),
            Some(base) => match self.kept.get(&base) {
                Some(bytes) if base.seq < at.seq => bytes.clone(),
                _ => return Ok(None),
            },
        };
        content::step(&self.lookup, at, version, base).map(Some)
    }

    fn stands(&self, base: VersionRef) -> Result<(), ContentError> {
        match self.lookup.has_version(base)? {
            true => Ok(()),
            false => Err(ContentError::NoVersion(base)),
        }
    }

    /// What a version that has no digest of its own refers to.
    fn check_parts(&self, at: VersionRef, version: &Version) -> Result<(), ContentError> {
        match &version.repr {
            Repr::Chunks(lists) => return self.check_chunks(lists),
            Repr::Slice { settled, .. } => {
                let seq: Seq = *settled;
                return self.stands(VersionRef { seq, ..at });
            }
            _ => {}
        }
        version
            .blobs()
            .iter()
            .try_for_each(|digest| self.lookup.blob(digest).map(drop))
    }

    /// Whether all chunks of a content that has no digest are there; that they are sound is
    /// checked where blobs are.
    fn check_chunks(&self, lists: &[Digest]) -> Result<(), ContentError> {
        for list in lists {
            for (digest, _) in decode_manifest(&self.lookup.blob(list)?)? {
                if !self.lookup.has_blob(&digest)? {
                    return Err(ContentError::NoBlob(digest));
                }
            }
        }
        Ok(())
    }
}
