//! Owns the comparison of two buffers: where they agree, and where a difference ends.

/// Bytes compared by one `memcmp`: wide enough for its vector loop, small enough to stay in L1.
const WIDE: usize = 1024;
const WORD: usize = size_of::<u64>();

/// Number of leading bytes that both buffers share.
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let wide = a
        .chunks_exact(WIDE)
        .zip(b.chunks_exact(WIDE))
        .take_while(|(x, y)| x == y)
        .count()
        * WIDE;
    let (a, b) = (&a[wide..], &b[wide..]);
    let mut at = 0;
    while let (Some(x), Some(y)) = (word(a, at), word(b, at)) {
        if x != y {
            return wide + at + (x ^ y).trailing_zeros() as usize / 8;
        }
        at += WORD;
    }
    let tail = a[at.min(a.len())..].iter().zip(&b[at.min(b.len())..]);
    wide + at + tail.take_while(|(x, y)| x == y).count()
}

/// Number of trailing bytes that two buffers of one length share.
pub(super) fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let wide = a
        .rchunks_exact(WIDE)
        .zip(b.rchunks_exact(WIDE))
        .take_while(|(x, y)| x == y)
        .count()
        * WIDE;
    let (a, b) = (&a[..a.len() - wide], &b[..b.len() - wide]);
    wide + a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count()
}

/// Number of bytes before the first eight in a row that two buffers of one length share.
///
/// Looks at the last byte of each candidate first: if it differs, no run can begin before it.
pub(super) fn difference(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    while let (Some(x), Some(y)) = (word(a, at), word(b, at)) {
        let unequal = x ^ y;
        if unequal == 0 {
            return at;
        }
        at += WORD - unequal.leading_zeros() as usize / 8;
    }
    a.len()
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at + WORD)?.try_into().ok()?;
    Some(u64::from_le_bytes(word))
}
