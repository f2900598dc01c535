//! Prints the speed and ratio of the codecs on made data: figures for a person, not a test.

use std::hint::black_box;
use std::time::Instant;

use diffkeeper_store::chunk::{ChunkSizes, Chunker};
use diffkeeper_store::compress;
use diffkeeper_store::patch::{bsdiff, prefix, ranges};

fn main() {
    let old = noise(1, 64 << 20);
    let copy = old.clone();
    measure("ranges, equal 64 MiB", old.len(), || {
        ranges::encode(&old, black_box(&copy), 0).map(|payload| payload.len())
    });
    let old = &old[..1 << 20];
    measure("ranges, equal 1 MiB", old.len(), || {
        ranges::encode(old, black_box(&copy[..old.len()]), 0).map(|payload| payload.len())
    });
    let mut blocks = old.to_vec();
    for (block, seed) in blocks.chunks_mut(4096).zip(2..).step_by(10) {
        block.copy_from_slice(&noise(seed, block.len()));
    }
    let mut scattered = old.to_vec();
    scattered.iter_mut().step_by(20).for_each(|byte| *byte ^= 1);
    for (name, new) in [("blocks", &blocks), ("scattered", &scattered)] {
        println!("-- 1 MiB, {name}");
        measure("ranges", new.len(), || {
            ranges::encode(old, new, usize::MAX).map(|p| p.len())
        });
        for level in [compress::LEVEL_INLINE, compress::LEVEL_DENSE] {
            measure(&format!("prefix {level}"), new.len(), || {
                prefix::encode(old, new, level).map(|p| p.len())
            });
        }
        measure("bsdiff", new.len(), || {
            bsdiff::encode(old, new).map(|p| p.len())
        });
        let Some(payload) = prefix::encode(old, new, 3) else {
            continue;
        };
        measure("prefix apply", new.len(), || {
            prefix::apply(old, &payload, new.len())
                .ok()
                .map(|p| p.len())
        });
    }
    let small = text(12 << 10);
    let mut edited = small.clone();
    edited.splice(100..100, *b"inserted");
    measure("prefix 3, 12 KiB of text", small.len(), || {
        prefix::encode(&small, &edited, 3).map(|p| p.len())
    });
    measure("value, 12 KiB of text", small.len(), || {
        Some(compress::encoded_len(&small, compress::LEVEL_INLINE))
    });
    let large = noise(3, 64 << 20);
    let mut chunker = Chunker::new(ChunkSizes::LARGE);
    measure("chunks, 64 MiB", large.len(), || {
        let mut count = 0;
        let sink = |_, chunk: &[u8]| -> std::io::Result<()> {
            count += usize::from(!black_box(chunk).is_empty());
            Ok(())
        };
        chunker.run(large.as_slice(), sink).ok().map(|_| count)
    });
}

/// Runs for about a third of a second and prints the best round.
fn measure(name: &str, bytes: usize, mut work: impl FnMut() -> Option<usize>) {
    let started = Instant::now();
    let (mut best, mut result) = (f64::MAX, None);
    while started.elapsed().as_millis() < 300 {
        let round = Instant::now();
        result = black_box(work());
        best = best.min(round.elapsed().as_secs_f64());
    }
    let speed = bytes as f64 / best / 1e9;
    println!(
        "{name:<26} {:9.1} us {speed:7.2} GB/s -> {result:?}",
        best * 1e6
    );
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

fn text(len: usize) -> Vec<u8> {
    (0..)
        .flat_map(|n| format!("{{\"id\": {n}, \"square\": {}}}\n", n * n).into_bytes())
        .take(len)
        .collect()
}
