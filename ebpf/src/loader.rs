//! Loads and attaches the kernel programs of a tier and hands their ring out.
//!
//! Nothing outlives the process: programs detach and maps go when their descriptors close.
//! Processes that were held back stay so until [`Stopped::resume`]: whoever watches over the
//! recorder's death needs a duplicate of that map's descriptor.

use crate::handover::Asker;
use crate::loading::{Loaded, Maps, place};
use crate::programs;
use crate::stopped::Stopped;
use crate::wire::{Inode, decode_inode};
use aya::maps::{Array, HashMap, Map, MapData, MapError, RingBuf};
use aya::programs::ProgramError;
use aya::{BtfError, EbpfError};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a count of programs that were left out holds.
const MISSED: Duration = Duration::from_secs(1);
pub(crate) const INSIDE: u32 = 3;
pub(crate) const OUTSIDE: u32 = 1;

/// How the kernel is listened to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// At its tracepoints: ext4 tells everything, other file systems little.
    #[default]
    Tracepoint,
    /// At its functions, which many hosts refuse: all file systems tell names and
    /// attributes, those that use the kernel's own page cache code their contents.
    Fentry,
}

/// What to capture.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// By which programs.
    pub tier: Tier,
    /// Directories whose trees are recorded. What is mounted below one is a root of its own.
    pub roots: Vec<InodeId>,
    /// Directories and files that are not, below a root.
    pub excluded: Vec<InodeId>,
    /// The thread group that records, numbered in its own pid namespace: never recorded.
    pub recorder: u32,
    /// The user on whose behalf somebody with more rights loads. What processes of other
    /// users do is told as far as the modes of files let this user see it, and none of them
    /// is held back.
    pub owner: Option<u32>,
    /// Size of the ring in bytes: a power of two, at least 256 KiB.
    pub ring_bytes: u32,
    /// Whether opens and first reads are told.
    pub reads: bool,
    /// Whether processes that write below the roots are stopped (SIGSTOP) while more than
    /// half of the ring is unread, so that nothing is lost. Whoever sets this must call
    /// [`Stopped::resume`] and see to it that somebody does when the recorder dies.
    pub hold_back: bool,
    /// Whether a root lies on a file system other than ext4, which the programs of the
    /// tracepoint tier can only follow by the paths that processes give.
    pub foreign: bool,
    /// What the command's standard output refers to, if its output is to be recorded.
    pub stdout: Option<InodeId>,
    /// The same of its standard error.
    pub stderr: Option<InodeId>,
    /// The kernel's types, where the kernel does not describe them itself.
    pub btf: Option<PathBuf>,
}

/// A file or directory, as `stat` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InodeId {
    /// Device, encoded as `st_dev`.
    pub dev: u64,
    /// Number on that device.
    pub ino: u64,
}

/// Why the kernel cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel's types could not be read.
    #[error("cannot read the kernel's types: {0}")]
    Btf(#[from] BtfError),
    /// The object was refused.
    #[error("cannot load the capture programs: {0}")]
    Load(#[from] EbpfError),
    /// One program was refused.
    #[error("cannot load the capture program {name}: {source}")]
    Program {
        /// Which.
        name: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// One program could not be attached.
    #[error("cannot attach the capture program {name}: {source}")]
    Attach {
        /// Which.
        name: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A map was refused.
    #[error("cannot use a capture map: {0}")]
    Map(#[from] MapError),
    /// A descriptor could not be duplicated.
    #[error("cannot duplicate the descriptor of a capture map: {0}")]
    Descriptor(#[from] std::io::Error),
    /// The kernel does not say how often it left programs out.
    #[error("cannot ask how often capture programs were left out: {0}")]
    Missed(#[source] std::io::Error),
    /// The kernel's own addresses could not be had.
    #[error("cannot find the kernel's memory: {0}")]
    Symbols(#[source] std::io::Error),
    /// The object holds no such thing: it was built from other sources.
    #[error("the capture object has no {0}")]
    Missing(&'static str),
    /// A device number that the kernel cannot have.
    #[error("{0:#x} is no device number")]
    Device(u64),
    /// The loader refused, or ended.
    #[error("{0}")]
    Loader(String),
    /// The loader has ended, or nobody started it.
    #[error("the loader ended without an answer")]
    Silent,
    /// The roots are the loader's affair.
    #[error("a capture that was handed over keeps its roots")]
    Handed,
    /// A ring must be a power of two of a certain size.
    #[error("a ring of {0} bytes cannot be made: a power of two from 262144 on is needed")]
    RingSize(u32),
}

/// Counts since the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that went into the ring.
    pub emitted: u64,
    /// Times that a process was held back.
    pub stops: u64,
    /// Times that the kernel left a program out because it was at work already, so that
    /// something was not told. Counted in the first of `lost` as well.
    pub missed: u64,
    /// Records that had no room, by the number of their kind in `wire.h`. The first counts
    /// those of files that not even [`Capture::take_dirty`] knows.
    pub lost: [u64; 32],
}

impl Stats {
    /// Records that had no room, of all kinds, and what was not even told.
    #[must_use]
    pub fn lost_in_all(&self) -> u64 {
        self.lost.iter().skip(1).sum::<u64>() + self.missed
    }
}

/// Programs in the kernel that record.
pub struct Capture {
    keeper: Keeper,
    programs: Vec<OwnedFd>,
    links: Vec<OwnedFd>,
    ring: Option<Ring>,
    stopped: Stopped,
    dirty: HashMap<MapData, [u8; 16], [u8; 72]>,
    counters: Array<MapData, [u8; 272]>,
    /// When programs that were left out were last counted, and how many there were.
    missed: Cell<(Option<Instant>, u64)>,
}

/// Who attaches the programs, and changes the roots.
enum Keeper {
    /// This process, which loaded them: their names, and the roots.
    Own(Vec<&'static str>, HashMap<MapData, [u8; 16], u32>),
    /// A process with more rights.
    Loader(Asker),
}

/// The records, in the order in which the kernel made them.
pub struct Ring(RingBuf<MapData>);

impl Ring {
    /// Hands every record that is there to `each`, oldest first, and frees its room
    /// afterwards. Returns how many there were.
    pub fn drain(&mut self, each: impl FnMut(&[u8])) -> usize {
        self.drain_some(usize::MAX, each)
    }

    /// As [`Self::drain`], but no more than `most`.
    pub fn drain_some(&mut self, most: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while count < most
            && let Some(record) = self.0.next()
        {
            each(&record);
            count += 1;
        }
        count
    }
}

/// Readable once the ring has filled somewhat: look every few ms in between, as small
/// numbers of records wake nobody.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Capture {
    /// Loads the programs without attaching them.
    ///
    /// # Errors
    /// When the kernel's types cannot be read, a program is refused, or the configuration
    /// cannot be met.
    pub fn load(config: &Config) -> Result<Self, CaptureError> {
        let Loaded {
            maps,
            places,
            programs,
        } = Loaded::load(config)?;
        let (names, programs) = programs.into_iter().unzip();
        Self::of(maps, programs, Keeper::Own(names, map(places)?))
    }

    /// Takes what a loader has loaded, which attaches it when it is asked to.
    pub(crate) fn handed(
        maps: Maps,
        programs: Vec<OwnedFd>,
        loader: Asker,
    ) -> Result<Self, CaptureError> {
        Self::of(maps, programs, Keeper::Loader(loader))
    }

    fn of(maps: Maps, programs: Vec<OwnedFd>, keeper: Keeper) -> Result<Self, CaptureError> {
        Ok(Self {
            ring: Some(Ring(map(maps.ring)?)),
            stopped: Stopped::from_fd(maps.stopped)?,
            dirty: map(maps.dirty)?,
            counters: map(maps.counters)?,
            keeper,
            programs,
            links: Vec::new(),
            missed: Cell::default(),
        })
    }

    /// Begins to record.
    ///
    /// # Errors
    /// When a program cannot be attached.
    pub fn attach(&mut self) -> Result<(), CaptureError> {
        self.links = match &mut self.keeper {
            Keeper::Own(names, _) => programs::attach_all(names, &self.programs)?,
            Keeper::Loader(loader) => loader.attach()?,
        };
        Ok(())
    }

    /// The ring, once.
    pub fn ring(&mut self) -> Option<Ring> {
        self.ring.take()
    }

    /// Adds a tree, such as a file system mounted below a root.
    ///
    /// # Errors
    /// When the kernel has no such device or the map is full.
    pub fn add_root(&mut self, root: InodeId) -> Result<(), CaptureError> {
        Ok(self.places()?.insert(place(Some(root))?, INSIDE, 0)?)
    }

    /// Takes a tree out again.
    ///
    /// # Errors
    /// When it was none, or the kernel has no such device.
    pub fn remove_root(&mut self, root: InodeId) -> Result<(), CaptureError> {
        Ok(self.places()?.remove(&place(Some(root))?)?)
    }

    fn places(&mut self) -> Result<&mut HashMap<MapData, [u8; 16], u32>, CaptureError> {
        match &mut self.keeper {
            Keeper::Own(_, places) => Ok(places),
            Keeper::Loader(_) => Err(CaptureError::Handed),
        }
    }

    /// Counts since the load.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn stats(&self) -> Result<Stats, CaptureError> {
        let bytes = self.counters.get(&0, 0)?;
        let mut words = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_ne_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        let mut stats = Stats {
            emitted: next(),
            stops: next(),
            missed: self.missed()?,
            lost: std::array::from_fn(|_| next()),
        };
        if let Some(unknown) = stats.lost.first_mut() {
            *unknown += stats.missed;
        }
        Ok(stats)
    }

    /// Has the next [`Self::stats`] ask once more which calls of programs the kernel left
    /// out: by itself it does so once a second at most.
    pub fn count_anew(&self) {
        self.missed.set((None, 0));
    }

    /// Asked for from time to time only: it takes a file of `/proc` for every program.
    fn missed(&self) -> Result<u64, CaptureError> {
        let (when, missed) = self.missed.get();
        if when.is_some_and(|when| when.elapsed() < MISSED) {
            return Ok(missed);
        }
        let missed = self.count_missed()?;
        self.missed.set((Some(Instant::now()), missed));
        Ok(missed)
    }

    fn count_missed(&self) -> Result<u64, CaptureError> {
        let each = self.programs.iter();
        let missed = each.map(|program| programs::missed(program.as_fd()));
        missed
            .sum::<std::io::Result<u64>>()
            .map_err(CaptureError::Missed)
    }

    /// The files of which records had no room, each once since the last call: as they were
    /// at the last loss. They are to be read again.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn take_dirty(&mut self) -> Result<Vec<Inode>, CaptureError> {
        let keys: Vec<[u8; 16]> = self.dirty.keys().collect::<Result<_, _>>()?;
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            let inode = self.dirty.get(&key, 0)?;
            self.dirty.remove(&key)?;
            taken.extend(decode_inode(&inode));
        }
        Ok(taken)
    }

    /// The processes that are held back. [`Stopped::resume`] is to be called after every
    /// drain, and every few ms while there are any.
    pub const fn stopped(&mut self) -> &mut Stopped {
        &mut self.stopped
    }
}

/// Detaches, then continues whoever is still held back.
impl Drop for Capture {
    fn drop(&mut self) {
        self.links.clear();
        self.programs.clear();
        let _ = self.stopped.resume(true);
    }
}

/// A map by its descriptor.
fn map<M: TryFrom<Map, Error = MapError>>(fd: OwnedFd) -> Result<M, CaptureError> {
    Ok(Map::from_map_data(MapData::from_fd(fd)?)?.try_into()?)
}
