//! Same-offset splices: the payload byte by byte, windows, random access, and lies about lengths.

use diffkeeper_store::patch::ranges::{apply, encode};
use diffkeeper_store::patch::{CodecError, Part, RangesEncoder, RangesIndex};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::data::{noise, versions};

fn windowed(old: &[u8], new: &[u8], widths: &[usize], limit: usize) -> Option<Vec<u8>> {
    let mut encoder = RangesEncoder::new(limit);
    let (mut at, mut widths) = (0, widths.iter().cycle());
    while at < new.len() {
        let end = (at + widths.next().unwrap()).min(new.len());
        let old = &old[at.min(old.len())..end.min(old.len())];
        encoder.window(at as u64, old, &new[at..end]);
        at = end;
    }
    encoder.finish(new.len() as u64)
}

fn rebuilt(index: &RangesIndex<'_>, old: &[u8], offset: u64, len: u64) -> Vec<u8> {
    let mut window = Vec::new();
    for part in index.covering(offset, len) {
        assert!(part.len() > 0);
        match part {
            Part::Base { offset: at, len } => {
                assert_eq!(at, offset + window.len() as u64);
                window.extend_from_slice(&old[at as usize..(at + len) as usize]);
            }
            Part::Literal { offset: at, bytes } => {
                assert_eq!(at, offset + window.len() as u64);
                window.extend_from_slice(bytes);
            }
        }
    }
    window
}

#[test]
fn the_payload_is_as_documented() {
    let old = [b'.'; 300];
    let mut new = old.to_vec();
    new[5] = b'a';
    new[13] = b'b'; // seven equal bytes between: merged
    new[22] = b'c'; // eight: a range of its own
    new.truncate(290);
    let payload = encode(&old, &new, 100).unwrap();
    let expected = [&[0xa2, 2, 5, 9][..], b"a.......b", &[8, 1], b"c"].concat();
    assert_eq!(payload, expected);
}

#[test]
fn the_limit_counts_headers_and_is_exact() {
    let old = [0; 100];
    let mut new = old;
    new[10..20].fill(1);
    assert_eq!(encode(&old, &new, 11), None);
    assert_eq!(encode(&old, &new, 12).unwrap().len(), 1 + 12);
}

#[test]
fn the_changed_span_is_exact_even_after_giving_up() {
    for limit in [0, 1000] {
        let old = noise(1, 5000);
        let mut new = old.clone();
        new[1500] ^= 1;
        new[3999] ^= 1;
        let mut encoder = RangesEncoder::new(limit);
        for at in (0..5000).step_by(1000) {
            encoder.window(at as u64, &old[at..at + 1000], &new[at..at + 1000]);
        }
        assert_eq!(encoder.changed_span(), Some((1500, 2500)));
        assert_eq!(encoder.finish(5000).is_some(), limit == 1000);
    }
}

#[test]
fn what_lies_between_windows_is_unchanged() {
    let old = noise(2, 3000);
    let mut new = old.clone();
    new[100] ^= 1;
    new[2000] ^= 1;
    let mut encoder = RangesEncoder::new(100);
    encoder.window(100, &old[100..101], &new[100..101]);
    encoder.window(2000, &old[2000..2001], &new[2000..2001]);
    let payload = encoder.finish(3000).unwrap();
    assert_eq!(apply(&old, &payload, 3000).unwrap(), new);
}

#[test]
fn a_window_that_goes_back_yields_nothing() {
    let mut encoder = RangesEncoder::new(100);
    encoder.window(100, b"a", b"b");
    encoder.window(50, b"a", b"b");
    assert_eq!(encoder.finish(1000), None);
}

#[test]
fn lengths_that_lie_are_refused_before_any_allocation() {
    let huge = [0xff; 9].into_iter().chain([1]).collect::<Vec<u8>>();
    let found = u64::MAX;
    assert_eq!(
        apply(b"", &huge, 100),
        Err(CodecError::Length {
            expected: 100,
            found
        })
    );
    assert_eq!(
        apply(b"abc", &[4], 100),
        Err(CodecError::Base { base_len: 3 })
    );
    assert_eq!(
        apply(b"abc", &[9, 4, 1, b'x'], 100),
        Err(CodecError::Base { base_len: 3 })
    );
    for bad in [
        &[3, 0, 4, 1, 2, 3, 4][..],              // beyond the new length
        &[3, 0, 0],                              // an empty range
        &[3, 0, 2, 1],                           // cut
        &[3, 0],                                 // cut before the length
        &[],                                     // no new length
        &[0xff; 11],                             // more than 64 bits
        &[&[3], &huge[..], &[1, b'x']].concat(), // the gap overflows
    ] {
        assert!(
            matches!(apply(b"abc", bad, 100), Err(CodecError::Malformed(_))),
            "{bad:?}"
        );
        assert!(
            matches!(RangesIndex::parse(bad), Err(CodecError::Malformed(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn a_file_of_many_gib_is_addressed_without_being_held() {
    let far = 40 << 30;
    let mut encoder = RangesEncoder::new(100);
    encoder.window(far, b"old bytes", b"new bytes");
    let payload = encoder.finish(far + 4096).unwrap();
    let index = RangesIndex::parse(&payload).unwrap();
    assert_eq!(
        (index.new_len(), index.base_len()),
        (far + 4096, far + 4096)
    );
    let parts: Vec<_> = index.covering(far - 2, 100).collect();
    let expected = [
        Part::Base {
            offset: far - 2,
            len: 2,
        },
        Part::Literal {
            offset: far,
            bytes: b"new",
        },
        Part::Base {
            offset: far + 3,
            len: 95,
        },
    ];
    assert_eq!(parts, expected);
}

proptest! {
    #[test]
    fn windows_do_not_show((old, new) in versions(), widths in vec(1usize..900, 1..5), limit in 0usize..400) {
        prop_assert_eq!(windowed(&old, &new, &widths, limit), encode(&old, &new, limit));
        let payload = windowed(&old, &new, &widths, usize::MAX).unwrap();
        prop_assert_eq!(apply(&old, &payload, new.len()).unwrap(), new);
    }

    #[test]
    fn the_limit_holds((old, new) in versions(), limit in 0usize..400) {
        let full = encode(&old, &new, usize::MAX).unwrap();
        let header = if new.len() < 0x80 { 1 } else { 2 };
        let kept = encode(&old, &new, limit);
        prop_assert_eq!(kept.is_some(), full.len() - header <= limit);
    }

    #[test]
    fn any_window_can_be_rebuilt((old, new) in versions(), offset in 0u64..7000, len in 0u64..7000) {
        let payload = encode(&old, &new, usize::MAX).unwrap();
        let index = RangesIndex::parse(&payload).unwrap();
        prop_assert!(index.base_len() <= old.len() as u64);
        let from = (offset as usize).min(new.len());
        let to = ((offset + len) as usize).min(new.len());
        prop_assert_eq!(rebuilt(&index, &old, offset, len), &new[from..to]);
    }

    #[test]
    fn the_index_agrees_with_apply_on_any_bytes(old in vec(any::<u8>(), 0..200), bytes in vec(0u8..40, 0..60)) {
        let applied = apply(&old, &bytes, 1 << 20);
        match RangesIndex::parse(&bytes) {
            Ok(index) if index.base_len() <= old.len() as u64 => {
                prop_assert_eq!(rebuilt(&index, &old, 0, u64::MAX), applied.unwrap());
            }
            _ => prop_assert!(applied.is_err()),
        }
    }

    #[test]
    fn the_changed_span_is_first_to_last_difference((old, new) in versions()) {
        let mut encoder = RangesEncoder::new(0);
        encoder.window(0, &old, &new);
        let differs = |at: &usize| old.get(*at) != new.get(*at);
        let first = (0..new.len()).find(differs);
        let last = (0..new.len()).rfind(differs);
        let expected = first.zip(last).map(|(a, b)| (a as u64, (b + 1 - a) as u64));
        prop_assert_eq!(encoder.changed_span(), expected);
    }
}
