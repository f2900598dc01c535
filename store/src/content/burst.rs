//! A burst: the captured writes that lie over a version, and which of its bytes they left
//! alone. From this a later version is put together without the content at hand.

use super::spans::Spans;
use crate::blob::PackedBlob;
use crate::model::{Data, Digest, VersionRef};
use crate::policy::Chain;

/// Limits of what lies over a version. Others than [`Bounds::DEFAULT`] are for tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Longest file handled whole in memory, bytes.
    pub(crate) whole: u64,
    /// Writes shorter than this are small: their bytes do not become chunks as they are.
    pub(crate) small: u64,
    /// Small writes that may lie over an anchor.
    pub(crate) smalls: u32,
    /// Bytes that may lie over the anchor of a short file beside twice its length.
    pub(crate) slack: u64,
    /// Longest form that replaces the small writes over a long file, bytes.
    pub(crate) gathered: u64,
    /// Versions that may lie over a root.
    pub(crate) layers: u32,
    /// Bytes that may lie over the root of a long file: readers hold them in memory.
    pub(crate) held: u64,
}

impl Bounds {
    pub(crate) const DEFAULT: Self = Self {
        whole: super::WHOLE_MAX,
        small: 16 << 10,
        smalls: 128,
        slack: 1 << 20,
        gathered: 4 << 20,
        layers: 1024,
        held: 32 << 20,
    };
}

/// Touched ranges this close are noted as one: no chunk between them would be kept.
const JOIN: u64 = 64 << 10;

/// A part of a content that is a blob of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) digest: Digest,
}

impl Piece {
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.len)
    }

    /// The blobs of `data` at `offset` that are long enough to serve as chunks.
    pub(super) fn of(offset: u64, data: &Data, bounds: &Bounds) -> Vec<Self> {
        let blobs = match data {
            Data::Inline(_) => Vec::new(),
            Data::Blobs(blobs) => blobs.clone(),
        };
        let mut next = offset;
        let place = |(digest, len)| {
            let offset = next;
            next += u64::from(len);
            Self {
                offset,
                len,
                digest,
            }
        };
        let mut pieces: Vec<_> = blobs.into_iter().map(place).collect();
        pieces.retain(|piece| u64::from(piece.len) >= bounds.small);
        pieces
    }

    pub(super) const fn blob(offset: u64, blob: &PackedBlob) -> Self {
        Self {
            offset,
            len: blob.plain_len,
            digest: blob.digest,
        }
    }
}

/// What a step changed: a range of bytes, and the length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) old_length: u64,
    pub(super) new_length: u64,
}

/// See the file.
#[derive(Clone, Debug)]
pub(super) struct Burst {
    /// The version below the writes.
    pub(super) anchor: VersionRef,
    /// Its chain.
    pub(super) chain: Chain,
    /// Plain bytes of what lies between it and its root.
    pub(super) held: u64,
    /// Where the content may differ from the anchor's.
    pub(super) since: Spans,
    /// Small writes over the anchor.
    pub(super) smalls: u32,
    /// Bytes over the anchor.
    pub(super) bytes: u64,
    /// Where the content may differ from that of the root, and a little more.
    pub(super) touched: Spans,
    /// Where it is zero because the file was made longer.
    pub(super) zeros: Spans,
    /// Parts that the store holds as blobs, ascending.
    pub(super) pieces: Vec<Piece>,
}

impl Burst {
    /// Nothing over `anchor` yet. If that is not a root, all of the root may be changed.
    pub(super) fn over(anchor: VersionRef, chain: Chain, held: u64, is_root: bool) -> Self {
        Self {
            anchor,
            chain,
            held,
            since: Spans::default(),
            smalls: 0,
            bytes: 0,
            touched: if is_root {
                Spans::default()
            } else {
                Spans::all()
            },
            zeros: Spans::default(),
            pieces: Vec::new(),
        }
    }

    /// Notes where a step changed the content.
    pub(super) fn note(&mut self, change: Change) {
        let Change {
            start,
            end,
            old_length: old,
            new_length: new,
        } = change;
        let (cut, grown) = (old.min(new), old.max(new));
        self.touch(start, end);
        if cut < start || end < grown {
            self.touch(cut, grown);
        }
        if new > old {
            self.zeros.add(old, new, 0);
            self.zeros.remove(start, end);
        }
    }

    fn touch(&mut self, start: u64, end: u64) {
        self.since.add(start, end, 0);
        self.touched.add(start, end, JOIN);
        self.zeros.remove(start, end);
        self.drop_pieces(start, end);
    }

    /// Notes that `data` stands at `offset` now. Each of its bytes was noted when it changed.
    pub(super) fn place(&mut self, offset: u64, data: &Data, bounds: &Bounds) {
        let pieces = Piece::of(offset, data, bounds);
        if pieces.is_empty() {
            return;
        }
        self.drop_pieces(offset, offset.saturating_add(data.len()));
        let at = self.pieces.partition_point(|piece| piece.offset < offset);
        self.pieces.splice(at..at, pieces);
    }

    /// Counts a write that lies over the anchor, in the record of the one before or in its own.
    pub(super) fn count(&mut self, bytes: u64, goes_on: bool, bounds: &Bounds) {
        self.bytes += bytes;
        self.smalls += u32::from(!goes_on && bytes < bounds.small);
    }

    /// What lay over the anchor is part of `anchor` now.
    pub(super) fn raise(&mut self, anchor: VersionRef, chain: Chain, held: u64) {
        self.anchor = anchor;
        self.chain = chain;
        self.held = held;
        self.since = Spans::default();
        self.smalls = 0;
        self.bytes = 0;
    }

    fn drop_pieces(&mut self, start: u64, end: u64) {
        let last = self.pieces.last().map_or(0, Piece::end);
        if start < end && start < last {
            let from = self.pieces.partition_point(|piece| piece.end() <= start);
            let to = self.pieces.partition_point(|piece| piece.offset < end);
            self.pieces.drain(from..to.max(from));
        }
    }
}
