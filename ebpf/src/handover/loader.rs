//! The end of the socket that has the privileges. It does what is asked for and no more, and
//! ends with its socket.

use super::request::{self, refused};
use super::{DESCRIPTORS, Message, REFUSED, receive, send};
use crate::loader::{CaptureError, Config, InodeId, Tier};
use crate::loading::Loaded;
use crate::programs;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, fstatfs};
use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const EXT4: i64 = 0xef53;
/// The kernel's own types: others would have its memory misread.
const TYPES: &str = "/sys/kernel/btf/vmlinux";
/// Longest text of a refusal.
const TEXT: usize = 1024;

/// Who made the socket, as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller {
    pid: u32,
    uid: u32,
}

/// Loads what the other end of `socket` asks for, and attaches it when it says so.
///
/// # Errors
/// What was refused; the other end has been told.
pub fn serve(socket: OwnedFd) -> Result<(), CaptureError> {
    let caller = caller_of(socket.as_fd())?;
    keep_little()?;
    let done = answer(socket.as_fd(), caller);
    if let Err(error) = &done {
        let text = error.to_string();
        let mut bytes = vec![REFUSED];
        bytes.extend(text.bytes().take(TEXT));
        // Whoever asked may be gone.
        let _ = send(socket.as_fd(), &bytes, &[]);
    }
    done
}

fn answer(socket: BorrowedFd<'_>, caller: Caller) -> Result<(), CaptureError> {
    let Some(Message { bytes, fds }) = receive(socket)? else {
        return Ok(());
    };
    let config = config(&bytes, &fds, caller)?;
    let Loaded { maps, programs, .. } = Loaded::load(&config)?;
    drop(fds);
    let (names, programs): (Vec<_>, Vec<_>) = programs.into_iter().unzip();
    let maps = [maps.ring, maps.stopped, maps.dirty, maps.counters];
    give(socket, maps.iter().chain(&programs))?;
    if receive(socket)?.is_none() {
        return Ok(());
    }
    let links = programs::attach_all(&names, &programs)?;
    give(socket, links.iter())
}

fn give<'a>(
    socket: BorrowedFd<'_>,
    fds: impl Iterator<Item = &'a OwnedFd>,
) -> Result<(), CaptureError> {
    let fds: Vec<_> = fds.map(AsFd::as_fd).collect();
    Ok(send(socket, &[0], &fds)?)
}

/// What is asked for, for the caller alone.
fn config(bytes: &[u8], roots: &[OwnedFd], caller: Caller) -> Result<Config, CaptureError> {
    let asked = request::decode(bytes)?;
    if roots.len() > DESCRIPTORS {
        return Err(refused("there are too many roots"));
    }
    let tier = asked.tier;
    let roots = roots.iter().map(|root| admit(root.as_fd(), tier));
    Ok(Config {
        roots: roots.collect::<Result<_, _>>()?,
        owner: Some(caller.uid),
        recorder: caller.pid,
        btf: Some(TYPES.into()),
        ..asked
    })
}

/// A directory, or a file that is mounted on another, which the caller could open for
/// reading.
fn admit(root: BorrowedFd<'_>, tier: Tier) -> Result<InodeId, CaptureError> {
    let flags = fcntl_getfl(root).map_err(io::Error::from)?;
    let writes = OFlags::WRONLY | OFlags::RDWR | OFlags::PATH;
    let meta = fstat(root).map_err(io::Error::from)?;
    let kind = FileType::from_raw_mode(meta.st_mode);
    if flags.intersects(writes) || !matches!(kind, FileType::Directory | FileType::RegularFile) {
        return Err(refused(
            "a root is not a directory that is open for reading",
        ));
    }
    let system = fstatfs(root).map_err(io::Error::from)?;
    if tier == Tier::Tracepoint && system.f_type != EXT4 {
        return Err(refused("a root is not on ext4"));
    }
    Ok(InodeId {
        dev: meta.st_dev,
        ino: meta.st_ino,
    })
}

/// Whom the kernel knows as the one who made the socket; under `sudo` it is the one who
/// called that.
fn caller_of(socket: BorrowedFd<'_>) -> Result<Caller, CaptureError> {
    let none = || refused("stdin is not the socket of a recorder");
    if socket_domain(socket).ok() != Some(AddressFamily::UNIX)
        || socket_type(socket).ok() != Some(SocketType::SEQPACKET)
    {
        return Err(none());
    }
    let caller = credentials(socket)?;
    let by_sudo = std::env::var("SUDO_UID").ok();
    if caller.pid == 0 || by_sudo.is_some_and(|uid| uid != caller.uid.to_string()) {
        return Err(none());
    }
    Ok(caller)
}

fn credentials(socket: BorrowedFd<'_>) -> io::Result<Caller> {
    let mut found = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    // SAFETY: the kernel writes at most `len` bytes into the struct of that size.
    let code = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut len,
        )
    };
    match code {
        0 => Ok(Caller {
            pid: u32::try_from(found.pid).unwrap_or(0),
            uid: found.uid,
        }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives up all capabilities but those that loading takes, and reading the addresses of the
/// kernel's variables; nothing that this process executes gets any.
fn keep_little() -> Result<(), CaptureError> {
    let needed = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::SYSLOG;
    let held = capabilities(None).map_err(io::Error::from)?.permitted;
    let kept = CapabilitySets {
        effective: held & needed,
        permitted: held & needed,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, kept).map_err(io::Error::from)?;
    set_no_new_privs(true).map_err(io::Error::from)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{Tier, admit, caller_of, config};
    use rustix::fs::{Mode, OFlags, open};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::os::fd::{AsFd, OwnedFd};

    fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn who_asks_is_who_made_the_socket() {
        let (ours, _theirs) = pair(SocketType::SEQPACKET);
        let caller = caller_of(ours.as_fd()).unwrap();
        assert_eq!(caller.pid, std::process::id());
        assert_eq!(caller.uid, rustix::process::geteuid().as_raw());
    }

    #[test]
    fn what_is_no_socket_of_a_recorder_is_refused() {
        let (stream, _other) = pair(SocketType::STREAM);
        let file = open("/dev/null", OFlags::RDONLY, Mode::empty()).unwrap();
        for other in [stream, file] {
            assert!(caller_of(other.as_fd()).is_err());
        }
    }

    #[test]
    fn a_root_has_to_be_open_for_reading() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let of = |path: &std::path::Path, flags| open(path, flags, Mode::empty()).unwrap();
        let good = [of(dir.path(), OFlags::RDONLY), of(&file, OFlags::RDONLY)];
        for root in &good {
            assert!(admit(root.as_fd(), Tier::Fentry).is_ok());
        }
        let null = std::path::Path::new("/dev/null");
        let bad = [
            of(dir.path(), OFlags::PATH),
            of(&file, OFlags::WRONLY),
            of(&file, OFlags::RDWR),
            of(null, OFlags::RDONLY),
        ];
        for root in &bad {
            assert!(admit(root.as_fd(), Tier::Fentry).is_err());
        }
        // Elsewhere than on ext4 the tracepoint tier tells paths of everybody.
        let proc = of("/proc".as_ref(), OFlags::RDONLY);
        assert!(admit(proc.as_fd(), Tier::Tracepoint).is_err());
    }

    #[test]
    fn the_loader_says_for_whom_it_loads() {
        let (ours, _theirs) = pair(SocketType::SEQPACKET);
        let caller = caller_of(ours.as_fd()).unwrap();
        let asked = crate::loader::Config {
            owner: Some(0),
            recorder: 1,
            ring_bytes: 1 << 20,
            ..crate::loader::Config::default()
        };
        let bytes = super::request::encode(&asked).unwrap();
        let config = config(&bytes, &[], caller).unwrap();
        assert_eq!(config.owner, Some(caller.uid));
        assert_eq!(config.recorder, caller.pid);
        assert_eq!(config.btf.as_deref(), Some(super::TYPES.as_ref()));
    }
}
