//! What each file held last: the version that the next one is built on, and its bytes while
//! they are at hand.

use std::sync::Arc;

use quick_cache::Weighter;

use super::burst::{Bounds, Burst, Change};
use super::encode::Encoded;
use super::{ContentError, Lookup, open};
use crate::files::FileMap;
use crate::model::{Data, Digest, FileId, PatchCodec, Repr, Seq, VersionRef};
use crate::policy::Chain;

/// What becomes of a file's head once an encoded content is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Built {
    /// The chain of the new version.
    pub(crate) chain: Chain,
    /// Names the content among all that were encoded.
    pub(super) stamp: u64,
    /// The content it was made from, where it has a base.
    pub(super) after: u64,
}

impl Built {
    /// The same in the record of the version below it.
    fn in_one_step(mut self) -> Self {
        let step = Chain::cost_of(PatchCodec::Ranges);
        self.chain.cost = self.chain.cost.saturating_sub(step);
        self
    }
}

/// What a file held last.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) at: VersionRef,
    pub(super) length: u64,
    pub(super) digest: Option<Digest>,
    /// `None` when nothing may be built on it (no content, or none that is known).
    pub(super) chain: Option<Chain>,
    /// Where the chain's keyframe stands.
    pub(super) root: Seq,
    /// Plain bytes of what lies over the root.
    pub(super) held: u64,
    /// Whether there are patches over the root.
    pub(super) patched: bool,
    pub(super) stamp: u64,
    pub(super) burst: Option<Box<Burst>>,
}

impl Head {
    /// The burst of a version that no captured write lies over yet.
    pub(super) fn fresh_burst(&self, chain: Chain) -> Burst {
        Burst::over(self.at, chain, self.held, self.at.seq == self.root)
    }
}

/// A content in memory; it is that of a head with the same stamp.
#[derive(Clone)]
pub(super) struct Recent {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) stamp: u64,
}

#[derive(Clone)]
pub(super) struct ByLength;

impl Weighter<FileId, Recent> for ByLength {
    fn weight(&self, _: &FileId, recent: &Recent) -> u64 {
        recent.bytes.len() as u64 + 64
    }
}

/// Contents kept in memory, bytes.
const CACHE_BYTES: u64 = 16 << 20;

/// Encodes contents one after the other.
pub(crate) struct ContentEncoder {
    pub(super) bounds: Bounds,
    pub(super) heads: FileMap<Head>,
    pub(super) recent: quick_cache::unsync::Cache<FileId, Recent, ByLength>,
    stamps: u64,
    learnt: Vec<(VersionRef, Digest)>,
}

impl ContentEncoder {
    pub(crate) fn new() -> Self {
        Self {
            bounds: Bounds::DEFAULT,
            heads: FileMap::default(),
            recent: quick_cache::unsync::Cache::with_weighter(256, CACHE_BYTES, ByLength),
            stamps: 0,
            learnt: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn bind(&mut self, bounds: Bounds, cache_bytes: u64) {
        self.bounds = bounds;
        self.recent = quick_cache::unsync::Cache::with_weighter(16, cache_bytes, ByLength);
    }

    /// Drops the contents in memory; those that are needed again are rebuilt.
    pub(crate) fn rest(&mut self) {
        self.recent.clear();
    }

    /// Longest content that is handled whole, bytes.
    pub(crate) const fn whole_max(&self) -> u64 {
        self.bounds.whole
    }

    /// Length and digest of the last content of a file.
    pub(crate) fn last(&self, file: FileId) -> Option<(u64, Option<Digest>)> {
        let head = self.heads.get(&file)?;
        Some((head.length, head.digest))
    }

    /// The version that the next content of a file may be built on.
    pub(crate) fn base(&self, file: FileId) -> Option<VersionRef> {
        let head = self.heads.get(&file)?;
        head.chain.is_some().then_some(head.at)
    }

    /// Whether the last content of a file is known and is its own.
    pub(crate) fn knows(&self, file: FileId) -> bool {
        self.base(file).is_some_and(|base| base.file == file)
    }

    /// The chain of a version that the next one of a file is built on, and its keyframe.
    pub(crate) fn chain(&self, file: FileId, base: Option<VersionRef>) -> Option<(Chain, Seq)> {
        let head = self.heads.get(&file)?;
        let anchor = head.burst.as_ref().filter(|b| Some(b.anchor) == base);
        let chain = anchor.map_or(head.chain, |burst| Some(burst.chain));
        Some((chain?, head.root))
    }

    /// A version of the chain that stands on `root` has become dearer to read.
    pub(crate) fn burden(&mut self, file: FileId, root: Seq, extra_cost: u32) {
        if let Some(head) = self.heads.get_mut(&file).filter(|head| head.root == root) {
            let anchor = head.burst.as_mut().map(|burst| &mut burst.chain);
            for chain in head.chain.as_mut().into_iter().chain(anchor) {
                chain.cost = chain.cost.saturating_add(extra_cost);
            }
        }
    }

    /// Lets a new file be built on what another file held, as after an atomic replace.
    pub(crate) fn succeed(&mut self, file: FileId, predecessor: FileId) {
        if let Some(head) = self.heads.get(&predecessor)
            && !self.heads.contains_key(&file)
        {
            let mut head = head.clone();
            head.digest = None;
            head.burst = None;
            self.heads.insert(file, head);
            if let Some(recent) = self.recent.get(&predecessor).cloned() {
                self.recent.insert(file, recent);
            }
        }
    }

    /// A content that is about to be encoded; nothing may rely on it until it is recorded.
    pub(super) fn stamp(&mut self) -> u64 {
        self.stamps += 1;
        self.stamps
    }

    /// History was given up: forgets the files whose last version went with it, and what was
    /// kept of versions between.
    pub(crate) fn restart(&mut self, stays: impl Fn(VersionRef) -> bool) {
        self.heads.retain(|_, head| stays(head.at));
        for head in self.heads.values_mut() {
            head.burst = None;
        }
    }

    /// Remembers that a content was recorded as that of `at.file` at `at.seq`, in the record of
    /// the version before if it goes on a burst. Whether it lies over that version, so that it
    /// may begin a burst.
    pub(crate) fn settle(
        &mut self,
        at: VersionRef,
        encoded: &Encoded,
        built: Option<Built>,
        goes_on: bool,
    ) -> bool {
        let VersionRef { file, seq } = at;
        // Readers take a burst in one step.
        let built = built.map(|built| match goes_on {
            true => built.in_one_step(),
            false => built,
        });
        if built.is_none() {
            self.recent.remove(&file);
        }
        let old = self.heads.remove(&file);
        let mut head = Head {
            at,
            length: encoded.version.length,
            digest: encoded.version.digest,
            chain: built.map(|built| built.chain),
            root: seq,
            held: 0,
            patched: false,
            stamp: built.map_or(0, |built| built.stamp),
            burst: None,
        };
        let mut is_laid = false;
        if let (Some(old), Some(built)) = (old, built) {
            is_laid = self.continue_chain(&mut head, old, (encoded, built), goes_on);
        }
        self.heads.insert(file, head);
        is_laid
    }

    /// What a head takes over from the one before it, if its version has a base. Whether it is
    /// a write over that one.
    fn continue_chain(
        &self,
        head: &mut Head,
        old: Head,
        (encoded, built): (&Encoded, Built),
        goes_on: bool,
    ) -> bool {
        let (base, data, extent) = match &encoded.version.repr {
            Repr::Extent { base, offset, data } => (base, data, Some(*offset)),
            Repr::Patch { base, payload, .. } => (base, payload, None),
            _ => return false,
        };
        head.root = old.root;
        if built.after != old.stamp {
            // Made from a content that has been followed by another one since: what lies
            // below is not known here, so the next step gets a root where that matters.
            head.patched = true;
            head.held = u64::MAX / 2;
            return false;
        }
        head.patched = old.patched || extent.is_none();
        let is_over = *base == old.at;
        let is_laid = is_over && extent.is_some();
        let fresh = old.chain.filter(|_| old.burst.is_none() && is_laid);
        let fresh = fresh.map(|chain| Box::new(old.fresh_burst(chain)));
        let burst = old.burst.or(fresh);
        let below = burst.as_ref().filter(|_| !is_over);
        head.held = below.map_or(old.held, |burst| burst.held) + data.len();
        head.burst = burst.map(|mut burst| {
            burst.note(change(encoded, old.length));
            if let Some(offset) = extent {
                burst.place(offset, data, &self.bounds);
            }
            if is_laid {
                burst.count(data.len(), goes_on, &self.bounds);
            } else {
                burst.raise(head.at, built.chain, head.held);
            }
            burst
        });
        is_laid
    }

    /// The bytes of the last writes, which stand at `offset`, are blobs now.
    pub(crate) fn place(&mut self, file: FileId, offset: u64, data: &Data) {
        let head = self.heads.get_mut(&file);
        if let Some(burst) = head.and_then(|head| head.burst.as_mut()) {
            burst.place(offset, data, &self.bounds);
        }
    }

    /// Whether nothing has to be read back to know what a file held last.
    pub(crate) fn is_at_hand(&self, file: FileId) -> bool {
        let recent = self.recent.peek(&file).map(|recent| recent.stamp);
        let head = self.heads.get(&file).filter(|head| head.chain.is_some());
        head.is_none_or(|head| recent == Some(head.stamp))
    }

    /// What a file held last, if it is short.
    pub(super) fn old_content(
        &mut self,
        lookup: &dyn Lookup,
        file: FileId,
        head: Option<&Head>,
    ) -> Result<Option<Arc<Vec<u8>>>, ContentError> {
        let whole = self.bounds.whole;
        let Some(head) = head.filter(|h| h.chain.is_some() && h.length <= whole) else {
            return Ok(None);
        };
        if let Some(recent) = self.recent.get(&file)
            && recent.stamp == head.stamp
        {
            return Ok(Some(recent.bytes.clone()));
        }
        let bytes = open(lookup, head.at)?.to_vec(whole)?;
        Ok(bytes.map(Arc::new))
    }

    pub(super) fn keep(&mut self, file: FileId, bytes: Arc<Vec<u8>>, stamp: u64) {
        self.recent.insert(file, Recent { bytes, stamp });
    }

    /// The last content of a file turned out to have this digest.
    pub(super) fn learn(&mut self, file: FileId, digest: Digest) {
        if let Some(head) = self.heads.get_mut(&file) {
            if head.digest.is_none() {
                self.learnt.push((head.at, digest));
            }
            head.digest = Some(digest);
        }
    }

    /// The digests learnt since the last call, for versions recorded without one.
    pub(crate) fn learnt(&mut self) -> Vec<(VersionRef, Digest)> {
        std::mem::take(&mut self.learnt)
    }
}

fn change(encoded: &Encoded, old_length: u64) -> Change {
    let (start, len) = encoded.changed.unwrap_or((0, 0));
    Change {
        start,
        end: start.saturating_add(len),
        old_length,
        new_length: encoded.version.length,
    }
}
