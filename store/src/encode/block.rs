//! Packed event blocks: up to 1,024 consecutive events as columns of delta varints.
//!
//! Columns compress far better than rows since neighbours share their process, their
//! file and most of the bits of their time.

use super::node::{put_place, take_place};
use super::{Malformed, Put, Take};
use crate::compress;
use crate::model::{
    Event, FileId, GapReason, Op, OpKind, Place, ProcessId, Seq, Stream, Timestamp,
};

/// Most events in a block.
const MAX_EVENTS: usize = 1024;
/// A block is closed once its columns hold this many bytes.
const FULL_BYTES: usize = 256 * 1024;
/// Most plain bytes of a block that a reader accepts: a full block plus one event with
/// the longest output, names and numbers.
const MAX_PLAIN: usize = FULL_BYTES + (1 << 20);
const LEVEL: i32 = 1;

/// What stands in front of the packed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) first_seq: Seq,
    pub(crate) events: u64,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
    plain_len: usize,
}

/// Collects events into columns.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    first: Option<(Seq, Timestamp)>,
    last_time: Timestamp,
    last_process: i64,
    last_file: i64,
    events: u64,
    times: Vec<u8>,
    processes: Vec<u8>,
    files: Vec<u8>,
    kinds: Vec<u8>,
    args: Vec<u8>,
}

impl BlockBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events as usize >= MAX_EVENTS || self.args.len() >= FULL_BYTES
    }

    pub(crate) fn first_seq(&self) -> Option<Seq> {
        self.first.map(|(seq, _)| seq)
    }

    /// Appends an event; its `seq` must follow the last one and its time not precede it.
    pub(crate) fn push(&mut self, event: &Event) {
        if self.first.is_none() {
            self.first = Some((event.seq, event.time));
            self.last_time = event.time;
        }
        self.times
            .var(event.time.0.saturating_sub(self.last_time.0));
        self.last_time = event.time;
        let process = event.process.map_or(0, |id| i64::from(id.0));
        self.processes.zig(process - self.last_process);
        self.last_process = process;
        let file = event.file.map_or(0, |id| id.0.cast_signed());
        self.files.zig(file.wrapping_sub(self.last_file));
        self.last_file = file;
        self.kinds.u8(event.op.kind().tag());
        put_args(&mut self.args, &event.op);
        self.events += 1;
    }

    /// The finished block and its plain bytes (for the session's running hash); the
    /// builder is empty afterwards. Nothing to finish gives `None`.
    pub(crate) fn finish(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (first_seq, first_time) = self.first?;
        let mut plain = Vec::with_capacity(self.args.len() + self.kinds.len() * 8);
        plain.var(first_seq.0);
        plain.var(first_time.0);
        for column in [
            &self.times,
            &self.processes,
            &self.files,
            &self.kinds,
            &self.args,
        ] {
            plain.bytes(column);
        }
        let mut block = Vec::with_capacity(plain.len() / 2 + 32);
        block.var(first_seq.0);
        block.var(self.events);
        block.var(first_time.0);
        block.var(self.last_time.0);
        block.var(plain.len() as u64);
        compress::encode(&plain, LEVEL, &mut block);
        *self = Self::default();
        Some((block, plain))
    }
}

fn take_head(take: &mut Take<'_>) -> Result<BlockHead, Malformed> {
    let head = BlockHead {
        first_seq: Seq(take.var()?),
        events: take.var()?,
        first_time: Timestamp(take.var()?),
        last_time: Timestamp(take.var()?),
        plain_len: take.num()?,
    };
    let sane = (1..=MAX_EVENTS as u64).contains(&head.events)
        && head.plain_len <= MAX_PLAIN
        && head.first_time <= head.last_time
        && head.first_seq.0.checked_add(head.events).is_some();
    if sane { Ok(head) } else { Err(take.bad()) }
}

impl BlockHead {
    /// Reads only the head of a block.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, Malformed> {
        take_head(&mut Take::new(block, "event block"))
    }

    pub(crate) fn last_seq(&self) -> Seq {
        Seq(self.first_seq.0 + self.events - 1)
    }
}

/// The events of a block and its plain bytes.
pub(crate) fn decode_block(block: &[u8]) -> Result<(Vec<Event>, Vec<u8>), Malformed> {
    let mut take = Take::new(block, "event block");
    let head = take_head(&mut take)?;
    let plain = compress::decode(take.rest(), head.plain_len).map_err(|_| take.bad())?;
    let events = decode_columns(&plain, &head)?;
    Ok((events, plain))
}

fn decode_columns(plain: &[u8], head: &BlockHead) -> Result<Vec<Event>, Malformed> {
    let mut take = Take::new(plain, "event block");
    let sane = take.var()? == head.first_seq.0 && take.var()? == head.first_time.0;
    if !sane {
        return Err(take.bad());
    }
    let mut columns = Columns {
        times: column(&mut take)?,
        processes: column(&mut take)?,
        files: column(&mut take)?,
        kinds: column(&mut take)?,
        args: column(&mut take)?,
        time: head.first_time.0,
        process: 0,
        file: 0,
    };
    take.end()?;
    let events = (0..head.events)
        .map(|i| columns.next(Seq(head.first_seq.0 + i)))
        .collect::<Result<Vec<_>, _>>()?;
    columns.end(head)?;
    Ok(events)
}

/// A column may be longer than any single byte string: bounded by the block alone.
fn column<'a>(take: &mut Take<'a>) -> Result<Take<'a>, Malformed> {
    let len: usize = take.num()?;
    Ok(Take::new(take.raw(len)?, "event block"))
}

struct Columns<'a> {
    times: Take<'a>,
    processes: Take<'a>,
    files: Take<'a>,
    kinds: Take<'a>,
    args: Take<'a>,
    time: u64,
    process: i64,
    file: i64,
}

impl Columns<'_> {
    fn next(&mut self, seq: Seq) -> Result<Event, Malformed> {
        let bad = self.kinds.bad();
        self.time = self.time.checked_add(self.times.var()?).ok_or(bad)?;
        self.process = self.process.checked_add(self.processes.zig()?).ok_or(bad)?;
        self.file = self.file.wrapping_add(self.files.zig()?);
        let process = u32::try_from(self.process).map_err(|_| bad)?;
        let kind = self.kinds.tagged(OpKind::from_tag)?;
        Ok(Event {
            seq,
            time: Timestamp(self.time),
            process: (process != 0).then_some(ProcessId(process)),
            file: (self.file != 0).then_some(FileId(self.file.cast_unsigned())),
            op: take_args(kind, &mut self.args)?,
        })
    }

    fn end(self, head: &BlockHead) -> Result<(), Malformed> {
        let bad = self.kinds.bad();
        for column in [
            self.times,
            self.processes,
            self.files,
            self.kinds,
            self.args,
        ] {
            column.end()?;
        }
        if self.time == head.last_time.0 {
            Ok(())
        } else {
            Err(bad)
        }
    }
}

fn put_args(out: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Create(place)
        | Op::Mkdir(place)
        | Op::Mknod(place)
        | Op::Symlink(place)
        | Op::Link(place)
        | Op::Unlink(place)
        | Op::Rmdir(place) => put_place(out, place),
        Op::Rename { from, to, exchange } => {
            put_place(out, from);
            put_place(out, to);
            out.u8(u8::from(*exchange));
        }
        Op::Write { offset, len, size } => {
            out.var(*offset);
            out.var(*len);
            out.var(*size);
        }
        Op::Truncate { size } => out.var(*size),
        Op::Chmod { mode } => out.var(u64::from(*mode)),
        Op::Chown { uid, gid } => {
            out.var(u64::from(*uid));
            out.var(u64::from(*gid));
        }
        Op::Utimes | Op::Exec => {}
        Op::Setxattr { name } | Op::Removexattr { name } => out.bytes(name),
        Op::Open { flags } => out.var(u64::from(*flags)),
        Op::Read { offset, len } => {
            out.var(*offset);
            out.var(*len);
        }
        Op::Exit(status) => out.status(*status),
        Op::Output { stream, bytes } => {
            out.u8(stream.tag());
            out.bytes(bytes);
        }
        Op::Marker { label } => out.bytes(label),
        Op::Gap { reason, path } => {
            out.u8(reason.tag());
            out.u8(u8::from(path.is_some()));
            out.bytes(path.as_deref().unwrap_or_default());
        }
    }
}

fn take_args(kind: OpKind, take: &mut Take<'_>) -> Result<Op, Malformed> {
    let place = |take: &mut Take<'_>, op: fn(Place) -> Op| take_place(take).map(op);
    Ok(match kind {
        OpKind::Create => place(take, Op::Create)?,
        OpKind::Mkdir => place(take, Op::Mkdir)?,
        OpKind::Mknod => place(take, Op::Mknod)?,
        OpKind::Symlink => place(take, Op::Symlink)?,
        OpKind::Link => place(take, Op::Link)?,
        OpKind::Unlink => place(take, Op::Unlink)?,
        OpKind::Rmdir => place(take, Op::Rmdir)?,
        OpKind::Rename => Op::Rename {
            from: take_place(take)?,
            to: take_place(take)?,
            exchange: take.u8()? != 0,
        },
        OpKind::Write => Op::Write {
            offset: take.var()?,
            len: take.var()?,
            size: take.var()?,
        },
        OpKind::Truncate => Op::Truncate { size: take.var()? },
        OpKind::Chmod => Op::Chmod { mode: take.num()? },
        OpKind::Chown => Op::Chown {
            uid: take.num()?,
            gid: take.num()?,
        },
        OpKind::Utimes => Op::Utimes,
        OpKind::Setxattr => Op::Setxattr { name: take.vec()? },
        OpKind::Removexattr => Op::Removexattr { name: take.vec()? },
        OpKind::Open => Op::Open { flags: take.num()? },
        OpKind::Read => Op::Read {
            offset: take.var()?,
            len: take.var()?,
        },
        OpKind::Exec => Op::Exec,
        OpKind::Exit => Op::Exit(take.status()?),
        OpKind::Output => Op::Output {
            stream: take.tagged(Stream::from_tag)?,
            bytes: take.vec()?,
        },
        OpKind::Marker => Op::Marker { label: take.vec()? },
        OpKind::Gap => take_gap(take)?,
    })
}

fn take_gap(take: &mut Take<'_>) -> Result<Op, Malformed> {
    let reason = take.tagged(GapReason::from_tag)?;
    let has_path = take.u8()? != 0;
    let path = take.vec()?;
    Ok(Op::Gap {
        reason,
        path: has_path.then_some(path),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use crate::model::ExitStatus;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Place> {
        (any::<u64>(), prop::collection::vec(1_u8..=45, 1..40)).prop_map(|(parent, name)| Place {
            parent: FileId(parent),
            name,
        })
    }

    fn op() -> impl Strategy<Value = Op> {
        let reasons = prop::sample::select(GapReason::ALL);
        prop_oneof![
            place().prop_map(Op::Create),
            place().prop_map(Op::Rmdir),
            (place(), place(), any::<bool>()).prop_map(|(from, to, exchange)| Op::Rename {
                from,
                to,
                exchange
            }),
            any::<(u64, u64, u64)>().prop_map(|(offset, len, size)| Op::Write {
                offset,
                len,
                size
            }),
            any::<i32>().prop_map(|code| Op::Exit(ExitStatus::Code(code))),
            prop::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| Op::Output {
                stream: Stream::Stderr,
                bytes
            }),
            (reasons, any::<Option<Vec<u8>>>()).prop_map(|(reason, path)| Op::Gap { reason, path }),
        ]
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let one = (0_u64..1 << 40, any::<Option<u16>>(), 0_u64..99, op());
        (0_u64..1 << 60, prop::collection::vec(one, 1..50)).prop_map(|(first, list)| {
            let mut time = 0;
            let numbered = list.into_iter().zip(first..);
            numbered
                .map(|((delta, process, file, op), seq)| {
                    time += delta;
                    Event {
                        seq: Seq(seq),
                        time: Timestamp(time),
                        process: process.map(|id| ProcessId(u32::from(id) + 1)),
                        file: (file > 0).then_some(FileId(file)),
                        op,
                    }
                })
                .collect()
        })
    }

    fn pack(events: &[Event]) -> Vec<u8> {
        let mut builder = BlockBuilder::default();
        events.iter().for_each(|event| builder.push(event));
        builder.finish().unwrap().0
    }

    proptest! {
        #[test]
        fn blocks_round_trip(events in events()) {
            let block = pack(&events);
            let head = BlockHead::decode(&block).unwrap();
            prop_assert_eq!(head.last_seq(), events.last().unwrap().seq);
            prop_assert_eq!(decode_block(&block).unwrap().0, events);
        }

        #[test]
        fn a_mangled_block_never_panics(events in events(), at: prop::sample::Index, bit in 0_u8..8) {
            let mut block = pack(&events);
            let at = at.index(block.len());
            block[at] ^= 1_u8 << bit;
            let _ = decode_block(&block);
            block.truncate(at);
            prop_assert!(decode_block(&block).is_err());
        }
    }
}
