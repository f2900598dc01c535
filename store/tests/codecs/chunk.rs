//! Chunks: nothing lost, bounds kept, and cuts that depend on the content alone.

use std::io::{self, ErrorKind, Read};

use diffkeeper_store::chunk::{ChunkSizes, Chunker};
use fastcdc::v2020::{FastCDC, Normalization};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::data::noise;

/// Gives the content in reads of the stated widths; 0 stands for an interrupted read.
struct Choppy<'a> {
    rest: &'a [u8],
    widths: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Choppy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match *self.widths.next().unwrap() {
            0 => Err(ErrorKind::Interrupted.into()),
            width => {
                let width = width.min(buffer.len());
                self.rest.read(&mut buffer[..width])
            }
        }
    }
}

fn chunks(chunker: &mut Chunker, reader: impl Read) -> Vec<Vec<u8>> {
    let (mut chunks, mut end) = (Vec::new(), 0);
    let total = chunker.run(reader, |offset, chunk| {
        assert_eq!(offset, end);
        end += chunk.len() as u64;
        chunks.push(chunk.to_vec());
        io::Result::Ok(())
    });
    assert_eq!(total.unwrap(), end);
    chunks
}

#[test]
fn cuts_are_those_of_fastcdc_over_the_whole_content() {
    for (sizes, (min, average, max)) in [
        (ChunkSizes::LARGE, (16 << 10, 64 << 10, 256 << 10)),
        (ChunkSizes::SMALL, (4 << 10, 16 << 10, 64 << 10)),
    ] {
        let content = [noise(1, 3 << 20), vec![0; 1 << 20], noise(2, 12_345)].concat();
        let whole = FastCDC::with_level(&content, min, average, max, Normalization::Level3);
        let expected: Vec<_> = whole
            .map(|c| &content[c.offset..c.offset + c.length])
            .collect();
        assert_eq!(
            chunks(&mut Chunker::new(sizes), content.as_slice()),
            expected
        );
    }
}

#[test]
fn an_insertion_changes_only_the_chunks_near_it() {
    let old = noise(3, 4 << 20);
    let mut new = old.clone();
    new.splice(1 << 20..1 << 20, *b"inserted");
    let mut chunker = Chunker::new(ChunkSizes::LARGE);
    let before = chunks(&mut chunker, old.as_slice());
    let after = chunks(&mut chunker, new.as_slice());
    let fresh = after.iter().filter(|chunk| !before.contains(chunk)).count();
    assert!(
        (1..=3).contains(&fresh),
        "{fresh} of {} chunks changed",
        after.len()
    );
}

#[test]
fn lengths_at_the_edges_of_the_buffer_are_kept() {
    let content = noise(4, (256 << 10) + 1);
    let mut chunker = Chunker::new(ChunkSizes::SMALL);
    for len in [
        0, 1, 4096, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145,
    ] {
        let content = &content[..len];
        assert_eq!(chunks(&mut chunker, content).concat(), content);
    }
}

#[test]
fn errors_of_reader_and_sink_come_through() {
    let mut chunker = Chunker::new(ChunkSizes::SMALL);
    let broken = noise(5, 1 << 20);
    let reader = broken.as_slice().chain(Failing);
    let read: io::Result<u64> = chunker.run(reader, |_, _| Ok(()));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::PermissionDenied);
    let full = |offset, _: &[u8]| {
        if offset > 0 {
            Err(ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    };
    let written: io::Result<u64> = chunker.run(io::repeat(7), full);
    assert_eq!(written.unwrap_err().kind(), ErrorKind::StorageFull);
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::PermissionDenied.into())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn reads_do_not_show(seed in any::<u64>(), len in 0usize..900_000, widths in vec(prop_oneof![Just(0usize), 1usize..200_000], 1..6)) {
        prop_assume!(widths.iter().any(|width| *width > 0));
        let content = noise(seed, len);
        let mut chunker = Chunker::new(ChunkSizes::SMALL);
        let choppy = Choppy { rest: &content, widths: widths.iter().cycle() };
        let cut = chunks(&mut chunker, choppy);
        prop_assert_eq!(cut.concat(), &content[..]);
        prop_assert!(cut.iter().all(|chunk| chunk.len() <= ChunkSizes::SMALL.max()));
        prop_assert_eq!(cut, chunks(&mut chunker, content.as_slice()));
    }
}
