//! Framed values: round trip, the raw form, and lengths that lie.

use diffkeeper_store::compress::{LEVEL_DENSE, LEVEL_INLINE, decode, encode};
use diffkeeper_store::patch::CodecError;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::data::{damage, damaged, noise, text, versions};

fn value(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(plain, LEVEL_INLINE, &mut out);
    out
}

#[test]
fn text_shrinks_and_noise_stays_raw() {
    let text = text(1000);
    let packed = value(&text);
    assert_eq!(packed[0], 1);
    assert!(packed.len() * 2 < text.len());
    assert_eq!(decode(&packed, text.len()).unwrap(), text);
    let noise = noise(1, 5000);
    assert_eq!(value(&noise), [&[0], noise.as_slice()].concat());
    assert_eq!(value(b""), [0]);
}

#[test]
fn values_are_appended() {
    let (first, second) = (text(100), text(50));
    let mut out = b"kept".to_vec();
    encode(&first, LEVEL_INLINE, &mut out);
    let split = out.len();
    encode(&second, LEVEL_DENSE, &mut out);
    assert!(out.starts_with(b"kept"));
    assert_eq!(decode(&out[4..split], first.len()).unwrap(), first);
    assert_eq!(decode(&out[split..], second.len()).unwrap(), second);
}

#[test]
fn a_wrong_length_is_refused_in_either_form() {
    for plain in [text(100), noise(2, 100)] {
        let packed = value(&plain);
        for wrong in [0, plain.len() - 1, plain.len() + 1, 4 << 20] {
            let expected = wrong as u64;
            let found = plain.len() as u64;
            assert_eq!(
                decode(&packed, wrong),
                Err(CodecError::Length { expected, found })
            );
        }
    }
}

#[test]
fn unknown_forms_are_refused() {
    assert!(matches!(
        decode(&[2, 0, 0], 2),
        Err(CodecError::Malformed(_))
    ));
    assert!(matches!(decode(&[], 0), Err(CodecError::Malformed(_))));
}

proptest! {
    #[test]
    fn round_trip((plain, _) in versions()) {
        prop_assert_eq!(decode(&value(&plain), plain.len()).unwrap(), plain);
    }

    #[test]
    fn damage_gives_an_error_or_the_stated_length((plain, _) in versions(), damage in damage()) {
        let bytes = damaged(value(&plain), &damage);
        if let Ok(decoded) = decode(&bytes, plain.len()) {
            prop_assert_eq!(decoded.len(), plain.len());
        }
    }

    #[test]
    fn random_bytes_do_not_panic(mut bytes in vec(any::<u8>(), 0..300), zstd in any::<bool>(), len in 0usize..5000) {
        if zstd {
            bytes.splice(..0, [1, 0x28, 0xb5, 0x2f, 0xfd]);
        }
        if let Ok(decoded) = decode(&bytes, len) {
            prop_assert_eq!(decoded.len(), len);
        }
    }
}
