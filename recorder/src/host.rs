//! What a session says of the machine, the user and the command.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use diffkeeper_store::model::{Backend, Process, Session, SessionId, Timestamp, UnixTime};

use crate::probe;
use crate::recording::{made_up_top, node_of};
use crate::scope::Scope;

/// A session as far as it is known before the command starts.
pub(crate) fn session(
    id: SessionId,
    argv: &[OsString],
    scope: &Scope,
    backend: (Backend, &str),
) -> Session {
    let uname = rustix::system::uname();
    let boot_id = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Session {
        id,
        argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        cwd: cwd(),
        roots: scope.session_roots(),
        excludes: scope
            .excludes()
            .iter()
            .map(|glob| glob.clone().into_bytes())
            .collect(),
        host: uname.nodename().to_bytes().to_vec(),
        kernel: uname.release().to_bytes().to_vec(),
        boot_id: boot_id.trim_ascii().to_vec(),
        uid: rustix::process::getuid().as_raw(),
        backend: backend.0,
        backend_reason: backend.1.as_bytes().to_vec(),
        recorder: env!("CARGO_PKG_VERSION").as_bytes().to_vec(),
        start_monotonic: crate::observation::monotonic(),
        start_wall: unix_time(SystemTime::now()),
    }
}

fn cwd() -> Vec<u8> {
    let cwd = std::env::current_dir().unwrap_or_default();
    cwd.into_os_string().into_vec()
}

pub(crate) fn unix_time(time: SystemTime) -> UnixTime {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => UnixTime {
            sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nsec: since.subsec_nanos(),
        },
        Err(before) => UnixTime {
            sec: -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX) - 1,
            nsec: (1_000_000_000 - before.duration().subsec_nanos()) % 1_000_000_000,
        },
    }
}

/// The command as a process.
pub(crate) fn command(pid: u32, argv: &[OsString]) -> Process {
    let program = argv.first().cloned().unwrap_or_default();
    let exe = std::fs::read_link(format!("/proc/{pid}/exe"));
    let exe = exe.map_or_else(|_| program.clone(), std::path::PathBuf::into_os_string);
    let comm = Path::new(&program)
        .file_name()
        .unwrap_or(&program)
        .as_bytes();
    Process {
        pid,
        start: Timestamp::default(),
        parent: None,
        comm: comm.get(..comm.len().min(15)).unwrap_or_default().to_vec(),
        exe: exe.into_vec(),
        argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        cwd: cwd(),
        uid: rustix::process::geteuid().as_raw(),
        exit: None,
    }
}

/// The node of the top: that of the root, or a made-up one above several.
pub(crate) fn top(scope: &Scope) -> diffkeeper_store::model::Node {
    let [root] = scope.roots() else {
        return made_up_top();
    };
    let stat = probe::stat(&root.path).ok().flatten();
    let parts = stat.and_then(|stat| probe::node(&root.path, &stat).ok().flatten());
    match (stat, parts) {
        (Some(stat), Some(parts)) => node_of(&stat, parts),
        _ => made_up_top(),
    }
}
