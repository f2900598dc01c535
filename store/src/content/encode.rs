//! Choosing the stored form of new contents: what each file held last, and the chain
//! that the next version may be built on.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use quick_cache::Weighter;

use super::prepare::{Pieces, prepare};
use super::{ContentError, Lookup, Prepared, WHOLE_MAX, open};
use crate::blob::{self, MAX_BLOB, PackedBlob};
use crate::chunk::{ChunkSizes, Chunker};
use crate::db::Db;
use crate::model::{
    Data, Digest, FileId, PatchCodec, Provenance, Repr, Seq, UnixTime, Version, VersionRef,
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

/// What a file held last.
#[derive(Clone, Debug)]
struct Head {
    at: VersionRef,
    length: u64,
    digest: Option<Digest>,
    /// `None` when nothing may be built on it (no content, or none that is known).
    chain: Option<Chain>,
    /// Where the chain's keyframe stands.
    root: Seq,
}

/// Steps of ranges that may stand on a long content; each is held in memory by readers.
const MAX_LONG_CHAIN: u32 = 16;
/// Longest patch of a long content, bytes.
const MAX_LONG_PATCH: u64 = 2 << 20;
/// Contents kept in memory, bytes.
const CACHE_BYTES: u64 = 16 << 20;
const WINDOW: usize = 1 << 20;

#[derive(Clone)]
struct ByLength;

impl Weighter<FileId, Arc<Vec<u8>>> for ByLength {
    fn weight(&self, _: &FileId, bytes: &Arc<Vec<u8>>) -> u64 {
        bytes.len() as u64 + 64
    }
}

/// Encodes contents one after the other.
pub(crate) struct ContentEncoder {
    heads: HashMap<FileId, Head>,
    recent: quick_cache::unsync::Cache<FileId, Arc<Vec<u8>>, ByLength>,
}

impl ContentEncoder {
    pub(crate) fn new() -> Self {
        Self {
            heads: HashMap::new(),
            recent: quick_cache::unsync::Cache::with_weighter(256, CACHE_BYTES, ByLength),
        }
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

    /// The chain that the next version of a file may be built on, and its keyframe.
    pub(crate) fn chain(&self, file: FileId) -> Option<(Chain, Seq)> {
        let head = self.heads.get(&file)?;
        Some((head.chain?, head.root))
    }

    /// A version of the chain that stands on `root` has become dearer to read.
    pub(crate) fn burden(&mut self, file: FileId, root: Seq, extra_cost: u32) {
        if let Some(head) = self.heads.get_mut(&file).filter(|head| head.root == root)
            && let Some(chain) = &mut head.chain
        {
            chain.cost = chain.cost.saturating_add(extra_cost);
        }
    }

    /// Lets a new file be built on what another file held, as after an atomic replace.
    pub(crate) fn succeed(&mut self, file: FileId, predecessor: FileId) {
        if let Some(head) = self.heads.get(&predecessor)
            && !self.heads.contains_key(&file)
        {
            let mut head = head.clone();
            head.digest = None;
            self.heads.insert(file, head);
            if let Some(bytes) = self.recent.get(&predecessor).cloned() {
                self.recent.insert(file, bytes);
            }
        }
    }

    /// Remembers that `version` became the content of `file` at `seq`.
    pub(crate) fn settle(
        &mut self,
        file: FileId,
        seq: Seq,
        version: &Version,
        chain: Option<Chain>,
    ) {
        if chain.is_none() {
            self.recent.remove(&file);
        }
        let root = match (version.repr.base(), self.heads.get(&file)) {
            (Some(_), Some(head)) => head.root,
            _ => seq,
        };
        let head = Head {
            at: VersionRef { file, seq },
            length: version.length,
            digest: version.digest,
            chain,
            root,
        };
        self.heads.insert(file, head);
    }

    /// A content that stands on its own, prepared elsewhere.
    pub(crate) fn keyframe(
        &mut self,
        file: FileId,
        prepared: Prepared,
        seen: Seen,
        sink: &mut dyn Sink,
    ) -> Result<(Encoded, Chain), ContentError> {
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
        Ok((encoded, chain))
    }

    /// The next content of a file, in memory; `None` if it is what the file held.
    pub(crate) fn whole(
        &mut self,
        db: &Db,
        lookup: &dyn Lookup,
        (file, bytes, seen): (FileId, &[u8], Seen),
        sink: &mut dyn Sink,
    ) -> Result<Option<(Encoded, Chain)>, ContentError> {
        let head = self.heads.get(&file).cloned();
        let digest = Digest::of(bytes);
        if head
            .as_ref()
            .is_some_and(|head| head.digest == Some(digest))
        {
            return Ok(None);
        }
        let old = self.old_content(lookup, file, head.as_ref())?;
        let chain = head
            .as_ref()
            .and_then(|head| head.chain)
            .unwrap_or(Chain::keyframe(0));
        let choice = policy::choose(old.as_deref().map(Vec::as_slice), bytes, chain, seen.load);
        let old_length = head
            .as_ref()
            .filter(|h| h.at.file == file)
            .map(|h| h.length);
        self.recent.insert(file, Arc::new(bytes.to_vec()));
        let (repr, chain) = match (choice.form, head) {
            (Form::Patch { codec, payload }, Some(head)) => {
                let (payload, cost) = put_payload(db, codec, payload, sink)?;
                let base = head.at;
                let repr = Repr::Patch {
                    base,
                    codec,
                    payload,
                };
                (repr, chain.with(codec, cost))
            }
            (Form::Unchanged, Some(head)) => {
                let payload = Data::Inline(unchanged_ranges(bytes.len() as u64));
                let base = head.at;
                let codec = PatchCodec::Ranges;
                let repr = Repr::Patch {
                    base,
                    codec,
                    payload,
                };
                (repr, chain.with(codec, 0))
            }
            _ => {
                let prepared = prepare(db, bytes)?;
                let chain = Chain::keyframe(prepared.cost());
                for blob in prepared.blobs {
                    sink.blob(blob)?;
                }
                (prepared.repr, chain)
            }
        };
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
        Ok(Some((encoded, chain)))
    }

    /// A write that was captured as it was applied: `bytes` at `offset`, the file then
    /// being `length` bytes long. Stored as it is, without reading what was there;
    /// a truncation is a write of nothing. `None` if the file's content is not known, so
    /// that the write changes nothing that can be shown.
    pub(crate) fn extent(
        &mut self,
        db: &Db,
        (file, seen): (FileId, Seen),
        (offset, bytes, length): (u64, &[u8], u64),
        sink: &mut dyn Sink,
    ) -> Result<Option<(Encoded, Chain)>, ContentError> {
        let Some(head) = self.heads.get(&file).cloned() else {
            return Ok(None);
        };
        let Some(chain) = head.chain else {
            return Ok(None);
        };
        let (data, cost) = put_payload(db, PatchCodec::Ranges, bytes.to_vec(), sink)?;
        self.recent.remove(&file);
        let base = head.at;
        let repr = Repr::Extent { base, offset, data };
        let encoded = Encoded {
            version: version(length, None, seen, repr),
            old_length: Some(head.length),
            changed: Some((offset, bytes.len() as u64)).filter(|(_, len)| *len > 0),
        };
        Ok(Some((encoded, chain.with(PatchCodec::Ranges, cost))))
    }

    fn old_content(
        &mut self,
        lookup: &dyn Lookup,
        file: FileId,
        head: Option<&Head>,
    ) -> Result<Option<Arc<Vec<u8>>>, ContentError> {
        let Some(head) = head.filter(|h| h.chain.is_some() && h.length <= WHOLE_MAX) else {
            return Ok(None);
        };
        if let Some(bytes) = self.recent.get(&file) {
            return Ok(Some(bytes.clone()));
        }
        let bytes = open(lookup, head.at)?.to_vec(WHOLE_MAX)?;
        Ok(bytes.map(Arc::new))
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
    ) -> Result<Option<(Encoded, Chain)>, ContentError> {
        let Some(head) = self.heads.get(&file).cloned() else {
            return Ok(None);
        };
        let Some(chain) = head.chain.filter(|chain| {
            head.length > WHOLE_MAX && chain.with(PatchCodec::Ranges, 0).cost <= MAX_LONG_CHAIN
        }) else {
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
        Ok(Some((encoded, chain.with(codec, cost))))
    }

    /// The next content of a file too long for memory, as chunks.
    pub(crate) fn chunked(
        &mut self,
        db: &Db,
        (file, reader, seen): (FileId, &mut dyn Read, Seen),
        sink: &mut dyn Sink,
    ) -> Result<(Encoded, Chain), ContentError> {
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
        Ok((encoded, Chain::keyframe(cost)))
    }
}

fn version(length: u64, digest: Option<Digest>, seen: Seen, repr: Repr) -> Version {
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

/// Ranges that change nothing.
fn unchanged_ranges(length: u64) -> Vec<u8> {
    RangesEncoder::new(0).finish(length).unwrap_or_default()
}

/// Stores a payload inside the record if it is short, else as blobs; returns its cost.
fn put_payload(
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
