//! Facts about the host that decide which capture tier can work, read from `/proc` and
//! `/sys`. Reading them never fails: a fact that cannot be had is `None`.
//!
//! Facts are told apart from the decision, so that the decision can be tested without a
//! host that has them.

use aya::programs::{LsmAttachType, ProgramType};
use aya::sys::is_program_supported;
use std::fs;
use std::path::{Path, PathBuf};

/// Capabilities of the effective set that loading BPF programs asks for, by their bit
/// (linux/capability.h).
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Where the kernel describes its own types.
const KERNEL_TYPES: &str = "sys/kernel/btf/vmlinux";

/// Where the kernel's types are to be read: the file that was given, else the kernel's own
/// one, else `btf/RELEASE` in the cache directory of the user or of the machine. The kernel
/// has to have them in any case; a file helps where `/sys` is not to be seen.
#[must_use]
pub fn kernel_types(given: Option<&Path>) -> Option<PathBuf> {
    if given.is_some() {
        return given.map(Path::to_owned);
    }
    let own = Path::new("/").join(KERNEL_TYPES);
    let caches = [
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from),
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")),
        Some("/var/cache".into()),
    ];
    let release = read(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    let caches = caches.into_iter().flatten();
    let cached = caches.map(|cache| cache.join("diffkeeper/btf").join(&release));
    std::iter::once(own)
        .chain(cached)
        .find(|file| file.is_file())
}

/// What the host says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Kernel release, such as `6.18.44`.
    pub kernel: Option<String>,
    /// Whether the kernel describes its own types (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
    /// Capabilities of this process.
    pub capabilities: Option<Capabilities>,
    /// The mode of kernel lockdown: `none`, `integrity` or `confidentiality`.
    pub lockdown: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`: 0 allows, 1 and 2 refuse.
    pub unprivileged_bpf_disabled: Option<u8>,
    /// The control group of this process, as version 2 has it.
    pub cgroup: Option<String>,
    /// The container runtime this process seems to be in.
    pub container: Option<String>,
    /// Limits of inotify.
    pub inotify: Inotify,
}

/// The capabilities that matter, of the effective set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// CAP_BPF.
    pub bpf: bool,
    /// CAP_PERFMON.
    pub perfmon: bool,
    /// CAP_SYS_ADMIN, which holds the two others.
    pub sys_admin: bool,
}

impl Capabilities {
    /// Whether they suffice to load and attach tracing programs.
    #[must_use]
    pub const fn may_trace(self) -> bool {
        self.sys_admin || (self.bpf && self.perfmon)
    }

    /// From the hexadecimal mask of `CapEff` in `/proc/PID/status`.
    #[must_use]
    pub const fn from_mask(mask: u64) -> Self {
        Self {
            bpf: mask >> CAP_BPF & 1 == 1,
            perfmon: mask >> CAP_PERFMON & 1 == 1,
            sys_admin: mask >> CAP_SYS_ADMIN & 1 == 1,
        }
    }
}

/// Limits of inotify (`fs.inotify.*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inotify {
    /// Directories that one user may watch.
    pub max_user_watches: Option<u64>,
    /// Queues that one user may have.
    pub max_user_instances: Option<u64>,
    /// Events that wait in one queue before the kernel drops more.
    pub max_queued_events: Option<u64>,
}

impl Facts {
    /// Whether this process may have the kernel load programs.
    #[must_use]
    pub fn may_load(&self) -> bool {
        self.capabilities.is_some_and(Capabilities::may_trace)
    }

    /// What keeps the kernel tiers from working on this machine for anybody, as far as it can
    /// be told before they are tried; `btf` is a file with the kernel's types that was given.
    #[must_use]
    pub fn lacking(&self, btf: Option<&Path>) -> Vec<&'static str> {
        let mut lacking = Vec::new();
        if !cfg!(target_arch = "x86_64") {
            lacking.push("the kernel tiers are for x86-64");
        }
        if !self.btf && kernel_types(btf).is_none() {
            lacking.push("the kernel has no BTF (or /sys is not mounted: give it with --btf)");
        }
        if self.lockdown.as_deref() == Some("confidentiality") {
            lacking.push("kernel lockdown forbids reading kernel memory");
        }
        lacking
    }

    /// Those of this host and process.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self::below(Path::new("/"))
    }

    /// Those of a host whose `/proc` and `/sys` stand below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        let text = |path: &str| read(&root.join(path));
        let number = |path: &str| text(path).and_then(|text| text.parse().ok());
        Self {
            kernel: text("proc/sys/kernel/osrelease"),
            btf: root.join(KERNEL_TYPES).is_file(),
            capabilities: text("proc/self/status").and_then(|status| capabilities(&status)),
            lockdown: text("sys/kernel/security/lockdown").and_then(|text| chosen(&text)),
            unprivileged_bpf_disabled: text("proc/sys/kernel/unprivileged_bpf_disabled")
                .and_then(|text| text.parse().ok()),
            cgroup: text("proc/self/cgroup").and_then(|text| cgroup(&text)),
            container: container(root),
            inotify: Inotify {
                max_user_watches: number("proc/sys/fs/inotify/max_user_watches"),
                max_user_instances: number("proc/sys/fs/inotify/max_user_instances"),
                max_queued_events: number("proc/sys/fs/inotify/max_queued_events"),
            },
        }
    }
}

fn read(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn capabilities(status: &str) -> Option<Capabilities> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(Capabilities::from_mask(mask))
}

/// The word in brackets: `none [integrity] confidentiality`.
fn chosen(modes: &str) -> Option<String> {
    let (_, rest) = modes.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// Whether the kernel would take programs of the fentry tier from this process. Cheap, where
/// loading them all to see takes a moment.
#[must_use]
pub fn takes_fentry() -> bool {
    is_program_supported(ProgramType::Tracing).unwrap_or(false)
}

/// Asks the kernel which types of programs it would take from this process.
#[must_use]
pub fn program_types() -> Vec<(&'static str, bool)> {
    let kinds = [
        ("fentry", ProgramType::Tracing),
        ("raw_tracepoint", ProgramType::RawTracePoint),
        ("tracepoint", ProgramType::TracePoint),
        ("kprobe", ProgramType::KProbe),
        ("lsm", ProgramType::Lsm(LsmAttachType::Mac)),
    ];
    let takes = |kind| is_program_supported(kind).unwrap_or(false);
    kinds
        .into_iter()
        .map(|(name, kind)| (name, takes(kind)))
        .collect()
}

/// The line of version 2: `0::/path`.
fn cgroup(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(path.to_owned())
}

/// Runtimes leave a marker file or name themselves in the environment of process 1 and
/// the control groups; a hint, not a proof.
fn container(root: &Path) -> Option<String> {
    let marked = [(".dockerenv", "docker"), ("run/.containerenv", "podman")]
        .into_iter()
        .find(|(marker, _)| root.join(marker).exists());
    if let Some((_, name)) = marked {
        return Some(name.to_owned());
    }
    let cgroups = read(&root.join("proc/1/cgroup"))?;
    ["docker", "kubepods", "containerd", "lxc"]
        .into_iter()
        .find(|name| cgroups.contains(name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{Capabilities, Facts, Inotify, capabilities, chosen};
    use std::fs;

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t000000c000000000\n";
        let found = capabilities(status).unwrap();
        assert!(found.bpf && found.perfmon && !found.sys_admin);
        assert!(found.may_trace());
        assert!(!Capabilities::from_mask(1 << 39).may_trace());
        assert!(Capabilities::from_mask(1 << 21).may_trace());
        assert_eq!(capabilities("CapEff:\tzz\n"), None);
        assert_eq!(capabilities(""), None);
    }

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        let mode = chosen("none [integrity] confidentiality");
        assert_eq!(mode.as_deref(), Some("integrity"));
        assert_eq!(chosen("none"), None);
    }

    #[test]
    fn a_host_is_read_and_what_is_absent_is_none() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Facts::below(root.path()), Facts::default());
        for (path, text) in [
            ("proc/sys/kernel/osrelease", "6.1.0-x\n"),
            ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
            ("proc/sys/fs/inotify/max_user_watches", "8192\n"),
            ("proc/sys/fs/inotify/max_queued_events", "nonsense\n"),
            ("sys/kernel/btf/vmlinux", "BTF"),
            ("proc/1/cgroup", "0::/docker/0123\n"),
            ("proc/self/cgroup", "1:cpu:/x\n0::/user.slice\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let facts = Facts::below(root.path());
        assert_eq!(facts.kernel.as_deref(), Some("6.1.0-x"));
        assert_eq!(facts.container.as_deref(), Some("docker"));
        assert_eq!(facts.cgroup.as_deref(), Some("/user.slice"));
        assert!(facts.btf);
        assert_eq!(facts.unprivileged_bpf_disabled, Some(2));
        let inotify = Inotify {
            max_user_watches: Some(8192),
            ..Inotify::default()
        };
        assert_eq!(facts.inotify, inotify);
    }
}
