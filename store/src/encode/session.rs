//! Records of the `session` keyspace: what is fixed, how far it got, how it ended.

use super::{Malformed, Put, Take};
use crate::model::{
    Backend, Base, Counts, OpKind, Progress, Root, Seal, Seq, Session, SessionId, Timestamp,
};

pub(crate) fn encode_session(session: &Session) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.var(u64::from(session.id.0));
    out.list(&session.argv);
    out.bytes(&session.cwd);
    out.var(session.roots.len() as u64);
    for root in &session.roots {
        out.bytes(&root.path);
        out.bytes(&root.label);
    }
    out.list(&session.excludes);
    out.bytes(&session.host);
    out.bytes(&session.kernel);
    out.bytes(&session.boot_id);
    out.var(u64::from(session.uid));
    out.u8(session.backend.tag());
    out.bytes(&session.backend_reason);
    out.bytes(&session.recorder);
    out.var(session.start_monotonic);
    out.time(session.start_wall);
    out
}

pub(crate) fn decode_session(bytes: &[u8]) -> Result<Session, Malformed> {
    let mut take = Take::new(bytes, "session record");
    let session = Session {
        id: SessionId(take.num()?),
        argv: take.list(Take::vec)?,
        cwd: take.vec()?,
        roots: take.list(|take| {
            Ok(Root {
                path: take.vec()?,
                label: take.vec()?,
            })
        })?,
        excludes: take.list(Take::vec)?,
        host: take.vec()?,
        kernel: take.vec()?,
        boot_id: take.vec()?,
        uid: take.num()?,
        backend: take.tagged(Backend::from_tag)?,
        backend_reason: take.vec()?,
        recorder: take.vec()?,
        start_monotonic: take.var()?,
        start_wall: take.time()?,
    };
    take.end()?;
    Ok(session)
}

pub(crate) fn encode_progress(progress: &Progress) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.var(progress.last_seq.0);
    out.var(progress.last_time.0);
    out.u8(u8::from(progress.baseline_done));
    out.var(OpKind::ALL.len() as u64);
    for kind in OpKind::ALL {
        out.var(progress.counts.get(*kind));
    }
    out.raw(&progress.chain.0);
    out
}

pub(crate) fn decode_progress(bytes: &[u8]) -> Result<Progress, Malformed> {
    let mut take = Take::new(bytes, "progress record");
    let last_seq = Seq(take.var()?);
    let last_time = Timestamp(take.var()?);
    let baseline_done = take.u8()? != 0;
    let mut counts = Counts::default();
    for (kind, n) in OpKind::ALL.iter().zip(take.list(Take::var)?) {
        counts.add(*kind, n);
    }
    let chain = take.digest()?;
    take.end()?;
    Ok(Progress {
        last_seq,
        last_time,
        baseline_done,
        counts,
        chain,
    })
}

pub(crate) fn encode_base(base: &Base) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.var(base.seq.0);
    out.var(base.time.0);
    out.raw(&base.chain.0);
    out.var(base.dropped);
    out
}

pub(crate) fn decode_base(bytes: &[u8]) -> Result<Base, Malformed> {
    let mut take = Take::new(bytes, "base record");
    let base = Base {
        seq: Seq(take.var()?),
        time: Timestamp(take.var()?),
        chain: take.digest()?,
        dropped: take.var()?,
    };
    take.end()?;
    Ok(base)
}

pub(crate) fn encode_seal(seal: &Seal) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.var(seal.end.0);
    out.time(seal.end_wall);
    out.status(seal.status);
    out.raw(&seal.root.0);
    out.list(&seal.faults);
    out
}

pub(crate) fn decode_seal(bytes: &[u8]) -> Result<Seal, Malformed> {
    let mut take = Take::new(bytes, "seal record");
    let seal = Seal {
        end: Timestamp(take.var()?),
        end_wall: take.time()?,
        status: take.status()?,
        root: take.digest()?,
        faults: take.list(Take::vec)?,
    };
    take.end()?;
    Ok(seal)
}

pub(crate) fn encode_supply(sources: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    out.list(sources);
    out
}

pub(crate) fn decode_supply(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut take = Take::new(bytes, "supply record");
    let sources = take.list(Take::vec)?;
    take.end()?;
    Ok(sources)
}
