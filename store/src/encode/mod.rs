//! How records become bytes: LEB128 varints, length-prefixed byte strings and tags, all
//! read back with bounds. `docs/format.md` gives the layouts.

mod block;
mod burst;
mod node;
mod process;
mod session;
mod version;

pub(crate) use block::{BlockBuilder, BlockHead, decode_block};
pub(crate) use burst::MAX_WRITES;
pub(crate) use node::{decode_name, decode_node, encode_name, encode_node, is_name};
pub(crate) use process::{decode_process, encode_process};
pub(crate) use session::{
    decode_base, decode_progress, decode_seal, decode_session, decode_supply, encode_base,
    encode_progress, encode_seal, encode_session, encode_supply,
};
pub(crate) use version::{decode_manifest, decode_version, encode_manifest, encode_version};

use crate::model::{Digest, ExitStatus, UnixTime};

/// Bytes that are not what the format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// Longest byte string in a record: names, targets, arguments, attributes (64 KiB is
/// the kernel's limit for an attribute value; `Op::MAX_OUTPUT` is the same).
const MAX_BYTES: usize = 1 << 20;

/// Appends values to a buffer.
pub(crate) trait Put {
    fn u8(&mut self, value: u8);
    fn var(&mut self, value: u64);
    fn raw(&mut self, bytes: &[u8]);

    /// Signed, small magnitudes short: 0, -1, 1, -2 become 0, 1, 2, 3.
    fn zig(&mut self, value: i64) {
        self.var(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.var(bytes.len() as u64);
        self.raw(bytes);
    }

    fn list(&mut self, items: &[Vec<u8>]) {
        self.var(items.len() as u64);
        items.iter().for_each(|item| self.bytes(item));
    }

    fn time(&mut self, time: UnixTime) {
        self.zig(time.sec);
        self.var(u64::from(time.nsec));
    }

    fn status(&mut self, status: ExitStatus) {
        let (tag, value) = match status {
            ExitStatus::Code(code) => (0, code),
            ExitStatus::Signal(signal) => (1, signal),
        };
        self.u8(tag);
        self.zig(i64::from(value));
    }
}

impl Put for Vec<u8> {
    fn u8(&mut self, value: u8) {
        self.push(value);
    }

    fn var(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Takes values off the front of a slice; every step is bounded by what is there.
pub(crate) struct Take<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Take<'a> {
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// What has not been taken yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn bad(&self) -> Malformed {
        Malformed(self.what)
    }

    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(self.bad())?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(self.bad())?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn var(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.bad());
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.bad())
    }

    pub(crate) fn zig(&mut self) -> Result<i64, Malformed> {
        let value = self.var()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A varint that fits a narrower type.
    pub(crate) fn num<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.var()?).map_err(|_| self.bad())
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len: usize = self.num()?;
        if len > MAX_BYTES {
            return Err(self.bad());
        }
        self.raw(len)
    }

    pub(crate) fn vec(&mut self) -> Result<Vec<u8>, Malformed> {
        Ok(self.bytes()?.to_vec())
    }

    /// A list whose length is bounded by the bytes that are left, as each item takes
    /// at least one.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let len: usize = self.num()?;
        if len > self.rest.len() {
            return Err(self.bad());
        }
        (0..len).map(|_| item(self)).collect()
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, Malformed> {
        let bytes = self.raw(32)?;
        bytes.try_into().map(Digest).map_err(|_| self.bad())
    }

    pub(crate) fn time(&mut self) -> Result<UnixTime, Malformed> {
        let sec = self.zig()?;
        let nsec: u32 = self.num()?;
        if nsec >= 1_000_000_000 {
            return Err(self.bad());
        }
        Ok(UnixTime { sec, nsec })
    }

    pub(crate) fn status(&mut self) -> Result<ExitStatus, Malformed> {
        let tag = self.u8()?;
        let value = i32::try_from(self.zig()?).map_err(|_| self.bad())?;
        match tag {
            0 => Ok(ExitStatus::Code(value)),
            1 => Ok(ExitStatus::Signal(value)),
            _ => Err(self.bad()),
        }
    }

    pub(crate) fn tagged<T>(&mut self, from: impl Fn(u8) -> Option<T>) -> Result<T, Malformed> {
        let tag = self.u8()?;
        from(tag).ok_or(self.bad())
    }

    /// Everything must have been taken.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.bad())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{Put, Take};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(a: u64, b: i64) {
            let mut out = Vec::new();
            out.var(a);
            out.zig(b);
            let mut take = Take::new(&out, "test");
            prop_assert_eq!(take.var().unwrap(), a);
            prop_assert_eq!(take.zig().unwrap(), b);
            prop_assert!(take.end().is_ok());
        }

        #[test]
        fn arbitrary_bytes_are_an_error_at_worst(bytes: Vec<u8>) {
            let mut take = Take::new(&bytes, "test");
            let _ = take.list(Take::vec);
            let _ = take.time();
            let _ = take.status();
        }
    }

    #[test]
    fn an_overlong_varint_is_refused() {
        assert!(Take::new(&[0xff; 11], "test").var().is_err());
        assert!(
            Take::new(
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
                "test"
            )
            .var()
            .is_err()
        );
    }
}
