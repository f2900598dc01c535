//! Long contents, read in windows: the chunks of a root and what was laid over them.

use super::ContentError;
use super::read::{Chain, Content, Lookup, data, settled_content, slice_span};
use super::spans::Spans;
use crate::encode::decode_manifest;
use crate::model::{Burst, Digest, MissingReason, PatchCodec, Repr, Version, VersionRef};
use crate::patch::{self, Part, RangesIndex};

/// Most payload bytes all layers of a long file may hold in memory.
const LAYERS_LIMIT: u64 = 64 << 20;

/// A long content: a root and, oldest first, what was laid over it.
pub(super) struct Layered<'s> {
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

pub(super) fn chunks(
    lookup: &dyn Lookup,
    lists: &[Digest],
    length: u64,
) -> Result<Vec<Chunk>, ContentError> {
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
        Repr::Burst(burst) => {
            let written = data(lookup, burst.data(), left)?;
            layer.splices = merged(burst, &written);
            *held += written.len() as u64;
        }
        _ => return Err(ContentError::BrokenChain(at)),
    }
    Ok(layer)
}

/// What the writes of a burst left, ascending and apart.
fn merged(burst: &Burst, written: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut spans = Spans::default();
    for (offset, part) in burst.parts(written) {
        spans.add(offset, offset + part.len() as u64, 0);
    }
    let empty = |(start, end): (u64, u64)| {
        let len = usize::try_from(end - start).unwrap_or(0);
        (start, vec![0; len])
    };
    let mut splices: Vec<_> = spans.within(0, u64::MAX).map(empty).collect();
    for (offset, part) in burst.parts(written) {
        let index = splices.partition_point(|(start, _)| *start <= offset);
        if let Some((start, bytes)) = index.checked_sub(1).and_then(|at| splices.get_mut(at)) {
            lay(bytes, *start, offset, part);
        }
    }
    splices
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

impl<'s> Layered<'s> {
    /// The content of the first version of a chain.
    pub(super) fn new(lookup: &'s dyn Lookup, chain: &Chain) -> Result<Self, ContentError> {
        let ((at, root), over) = chain
            .split_last()
            .ok_or(ContentError::Missing(MissingReason::Omitted))?;
        Ok(Self {
            chunks: root_chunks(lookup, *at, root)?,
            root_len: root.length,
            ..Self::over_nothing(lookup, over)?
        })
    }

    /// What versions, newest first, lay over an empty root.
    pub(super) fn over_nothing(
        lookup: &'s dyn Lookup,
        versions: &[(VersionRef, Version)],
    ) -> Result<Self, ContentError> {
        Ok(Self {
            lookup,
            chunks: Vec::new(),
            root_len: 0,
            layers: layers(lookup, versions)?,
            recent: None,
        })
    }

    /// Fills `window` with the bytes from `start` on; those beyond the end become zero.
    pub(super) fn read(&mut self, start: u64, window: &mut [u8]) -> Result<(), ContentError> {
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
