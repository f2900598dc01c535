//! Owns content-defined chunking: where a large file is cut, so that equal parts give equal chunks.
//!
//! FastCDC as of 2020 (Xia et al., "The Design of Fast Content-Defined Chunking for Data
//! Deduplication Based Storage Systems"), normalisation level 3, in the crate fastcdc.

use std::io::{self, ErrorKind, Read};

use fastcdc::v2020::{FastCDC, Normalization};

/// Bounds of the chunks, in bytes. Part of the format: other bounds give other chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSizes {
    min: usize,
    average: usize,
    max: usize,
}

impl ChunkSizes {
    /// 16/64/256 KiB: large files.
    pub const LARGE: Self = Self {
        min: 16 << 10,
        average: 64 << 10,
        max: 256 << 10,
    };
    /// 4/16/64 KiB: trees of small files, and scattered edits in very large ones.
    pub const SMALL: Self = Self {
        min: 4 << 10,
        average: 16 << 10,
        max: 64 << 10,
    };

    /// Length of the longest chunk, in bytes.
    #[must_use]
    pub const fn max(self) -> usize {
        self.max
    }
}

/// Buffered in units of the longest chunk: each refill moves at most one unit of leftover.
const BUFFERED_CHUNKS: usize = 4;

/// Cuts streams into chunks with one buffer, of four times the longest chunk, kept between calls.
#[derive(Debug)]
pub struct Chunker {
    sizes: ChunkSizes,
    buffer: Vec<u8>,
}

impl Chunker {
    /// A chunker with its buffer.
    #[must_use]
    pub fn new(sizes: ChunkSizes) -> Self {
        Self {
            sizes,
            buffer: vec![0; sizes.max * BUFFERED_CHUNKS],
        }
    }

    /// Reads to the end and hands each chunk with its offset to `sink`; returns the bytes read.
    ///
    /// How the reads are split does not show in the chunks: each cut is made with the longest
    /// possible chunk, or the end, in sight.
    ///
    /// # Errors
    /// The first error of the reader, other than an interrupted read, or of the sink.
    pub fn run<R, E>(
        &mut self,
        mut reader: R,
        mut sink: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<u64, E>
    where
        R: Read,
        E: From<io::Error>,
    {
        let (mut offset, mut held) = (0u64, 0);
        loop {
            held += fill(&mut reader, &mut self.buffer[held..])?;
            let at_end = held < self.buffer.len();
            let mut start = 0;
            while held - start >= self.sizes.max || (at_end && start < held) {
                let chunk = self.first_chunk(start, held);
                sink(offset, chunk)?;
                offset += chunk.len() as u64;
                start += chunk.len();
            }
            if at_end {
                return Ok(offset);
            }
            self.buffer.copy_within(start..held, 0);
            held -= start;
        }
    }

    fn first_chunk(&self, start: usize, held: usize) -> &[u8] {
        let ChunkSizes { min, average, max } = self.sizes;
        let bytes = &self.buffer[start..held];
        let cutter = FastCDC::with_level(bytes, min, average, max, Normalization::Level3);
        let (_, cut) = cutter.cut(0, bytes.len());
        &bytes[..cut]
    }
}

/// Reads until `buffer` is full or the stream ends; returns the bytes read.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
