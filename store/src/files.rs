//! Maps by file. The recorder numbers files from 1, so their keys need no hash that withstands an
//! adversary, and a captured write looks into such a map several times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::model::FileId;

pub(crate) type FileMap<T> = HashMap<FileId, T, BuildHasherDefault<FileHasher>>;

/// Spreads a number over all bits: the map takes its place from the low ones and tells its
/// neighbours apart by the high ones.
#[derive(Default)]
pub(crate) struct FileHasher(u64);

/// An odd number without a pattern, from the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for FileHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(SPREAD);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
