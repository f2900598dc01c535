//! Giving a long captured content a root of its own: its parts that the store holds as blobs are
//! taken over, and only what is left is read and cut into chunks.

use std::io::{self, Read};

use super::burst::{Bounds, Burst, Piece};
use super::capture::Write;
use super::encode::Sink;
use super::head::Head;
use super::layers::{lay, root_chunks};
use super::prepare::Pieces;
use super::read::Content;
use super::{ContentError, Lookup, open};
use crate::blob::{self, MAX_BLOB};
use crate::chunk::{ChunkSizes, Chunker};
use crate::db::Db;
use crate::model::{Repr, VersionRef};
use crate::policy::Chain;

/// A content with a write applied to it. What is below the write is opened when it is needed.
pub(super) struct Through<'s, 'w, F> {
    write: &'w Write<'w>,
    open: F,
    below: Option<Content<'s>>,
}

impl<'s, 'w, F> Through<'s, 'w, F>
where
    F: FnMut() -> Result<Content<'s>, ContentError>,
{
    pub(super) const fn new(write: &'w Write<'w>, open: F) -> Self {
        Self {
            write,
            open,
            below: None,
        }
    }

    /// Fills `window`, which lies within the content.
    pub(super) fn read_at(&mut self, offset: u64, window: &mut [u8]) -> Result<(), ContentError> {
        let end = offset.saturating_add(window.len() as u64);
        window.fill(0);
        if self.write.offset > offset || self.write.end() < end {
            let below = match self.below.take() {
                Some(below) => below,
                None => (self.open)()?,
            };
            self.below.insert(below).read_at(offset, window)?;
        }
        lay(window, offset, self.write.offset, self.write.bytes);
        Ok(())
    }
}

/// Cuts a long content into chunks after `write`, the last of the writes in `burst`.
pub(super) fn chunks_anew(
    (db, lookup): (&Db, &dyn Lookup),
    (head, burst): (&Head, &Burst),
    (write, bounds): (&Write<'_>, &Bounds),
    sink: &mut dyn Sink,
) -> Result<(Repr, Chain), ContentError> {
    let mut kept = untouched(lookup, head, burst, write.length)?;
    kept.extend(burst.pieces.iter().filter(|p| p.end() <= write.length));
    kept.extend(written(db, write, bounds, sink)?);
    kept.sort_unstable_by_key(|piece| piece.offset);
    let mut cutter = Cutter {
        db,
        sink,
        source: Through::new(write, || open(lookup, head.at)),
        chunkers: [ChunkSizes::SMALL, ChunkSizes::LARGE].map(Chunker::new),
        pieces: Pieces::default(),
        cost: head.chain.map_or(0, |chain| chain.keyframe_stored_bytes),
    };
    let mut at = 0;
    for piece in &kept {
        cutter.part(burst, at, piece.offset)?;
        cutter.pieces.add(piece.digest, piece.len);
        at = piece.end();
    }
    cutter.part(burst, at, write.length)?;
    let (pieces, cost) = (cutter.pieces, cutter.cost);
    let mut lists = Vec::new();
    let repr = pieces.finish(db, |list| lists.push(list))?;
    lists.into_iter().try_for_each(|list| sink.blob(list))?;
    Ok((repr, Chain::keyframe(cost)))
}

/// The chunks of the root that no write has reached.
fn untouched(
    lookup: &dyn Lookup,
    head: &Head,
    burst: &Burst,
    length: u64,
) -> Result<Vec<Piece>, ContentError> {
    if burst.touched.within(0, length).next() == Some((0, length)) {
        return Ok(Vec::new());
    }
    let at = VersionRef {
        file: head.at.file,
        seq: head.root,
    };
    let root = lookup.version(at)?.ok_or(ContentError::NoVersion(at))?;
    let chunks = root_chunks(lookup, at, &root)?.into_iter();
    let pieces = chunks.map(|chunk| Piece {
        offset: chunk.offset,
        len: chunk.len,
        digest: chunk.digest,
    });
    let is_kept = |p: &Piece| p.end() <= length && !burst.touched.touches(p.offset, p.end());
    Ok(pieces.filter(is_kept).collect())
}

/// The write itself, as far as it makes blobs that are long enough.
fn written(
    db: &Db,
    write: &Write<'_>,
    bounds: &Bounds,
    sink: &mut dyn Sink,
) -> Result<Vec<Piece>, ContentError> {
    let mut pieces = Vec::new();
    let mut offset = write.offset;
    for bytes in write.bytes.chunks(MAX_BLOB) {
        if bytes.len() as u64 >= bounds.small {
            let blob = blob::pack(db, bytes, false)?;
            pieces.push(Piece::blob(offset, &blob));
            sink.blob(blob)?;
        }
        offset += bytes.len() as u64;
    }
    Ok(pieces)
}

/// Makes chunks of what no blob holds yet.
struct Cutter<'a, 's, 'w, F> {
    db: &'a Db,
    sink: &'a mut dyn Sink,
    source: Through<'s, 'w, F>,
    /// For short stretches and for long ones.
    chunkers: [Chunker; 2],
    pieces: Pieces,
    cost: u64,
}

impl<'s, F> Cutter<'_, 's, '_, F>
where
    F: FnMut() -> Result<Content<'s>, ContentError>,
{
    /// From `start` to `end`; long stretches of zeros are not read.
    fn part(&mut self, burst: &Burst, start: u64, end: u64) -> Result<(), ContentError> {
        let mut at = start;
        let zeros = burst.zeros.within(start, end);
        for (from, to) in zeros.filter(|(from, to)| to - from >= MAX_BLOB as u64) {
            self.read(at, from)?;
            self.zeros(to - from)?;
            at = to;
        }
        self.read(at, end)
    }

    fn read(&mut self, start: u64, end: u64) -> Result<(), ContentError> {
        if start >= end {
            return Ok(());
        }
        let source = &mut self.source;
        let stretch = Stretch {
            read_at: |offset, window: &mut [u8]| source.read_at(offset, window),
            at: start,
            end,
        };
        let (db, sink) = (self.db, &mut *self.sink);
        let (pieces, cost) = (&mut self.pieces, &mut self.cost);
        // Writes scattered over a large file reach a chunk each; the smaller those are, the less
        // is stored anew.
        let [small, large] = &mut self.chunkers;
        let is_short = end - start <= MAX_BLOB as u64;
        let chunker = if is_short { small } else { large };
        let cut = chunker.run(stretch, |_, chunk| {
            let blob = blob::pack(db, chunk, false)?;
            pieces.add(blob.digest, blob.plain_len);
            *cost += blob.cost();
            sink.blob(blob)
        });
        cut.map(drop).map_err(uncovered)
    }

    fn zeros(&mut self, length: u64) -> Result<(), ContentError> {
        let block = vec![0; MAX_BLOB];
        let whole = blob::pack(self.db, &block, false)?;
        for _ in 0..length / MAX_BLOB as u64 {
            self.pieces.add(whole.digest, whole.plain_len);
        }
        self.sink.blob(whole)?;
        let rest = usize::try_from(length % MAX_BLOB as u64).unwrap_or(0);
        if let Some(rest) = block.get(..rest).filter(|rest| !rest.is_empty()) {
            let rest = blob::pack(self.db, rest, false)?;
            self.pieces.add(rest.digest, rest.plain_len);
            self.sink.blob(rest)?;
        }
        Ok(())
    }
}

/// A part of a content as a reader.
struct Stretch<F> {
    read_at: F,
    at: u64,
    end: u64,
}

impl<F: FnMut(u64, &mut [u8]) -> Result<(), ContentError>> Read for Stretch<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let n = left.min(buf.len());
        let window = buf.get_mut(..n).unwrap_or_default();
        (self.read_at)(self.at, window).map_err(io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// The error that [`Stretch`] had to pass through a reader.
fn uncovered(error: ContentError) -> ContentError {
    match error {
        ContentError::Io(error) => match error.downcast::<ContentError>() {
            Ok(inner) => inner,
            Err(error) => ContentError::Io(error),
        },
        error => error,
    }
}
