//! Captured writes: each becomes an extent over what the file held, until so much lies there
//! that the next one is stored in a form that is cheaper to read.
//!
//! A version that does not become an extent over the last one is either *gathered*, a change of
//! the anchor that holds the bytes of all writes since, or *re-rooted*, and stands on its own.
//! Chains of contents up to [`Bounds::whole`] and above are kept apart, because patches that need
//! their whole base may only stand in the former.

use std::sync::Arc;

use super::burst::{Bounds, Burst, Change};
use super::encode::{Encoded, Seen, Sink, own_root, put_payload, version};
use super::head::{Built, ContentEncoder, Head};
use super::layers::lay;
use super::read::laid_over;
use super::reroot::{Through, chunks_anew};
use super::{ContentError, Lookup, open};
use crate::blob::MAX_BLOB;
use crate::db::Db;
use crate::model::{Data, Digest, FileId, PatchCodec, Repr};
use crate::patch::RangesEncoder;
use crate::policy::{self, Chain};

/// A write as it was applied, or a truncation: a write of nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write<'a> {
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    /// Length of the file afterwards.
    pub(super) length: u64,
}

impl<'a> Write<'a> {
    /// Bytes that would stand beyond the length are left out.
    pub(crate) fn new(offset: u64, bytes: &'a [u8], length: u64) -> Self {
        let room = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        Self {
            offset: offset.min(length),
            bytes: bytes.get(..room.min(bytes.len())).unwrap_or_default(),
            length,
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }

    const fn covers_all(&self) -> bool {
        self.offset == 0 && self.bytes.len() as u64 == self.length
    }

    pub(super) fn change(&self, old_length: u64) -> Change {
        Change {
            start: self.offset,
            end: self.end(),
            old_length,
            new_length: self.length,
        }
    }

    /// Makes what the file held what it holds, if that fits in memory.
    fn apply(&self, content: &mut Vec<u8>) {
        content.resize(usize::try_from(self.length).unwrap_or(content.len()), 0);
        lay(content, 0, self.offset, self.bytes);
    }
}

/// How a captured write is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// As an extent over the last version.
    Lay,
    /// As one change of the anchor.
    Gather,
    /// On its own.
    Reroot,
}

fn plan(head: &Head, chain: Chain, write: &Write<'_>, bounds: &Bounds) -> Plan {
    let (was_long, is_long) = (head.length > bounds.whole, write.length > bounds.whole);
    let len = write.bytes.len() as u64;
    let is_blob = len > Data::MAX_INLINE as u64 && len <= MAX_BLOB as u64;
    let is_own_root = write.length == 0 || (write.covers_all() && is_blob);
    let is_full = chain.cost >= bounds.layers || head.held.saturating_add(len) > bounds.held;
    let crosses = was_long != is_long && (was_long || head.patched);
    if is_own_root || crosses || (is_long && is_full) {
        return Plan::Reroot;
    }
    let (smalls, bytes) = head.burst.as_ref().map_or((0, 0), |b| (b.smalls, b.bytes));
    let fits = bounds.slack.saturating_add(write.length.saturating_mul(2));
    let is_much = !is_long && (bytes.saturating_add(len) > fits || chain.cost >= bounds.layers);
    if is_much || smalls >= bounds.smalls {
        Plan::Gather
    } else {
        Plan::Lay
    }
}

type Form = (Repr, Chain);

impl ContentEncoder {
    /// Whether the next captured write needs the last content read back.
    pub(crate) fn reads_back(&self, file: FileId, write: &Write<'_>) -> bool {
        let head = self.heads.get(&file);
        let planned = head.and_then(|head| Some(plan(head, head.chain?, write, &self.bounds)));
        match planned {
            None | Some(Plan::Lay) => false,
            Some(_) if write.covers_all() => false,
            Some(_) => write.length > self.bounds.whole || !self.is_at_hand(file),
        }
    }

    /// The content of a file after a write; `None` if what it held before is not known, so
    /// that the write changes nothing that can be shown.
    pub(crate) fn extent(
        &mut self,
        (db, lookup): (&Db, &dyn Lookup),
        (file, seen): (FileId, Seen),
        write: &Write<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Option<(Encoded, Built)>, ContentError> {
        let Some(head) = self.heads.remove(&file) else {
            return Ok(None);
        };
        let extended = match head.chain {
            // On what its predecessor held, no write of this file was ever done.
            Some(chain) if head.at.file == file => self
                .extend((db, lookup), (&head, chain), (seen, write), sink)
                .map(Some),
            _ => Ok(None),
        };
        self.heads.insert(file, head);
        extended
    }

    fn extend(
        &mut self,
        (db, lookup): (&Db, &dyn Lookup),
        (head, chain): (&Head, Chain),
        (seen, write): (Seen, &Write<'_>),
        sink: &mut dyn Sink,
    ) -> Result<(Encoded, Built), ContentError> {
        let stamp = self.stamp();
        let store = (db, lookup);
        let plan = plan(head, chain, write, &self.bounds);
        let (digest, (repr, chain)) = if plan == Plan::Lay {
            self.lay_at_hand(head, write, stamp);
            (None, laid(db, head, chain, write, sink)?)
        } else if write.length > self.bounds.whole {
            self.recent.remove(&head.at.file);
            let burst = noted(head, chain, write);
            let gathered = match plan {
                Plan::Gather => self.gather_long(store, (head, &burst), write, sink)?,
                _ => None,
            };
            let form = match gathered {
                Some(form) => form,
                None => chunks_anew(store, (head, &burst), (write, &self.bounds), sink)?,
            };
            (None, form)
        } else {
            let content = self.applied(lookup, head, write, stamp)?;
            let burst = (plan == Plan::Gather).then(|| noted(head, chain, write));
            let form = whole_form(db, burst.as_ref(), &content, sink)?;
            (Some(Digest::of(&content)), form)
        };
        let encoded = Encoded {
            version: version(write.length, digest, seen, repr),
            old_length: Some(head.length),
            changed: Some((write.offset, write.bytes.len() as u64)).filter(|(_, len)| *len > 0),
        };
        let after = head.stamp;
        let built = Built {
            chain,
            stamp,
            after,
        };
        Ok((encoded, built))
    }

    /// Applies a write to the content in memory, if it is there and stays short.
    fn lay_at_hand(&mut self, head: &Head, write: &Write<'_>, stamp: u64) -> bool {
        let file = head.at.file;
        if write.length <= self.bounds.whole
            && let Some(mut recent) = self.recent.get_mut(&file)
            && recent.stamp == head.stamp
        {
            write.apply(Arc::make_mut(&mut recent.bytes));
            recent.stamp = stamp;
            return true;
        }
        self.recent.remove(&file);
        false
    }

    /// The whole content after a write.
    fn applied(
        &mut self,
        lookup: &dyn Lookup,
        head: &Head,
        write: &Write<'_>,
        stamp: u64,
    ) -> Result<Arc<Vec<u8>>, ContentError> {
        let file = head.at.file;
        if self.lay_at_hand(head, write, stamp)
            && let Some(recent) = self.recent.get(&file)
        {
            return Ok(recent.bytes.clone());
        }
        let mut bytes = Vec::new();
        if !write.covers_all() {
            let kept = head.length.min(write.length);
            bytes.resize(usize::try_from(kept).unwrap_or(0), 0);
            open(lookup, head.at)?.read_at(0, &mut bytes)?;
        }
        write.apply(&mut bytes);
        let bytes = Arc::new(bytes);
        self.keep(file, bytes.clone(), stamp);
        Ok(bytes)
    }

    /// All writes over the anchor of a long content as one; `None` if that is too much.
    fn gather_long(
        &self,
        (db, lookup): (&Db, &dyn Lookup),
        (head, burst): (&Head, &Burst),
        write: &Write<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Option<Form>, ContentError> {
        let spans: Vec<_> = burst.since.within(0, write.length).collect();
        let total = spans.iter().map(|(start, end)| end - start).sum::<u64>();
        if total > self.bounds.gathered || burst.held.saturating_add(total) > self.bounds.held {
            return Ok(None);
        }
        let mut source = Through::new(write, || laid_over(lookup, head.at, burst.anchor));
        let mut parts = Vec::new();
        for (start, end) in spans {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
            source.read_at(start, &mut bytes)?;
            parts.push((start, bytes));
        }
        let parts: Vec<_> = parts.iter().map(|(at, bytes)| (*at, &**bytes)).collect();
        let (repr, cost) = gathered(db, burst, &parts, write.length, sink)?;
        Ok(Some((repr, burst.chain.with(PatchCodec::Ranges, cost))))
    }
}

/// The burst over a head after one more write.
fn noted(head: &Head, chain: Chain, write: &Write<'_>) -> Burst {
    let burst = head.burst.as_deref().cloned();
    let mut burst = burst.unwrap_or_else(|| head.fresh_burst(chain));
    burst.note(write.change(head.length));
    burst
}

fn laid(
    db: &Db,
    head: &Head,
    chain: Chain,
    write: &Write<'_>,
    sink: &mut dyn Sink,
) -> Result<Form, ContentError> {
    let (data, cost) = put_payload(db, PatchCodec::Ranges, write.bytes.to_vec(), sink)?;
    let repr = Repr::Extent {
        base: head.at,
        offset: write.offset,
        data,
    };
    Ok((repr, chain.with(PatchCodec::Ranges, cost)))
}

/// The form of a content in memory: a change of the anchor of `burst` if that pays, else one
/// that stands on its own.
fn whole_form(
    db: &Db,
    burst: Option<&Burst>,
    content: &[u8],
    sink: &mut dyn Sink,
) -> Result<Form, ContentError> {
    if let Some(burst) = burst {
        let length = content.len() as u64;
        let part = |(start, end): (u64, u64)| {
            let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
            Some((start, content.get(range)?))
        };
        let parts: Vec<_> = burst.since.within(0, length).filter_map(part).collect();
        let codec = PatchCodec::Ranges;
        let payload = ranges(&parts, length);
        if policy::pays(codec, &payload, content, burst.chain) {
            let (repr, cost) = gathered(db, burst, &parts, length, sink)?;
            return Ok((repr, burst.chain.with(codec, cost)));
        }
    }
    own_root(db, content, sink)
}

/// A change of the anchor: an extent if it is in one place, whose blobs may serve as chunks
/// later, else ranges.
fn gathered(
    db: &Db,
    burst: &Burst,
    parts: &[(u64, &[u8])],
    length: u64,
    sink: &mut dyn Sink,
) -> Result<(Repr, u64), ContentError> {
    let (base, codec) = (burst.anchor, PatchCodec::Ranges);
    if let [] | [_] = parts {
        let (offset, bytes) = parts.first().copied().unwrap_or_default();
        let (data, cost) = put_payload(db, codec, bytes.to_vec(), sink)?;
        return Ok((Repr::Extent { base, offset, data }, cost));
    }
    let (payload, cost) = put_payload(db, codec, ranges(parts, length), sink)?;
    let repr = Repr::Patch {
        base,
        codec,
        payload,
    };
    Ok((repr, cost))
}

fn ranges(parts: &[(u64, &[u8])], length: u64) -> Vec<u8> {
    let mut encoder = RangesEncoder::new(usize::MAX);
    for (offset, bytes) in parts {
        encoder.window(*offset, &[], bytes);
    }
    encoder.finish(length).unwrap_or_default()
}
