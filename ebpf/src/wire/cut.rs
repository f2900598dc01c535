//! Taking numbers and byte strings off the front of a record, each checked against what
//! is left.

use super::{Inode, WireError, st_dev};

/// What is left of a record.
pub(super) struct Cut<'a>(pub(super) &'a [u8]);

impl<'a> Cut<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(WireError::Short {
            wanted: len,
            left: self.0.len(),
        })?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let left = self.0.len();
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(WireError::Short { wanted: N, left })?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_ne_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_ne_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_ne_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_ne_bytes(self.array()?))
    }

    /// The fields in the order of `struct dk_inode`.
    pub(super) fn inode(&mut self) -> Result<Inode, WireError> {
        Ok(Inode {
            ino: self.u64()?,
            birth_ns: self.u64()?,
            size: self.u64()?,
            mtime: self.i64()?,
            ctime: self.i64()?,
            dev: st_dev(self.u32()?),
            rdev: st_dev(self.u32()?),
            generation: self.u32()?,
            mode: self.u32()?,
            uid: self.u32()?,
            gid: self.u32()?,
            nlink: self.u32()?,
            magic: self.u32()?,
        })
    }
}

/// An inode that stands alone, as in a map.
pub(crate) fn decode_inode(bytes: &[u8]) -> Option<Inode> {
    Cut(bytes).inode().ok()
}
