//! Records of the `process` keyspace.

use super::{Malformed, Put, Take};
use crate::model::{Process, ProcessId, Timestamp};

pub(crate) fn encode_process(process: &Process) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.var(u64::from(process.pid));
    out.var(process.start.0);
    out.var(process.parent.map_or(0, |parent| u64::from(parent.0)));
    out.bytes(&process.comm);
    out.bytes(&process.exe);
    out.list(&process.argv);
    out.bytes(&process.cwd);
    out.var(u64::from(process.uid));
    match process.exit {
        None => out.u8(0),
        Some(status) => {
            out.u8(1);
            out.status(status);
        }
    }
    out
}

pub(crate) fn decode_process(bytes: &[u8]) -> Result<Process, Malformed> {
    let mut take = Take::new(bytes, "process record");
    let process = Process {
        pid: take.num()?,
        start: Timestamp(take.var()?),
        parent: match take.num()? {
            0 => None,
            parent => Some(ProcessId(parent)),
        },
        comm: take.vec()?,
        exe: take.vec()?,
        argv: take.list(Take::vec)?,
        cwd: take.vec()?,
        uid: take.num()?,
        exit: match take.u8()? {
            0 => None,
            1 => Some(take.status()?),
            _ => return Err(take.bad()),
        },
    };
    take.end()?;
    Ok(process)
}
