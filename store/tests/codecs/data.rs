//! Made content: noise, text, and strategies for two versions of a file and for damaged bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Incompressible bytes, the same for a seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// Lines of text, which compress to about a fifth.
pub(crate) fn text(lines: usize) -> Vec<u8> {
    let line = |n: usize| format!("{{\"id\": {n}, \"digest\": \"{:016x}\"}}\n", n * 7919);
    (0..lines).flat_map(|n| line(n).into_bytes()).collect()
}

/// One edit of a file: replace `removed` bytes at a place by others.
#[derive(Debug, Clone)]
struct Edit {
    at: Index,
    removed: usize,
    inserted: Vec<u8>,
}

/// An old version and a new one that came from it by a few edits, with repetitive or random bytes.
pub(crate) fn versions() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let old = prop_oneof![vec(any::<u8>(), 0..6000), vec(0u8..3, 0..6000)];
    let in_place = (any::<Index>(), vec(any::<u8>(), 0..40)).prop_map(|(at, inserted)| {
        let removed = inserted.len();
        Edit {
            at,
            removed,
            inserted,
        }
    });
    let moving = (any::<Index>(), 0usize..100, vec(any::<u8>(), 0..100)).prop_map(
        |(at, removed, inserted)| Edit {
            at,
            removed,
            inserted,
        },
    );
    (old, vec(prop_oneof![3 => in_place, 1 => moving], 0..12)).prop_map(|(old, edits)| {
        let new = edits.into_iter().fold(old.clone(), |mut new, edit| {
            let from = edit.at.index(new.len() + 1);
            let to = (from + edit.removed).min(new.len());
            new.splice(from..to, edit.inserted);
            new
        });
        (old, new)
    })
}

/// What may have happened to bytes on disk.
pub(crate) fn damage() -> impl Strategy<Value = Vec<(Index, u8)>> {
    vec((any::<Index>(), any::<u8>()), 1..6)
}

/// Overwrites bytes, and for a value of 255 cuts the rest off.
pub(crate) fn damaged(mut bytes: Vec<u8>, damage: &[(Index, u8)]) -> Vec<u8> {
    for (at, value) in damage {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        if *value == u8::MAX {
            bytes.truncate(at);
        } else {
            bytes[at] = *value;
        }
    }
    bytes
}
