//! Rebuilding: a version's bytes from its chain, whole for short files, in windows for
//! long ones, so that memory does not grow with the file.

use std::io::Write;

use super::{ContentError, WHOLE_MAX};
use crate::encode::decode_manifest;
use crate::model::{Data, Digest, PatchCodec, Repr, Seq, Version, VersionRef};
use crate::patch::{self, Part, RangesIndex};

/// Longest chain a reader follows; writers stay far below.
const MAX_DEPTH: usize = 4096;
/// Longest whole content a reader builds in memory (bsdiff and prefix patches need it).
const WHOLE_LIMIT: u64 = 64 << 20;
/// Longest patch payload of a short file.
const PAYLOAD_LIMIT: u64 = WHOLE_LIMIT + (1 << 20);
/// Most payload bytes all layers of a long file may hold in memory.
const LAYERS_LIMIT: u64 = 64 << 20;
/// Bytes moved at a time.
const WINDOW: usize = 1 << 20;

/// Where versions and blobs come from.
pub(crate) trait Lookup {
    fn version(&self, at: VersionRef) -> Result<Option<Version>, ContentError>;
    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, ContentError>;
}

/// The bytes of one version, ready to be read.
pub struct Content<'s> {
    at: VersionRef,
    version: Version,
    body: Body<'s>,
}

enum Body<'s> {
    Whole(Vec<u8>),
    Layered(Box<Layered<'s>>),
}

/// A long content: a root and, oldest first, what was laid over it.
struct Layered<'s> {
    lookup: &'s dyn Lookup,
    chunks: Vec<Chunk>,
    root_len: u64,
    layers: Vec<Layer<'s>>,
    /// The chunk that was read last.
    recent: Option<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) digest: Digest,
}

struct Layer<'s> {
    /// Length of the content with this layer.
    length: u64,
    splices: Vec<(u64, Vec<u8>)>,
    /// For slices: where the bytes of the span come from.
    window: Option<(u64, u64, Content<'s>)>,
}

/// Opens the content of a version.
///
/// # Errors
/// A missing content, or any damage in its chain.
pub(crate) fn open(lookup: &dyn Lookup, at: VersionRef) -> Result<Content<'_>, ContentError> {
    open_chain(lookup, at, true)
}

fn open_chain(
    lookup: &dyn Lookup,
    at: VersionRef,
    slices: bool,
) -> Result<Content<'_>, ContentError> {
    let chain = chain(lookup, at, slices)?;
    let (_, version) = chain.first().ok_or(ContentError::NoVersion(at))?;
    let version = version.clone();
    let long = chain.iter().any(|(_, v)| v.length > WHOLE_MAX);
    let body = if long && !needs_whole(&chain) {
        Body::Layered(Box::new(layered(lookup, &chain)?))
    } else {
        Body::Whole(whole(lookup, &chain)?)
    };
    // A blob was checked when it was read: not twice where it is the whole content.
    let checked = matches!(version.repr, Repr::Keyframe(blob) if version.digest == Some(blob))
        && version.length > 0;
    if let (Body::Whole(bytes), Some(digest)) = (&body, version.digest)
        && !checked
        && Digest::of(bytes) != digest
    {
        return Err(ContentError::Mismatch(at));
    }
    Ok(Content { at, version, body })
}

/// As a long content is opened, whatever its length.
#[cfg(test)]
pub(super) fn open_layered(
    lookup: &dyn Lookup,
    at: VersionRef,
) -> Result<Content<'_>, ContentError> {
    let chain = chain(lookup, at, true)?;
    let (_, version) = chain.first().ok_or(ContentError::NoVersion(at))?;
    Ok(Content {
        at,
        version: version.clone(),
        body: Body::Layered(Box::new(layered(lookup, &chain)?)),
    })
}

type Chain = Vec<(VersionRef, Version)>;

/// The version and everything it is built on, newest first.
fn chain(lookup: &dyn Lookup, at: VersionRef, slices: bool) -> Result<Chain, ContentError> {
    let mut chain = Chain::new();
    let mut next = Some(at);
    while let Some(at) = next {
        let version = lookup.version(at)?.ok_or(ContentError::NoVersion(at))?;
        if let Repr::Missing(reason) = version.repr {
            return Err(ContentError::Missing(reason));
        }
        let slice = matches!(version.repr, Repr::Slice { .. });
        next = version.repr.base();
        let goes_back = next.is_none_or(|base| base.seq < at.seq);
        if !goes_back || (slice && !slices) || chain.len() >= MAX_DEPTH {
            return Err(ContentError::BrokenChain(at));
        }
        chain.push((at, version));
    }
    Ok(chain)
}

fn needs_whole(chain: &Chain) -> bool {
    chain.iter().any(|(_, version)| {
        matches!(
            version.repr,
            Repr::Patch {
                codec: PatchCodec::Prefix | PatchCodec::Bsdiff,
                ..
            }
        )
    })
}

fn whole(lookup: &dyn Lookup, chain: &Chain) -> Result<Vec<u8>, ContentError> {
    let mut bytes = Vec::new();
    for (at, version) in chain.iter().rev() {
        bytes = step(lookup, *at, version, bytes)?;
    }
    Ok(bytes)
}

/// The whole content of a version, given that of its base (if it has one).
pub(crate) fn step(
    lookup: &dyn Lookup,
    at: VersionRef,
    version: &Version,
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, ContentError> {
    let length = usize::try_from(version.length)
        .ok()
        .filter(|_| version.length <= WHOLE_LIMIT)
        .ok_or(ContentError::BrokenChain(at))?;
    match &version.repr {
        Repr::Keyframe(_) | Repr::Chunks(_) => whole_root(lookup, at, version),
        Repr::Patch { codec, payload, .. } => {
            let payload = data(lookup, payload, PAYLOAD_LIMIT)?;
            if *codec == PatchCodec::Ranges {
                patch::ranges::splice(&mut bytes, &payload, length)?;
                return Ok(bytes);
            }
            Ok(patch::apply(*codec, &bytes, &payload, length)?)
        }
        Repr::Extent {
            offset,
            data: extent,
            ..
        } => {
            let extent = data(lookup, extent, PAYLOAD_LIMIT)?;
            bytes.resize(length, 0);
            lay(&mut bytes, 0, *offset, &extent);
            Ok(bytes)
        }
        Repr::Slice {
            offset,
            len,
            settled,
            ..
        } => {
            bytes.resize(length, 0);
            let mut source = settled_content(lookup, at, *settled)?;
            let span = slice_span(*offset, *len, length as u64, &source, at)?;
            if let Some(part) = bytes.get_mut(span) {
                source.read_at(*offset, part)?;
            }
            Ok(bytes)
        }
        Repr::Missing(reason) => Err(ContentError::Missing(*reason)),
    }
}

fn settled_content(
    lookup: &dyn Lookup,
    at: VersionRef,
    settled: Seq,
) -> Result<Content<'_>, ContentError> {
    if settled <= at.seq {
        return Err(ContentError::BrokenChain(at));
    }
    let settled = VersionRef {
        file: at.file,
        seq: settled,
    };
    open_chain(lookup, settled, false)
}

fn slice_span(
    offset: u64,
    len: u64,
    length: u64,
    source: &Content<'_>,
    at: VersionRef,
) -> Result<std::ops::Range<usize>, ContentError> {
    let end = offset
        .checked_add(len)
        .filter(|end| *end <= length && *end <= source.len())
        .ok_or(ContentError::BrokenChain(at))?;
    let bound = |n: u64| usize::try_from(n).map_err(|_| ContentError::BrokenChain(at));
    Ok(bound(offset)?..bound(end)?)
}

fn whole_root(
    lookup: &dyn Lookup,
    at: VersionRef,
    version: &Version,
) -> Result<Vec<u8>, ContentError> {
    let bytes = match &version.repr {
        Repr::Keyframe(_) if version.length == 0 => Vec::new(),
        Repr::Keyframe(digest) => lookup.blob(digest)?,
        Repr::Chunks(lists) => {
            let mut bytes = Vec::new();
            for chunk in chunks(lookup, lists, version.length)? {
                bytes.extend(lookup.blob(&chunk.digest)?);
                if bytes.len() as u64 > version.length {
                    return Err(ContentError::BrokenChain(at));
                }
            }
            bytes
        }
        _ => return Err(ContentError::BrokenChain(at)),
    };
    if bytes.len() as u64 == version.length {
        Ok(bytes)
    } else {
        Err(ContentError::BrokenChain(at))
    }
}

fn chunks(lookup: &dyn Lookup, lists: &[Digest], length: u64) -> Result<Vec<Chunk>, ContentError> {
    let mut chunks = Vec::new();
    let mut offset = 0_u64;
    for list in lists {
        for (digest, len) in decode_manifest(&lookup.blob(list)?)? {
            chunks.push(Chunk {
                offset,
                len,
                digest,
            });
            offset = offset.saturating_add(u64::from(len));
        }
    }
    if offset == length {
        Ok(chunks)
    } else {
        Err(patch::CodecError::Length {
            expected: length,
            found: offset,
        }
        .into())
    }
}

/// The bytes of a `Data`, at most `limit`.
fn data(lookup: &dyn Lookup, data: &Data, limit: u64) -> Result<Vec<u8>, ContentError> {
    if data.len() > limit {
        return Err(patch::CodecError::Malformed("payload too long").into());
    }
    match data {
        Data::Inline(bytes) => Ok(bytes.clone()),
        Data::Blobs(blobs) => {
            let mut bytes = Vec::new();
            for (digest, len) in blobs {
                let blob = lookup.blob(digest)?;
                if blob.len() as u64 != u64::from(*len) {
                    return Err(ContentError::DamagedBlob(*digest));
                }
                bytes.extend(blob);
            }
            Ok(bytes)
        }
    }
}

fn layered<'s>(lookup: &'s dyn Lookup, chain: &Chain) -> Result<Layered<'s>, ContentError> {
    let ((at, root), over) = chain
        .split_last()
        .ok_or(ContentError::Missing(crate::model::MissingReason::Omitted))?;
    Ok(Layered {
        lookup,
        chunks: root_chunks(lookup, *at, root)?,
        root_len: root.length,
        layers: layers(lookup, over)?,
        recent: None,
    })
}

/// What the versions from `at` down to `anchor`, which is not one of them, laid over that:
/// where none of them laid anything there are zeros.
pub(super) fn laid_over(
    lookup: &dyn Lookup,
    at: VersionRef,
    anchor: VersionRef,
) -> Result<Content<'_>, ContentError> {
    let mut chain = Chain::new();
    let mut next = Some(at);
    while let Some(at) = next.filter(|next| *next != anchor) {
        let version = lookup.version(at)?.ok_or(ContentError::NoVersion(at))?;
        next = version.repr.base().filter(|base| base.seq < at.seq);
        if chain.len() >= MAX_DEPTH {
            return Err(ContentError::BrokenChain(at));
        }
        chain.push((at, version));
    }
    let top = chain.first().filter(|_| next.is_some());
    let (_, version) = top.ok_or(ContentError::BrokenChain(at))?;
    let body = Layered {
        lookup,
        chunks: Vec::new(),
        root_len: 0,
        layers: layers(lookup, &chain)?,
        recent: None,
    };
    Ok(Content {
        at,
        version: version.clone(),
        body: Body::Layered(Box::new(body)),
    })
}

/// The chunks of a version that has no base.
pub(super) fn root_chunks(
    lookup: &dyn Lookup,
    at: VersionRef,
    root: &Version,
) -> Result<Vec<Chunk>, ContentError> {
    match &root.repr {
        Repr::Chunks(lists) => chunks(lookup, lists, root.length),
        Repr::Keyframe(_) if root.length == 0 => Ok(Vec::new()),
        Repr::Keyframe(digest) => Ok(vec![Chunk {
            offset: 0,
            len: u32::try_from(root.length).map_err(|_| ContentError::BrokenChain(at))?,
            digest: *digest,
        }]),
        _ => Err(ContentError::BrokenChain(at)),
    }
}

/// The layers of versions that are given newest first.
fn layers<'s>(
    lookup: &'s dyn Lookup,
    versions: &[(VersionRef, Version)],
) -> Result<Vec<Layer<'s>>, ContentError> {
    let mut held = 0;
    let oldest_first = versions.iter().rev();
    oldest_first
        .map(|(at, version)| layer(lookup, *at, version, &mut held))
        .collect()
}

fn layer<'s>(
    lookup: &'s dyn Lookup,
    at: VersionRef,
    version: &Version,
    held: &mut u64,
) -> Result<Layer<'s>, ContentError> {
    let mut layer = Layer {
        length: version.length,
        splices: Vec::new(),
        window: None,
    };
    let left = LAYERS_LIMIT.saturating_sub(*held);
    match &version.repr {
        Repr::Patch {
            codec: PatchCodec::Ranges,
            payload,
            ..
        } => {
            let payload = data(lookup, payload, left)?;
            *held += payload.len() as u64;
            layer.splices = splices(&payload, version.length)?;
        }
        Repr::Extent {
            offset,
            data: extent,
            ..
        } => {
            let extent = data(lookup, extent, left)?;
            *held += extent.len() as u64;
            layer.splices.push((*offset, extent));
        }
        Repr::Slice {
            offset,
            len,
            settled,
            ..
        } => {
            let source = settled_content(lookup, at, *settled)?;
            slice_span(*offset, *len, version.length, &source, at)?;
            layer.window = Some((*offset, *len, source));
        }
        _ => return Err(ContentError::BrokenChain(at)),
    }
    Ok(layer)
}

fn splices(payload: &[u8], length: u64) -> Result<Vec<(u64, Vec<u8>)>, ContentError> {
    let index = RangesIndex::parse(payload)?;
    if index.new_len() != length {
        return Err(patch::CodecError::Malformed("ranges of another length").into());
    }
    let literal = |part| match part {
        Part::Literal { offset, bytes } => Some((offset, bytes.to_vec())),
        Part::Base { .. } => None,
    };
    Ok(index.covering(0, length).filter_map(literal).collect())
}

/// Copies `bytes`, which belong at `offset`, into the window that starts at `start`.
pub(super) fn lay(window: &mut [u8], start: u64, offset: u64, bytes: &[u8]) {
    let skip = usize::try_from(start.saturating_sub(offset)).unwrap_or(usize::MAX);
    let into = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
    if let (Some(source), Some(target)) = (bytes.get(skip..), window.get_mut(into..)) {
        let n = source.len().min(target.len());
        if let (Some(source), Some(target)) = (source.get(..n), target.get_mut(..n)) {
            target.copy_from_slice(source);
        }
    }
}

impl Layered<'_> {
    /// Fills `window` with the bytes from `start` on; those beyond the end become zero.
    fn read(&mut self, start: u64, window: &mut [u8]) -> Result<(), ContentError> {
        self.read_root(start, window)?;
        clear_beyond(window, start, self.root_len);
        for layer in &mut self.layers {
            clear_beyond(window, start, layer.length);
            let end = start.saturating_add(window.len() as u64);
            let first = layer
                .splices
                .partition_point(|(offset, bytes)| offset + bytes.len() as u64 <= start);
            let touched = layer.splices.iter().skip(first);
            for (offset, bytes) in touched.take_while(|(offset, _)| *offset < end) {
                lay(window, start, *offset, bytes);
            }
            if let Some((offset, len, source)) = &mut layer.window {
                let from = start.max(*offset);
                let to = end.min(offset.saturating_add(*len));
                if from < to {
                    let mut part = vec![0; usize::try_from(to - from).unwrap_or(0)];
                    source.read_at(from, &mut part)?;
                    lay(window, start, from, &part);
                }
            }
        }
        Ok(())
    }

    fn read_root(&mut self, start: u64, window: &mut [u8]) -> Result<(), ContentError> {
        let end = start.saturating_add(window.len() as u64);
        let first = self
            .chunks
            .partition_point(|chunk| chunk.offset + u64::from(chunk.len) <= start);
        for index in first.. {
            let Some(chunk) = self.chunks.get(index).filter(|chunk| chunk.offset < end) else {
                return Ok(());
            };
            if self.recent.as_ref().is_none_or(|(i, _)| *i != index) {
                let bytes = self.lookup.blob(&chunk.digest)?;
                if bytes.len() as u64 != u64::from(chunk.len) {
                    return Err(ContentError::DamagedBlob(chunk.digest));
                }
                self.recent = Some((index, bytes));
            }
            if let Some((_, bytes)) = &self.recent {
                lay(window, start, chunk.offset, bytes);
            }
        }
        Ok(())
    }
}

fn clear_beyond(window: &mut [u8], start: u64, length: u64) {
    let keep = usize::try_from(length.saturating_sub(start)).unwrap_or(usize::MAX);
    if let Some(beyond) = window.get_mut(keep..) {
        beyond.fill(0);
    }
}

impl Content<'_> {
    /// Length, bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.version.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The version this is the content of.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// Fills `buf` from `offset` on; returns the bytes written, fewer only at the end.
    ///
    /// # Errors
    /// Damage in the chain.
    pub fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ContentError> {
        let left = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let n = left.min(buf.len());
        let buf = buf.get_mut(..n).unwrap_or_default();
        match &mut self.body {
            Body::Whole(bytes) => lay(buf, offset, 0, bytes),
            Body::Layered(layers) => layers.read(offset, buf)?,
        }
        Ok(n)
    }

    /// Hands the content over in order, in pieces of at most 1 MiB, and checks it
    /// against its digest.
    ///
    /// # Errors
    /// Damage (noticed at the end at the latest), or an error of `sink`.
    pub fn stream<E: From<ContentError>>(
        &mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Body::Whole(bytes) = &self.body {
            return bytes.chunks(WINDOW).try_for_each(sink);
        }
        let mut hasher = blake3::Hasher::new();
        let mut window = vec![0; WINDOW];
        let mut offset = 0;
        while offset < self.len() {
            let n = self.read_at(offset, &mut window)?;
            let piece = window.get(..n).unwrap_or_default();
            hasher.update(piece);
            sink(piece)?;
            offset += n as u64;
        }
        match self.version.digest {
            Some(digest) if digest.0 != *hasher.finalize().as_bytes() => {
                Err(ContentError::Mismatch(self.at).into())
            }
            _ => Ok(()),
        }
    }

    /// Writes the whole content.
    ///
    /// # Errors
    /// See [`Content::stream`]; also what `out` reports.
    pub fn write_to(&mut self, out: &mut dyn Write) -> Result<(), ContentError> {
        self.stream(|piece| Ok(out.write_all(piece)?))
    }

    /// The whole content, if it is at most `limit` bytes.
    ///
    /// # Errors
    /// See [`Content::stream`].
    pub fn to_vec(&mut self, limit: u64) -> Result<Option<Vec<u8>>, ContentError> {
        if self.len() > limit {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.write_to(&mut bytes)?;
        Ok(Some(bytes))
    }
}
