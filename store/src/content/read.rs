//! Rebuilding: a version's bytes from its chain, whole for short files, in windows for
//! long ones, so that memory does not grow with the file.

use std::io::Write;

use super::layers::{Layered, chunks, lay};
use super::{ContentError, WHOLE_MAX};
use crate::model::{Data, Digest, PatchCodec, Repr, Seq, Version, VersionRef};
use crate::{compress, patch};

/// Longest chain a reader follows; writers stay far below.
const MAX_DEPTH: usize = 4096;
/// Longest whole content a reader builds in memory (bsdiff and prefix patches need it).
const WHOLE_LIMIT: u64 = 64 << 20;
/// Longest patch payload of a short file.
const PAYLOAD_LIMIT: u64 = WHOLE_LIMIT + (1 << 20);
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
        Body::Layered(Box::new(Layered::new(lookup, &chain)?))
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
        body: Body::Layered(Box::new(Layered::new(lookup, &chain)?)),
    })
}

pub(super) type Chain = Vec<(VersionRef, Version)>;

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
        Repr::Burst(burst) => {
            let written = data(lookup, burst.data(), PAYLOAD_LIMIT)?;
            if bytes.len() as u64 != burst.base_length() {
                return Err(ContentError::BrokenChain(at));
            }
            bytes.resize(length, 0);
            for (offset, part) in burst.parts(&written) {
                lay(&mut bytes, 0, offset, part);
            }
            Ok(bytes)
        }
        Repr::Missing(reason) => Err(ContentError::Missing(*reason)),
    }
}

pub(super) fn settled_content(
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

pub(super) fn slice_span(
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

/// The bytes of a `Data`, at most `limit`.
pub(super) fn data(lookup: &dyn Lookup, data: &Data, limit: u64) -> Result<Vec<u8>, ContentError> {
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
    let version = version.clone();
    let body = Body::Layered(Box::new(Layered::over_nothing(lookup, &chain)?));
    Ok(Content { at, version, body })
}

/// What follows mostly needs a buffer as well.
impl Drop for Body<'_> {
    fn drop(&mut self) {
        if let Self::Whole(bytes) = self {
            compress::recycle(std::mem::take(bytes));
        }
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
