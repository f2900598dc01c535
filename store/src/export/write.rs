//! One node of the tree: created, filled, given its attributes.

use std::io::Read;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attrs::{self, Defaults, Refusals};
use crate::content::{Content, ContentError};
use crate::model::{Digest, Kind, MissingReason, Node, Repr, VersionRef};
use crate::reader::SessionReader;
use crate::snapshot::Entry;
use crate::supply::Supply;

/// Zeros become holes in pieces of this many bytes, at multiples of it.
const HOLE: usize = 4096;
/// Bytes copied at a time.
const WINDOW: usize = 256 << 10;

/// What was created.
pub(crate) enum Written {
    File { bytes: u64 },
    Symlink,
    Special,
    Link,
}

/// Why a node was not created.
pub(crate) enum Stop {
    Content(ContentError),
    Os(Errno),
}

impl From<ContentError> for Stop {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Os(error)
    }
}

/// What nodes are made from.
pub(crate) struct Maker<'a> {
    pub(crate) session: &'a SessionReader<'a>,
    pub(crate) defaults: Defaults,
    /// Where contents that were left out of the trace are taken from.
    pub(crate) supply: Option<&'a Supply>,
}

impl Maker<'_> {
    /// Creates a node that is not a directory under `name`. Either all of it is there
    /// afterwards or nothing.
    pub(crate) fn make(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        refused: &mut Refusals,
    ) -> Result<Written, Stop> {
        let place = Place { dir, name, entry };
        match entry.state.node.kind {
            Kind::File => file(self, &place, refused),
            Kind::Dir => Err(Stop::Os(Errno::ISDIR)),
            _ => Ok(other(&self.defaults, &place, refused)?),
        }
    }
}

/// Where a node is made, and which.
struct Place<'a> {
    dir: BorrowedFd<'a>,
    name: &'a [u8],
    entry: &'a Entry,
}

/// Creates what has no content of its own.
fn other(defaults: &Defaults, place: &Place<'_>, refused: &mut Refusals) -> Result<Written, Errno> {
    let (dir, name, node) = (place.dir, place.name, &place.entry.state.node);
    let special = match node.kind {
        Kind::Symlink => {
            rustix::fs::symlinkat(node.target.as_slice(), dir, name)?;
            attrs::set_named((dir, name), place.entry, defaults, Some(0o777), refused);
            return Ok(Written::Symlink);
        }
        Kind::File | Kind::Dir => return Err(Errno::INVAL),
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
        Kind::Block => FileType::BlockDevice,
        Kind::Char => FileType::CharacterDevice,
    };
    let mode = first_mode(node);
    let raw = Mode::from_raw_mode(mode);
    rustix::fs::mknodat(dir, name, special, raw, node.rdev)?;
    attrs::set_named((dir, name), place.entry, defaults, Some(mode), refused);
    Ok(Written::Special)
}

/// The mode to create a node with: its final one where that saves a call. Extended
/// attributes can only be set by those who may write.
fn first_mode(node: &Node) -> u32 {
    if node.xattrs.is_empty() {
        node.mode & 0o777
    } else {
        0o600
    }
}

fn file(maker: &Maker<'_>, place: &Place<'_>, refused: &mut Refusals) -> Result<Written, Stop> {
    let (dir, name, entry) = (place.dir, place.name, place.entry);
    // A content that is missing or damaged is mostly noticed before the file is made.
    let mut content = match entry.content() {
        Some(at) => Some(open(maker, entry, at)?),
        None => None,
    };
    let mode = first_mode(&entry.state.node);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(mode))?;
    let filled = content.as_mut().map_or(Ok(()), |source| source.fill(&file));
    if let Err(stop) = filled {
        let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
        return Err(stop);
    }
    attrs::set(file.as_fd(), entry, &maker.defaults, Some(mode), refused);
    let bytes = content.map_or(0, |source| source.len());
    Ok(Written::File { bytes })
}

/// Where the bytes of a file come from.
pub(crate) enum Source<'s> {
    Trace(Content<'s>),
    /// A file that has the content, with its length, bytes, and its digest.
    Supply(std::fs::File, u64, Digest),
}

/// The content of a version; one that was left out of the trace from a file that has it.
fn open<'j>(maker: &Maker<'j>, entry: &Entry, at: VersionRef) -> Result<Source<'j>, Stop> {
    let missing = match maker.session.content(at) {
        Err(missing @ ContentError::Missing(MissingReason::Omitted)) => missing,
        content => return Ok(Source::Trace(content?)),
    };
    let found = maker.supply.and_then(|supply| supplied(supply, entry));
    found.ok_or_else(|| missing.into())
}

/// A file that has the content of an entry that was left out of the trace.
pub(crate) fn supplied<'s>(supply: &Supply, entry: &Entry) -> Option<Source<'s>> {
    let (_, version) = entry.state.version.as_ref()?;
    let (length, digest) = (version.length, version.digest?);
    let omitted = matches!(version.repr, Repr::Missing(MissingReason::Omitted));
    let file = omitted.then(|| supply.find(&entry.path, length, &digest));
    Some(Source::Supply(file??, length, digest))
}

impl Source<'_> {
    const fn len(&self) -> u64 {
        match self {
            Self::Trace(content) => content.len(),
            Self::Supply(_, length, _) => *length,
        }
    }

    fn fill(&mut self, file: &OwnedFd) -> Result<(), Stop> {
        match self {
            Self::Trace(content) => fill(file, content),
            Self::Supply(from, length, digest) => copy(file, from, *length, digest),
        }
    }
}

/// Copies what was found to be the content, and looks once more whether it is.
fn copy(
    file: &OwnedFd,
    from: &mut std::fs::File,
    length: u64,
    digest: &Digest,
) -> Result<(), Stop> {
    let mut hasher = blake3::Hasher::new();
    let mut window = vec![0; WINDOW];
    let mut from = from.take(length);
    loop {
        let n = from.read(&mut window).map_err(ContentError::Io)?;
        let piece = window.get(..n).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        hasher.update(piece);
        write_all(file, piece)?;
    }
    if *hasher.finalize().as_bytes() == digest.0 {
        Ok(())
    } else {
        Err(ContentError::Missing(MissingReason::Omitted).into())
    }
}

fn fill(file: &OwnedFd, content: &mut Content<'_>) -> Result<(), Stop> {
    if !content.version().sparse {
        return content.stream(|piece| Ok(write_all(file, piece)?));
    }
    let mut offset = 0;
    content.stream(|piece| {
        write_sparse(file, piece, offset)?;
        offset += piece.len() as u64;
        Ok::<_, Stop>(())
    })?;
    Ok(rustix::fs::ftruncate(file, offset)?)
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a piece that belongs at `offset`, leaving out blocks of zeros.
fn write_sparse(file: &OwnedFd, piece: &[u8], offset: u64) -> Result<(), Errno> {
    let is_hole = |block: &&[u8]| block.iter().all(|byte| *byte == 0);
    let (mut rest, mut at) = (piece, offset);
    while !rest.is_empty() {
        let blocks = rest.chunks(HOLE);
        let hole: usize = blocks.take_while(is_hole).map(<[u8]>::len).sum();
        (_, rest) = rest.split_at(hole);
        let blocks = rest.chunks(HOLE).take_while(|block| !is_hole(block));
        let (data, after) = rest.split_at(blocks.map(<[u8]>::len).sum());
        at += hole as u64;
        write_all_at(file, data, at)?;
        at += data.len() as u64;
        rest = after;
    }
    Ok(())
}

fn write_all_at(file: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => {
                bytes = bytes.get(n..).unwrap_or_default();
                at += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
