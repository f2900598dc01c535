//! Refining: replacing a standing patch by a smaller bsdiff one, on any thread, after
//! the version has been committed. The content stays; only its form changes.

use std::collections::{HashMap, VecDeque};

use crate::blob::{self, MAX_BLOB, PackedBlob};
use crate::content::{ContentError, Lookup, open};
use crate::key;
use crate::lookup::SessionLookup;
use crate::model::{Data, Digest, PatchCodec, Repr, Seq, SessionId, Version, VersionRef};
use crate::patch::bsdiff::BSDIFF_MAX_RECORDER;
use crate::policy::{self, Chain};
use crate::store::Store;

/// Candidates that may wait; more are let go, as their versions are fine as they are.
const MAX_WAITING: usize = 256;

/// A version whose patch may become smaller.
#[derive(Clone, Debug)]
pub struct Candidate {
    session: SessionId,
    epoch: u32,
    pub(crate) at: VersionRef,
    /// The chain below its base.
    before: Chain,
    /// The keyframe its chain stands on.
    pub(crate) root: Seq,
    /// First blob of the payload.
    payload: Digest,
}

/// A smaller form of a version.
#[derive(Clone, Debug)]
pub struct Refined {
    epoch: u32,
    pub(crate) at: VersionRef,
    pub(crate) root: Seq,
    pub(crate) version: Version,
    pub(crate) blobs: Vec<PackedBlob>,
    /// Blobs of the payload that it replaces.
    pub(crate) replaced: Vec<Digest>,
    /// What the chain costs more to read.
    pub(crate) extra_cost: u32,
}

/// Collects candidates, and knows which payload blobs have one owner.
#[derive(Default)]
pub(crate) struct Refinery {
    waiting: VecDeque<Candidate>,
    owners: HashMap<Digest, u32>,
    /// How often history was given up: what was found before relies on what may be gone.
    epoch: u32,
}

impl Refinery {
    /// Notes a version that was recorded.
    pub(crate) fn offer(
        &mut self,
        session: SessionId,
        at: VersionRef,
        version: &Version,
        (before, root): (Chain, Seq),
    ) {
        let Repr::Patch { codec, payload, .. } = &version.repr else {
            return;
        };
        if let Data::Blobs(blobs) = payload {
            let mut shared = false;
            for (digest, _) in blobs {
                let owners = self.owners.entry(*digest).or_default();
                *owners += 1;
                shared |= *owners > 1;
            }
            let Some((payload, _)) = blobs.first().copied() else {
                return;
            };
            if shared {
                // Replacing one of its uses would add to the store and free nothing.
                self.waiting.retain(|waiting| waiting.payload != payload);
                return;
            }
            let fits = version.length <= BSDIFF_MAX_RECORDER as u64;
            if fits && *codec != PatchCodec::Bsdiff && self.waiting.len() < MAX_WAITING {
                self.waiting.push_back(Candidate {
                    session,
                    epoch: self.epoch,
                    at,
                    before,
                    root,
                    payload,
                });
            }
        }
    }

    /// History was given up.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            epoch: self.epoch + 1,
            ..Self::default()
        };
    }

    /// Whether nothing was given up since this was looked for.
    pub(crate) const fn is_current(&self, refined: &Refined) -> bool {
        refined.epoch == self.epoch
    }

    /// The oldest candidate up to a committed event.
    pub(crate) fn next(&mut self, committed: Seq) -> Option<Candidate> {
        self.waiting
            .pop_front_if(|candidate| candidate.at.seq <= committed)
    }

    /// Whether nothing but one version of this session uses the blob.
    pub(crate) fn owns_alone(&self, digest: &Digest) -> bool {
        self.owners.get(digest) == Some(&1)
    }

    /// A blob that was in the store before is shared with who put it there.
    pub(crate) fn shared(&mut self, digest: Digest) {
        *self.owners.entry(digest).or_default() += 1;
    }
}

impl Store {
    /// Tries to find a smaller form of a committed version; any thread may.
    ///
    /// # Errors
    /// A failing database or damage.
    pub fn refine(&self, candidate: &Candidate) -> Result<Option<Refined>, ContentError> {
        let lookup = SessionLookup::new(self, candidate.session);
        let at = candidate.at;
        let version = lookup.version(at)?.ok_or(ContentError::NoVersion(at))?;
        let Repr::Patch {
            base,
            codec,
            payload: Data::Blobs(standing),
        } = &version.repr
        else {
            return Ok(None);
        };
        let stored = self.stored_bytes(standing)?;
        let limit = BSDIFF_MAX_RECORDER as u64;
        let (Some(old), Some(new)) = (
            open(&lookup, *base)?.to_vec(limit)?,
            open(&lookup, at)?.to_vec(limit)?,
        ) else {
            return Ok(None);
        };
        let Some(payload) = policy::refine(&old, &new, *codec, stored, candidate.before) else {
            return Ok(None);
        };
        let blobs = payload
            .chunks(MAX_BLOB)
            .map(|piece| blob::pack(&self.db, piece, true))
            .collect::<Result<Vec<_>, _>>()?;
        let pieces = blobs.iter().map(|blob| (blob.digest, blob.plain_len));
        let repr = Repr::Patch {
            base: *base,
            codec: PatchCodec::Bsdiff,
            payload: Data::Blobs(pieces.collect()),
        };
        let cost = Chain::cost_of(PatchCodec::Bsdiff);
        Ok(Some(Refined {
            epoch: candidate.epoch,
            at,
            root: candidate.root,
            extra_cost: cost.saturating_sub(Chain::cost_of(*codec)),
            replaced: standing.iter().map(|(digest, _)| *digest).collect(),
            version: Version {
                repr,
                ..version.clone()
            },
            blobs,
        }))
    }

    fn stored_bytes(&self, blobs: &[(Digest, u32)]) -> Result<u64, ContentError> {
        let mut sum = 0;
        for (digest, _) in blobs {
            let value = self.db.get(crate::db::Space::Blob, &key::blob(digest))?;
            sum += value.map_or(0, |value| value.len() as u64);
        }
        Ok(sum)
    }
}
