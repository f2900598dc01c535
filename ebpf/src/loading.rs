//! Loading: the only part that needs privileges. What comes out are descriptors, which may as
//! well be of another process.

use crate::loader::{CaptureError, Config, INSIDE, InodeId, OUTSIDE, Tier};
use crate::programs::Job;
use crate::support::kernel_types;
use crate::symbols;
use crate::wire::kernel_dev;
use aya::maps::{HashMap, Map, MapData};
use aya::{Btf, Ebpf, EbpfLoader, Endianness};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

const TRACEPOINT: &[u8] = aya::include_bytes_aligned!("../bpf/tracepoint.bpf.o");
const FENTRY: &[u8] = aya::include_bytes_aligned!("../bpf/fentry.bpf.o");
/// Of `task.bpf.h`.
const NOBODY: u32 = u32::MAX;

/// The maps that whoever records needs, also without privileges.
pub(crate) struct Maps {
    pub(crate) ring: OwnedFd,
    pub(crate) stopped: OwnedFd,
    pub(crate) dirty: OwnedFd,
    pub(crate) counters: OwnedFd,
}

/// Programs that the kernel has taken; they are not attached.
pub(crate) struct Loaded {
    pub(crate) maps: Maps,
    /// The roots: whoever has it can listen anywhere.
    pub(crate) places: OwnedFd,
    pub(crate) programs: Vec<(&'static str, OwnedFd)>,
}

impl Loaded {
    /// Has the kernel verify what the configuration asks for.
    pub(crate) fn load(config: &Config) -> Result<Self, CaptureError> {
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
        let owner = config.owner.unwrap_or(NOBODY);
        let mut loader = loader(config, &btf, &outputs, (&namespace, &owner));
        let bases = memory(config.tier)?;
        let mut bpf = match config.tier {
            Tier::Tracepoint => loader.load(TRACEPOINT),
            Tier::Fentry => loader
                .override_global("page_offset_at", &bases[0], true)
                .override_global("vmemmap_at", &bases[1], true)
                .load(FENTRY),
        }?;
        enter(&mut bpf, config)?;
        let names = load_programs(&mut bpf, config.tier, &btf)?;
        let programs = names
            .into_iter()
            .map(|name| Ok((name, program(&bpf, name)?)));
        Ok(Self {
            programs: programs.collect::<Result<_, CaptureError>>()?,
            places: map(&bpf, "places")?,
            maps: Maps {
                ring: map(&bpf, "ring")?,
                stopped: map(&bpf, "stopped")?,
                dirty: map(&bpf, "dirty")?,
                counters: map(&bpf, "counters")?,
            },
        })
    }
}

/// Enters the roots and what is left out of them.
fn enter(bpf: &mut Ebpf, config: &Config) -> Result<(), CaptureError> {
    let places = bpf
        .map_mut("places")
        .ok_or(CaptureError::Missing("places"))?;
    let mut places: HashMap<&mut MapData, [u8; 16], u32> = HashMap::try_from(places)?;
    for root in &config.roots {
        places.insert(place(Some(*root))?, INSIDE, 0)?;
    }
    for excluded in &config.excluded {
        places.insert(place(Some(*excluded))?, OUTSIDE, 0)?;
    }
    Ok(())
}

/// Several at a time: the kernel takes a while to verify each.
fn load_programs(bpf: &mut Ebpf, tier: Tier, btf: &Btf) -> Result<Vec<&'static str>, CaptureError> {
    let mut jobs = Vec::new();
    for (name, program) in bpf.programs_mut() {
        jobs.push(Job::of(name, program, tier)?);
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
    let loaded: Result<Vec<_>, _> = loaded.into_iter().collect();
    Ok(loaded?.into_iter().flatten().collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loader<'a>(
    config: &'a Config,
    btf: &'a Btf,
    outputs: &'a [[u8; 16]; 2],
    (namespace, owner): (&'a u32, &'a u32),
) -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(btf))
        .allow_unsupported_maps()
        .map_max_entries("ring", config.ring_bytes)
        .override_global("ring_bytes", &config.ring_bytes, true)
        .override_global("recorder", &config.recorder, true)
        .override_global("namespace", namespace, true)
        .override_global("owner", owner, true)
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
pub(crate) fn place(at: Option<InodeId>) -> Result<[u8; 16], CaptureError> {
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

fn map(bpf: &Ebpf, name: &'static str) -> Result<OwnedFd, CaptureError> {
    match bpf.map(name) {
        Some(Map::RingBuf(data) | Map::HashMap(data) | Map::Array(data)) => {
            Ok(data.fd().as_fd().try_clone_to_owned()?)
        }
        _ => Err(CaptureError::Missing(name)),
    }
}

fn program(bpf: &Ebpf, name: &'static str) -> Result<OwnedFd, CaptureError> {
    let program = bpf.program(name).ok_or(CaptureError::Missing(name))?;
    let fd = program
        .fd()
        .map_err(|source| CaptureError::Program { name, source })?;
    Ok(fd.as_fd().try_clone_to_owned()?)
}
