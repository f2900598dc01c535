//! Stamps: what a restore left exactly as it was recorded, so that the next one need not
//! read it again.
//!
//! A stamp holds an inode's change time, which every change of it moves and nobody can set
//! back, and a hash over what was recorded there. It is a cache beside the database
//! (`restored`): without it, or with a damaged one, everything is read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::found::{Found, Inode};
use crate::model::{Digest, Kind, Seq, SessionId, UnixTime};
use crate::snapshot::Entry;

const MAGIC: &[u8; 8] = b"dkstamp1";
/// Bytes of what says whether the stamps are a whole tree: session, seq, names.
const WHOLE: usize = 4 + 8 + 8;
/// Bytes of a stamp: dev, ino, seconds and nanoseconds of its change time, hash.
const STAMP: usize = 8 + 8 + 8 + 4 + 32;
/// Longest file that is read: some sixteen million stamps.
const LONGEST: u64 = 1 << 30;
/// The kernel's clock for change times stands still for up to 10 ms: a stamp this young
/// could hide a change that came after it.
const YOUNG: i128 = 20_000_000;

/// All stamps of the last restore.
#[derive(Default)]
pub(super) struct Stamps {
    by_inode: HashMap<Inode, (UnixTime, Digest)>,
    whole: Option<Whole>,
}

/// A restore that left its directory just as the snapshot, with nothing beside it, and
/// every node of it with a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) session: SessionId,
    pub(super) seq: Seq,
    /// Names of the tree, the top included.
    pub(super) names: u64,
}

/// A hash over everything that was recorded of an entry; `None` where that cannot be
/// told shortly.
pub(super) fn hash(entry: &Entry) -> Option<Digest> {
    let node = &entry.state.node;
    let mut text = Vec::with_capacity(160);
    text.push(node.kind as u8);
    for number in [node.mode, node.uid, node.gid, entry.state.mtime.nsec] {
        text.extend(number.to_be_bytes());
    }
    text.extend(entry.state.mtime.sec.to_be_bytes());
    text.extend(node.rdev.to_be_bytes());
    let strings = node.xattrs.iter().flat_map(|x| [&x.name, &x.value]);
    for string in [&node.target].into_iter().chain(strings) {
        text.extend((string.len() as u64).to_be_bytes());
        text.extend(string);
    }
    if let (Kind::File, Some((_, version))) = (node.kind, &entry.state.version) {
        text.extend(version.length.to_be_bytes());
        text.extend(version.digest?.0);
    }
    Some(Digest::of(&text))
}

/// Where the stamps of a state directory are kept.
pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("restored")
}

impl Stamps {
    /// Whether what was found is what was recorded.
    pub(super) fn vouch_for(&self, found: &Found, entry: &Entry) -> bool {
        let stamp = self.by_inode.get(&found.inode);
        stamp.is_some_and(|(ctime, digest)| {
            *ctime == found.ctime && hash(entry).as_ref() == Some(digest)
        })
    }

    /// Whether a node is as it was stamped, whatever was recorded there.
    pub(super) fn know(&self, found: &Found) -> bool {
        let stamp = self.by_inode.get(&found.inode);
        stamp.is_some_and(|(ctime, _)| *ctime == found.ctime)
    }

    pub(super) fn len(&self) -> usize {
        self.by_inode.len()
    }

    pub(super) const fn whole(&self) -> Option<Whole> {
        self.whole
    }

    pub(super) const fn declare(&mut self, whole: Option<Whole>) {
        self.whole = whole;
    }

    pub(super) fn add(&mut self, found: &Found, entry: &Entry, now: UnixTime) {
        if now.as_nanos() - found.ctime.as_nanos() < YOUNG {
            return;
        }
        if let Some(digest) = hash(entry) {
            self.by_inode.insert(found.inode, (found.ctime, digest));
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.by_inode.extend(other.by_inode);
    }

    /// Reads the stamps; none if there are none that can be trusted.
    pub(super) fn load(path: &Path) -> Self {
        let short = |meta: &std::fs::Metadata| meta.is_file() && meta.len() <= LONGEST;
        let bytes = match std::fs::metadata(path) {
            Ok(meta) if short(&meta) => std::fs::read(path).unwrap_or_default(),
            _ => Vec::new(),
        };
        Self::parse(&bytes).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<32>()?;
        let (head, stamps) = body.strip_prefix(MAGIC)?.split_first_chunk::<WHOLE>()?;
        if Digest::of(body).0 != *sum || stamps.len() % STAMP != 0 {
            return None;
        }
        let (session, rest) = head.split_first_chunk::<4>()?;
        let (seq, names) = rest.split_first_chunk::<8>()?;
        let names = u64::from_be_bytes(names.try_into().ok()?);
        let whole = (names > 0).then_some(Whole {
            session: SessionId(u32::from_be_bytes(*session)),
            seq: Seq(u64::from_be_bytes(*seq)),
            names,
        });
        let stamp = |bytes: &[u8]| {
            let (dev, rest) = bytes.split_first_chunk::<8>()?;
            let (ino, rest) = rest.split_first_chunk::<8>()?;
            let (sec, rest) = rest.split_first_chunk::<8>()?;
            let (nsec, rest) = rest.split_first_chunk::<4>()?;
            let inode = Inode {
                dev: u64::from_be_bytes(*dev),
                ino: u64::from_be_bytes(*ino),
            };
            let ctime = UnixTime {
                sec: i64::from_be_bytes(*sec),
                nsec: u32::from_be_bytes(*nsec),
            };
            Some((inode, (ctime, Digest(rest.try_into().ok()?))))
        };
        let by_inode = stamps.chunks(STAMP).map(stamp).collect::<Option<_>>()?;
        Some(Self { by_inode, whole })
    }

    /// Writes the stamps, whole or not at all.
    pub(super) fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        let none = Whole {
            session: SessionId(0),
            seq: Seq(0),
            names: 0,
        };
        let whole = self.whole.unwrap_or(none);
        bytes.extend(whole.session.0.to_be_bytes());
        bytes.extend(whole.seq.0.to_be_bytes());
        bytes.extend(whole.names.to_be_bytes());
        for (inode, (ctime, digest)) in &self.by_inode {
            bytes.extend(inode.dev.to_be_bytes());
            bytes.extend(inode.ino.to_be_bytes());
            bytes.extend(ctime.sec.to_be_bytes());
            bytes.extend(ctime.nsec.to_be_bytes());
            bytes.extend(digest.0);
        }
        bytes.extend(Digest::of(&bytes).0);
        let new = path.with_extension("new");
        std::fs::write(&new, bytes)?;
        std::fs::rename(new, path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn damaged_stamps_vouch_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path());
        let mut stamps = Stamps::default();
        for ino in 1..4 {
            let ctime = UnixTime { sec: -5, nsec: 7 };
            let stamp = (ctime, Digest::of(b"x"));
            stamps.by_inode.insert(Inode { dev: 1, ino }, stamp);
        }
        stamps.declare(Some(Whole {
            session: SessionId(7),
            seq: Seq(8),
            names: 9,
        }));
        stamps.save(&file).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let loaded = Stamps::load(&file);
        assert_eq!(loaded.by_inode, stamps.by_inode);
        assert_eq!(loaded.whole, stamps.whole);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Stamps::parse(&bad).is_none(), "byte {at}");
            assert!(Stamps::parse(&bytes[..at]).is_none(), "cut at {at}");
        }
    }
}
