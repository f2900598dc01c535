//! Names that a workload gives: mostly plain, now and then as bad as a filesystem allows.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::rng::Rng;

const ODD: [&[u8]; 6] = [
    b"two words",
    b"line\nbreak",
    b"\x1b[2Jclears",
    b"latin1-\xe9\xff",
    "\u{1f600}-\u{e9}".as_bytes(),
    b"-rf",
];

/// A name that is likely to be new in its directory.
pub(super) fn name(rng: &mut Rng) -> OsString {
    let number = rng.below(100_000);
    let mut bytes = match rng.pick(&ODD) {
        Some(odd) if rng.one_in(8) => odd.to_vec(),
        _ => b"f".to_vec(),
    };
    bytes.extend_from_slice(number.to_string().as_bytes());
    OsString::from_vec(bytes)
}
