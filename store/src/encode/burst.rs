//! Bursts in records of the `version` keyspace: columns of small differences.

use super::version::{put_base, put_data, take_base, take_data};
use super::{Malformed, Put, Take};
use crate::compress::{self, LEVEL_INLINE};
use crate::model::{Burst, BurstWrite, Seq, UnixTime};

/// Most writes in a burst: as many as a block has events.
pub(crate) const MAX_WRITES: usize = 1024;
/// Most bytes that a write's columns take.
const MAX_WRITE: usize = 4 * 10 + 5;
/// Columns shorter than this are not compressed: that takes longer than it saves.
const SHORT: usize = 256;

pub(super) fn put_burst(out: &mut Vec<u8>, burst: &Burst) {
    put_base(out, burst.base());
    out.var(burst.base_length());
    let plain = columns(burst.writes());
    out.var(burst.writes().len() as u64);
    out.var(plain.len() as u64);
    let mut framed = Vec::with_capacity(plain.len() / 2 + 16);
    if plain.len() < SHORT {
        compress::encode_raw(&plain, &mut framed);
    } else {
        compress::encode(&plain, LEVEL_INLINE, &mut framed);
    }
    out.bytes(&framed);
    put_data(out, burst.data());
}

/// Each column is of one kind of number, so that neighbours are alike.
fn columns(writes: &[BurstWrite]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(writes.len() * 8);
    let mut last = 0;
    for write in writes {
        plain.var(write.seq.0.wrapping_sub(last));
        last = write.seq.0;
    }
    let mut last = UnixTime::default();
    for BurstWrite { mtime, .. } in writes {
        plain.zig(mtime.sec.wrapping_sub(last.sec));
        plain.zig(i64::from(mtime.nsec) - i64::from(last.nsec));
        last = *mtime;
    }
    let mut end = 0;
    for write in writes {
        plain.zig(write.offset.wrapping_sub(end).cast_signed());
        end = write.offset.wrapping_add(u64::from(write.len));
    }
    writes.iter().for_each(|w| plain.var(u64::from(w.len)));
    plain
}

pub(super) fn take_burst(take: &mut Take<'_>) -> Result<Burst, Malformed> {
    let base = (take_base(take)?, take.var()?);
    let (count, len): (usize, usize) = (take.num()?, take.num()?);
    if count > MAX_WRITES || len > count * MAX_WRITE {
        return Err(take.bad());
    }
    let plain = compress::decode(take.bytes()?, len).map_err(|_| take.bad())?;
    let writes = take_columns(Take::new(&plain, "burst"), count)?;
    let data = take_data(take)?;
    Burst::new(base, writes, data).ok_or(take.bad())
}

fn take_columns(mut take: Take<'_>, count: usize) -> Result<Vec<BurstWrite>, Malformed> {
    let mut writes = Vec::with_capacity(count);
    let (mut seq, mut mtime, mut end) = (0_u64, UnixTime::default(), 0_u64);
    for _ in 0..count {
        seq = seq.checked_add(take.var()?).ok_or(take.bad())?;
        writes.push(BurstWrite {
            seq: Seq(seq),
            mtime,
            offset: 0,
            len: 0,
        });
    }
    for write in &mut writes {
        mtime.sec = mtime.sec.wrapping_add(take.zig()?);
        let nsec = i64::from(mtime.nsec).checked_add(take.zig()?);
        let nsec = nsec.and_then(|nsec| u32::try_from(nsec).ok());
        mtime.nsec = nsec.filter(|n| *n < 1_000_000_000).ok_or(take.bad())?;
        write.mtime = mtime;
    }
    // Where a write ends is known once its length is: offsets are differences until then.
    for write in &mut writes {
        write.offset = take.zig()?.cast_unsigned();
    }
    for write in &mut writes {
        write.len = take.num()?;
        write.offset = write.offset.wrapping_add(end);
        end = write.offset.wrapping_add(u64::from(write.len));
    }
    take.end()?;
    Ok(writes)
}
