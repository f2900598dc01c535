//! Loads and attaches the kernel programs of a tier and hands their ring out.
//!
//! Nothing outlives the process: programs detach and maps go when their descriptors close.
//! Processes that were held back stay so until [`Stopped::resume`]: whoever watches over the
//! recorder's death needs a duplicate of that map's descriptor.

use crate::programs::{self, Job};
use crate::stopped::Stopped;
use crate::support::kernel_types;
use crate::symbols;
use crate::wire::{Inode, decode_inode, kernel_dev};
use aya::maps::{Array, HashMap, MapData, MapError, RingBuf};
use aya::programs::ProgramError;
use aya::{Btf, BtfError, Ebpf, EbpfError, EbpfLoader, Endianness};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

const TRACEPOINT: &[u8] = aya::include_bytes_aligned!("../bpf/tracepoint.bpf.o");
const FENTRY: &[u8] = aya::include_bytes_aligned!("../bpf/fentry.bpf.o");
/// How long a count of programs that were left out holds.
const MISSED: Duration = Duration::from_millis(200);
const INSIDE: u32 = 2;
const OUTSIDE: u32 = 1;

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
    /// Size of the ring in bytes: a power of two, at least 256 KiB.
    pub ring_bytes: u32,
    /// Whether opens and first reads are told.
    pub reads: bool,
    /// Whether the closing of descriptors that were open for writing is told. Every system
    /// call of the machine pays for it.
    pub closes: bool,
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
    #[error("cannot load or attach the capture program {name}: {source}")]
    Program {
        /// Which.
        name: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// A map was refused.
    #[error("cannot use a capture map: {0}")]
    Map(#[from] MapError),
    /// A descriptor could not be duplicated.
    #[error("cannot duplicate the descriptor of a capture map: {0}")]
    Descriptor(#[from] std::io::Error),
    /// The kernel's own addresses could not be had.
    #[error("cannot find the kernel's memory: {0}")]
    Symbols(#[source] std::io::Error),
    /// The object holds no such thing: it was built from other sources.
    #[error("the capture object has no {0}")]
    Missing(&'static str),
    /// A device number that the kernel cannot have.
    #[error("{0:#x} is no device number")]
    Device(u64),
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
    bpf: Ebpf,
    loaded: Vec<&'static str>,
    ring: Option<Ring>,
    places: HashMap<MapData, [u8; 16], u32>,
    stopped: Stopped,
    dirty: HashMap<MapData, [u8; 16], [u8; 72]>,
    counters: Array<MapData, [u8; 272]>,
    /// When programs that were left out were last counted, and how many there were.
    missed: Cell<(Option<Instant>, u64)>,
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
        let bytes = config.ring_bytes;
        if !bytes.is_power_of_two() || bytes < 256 << 10 {
            return Err(CaptureError::RingSize(bytes));
        }
        let btf = match kernel_types(config.btf.as_deref()) {
            Some(path) => Btf::parse_file(path, Endianness::default())?,
            None => Btf::from_sys_fs()?,
        };
        let outputs = [place(config.stdout)?, place(config.stderr)?];
        let namespace = pid_namespace()?;
        let mut loader = loader(config, &btf, &outputs, &namespace);
        let bases = memory(config.tier)?;
        let mut bpf = match config.tier {
            Tier::Tracepoint => loader.load(TRACEPOINT),
            Tier::Fentry => loader
                .override_global("page_offset_at", &bases[0], true)
                .override_global("vmemmap_at", &bases[1], true)
                .load(FENTRY),
        }?;
        let mut capture = Self {
            ring: Some(Ring(RingBuf::try_from(take(&mut bpf, "ring")?)?)),
            places: HashMap::try_from(take(&mut bpf, "places")?)?,
            stopped: Stopped::from_map(take(&mut bpf, "stopped")?)?,
            dirty: HashMap::try_from(take(&mut bpf, "dirty")?)?,
            counters: Array::try_from(take(&mut bpf, "counters")?)?,
            bpf,
            loaded: Vec::new(),
            missed: Cell::default(),
        };
        for root in &config.roots {
            capture.place(*root, INSIDE)?;
        }
        for excluded in &config.excluded {
            capture.place(*excluded, OUTSIDE)?;
        }
        capture.load_programs(config, &btf)?;
        Ok(capture)
    }

    /// Several at a time: the kernel takes a while to verify each.
    fn load_programs(&mut self, config: &Config, btf: &Btf) -> Result<(), CaptureError> {
        let mut jobs = Vec::new();
        for (name, program) in self.bpf.programs_mut() {
            jobs.extend(Job::of(name, program, config)?);
        }
        jobs.sort_unstable_by_key(|job| job.rank);
        let (jobs, loaded) = (Mutex::new(jobs), Mutex::new(Vec::new()));
        let next = || lock(&jobs).pop();
        let work = || {
            // No guard may live while a program is verified.
            while let Some(job) = next() {
                let name = job.run(btf);
                lock(&loaded).push(name);
            }
        };
        std::thread::scope(|scope| {
            let others = available_parallelism().map_or(1, usize::from).min(4) - 1;
            for _ in 0..others {
                scope.spawn(work);
            }
            work();
        });
        let loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
        for name in loaded {
            self.loaded.extend(name?);
        }
        Ok(())
    }

    /// Begins to record.
    ///
    /// # Errors
    /// When a program cannot be attached.
    pub fn attach(&mut self) -> Result<(), CaptureError> {
        for &name in &self.loaded {
            let program = self.bpf.program_mut(name);
            let program = program.ok_or(CaptureError::Missing(name))?;
            programs::attach(program).map_err(|source| CaptureError::Program { name, source })?;
        }
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
        self.place(root, INSIDE)
    }

    /// Takes a tree out again.
    ///
    /// # Errors
    /// When it was none, or the kernel has no such device.
    pub fn remove_root(&mut self, root: InodeId) -> Result<(), CaptureError> {
        Ok(self.places.remove(&place(Some(root))?)?)
    }

    fn place(&mut self, at: InodeId, verdict: u32) -> Result<(), CaptureError> {
        Ok(self.places.insert(place(Some(at))?, verdict, 0)?)
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
        let loaded = self.loaded.iter().copied();
        let each = loaded.filter_map(|name| Some((name, self.bpf.program(name)?)));
        each.map(|(name, program)| {
            programs::missed(program).map_err(|source| CaptureError::Program { name, source })
        })
        .sum()
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
        for name in std::mem::take(&mut self.loaded) {
            let _ = self.bpf.program_mut(name).map(programs::unload);
        }
        let _ = self.stopped.resume(true);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loader<'a>(
    config: &'a Config,
    btf: &'a Btf,
    outputs: &'a [[u8; 16]; 2],
    namespace: &'a u32,
) -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(btf))
        .allow_unsupported_maps()
        .map_max_entries("ring", config.ring_bytes)
        .override_global("ring_bytes", &config.ring_bytes, true)
        .override_global("recorder", &config.recorder, true)
        .override_global("namespace", namespace, true)
        .override_global("reads", flag(config.reads), true)
        .override_global("stop_writers", flag(config.hold_back), true)
        .override_global("foreign", flag(config.foreign), true)
        .override_global("outputs", outputs, true);
    loader
}

/// Where the kernel keeps the addresses by which cached bytes are found.
fn memory(tier: Tier) -> Result<[u64; 2], CaptureError> {
    match tier {
        Tier::Tracepoint => Ok([0; 2]),
        Tier::Fentry => Ok(symbols::addresses(["page_offset_base", "vmemmap_base"])
            .map_err(CaptureError::Symbols)?),
    }
}

/// The inode of this process's pid namespace, 0 for the first one, in whose numbers the
/// kernel thinks itself.
fn pid_namespace() -> Result<u32, CaptureError> {
    const FIRST: u32 = 0xefff_fffc;
    let own = std::fs::metadata("/proc/self/ns/pid")?.ino();
    let own = u32::try_from(own).map_err(std::io::Error::other)?;
    Ok(if own == FIRST { 0 } else { own })
}

/// `struct place` of scope.bpf.h; zeros for none.
fn place(at: Option<InodeId>) -> Result<[u8; 16], CaptureError> {
    let mut place = [0; 16];
    if let Some(at) = at {
        let dev = kernel_dev(at.dev).ok_or(CaptureError::Device(at.dev))?;
        place[..8].copy_from_slice(&at.ino.to_ne_bytes());
        place[8..12].copy_from_slice(&dev.to_ne_bytes());
    }
    Ok(place)
}

const fn flag(value: bool) -> &'static u8 {
    if value { &1 } else { &0 }
}

fn take(bpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, CaptureError> {
    bpf.take_map(name).ok_or(CaptureError::Missing(name))
}
