//! Stamps: what a restore left exactly as it was recorded, so that the next one need not
//! read it again.
//!
//! A stamp holds an inode's change time, which every change of it moves and nobody can set
//! back, and a hash over what was recorded there. It is a cache beside the database
//! (`restored`): without it, or with a damaged one, everything is read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::found::{Found, Inode};
use crate::model::{Digest, Kind, UnixTime};
use crate::snapshot::Entry;

const MAGIC: &[u8; 8] = b"dkstamp1";
/// Bytes of a stamp: dev, ino, seconds and nanoseconds of its change time, hash.
const STAMP: usize = 8 + 8 + 8 + 4 + 32;
/// Longest file that is read: some sixteen million stamps.
const LONGEST: u64 = 1 << 30;
/// The kernel's clock for change times stands still for up to 10 ms: a stamp this young
/// could hide a change that came after it.
const YOUNG: i128 = 20_000_000;

/// All stamps of the last restore.
#[derive(Default)]
pub(super) struct Stamps(HashMap<Inode, (UnixTime, Digest)>);

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
        let stamp = self.0.get(&found.inode);
        stamp.is_some_and(|(ctime, digest)| {
            *ctime == found.ctime && hash(entry).as_ref() == Some(digest)
        })
    }

    pub(super) fn add(&mut self, found: &Found, entry: &Entry, now: UnixTime) {
        if now.as_nanos() - found.ctime.as_nanos() < YOUNG {
            return;
        }
        if let Some(digest) = hash(entry) {
            self.0.insert(found.inode, (found.ctime, digest));
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
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
        let stamps = body.strip_prefix(MAGIC)?;
        if Digest::of(body).0 != *sum || stamps.len() % STAMP != 0 {
            return None;
        }
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
        stamps
            .chunks(STAMP)
            .map(stamp)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Writes the stamps, whole or not at all.
    pub(super) fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        for (inode, (ctime, digest)) in &self.0 {
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
            stamps.0.insert(Inode { dev: 1, ino }, stamp);
        }
        stamps.save(&file).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(Stamps::load(&file).0, stamps.0);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Stamps::parse(&bad).is_none(), "byte {at}");
            assert!(Stamps::parse(&bytes[..at]).is_none(), "cut at {at}");
        }
    }
}
