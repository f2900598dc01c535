//! Masks: what stands in a trace in the place of a secret. As long as the secret, and of the
//! same secret the same, so that equal things still show as equal; made with a key that is
//! forgotten, so that no guess at the secret can be tried on it.

use std::io::Read;

use crate::model::Digest;

/// Each so many bytes begin anew with the sign.
const GROUP: usize = 8;
const SIGN: u8 = b'*';
const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Digits after a sign from which on a text is taken for a mask.
const TELLING: usize = 5;

/// Makes masks that are equal for equal secrets.
pub struct Masker {
    key: [u8; 32],
}

impl Masker {
    /// With a key that nobody else has.
    ///
    /// # Errors
    /// A system without random numbers.
    pub fn new() -> std::io::Result<Self> {
        let mut key = [0; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self { key })
    }

    /// Writes the part of a secret's mask that begins at `from` over `out`.
    pub fn fill(&self, secret: &[u8], from: usize, out: &mut [u8]) {
        let mut keyed = self.key.to_vec();
        keyed.extend_from_slice(secret);
        let seed = Digest::of(&keyed);
        let (mut block, mut digest) = (None, seed);
        for (at, byte) in (from..).zip(out) {
            let wanted = at / 64;
            if block != Some(wanted) {
                let mut next = seed.0.to_vec();
                next.extend_from_slice(&(wanted as u64).to_be_bytes());
                digest = Digest::of(&next);
                block = Some(wanted);
            }
            *byte = match at % GROUP {
                0 => SIGN,
                _ => digit(&digest, at % 64),
            };
        }
    }
}

fn digit(digest: &Digest, at: usize) -> u8 {
    let byte = digest.0.get(at / 2).copied().unwrap_or(0);
    let nibble = if at.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 15
    };
    DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0')
}

/// Whether a mask stands in a name, a link target or an attribute.
#[must_use]
pub fn is_masked(text: &[u8]) -> bool {
    let signs = text.iter().enumerate().filter(|(_, byte)| **byte == SIGN);
    let after = signs.filter_map(|(at, _)| text.get(at + 1..at + 1 + TELLING));
    after
        .into_iter()
        .any(|next| next.iter().all(|byte| DIGITS.contains(byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn equal_secrets_have_equal_masks_and_others_do_not() {
        let (masker, other) = (Masker::new().unwrap(), Masker::new().unwrap());
        let mask = |masker: &Masker, secret: &[u8]| {
            let mut out = vec![0; secret.len()];
            masker.fill(secret, 0, &mut out);
            out
        };
        let first = mask(&masker, &[7; 300]);
        assert_eq!(first, mask(&masker, &[7; 300]));
        assert_ne!(first, mask(&masker, &[8; 300]));
        assert_ne!(first, mask(&other, &[7; 300]));
        assert!(
            first
                .iter()
                .all(|byte| *byte == SIGN || DIGITS.contains(byte))
        );
        let mut part = vec![0; 100];
        masker.fill(&[7; 300], 150, &mut part);
        assert_eq!(part, first[150..250]);
    }

    #[test]
    fn a_mask_is_told_from_a_name() {
        let mut mask = [0; 6];
        Masker::new().unwrap().fill(b"hunter", 0, &mut mask);
        assert!(is_masked(&mask));
        assert!(is_masked(&[b"dir-".as_slice(), &mask, b".txt"].concat()));
        for name in [b"*.log".as_slice(), b"a*b", b"0123456789", b"*1234"] {
            assert!(!is_masked(name));
        }
    }
}
