//! Bursts: writes to one file that follow each other, kept in one record as the last of their
//! versions. The others are that one with fewer writes.

use std::sync::Arc;

use super::{Data, Seq, UnixTime, VersionRef};

/// A write of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstWrite {
    /// Where its version stands.
    pub seq: Seq,
    /// The file's mtime with it.
    pub mtime: UnixTime,
    /// Where its bytes go, at most the end of the file.
    pub offset: u64,
    /// How many there are.
    pub len: u32,
}

/// The base with some writes laid over it, one after the other.
#[derive(Clone, Debug)]
pub struct Burst {
    base: VersionRef,
    base_length: u64,
    writes: Arc<[BurstWrite]>,
    /// The first so many of them are done.
    done: usize,
    data: Data,
}

impl PartialEq for Burst {
    fn eq(&self, other: &Self) -> bool {
        let parts = |b: &Self| (b.base, b.base_length);
        parts(self) == parts(other) && self.writes() == other.writes() && self.data == other.data
    }
}

impl Eq for Burst {}

impl Burst {
    /// `None` if it makes no sense: no writes, not in order, beyond the end of the file, or
    /// of more bytes than there are.
    #[must_use]
    pub fn new(
        (base, base_length): (VersionRef, u64),
        writes: Vec<BurstWrite>,
        data: Data,
    ) -> Option<Self> {
        let (mut length, mut bytes, mut last) = (base_length, 0_u64, None);
        for write in &writes {
            let follows = last.is_none_or(|last| last < write.seq);
            if !follows || write.len == 0 || write.offset > length {
                return None;
            }
            length = length.max(write.offset.checked_add(u64::from(write.len))?);
            bytes += u64::from(write.len);
            last = Some(write.seq);
        }
        (last.is_some() && bytes <= data.len()).then(|| Self {
            base,
            base_length,
            done: writes.len(),
            writes: writes.into(),
            data,
        })
    }

    /// What the writes lie over.
    #[must_use]
    pub const fn base(&self) -> VersionRef {
        self.base
    }

    /// Its length, bytes.
    #[must_use]
    pub const fn base_length(&self) -> u64 {
        self.base_length
    }

    /// The writes, oldest first.
    #[must_use]
    pub fn writes(&self) -> &[BurstWrite] {
        self.writes.get(..self.done).unwrap_or_default()
    }

    /// The bytes of the writes, one after the other; of later ones too.
    #[must_use]
    pub const fn data(&self) -> &Data {
        &self.data
    }

    /// Length of the file with the writes.
    #[must_use]
    pub fn length(&self) -> u64 {
        let ends = self.writes().iter();
        let ends = ends.map(|write| write.offset + u64::from(write.len));
        ends.fold(self.base_length, u64::max)
    }

    /// Where the bytes of each write go, given those of all.
    pub(crate) fn parts<'a>(&'a self, data: &'a [u8]) -> impl Iterator<Item = (u64, &'a [u8])> {
        let mut rest = data;
        self.writes().iter().map_while(move |write| {
            let (part, after) = rest.split_at_checked(write.len as usize)?;
            rest = after;
            Some((write.offset, part))
        })
    }

    /// The first `count` of its writes; `None` if there are none, or not so many.
    pub(crate) fn first(&self, count: usize) -> Option<Self> {
        let done = Some(count).filter(|count| (1..=self.done).contains(count))?;
        Some(Self {
            done,
            ..self.clone()
        })
    }
}
