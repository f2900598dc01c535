//! Choosing the stored form of contents that were read: a keyframe, or a change of what the
//! file held last.

use std::io::Read;
use std::sync::Arc;

use super::head::{Built, ContentEncoder, Head};
use super::prepare::{Pieces, prepare};
use super::{ContentError, Lookup, Prepared, open};
use crate::blob::{self, MAX_BLOB, PackedBlob};
use crate::chunk::{ChunkSizes, Chunker};
use crate::db::Db;
use crate::model::{
    Data, Digest, FileId, PatchCodec, Provenance, Repr, UnixTime, Version, VersionRef,
};
use crate::patch::RangesEncoder;
use crate::policy::{self, Chain, Form, Load};

/// What is known of a content beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The file's mtime with this content.
    pub mtime: UnixTime,
    /// The file had holes.
    pub sparse: bool,
    /// How the content is known.
    pub provenance: Provenance,
    /// Whether there is time for a good ratio.
    pub load: Load,
}

/// A content in the form it will be stored in.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The version record.
    pub version: Version,
    /// Length before, bytes; `None` if nothing was known before.
    pub old_length: Option<u64>,
    /// Offset and length of the smallest span with every differing byte.
    pub changed: Option<(u64, u64)>,
}

/// Takes blobs while a content is encoded.
pub(crate) trait Sink {
    fn blob(&mut self, blob: PackedBlob) -> Result<(), ContentError>;
}

/// Steps of ranges that may stand on a long content; each is held in memory by readers.
const MAX_LONG_CHAIN: u32 = 16;
/// Longest patch of a long content, bytes.
const MAX_LONG_PATCH: u64 = 2 << 20;
const WINDOW: usize = 1 << 20;

impl ContentEncoder {
    /// A content that stands on its own, prepared elsewhere.
    pub(crate) fn keyframe(
        &mut self,
        file: FileId,
        prepared: Prepared,
        seen: Seen,
        sink: &mut dyn Sink,
    ) -> Result<(Encoded, Built), ContentError> {
        let chain = Chain::keyframe(prepared.cost());
        let version = version(prepared.length, Some(prepared.digest), seen, prepared.repr);
        for blob in prepared.blobs {
            sink.blob(blob)?;
        }
        let old_length = self.heads.get(&file).map(|head| head.length);
        self.recent.remove(&file);
        let changed = Some((0, version.length)).filter(|(_, len)| *len > 0);
        let encoded = Encoded {
            version,
            old_length,
            changed,
        };
        let stamp = self.stamp();
        let built = Built {
            chain,
            stamp,
            after: 0,
        };
        Ok((encoded, built))
    }

    /// The next content of a file, in memory; `None` if it is what the file held.
    pub(crate) fn whole(
        &mut self,
        db: &Db,
        lookup: &dyn Lookup,
        (file, bytes, seen): (FileId, &[u8], Seen),
        sink: &mut dyn Sink,
    ) -> Result<Option<(Encoded, Built)>, ContentError> {
        let head = self.heads.get(&file).cloned();
        let digest = Digest::of(bytes);
        if head
            .as_ref()
            .is_some_and(|head| head.digest == Some(digest))
        {
            return Ok(None);
        }
        let old = self.old_content(lookup, file, head.as_ref())?;
        let is_own = head.as_ref().is_some_and(|head| head.at.file == file);
        if is_own && old.as_deref().is_some_and(|old| old == bytes) {
            self.learn(file, digest);
            return Ok(None);
        }
        let chain = head.as_ref().and_then(|head| head.chain);
        let chain = chain.unwrap_or(Chain::keyframe(0));
        let choice = policy::choose(old.as_deref().map(Vec::as_slice), bytes, chain, seen.load);
        let old_length = head
            .as_ref()
            .filter(|h| h.at.file == file)
            .map(|h| h.length);
        let after = head.as_ref().map_or(0, |head| head.stamp);
        let stamp = self.stamp();
        self.keep(file, Arc::new(bytes.to_vec()), stamp);
        let base = head.map(|head| (head.at, chain));
        let (repr, chain) = as_chosen(db, choice.form, (base, bytes), sink)?;
        // Against another file's content a difference says nothing of this one.
        let changed = match old {
            Some(_) if old_length.is_some() => choice.changed,
            _ => Some((0, bytes.len() as u64)).filter(|(_, len)| *len > 0),
        };
        let encoded = Encoded {
            version: version(bytes.len() as u64, Some(digest), seen, repr),
            old_length,
            changed,
        };
        let built = Built {
            chain,
            stamp,
            after,
        };
        Ok(Some((encoded, built)))
    }

    /// The next content of a file too long for memory, as ranges over what it held.
    /// `None` if there is nothing to compare with or too much differs: then
    /// [`ContentEncoder::chunked`] takes it, from the start.
    pub(crate) fn ranges(
        &mut self,
        db: &Db,
        lookup: &dyn Lookup,
        (file, reader, seen): (FileId, &mut dyn Read, Seen),
        sink: &mut dyn Sink,
    ) -> Result<Option<(Encoded, Built)>, ContentError> {
        let Some(head) = self.heads.get(&file).cloned() else {
            return Ok(None);
        };
        let Some(chain) = self.long_chain(&head) else {
            return Ok(None);
        };
        let limit = usize::try_from((head.length / 20).min(MAX_LONG_PATCH)).unwrap_or(usize::MAX);
        let mut old = open(lookup, head.at)?;
        let mut encoder = RangesEncoder::new(limit);
        let mut hasher = blake3::Hasher::new();
        let (mut new_window, mut old_window) = (vec![0; WINDOW], vec![0; WINDOW]);
        let mut offset = 0;
        loop {
            let n = fill(reader, &mut new_window)?;
            if n == 0 {
                break;
            }
            let new = new_window.get(..n).unwrap_or_default();
            let m = old.read_at(offset, old_window.get_mut(..n).unwrap_or_default())?;
            encoder.window(offset, old_window.get(..m).unwrap_or_default(), new);
            if encoder.has_given_up() {
                return Ok(None);
            }
            hasher.update(new);
            offset += n as u64;
        }
        let changed = encoder.changed_span();
        let digest = Digest(*hasher.finalize().as_bytes());
        let Some(payload) = encoder.finish(offset) else {
            return Ok(None);
        };
        let codec = PatchCodec::Ranges;
        let (payload, cost) = put_payload(db, codec, payload, sink)?;
        let repr = Repr::Patch {
            base: head.at,
            codec,
            payload,
        };
        let encoded = Encoded {
            version: version(offset, Some(digest), seen, repr),
            old_length: Some(head.length).filter(|_| head.at.file == file),
            changed,
        };
        let (chain, stamp) = (chain.with(codec, cost), self.stamp());
        let built = Built {
            chain,
            stamp,
            after: head.stamp,
        };
        Ok(Some((encoded, built)))
    }

    /// The chain of a long content if ranges may be laid over it. Captured writes make
    /// longer ones, within what readers hold.
    fn long_chain(&self, head: &Head) -> Option<Chain> {
        let next = head.chain?.with(PatchCodec::Ranges, 0).cost;
        let fits = match head.burst {
            None => next <= MAX_LONG_CHAIN,
            Some(_) => {
                let held = head.held + MAX_LONG_PATCH;
                next <= self.bounds.layers && held <= self.bounds.held
            }
        };
        head.chain
            .filter(|_| fits && head.length > self.bounds.whole)
    }

    /// Compares a long content with what the file held last: its digest if they are equal.
    pub(crate) fn compare(
        &mut self,
        lookup: &dyn Lookup,
        (file, reader): (FileId, &mut dyn Read),
    ) -> Result<Option<Digest>, ContentError> {
        let head = self.heads.get(&file).filter(|head| head.at.file == file);
        let Some(head) = head.filter(|head| head.chain.is_some()) else {
            return Ok(None);
        };
        let mut old = match head.digest {
            Some(_) => None,
            None => Some(open(lookup, head.at)?),
        };
        let mut hasher = blake3::Hasher::new();
        let (mut new_window, mut old_window) = (vec![0; WINDOW], vec![0; WINDOW]);
        let mut offset = 0;
        while let n @ 1.. = fill(reader, &mut new_window)? {
            let new = new_window.get(..n).unwrap_or_default();
            hasher.update(new);
            if let Some(old) = &mut old {
                let m = old.read_at(offset, old_window.get_mut(..n).unwrap_or_default())?;
                if old_window.get(..m) != Some(new) {
                    return Ok(None);
                }
            }
            offset += n as u64;
        }
        let digest = Digest(*hasher.finalize().as_bytes());
        if offset != head.length || head.digest.is_some_and(|known| known != digest) {
            return Ok(None);
        }
        self.learn(file, digest);
        Ok(Some(digest))
    }

    /// The next content of a file too long for memory, as chunks.
    pub(crate) fn chunked(
        &mut self,
        db: &Db,
        (file, reader, seen): (FileId, &mut dyn Read, Seen),
        sink: &mut dyn Sink,
    ) -> Result<(Encoded, Built), ContentError> {
        self.recent.remove(&file);
        let mut pieces = Pieces::default();
        let mut hasher = blake3::Hasher::new();
        let mut cost = 0;
        let length = Chunker::new(ChunkSizes::LARGE).run(reader, |_, chunk| {
            hasher.update(chunk);
            let blob = blob::pack(db, chunk, false)?;
            pieces.add(blob.digest, blob.plain_len);
            cost += blob.cost();
            sink.blob(blob)
        })?;
        let mut lists = Vec::new();
        let repr = pieces.finish(db, |list| lists.push(list))?;
        for list in lists {
            sink.blob(list)?;
        }
        let digest = Digest(*hasher.finalize().as_bytes());
        let old_length = self
            .heads
            .get(&file)
            .filter(|head| head.at.file == file)
            .map(|head| head.length);
        let encoded = Encoded {
            version: version(length, Some(digest), seen, repr),
            old_length,
            changed: Some((0, length)).filter(|_| length > 0),
        };
        let (chain, stamp) = (Chain::keyframe(cost), self.stamp());
        let built = Built {
            chain,
            stamp,
            after: 0,
        };
        Ok((encoded, built))
    }
}

pub(super) fn version(length: u64, digest: Option<Digest>, seen: Seen, repr: Repr) -> Version {
    Version {
        length,
        digest,
        provenance: seen.provenance,
        mtime: seen.mtime,
        sparse: seen.sparse,
        redacted: false,
        repr,
    }
}

/// A content in memory in the form that was chosen for it.
fn as_chosen(
    db: &Db,
    form: Form,
    (base, bytes): (Option<(VersionRef, Chain)>, &[u8]),
    sink: &mut dyn Sink,
) -> Result<(Repr, Chain), ContentError> {
    let (codec, payload) = match form {
        Form::Patch { codec, payload } => (codec, payload),
        Form::Unchanged => (PatchCodec::Ranges, unchanged_ranges(bytes.len() as u64)),
        Form::Keyframe => return own_root(db, bytes, sink),
    };
    let Some((base, chain)) = base else {
        return own_root(db, bytes, sink);
    };
    let (payload, cost) = put_payload(db, codec, payload, sink)?;
    let repr = Repr::Patch {
        base,
        codec,
        payload,
    };
    Ok((repr, chain.with(codec, cost)))
}

/// A content in memory that stands on its own.
pub(super) fn own_root(
    db: &Db,
    bytes: &[u8],
    sink: &mut dyn Sink,
) -> Result<(Repr, Chain), ContentError> {
    let prepared = prepare(db, bytes)?;
    let chain = Chain::keyframe(prepared.cost());
    for blob in prepared.blobs {
        sink.blob(blob)?;
    }
    Ok((prepared.repr, chain))
}

/// Ranges that change nothing.
fn unchanged_ranges(length: u64) -> Vec<u8> {
    RangesEncoder::new(0).finish(length).unwrap_or_default()
}

/// Stores a payload inside the record if it is short, else as blobs; returns its cost.
pub(super) fn put_payload(
    db: &Db,
    codec: PatchCodec,
    payload: Vec<u8>,
    sink: &mut dyn Sink,
) -> Result<(Data, u64), ContentError> {
    if payload.len() <= Data::MAX_INLINE {
        let cost = payload.len() as u64;
        return Ok((Data::Inline(payload), cost));
    }
    let dense = codec != PatchCodec::Ranges;
    let (mut blobs, mut cost) = (Vec::new(), 0);
    for piece in payload.chunks(MAX_BLOB) {
        let blob = blob::pack(db, piece, dense)?;
        cost += blob.cost();
        blobs.push((blob.digest, blob.plain_len));
        sink.blob(blob)?;
    }
    Ok((Data::Blobs(blobs), cost))
}

/// Reads until the buffer is full or the stream ends.
fn fill(reader: &mut dyn Read, buf: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
