//! Records of the `version` keyspace, and the chunk lists that large contents point to.

use super::burst::{put_burst, take_burst};
use super::{Malformed, Put, Take};
use crate::model::{
    Data, Digest, FileId, MissingReason, PatchCodec, Provenance, Repr, Seq, Version, VersionRef,
};

const HAS_DIGEST: u8 = 1;
const SPARSE: u8 = 2;
const REDACTED: u8 = 4;

pub(crate) fn encode_version(version: &Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.u8(flag(version.digest.is_some(), HAS_DIGEST)
        | flag(version.sparse, SPARSE)
        | flag(version.redacted, REDACTED));
    out.u8(version.provenance.tag());
    out.var(version.length);
    out.time(version.mtime);
    if let Some(digest) = &version.digest {
        out.raw(&digest.0);
    }
    put_repr(&mut out, &version.repr);
    out
}

pub(crate) fn decode_version(bytes: &[u8]) -> Result<Version, Malformed> {
    let mut take = Take::new(bytes, "version record");
    let flags = take.u8()?;
    if flags & !(HAS_DIGEST | SPARSE | REDACTED) != 0 {
        return Err(take.bad());
    }
    let version = Version {
        provenance: take.tagged(Provenance::from_tag)?,
        length: take.var()?,
        mtime: take.time()?,
        digest: match flags & HAS_DIGEST {
            0 => None,
            _ => Some(take.digest()?),
        },
        sparse: flags & SPARSE != 0,
        redacted: flags & REDACTED != 0,
        repr: take_repr(&mut take)?,
    };
    take.end()?;
    if let Repr::Burst(burst) = &version.repr {
        let last = burst.writes().last().map(|write| write.mtime);
        if version.length != burst.length() || last != Some(version.mtime) {
            return Err(Malformed("version record"));
        }
    }
    Ok(version)
}

fn put_repr(out: &mut Vec<u8>, repr: &Repr) {
    match repr {
        Repr::Keyframe(digest) => {
            out.u8(0);
            out.raw(&digest.0);
        }
        Repr::Extent { base, offset, data } => {
            out.u8(1);
            put_base(out, *base);
            out.var(*offset);
            put_data(out, data);
        }
        Repr::Slice {
            base,
            offset,
            len,
            settled,
        } => {
            out.u8(2);
            put_base(out, *base);
            out.var(*offset);
            out.var(*len);
            out.var(settled.0);
        }
        Repr::Patch {
            base,
            codec,
            payload,
        } => {
            out.u8(3);
            put_base(out, *base);
            out.u8(codec.tag());
            put_data(out, payload);
        }
        Repr::Chunks(lists) => {
            out.u8(4);
            out.var(lists.len() as u64);
            lists.iter().for_each(|digest| out.raw(&digest.0));
        }
        Repr::Missing(reason) => {
            out.u8(5);
            out.u8(reason.tag());
        }
        Repr::Burst(burst) => {
            out.u8(6);
            put_burst(out, burst);
        }
    }
}

fn take_repr(take: &mut Take<'_>) -> Result<Repr, Malformed> {
    Ok(match take.u8()? {
        0 => Repr::Keyframe(take.digest()?),
        1 => Repr::Extent {
            base: take_base(take)?,
            offset: take.var()?,
            data: take_data(take)?,
        },
        2 => Repr::Slice {
            base: take_base(take)?,
            offset: take.var()?,
            len: take.var()?,
            settled: Seq(take.var()?),
        },
        3 => Repr::Patch {
            base: take_base(take)?,
            codec: take.tagged(PatchCodec::from_tag)?,
            payload: take_data(take)?,
        },
        4 => Repr::Chunks(take.list(Take::digest)?),
        5 => Repr::Missing(take.tagged(MissingReason::from_tag)?),
        6 => Repr::Burst(take_burst(take)?),
        _ => return Err(take.bad()),
    })
}

pub(super) fn put_base(out: &mut Vec<u8>, base: VersionRef) {
    out.var(base.file.0);
    out.var(base.seq.0);
}

pub(super) fn take_base(take: &mut Take<'_>) -> Result<VersionRef, Malformed> {
    Ok(VersionRef {
        file: FileId(take.var()?),
        seq: Seq(take.var()?),
    })
}

pub(super) fn put_data(out: &mut Vec<u8>, data: &Data) {
    match data {
        Data::Inline(bytes) => {
            out.u8(0);
            out.bytes(bytes);
        }
        Data::Blobs(blobs) => {
            out.u8(1);
            put_pieces(out, blobs);
        }
    }
}

pub(super) fn take_data(take: &mut Take<'_>) -> Result<Data, Malformed> {
    match take.u8()? {
        0 => Ok(Data::Inline(take.vec()?)),
        1 => Ok(Data::Blobs(take_pieces(take)?)),
        _ => Err(take.bad()),
    }
}

fn put_pieces(out: &mut Vec<u8>, pieces: &[(Digest, u32)]) {
    out.var(pieces.len() as u64);
    for (digest, len) in pieces {
        out.raw(&digest.0);
        out.var(u64::from(*len));
    }
}

fn take_pieces(take: &mut Take<'_>) -> Result<Vec<(Digest, u32)>, Malformed> {
    take.list(|take| Ok((take.digest()?, take.num()?)))
}

/// The plain bytes of a chunk list: consecutive pieces of a content.
pub(crate) fn encode_manifest(pieces: &[(Digest, u32)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pieces.len() * 36);
    put_pieces(&mut out, pieces);
    out
}

pub(crate) fn decode_manifest(bytes: &[u8]) -> Result<Vec<(Digest, u32)>, Malformed> {
    let mut take = Take::new(bytes, "chunk list");
    let pieces = take_pieces(&mut take)?;
    take.end()?;
    Ok(pieces)
}
