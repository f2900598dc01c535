//! What the fuzzers call: one function a decoder of untrusted bytes. Each must come back, and what
//! it takes must survive a further round. Not part of the interface.

use crate::encode::{
    BlockBuilder, decode_base, decode_block, decode_manifest, decode_name, decode_node,
    decode_process, decode_progress, decode_seal, decode_session, decode_version, encode_version,
};
use crate::model::{
    Burst, BurstWrite, Data, Digest, Event, ExitStatus, FileId, GapReason, Op, PatchCodec, Place,
    ProcessId, Provenance, Repr, Seq, Timestamp, UnixTime, Version, VersionRef,
};
use crate::{density, key, patch};

/// Longest content that a patch is asked to make, bytes.
const MAX_CONTENT: usize = 1 << 16;

/// A block of events; what decodes encodes to what decodes to the same.
///
/// # Panics
/// Where it does not.
pub fn block(bytes: &[u8]) {
    let Ok((events, _)) = decode_block(bytes) else {
        return;
    };
    let mut builder = BlockBuilder::default();
    events.iter().for_each(|event| builder.push(event));
    let again = builder
        .finish()
        .and_then(|(block, _)| decode_block(&block).ok());
    assert_eq!(again.map(|(events, _)| events), Some(events));
}

/// A version record, as [`block`].
///
/// # Panics
/// Where it does not come back.
pub fn version(bytes: &[u8]) {
    if let Ok(version) = decode_version(bytes) {
        let again = decode_version(&encode_version(&version));
        assert_eq!(again.ok(), Some(version));
    }
    let _ = decode_manifest(bytes);
}

/// Every other record, and every key.
pub fn record(bytes: &[u8]) {
    let _ = decode_session(bytes);
    let _ = decode_progress(bytes);
    let _ = decode_seal(bytes);
    let _ = decode_base(bytes);
    let _ = decode_name(bytes);
    let _ = decode_node(bytes);
    let _ = decode_process(bytes);
    let _ = density::decode(bytes);
    let _ = key::name_parts(bytes);
    let _ = key::file_at_parts(bytes);
    let _ = key::event_seq(bytes);
}

/// A patch: codec, length of the base, length of the result (two bytes each), base, payload.
///
/// # Panics
/// If what is made has another length than was asked for.
pub fn patch(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<5>() else {
        return;
    };
    let [codec, a, b, c, d] = *head;
    let Some(codec) = PatchCodec::from_tag(codec % 3) else {
        return;
    };
    let base = usize::from(u16::from_le_bytes([a, b])).min(rest.len());
    let wanted = usize::from(u16::from_le_bytes([c, d])).min(MAX_CONTENT);
    let (base, payload) = rest.split_at(base);
    if let Ok(made) = patch::apply(codec, base, payload, wanted) {
        assert_eq!(made.len(), wanted);
    }
}

/// A packed trace: a whole file after a 0, else the blocks of one, whose sums are made right.
///
/// # Panics
/// If what is read has no order or no end.
pub fn pack(bytes: &[u8]) {
    crate::pack::fuzz::run(bytes);
}

/// Sound inputs of a target, from which others are made.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "block" => vec![block_of(1), block_of(40)],
        "version" => reprs()
            .into_iter()
            .map(|repr| encode_version(&version_of(repr)))
            .collect(),
        "patch" => patches(),
        "pack" => crate::pack::fuzz::seeds(),
        _ => vec![
            vec![0; 64],
            block_of(3),
            b"name\0\0\0\0\0\0\0\0\x07".to_vec(),
        ],
    }
}

fn block_of(events: u64) -> Vec<u8> {
    let mut builder = BlockBuilder::default();
    for number in 1..=events {
        builder.push(&event(number));
    }
    builder.finish().map(|(block, _)| block).unwrap_or_default()
}

fn event(number: u64) -> Event {
    let place = |name: &str| Place {
        parent: FileId(1),
        name: name.into(),
    };
    let op = match number % 8 {
        0 => Op::Create(place("a")),
        1 => Op::Rename {
            from: place("a"),
            to: place("b"),
            exchange: false,
        },
        2 => Op::Write {
            offset: number,
            len: 5,
            size: 99,
        },
        3 => Op::Chmod { mode: 0o644 },
        4 => Op::Setxattr {
            name: b"user.x".to_vec(),
        },
        5 => Op::Exit(ExitStatus::Signal(9)),
        6 => Op::Gap {
            reason: GapReason::Lost,
            path: Some(b"p".to_vec()),
        },
        _ => Op::Unlink(place("b")),
    };
    Event {
        seq: Seq(number),
        time: Timestamp(number * 1000),
        process: Some(ProcessId(1)),
        file: Some(FileId(number % 5)),
        op,
    }
}

fn reprs() -> Vec<Repr> {
    let base = VersionRef {
        file: FileId(2),
        seq: Seq(1),
    };
    let digest = Digest::of(b"blob");
    let others = vec![
        Repr::Keyframe(digest),
        Repr::Extent {
            base,
            offset: 3,
            data: Data::Inline(b"bytes".to_vec()),
        },
        Repr::Slice {
            base,
            offset: 3,
            len: 4,
            settled: Seq(9),
        },
        Repr::Patch {
            base,
            codec: PatchCodec::Prefix,
            payload: Data::Blobs(vec![(digest, 4), (digest, 7)]),
        },
        Repr::Chunks(vec![digest; 3]),
        Repr::Missing(crate::model::MissingReason::Omitted),
    ];
    others.into_iter().chain(burst((base, 70))).collect()
}

fn burst(base: (VersionRef, u64)) -> Option<Repr> {
    let mtime = UnixTime { sec: 1, nsec: 2 };
    let write = |(seq, offset, len)| BurstWrite {
        seq: Seq(seq),
        mtime,
        offset,
        len,
    };
    let writes = [(2, 70, 4), (3, 74, 3), (9, 5, 2)].map(write).to_vec();
    let data = Data::Inline(b"some bytes".to_vec());
    Burst::new(base, writes, data).map(Repr::Burst)
}

const fn version_of(repr: Repr) -> Version {
    Version {
        length: 77,
        digest: None,
        provenance: Provenance::Captured,
        mtime: UnixTime { sec: 1, nsec: 2 },
        sparse: false,
        redacted: false,
        repr,
    }
}

fn patches() -> Vec<Vec<u8>> {
    let old: Vec<u8> = (0_u8..=255).collect();
    let mut new = old.clone();
    new.splice(100..104, *b"other bytes");
    let payloads = [
        patch::ranges::encode(&old, &new, 1000),
        patch::prefix::encode(&old, &new, 3),
        patch::bsdiff::encode(&old, &new),
    ];
    let seed = |(codec, payload): (u8, Option<Vec<u8>>)| {
        let mut seed = vec![codec];
        seed.extend((old.len() as u16).to_le_bytes());
        seed.extend((new.len() as u16).to_le_bytes());
        seed.extend(&old);
        seed.extend(payload?);
        Some(seed)
    };
    (0_u8..).zip(payloads).filter_map(seed).collect()
}
