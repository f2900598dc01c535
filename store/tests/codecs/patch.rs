//! What every patch codec owes: the round trip, bounded output, and an error for damage.

use diffkeeper_store::patch::{CodecError, PatchCodec, apply, bsdiff, prefix, ranges};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::data::{damage, damaged, noise, text, versions};

const CODECS: [PatchCodec; 3] = [PatchCodec::Ranges, PatchCodec::Prefix, PatchCodec::Bsdiff];

fn encode(codec: PatchCodec, old: &[u8], new: &[u8]) -> Vec<u8> {
    match codec {
        PatchCodec::Ranges => ranges::encode(old, new, usize::MAX),
        PatchCodec::Prefix => prefix::encode(old, new, 3),
        PatchCodec::Bsdiff => bsdiff::encode(old, new),
    }
    .expect("no limit is passed")
}

#[test]
fn the_numbers_of_the_codecs_are_fixed() {
    assert_eq!(CODECS.map(PatchCodec::tag), [0, 1, 2]);
    assert_eq!(
        [0, 1, 2].map(|tag| PatchCodec::from_tag(tag).unwrap()),
        CODECS
    );
    assert_eq!(PatchCodec::from_tag(3), None);
}

#[test]
fn empty_versions_round_trip() {
    let full = noise(1, 1000);
    for codec in CODECS {
        for (old, new) in [
            (&[][..], &full[..]),
            (&full, &[]),
            (&[], &[]),
            (&full, &full),
        ] {
            let payload = encode(codec, old, new);
            assert_eq!(
                apply(codec, old, &payload, new.len()).unwrap(),
                new,
                "{codec:?}"
            );
        }
    }
}

#[test]
fn every_codec_refuses_another_length_than_the_expected_one() {
    let (old, new) = (text(100), text(101));
    for codec in CODECS {
        let payload = encode(codec, &old, &new);
        for wrong in [0, new.len() - 1, new.len() + 1] {
            let refused = apply(codec, &old, &payload, wrong);
            let (expected, found) = (wrong as u64, new.len() as u64);
            assert_eq!(
                refused,
                Err(CodecError::Length { expected, found }),
                "{codec:?}"
            );
        }
    }
}

#[test]
fn a_prefix_patch_of_an_insertion_is_tiny_where_ranges_are_not() {
    let old = text(2000);
    let mut new = old.clone();
    new.splice(100..100, *b"inserted near the front");
    let [ranges, prefix] = [PatchCodec::Ranges, PatchCodec::Prefix].map(|c| encode(c, &old, &new));
    assert!(prefix.len() < 200, "{}", prefix.len());
    assert!(ranges.len() > 100 * prefix.len(), "{}", ranges.len());
}

#[test]
fn a_prefix_patch_reaches_across_two_versions_of_the_largest_size() {
    let old = noise(4, prefix::PREFIX_MAX);
    // Each block lands as far from its origin as it can: only a window over both sees it.
    let (front, back) = old.split_at(old.len() / 2);
    let new = [back, front].concat();
    let payload = prefix::encode(&old, &new, 1).unwrap();
    assert!(payload.len() < new.len() / 1000, "{}", payload.len());
    assert!(prefix::apply(&old, &payload, new.len()).unwrap() == new);
    assert_eq!(prefix::encode(&[0; prefix::PREFIX_MAX + 1], &new, 1), None);
}

proptest! {
    #[test]
    fn round_trip((old, new) in versions()) {
        for codec in CODECS {
            let payload = encode(codec, &old, &new);
            prop_assert_eq!(&apply(codec, &old, &payload, new.len()).unwrap(), &new);
        }
    }

    #[test]
    fn damage_gives_an_error_or_the_stated_length((old, new) in versions(), damage in damage()) {
        for codec in CODECS {
            let payload = damaged(encode(codec, &old, &new), &damage);
            if let Ok(decoded) = apply(codec, &old, &payload, new.len()) {
                prop_assert_eq!(decoded.len(), new.len());
            }
        }
    }

    #[test]
    fn a_wrong_base_gives_an_error_or_the_stated_length((old, new) in versions(), (other, _) in versions()) {
        for codec in CODECS {
            let payload = encode(codec, &old, &new);
            if let Ok(decoded) = apply(codec, &other, &payload, new.len()) {
                prop_assert_eq!(decoded.len(), new.len());
            }
        }
    }

    #[test]
    fn random_bytes_do_not_panic(old in vec(any::<u8>(), 0..300), bytes in vec(any::<u8>(), 0..300), len in 0usize..5000) {
        for codec in CODECS {
            if let Ok(decoded) = apply(codec, &old, &bytes, len) {
                prop_assert_eq!(decoded.len(), len);
            }
        }
    }
}
