//! Keys of every keyspace: fixed-width big-endian numbers, so that byte order is the
//! order of the numbers and every question is a range read.

use crate::encode::Malformed;
use crate::model::{Digest, FileId, ProcessId, Seq, SessionId};

const BAD: Malformed = Malformed("key");

/// What a record of the `session` keyspace holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SessionPart {
    Info = 0,
    Progress = 1,
    Seal = 2,
    Base = 3,
    /// Secrets are masked in it.
    Redaction = 4,
    /// In thin packs: what can supply the contents that were left out.
    Supply = 8,
}

pub(crate) fn session(session: SessionId, part: SessionPart) -> Vec<u8> {
    let mut key = session.0.to_be_bytes().to_vec();
    key.push(part as u8);
    key
}

pub(crate) fn session_of(key: &[u8]) -> Result<SessionId, Malformed> {
    let (head, _) = key.split_first_chunk().ok_or(BAD)?;
    Ok(SessionId(u32::from_be_bytes(*head)))
}

pub(crate) fn event(session: SessionId, first: Seq) -> Vec<u8> {
    let mut key = session.0.to_be_bytes().to_vec();
    key.extend(first.0.to_be_bytes());
    key
}

/// First seq of a key of the `event` keyspace.
pub(crate) fn event_seq(key: &[u8]) -> Result<Seq, Malformed> {
    let seq = key.get(4..).and_then(|seq| seq.try_into().ok());
    seq.map(|seq| Seq(u64::from_be_bytes(seq))).ok_or(BAD)
}

/// Everything of one directory: `session, parent`.
pub(crate) fn name_dir(session: SessionId, parent: FileId) -> Vec<u8> {
    file(session, parent)
}

pub(crate) fn name(session: SessionId, parent: FileId, name: &[u8], seq: Seq) -> Vec<u8> {
    let mut key = name_dir(session, parent);
    key.reserve(name.len() + 9);
    key.extend(name);
    key.push(0);
    key.extend(seq.0.to_be_bytes());
    key
}

/// Name and seq of a key of the `name` keyspace.
pub(crate) fn name_parts(key: &[u8]) -> Result<(&[u8], Seq), Malformed> {
    let rest = key.get(12..).ok_or(BAD)?;
    let (head, seq) = rest.split_last_chunk().ok_or(BAD)?;
    let (zero, name) = head.split_last().ok_or(BAD)?;
    if *zero != 0 || !crate::encode::is_name(name) {
        return Err(BAD);
    }
    Ok((name, Seq(u64::from_be_bytes(*seq))))
}

/// Directory of a key of the `name` keyspace.
pub(crate) fn name_parent(key: &[u8]) -> Result<FileId, Malformed> {
    let parent = key.get(4..12).and_then(|parent| parent.try_into().ok());
    parent.map(|id| FileId(u64::from_be_bytes(id))).ok_or(BAD)
}

/// Everything of one file in the `node` and `version` keyspaces: `session, file`.
pub(crate) fn file(session: SessionId, file: FileId) -> Vec<u8> {
    let mut key = Vec::with_capacity(20);
    key.extend(session.0.to_be_bytes());
    key.extend(file.0.to_be_bytes());
    key
}

pub(crate) fn file_at(session: SessionId, id: FileId, seq: Seq) -> Vec<u8> {
    let mut key = file(session, id);
    key.extend(seq.0.to_be_bytes());
    key
}

/// File and seq of a key of the `node` or `version` keyspace.
pub(crate) fn file_at_parts(key: &[u8]) -> Result<(FileId, Seq), Malformed> {
    let rest: &[u8; 16] = key.get(4..).and_then(|k| k.try_into().ok()).ok_or(BAD)?;
    let (file, seq) = rest.split_first_chunk::<8>().ok_or(BAD)?;
    let seq: [u8; 8] = seq.try_into().map_err(|_| BAD)?;
    Ok((
        FileId(u64::from_be_bytes(*file)),
        Seq(u64::from_be_bytes(seq)),
    ))
}

pub(crate) fn blob(digest: &Digest) -> Vec<u8> {
    digest.0.to_vec()
}

pub(crate) fn blob_digest(key: &[u8]) -> Result<Digest, Malformed> {
    key.try_into().map(Digest).map_err(|_| BAD)
}

pub(crate) fn process(session: SessionId, id: ProcessId) -> Vec<u8> {
    let mut key = session.0.to_be_bytes().to_vec();
    key.extend(id.0.to_be_bytes());
    key
}

pub(crate) fn process_id(key: &[u8]) -> Result<ProcessId, Malformed> {
    let (_, id) = key.split_last_chunk().ok_or(BAD)?;
    Ok(ProcessId(u32::from_be_bytes(*id)))
}

pub(crate) fn density(session: SessionId, resolution: u8, bucket: u64) -> Vec<u8> {
    let mut key = session.0.to_be_bytes().to_vec();
    key.push(resolution);
    key.extend(bucket.to_be_bytes());
    key
}

pub(crate) fn density_bucket(key: &[u8]) -> Result<u64, Malformed> {
    let (_, bucket) = key.split_last_chunk().ok_or(BAD)?;
    Ok(u64::from_be_bytes(*bucket))
}
