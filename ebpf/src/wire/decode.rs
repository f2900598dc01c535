//! One ring slot to one [`Record`].

use super::cut::Cut;
use super::{
    At, AtOp, Attr, BYTES_MAX, Entry, Exec, Inode, Reason, Record, Rename, Stream, Task, What,
};

pub(super) const HEAD: usize = 40;
pub(super) const ORDERED: u16 = 1;
pub(super) const PAYLOAD: u16 = 2;
pub(super) const WHOLE: u16 = 4;
pub(super) const HAS_INODE: u32 = 1;
pub(super) const HAS_PARENT: u32 = 2;
pub(super) const HAS_TO: u32 = 4;
pub(super) const HAS_REPLACED: u32 = 8;
pub(super) const CUT: u32 = 16;

/// Why a record is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends before a field does.
    #[error("a record ends {left} bytes on where {wanted} are needed")]
    Short {
        /// Bytes that the field takes.
        wanted: usize,
        /// Bytes that there are.
        left: usize,
    },
    /// Bytes stand behind its last field.
    #[error("a record of kind {kind} has {left} bytes too many")]
    Long {
        /// Its kind.
        kind: u16,
        /// How many.
        left: usize,
    },
    /// A number that stands for nothing.
    #[error("{value} is not a known {field}")]
    Unknown {
        /// Of which field.
        field: &'static str,
        /// The number.
        value: u32,
    },
}

/// Decodes one ring slot, which may be longer than the record in it.
///
/// # Errors
/// When the bytes are no record: too short for what they claim, too long, or with numbers
/// that stand for nothing.
pub fn decode(slot: &[u8]) -> Result<Record<'_>, WireError> {
    let mut cut = Cut(slot);
    let size = cut.u32()? as usize;
    let (kind, flags) = (cut.u16()?, cut.u16()?);
    let (time, call, start) = (cut.u64()?, cut.u64()?, cut.u64()?);
    let (pid, tid) = (cut.u32()?, cut.u32()?);
    let mut body = Cut(slot.get(HEAD..size).ok_or(WireError::Short {
        wanted: size.max(HEAD),
        left: slot.len(),
    })?);
    let what = what(kind, flags, &mut body)?;
    if !body.0.is_empty() {
        let left = body.0.len();
        return Err(WireError::Long { kind, left });
    }
    Ok(Record {
        time,
        task: Task { pid, tid, start },
        call,
        ordered: flags & ORDERED != 0,
        whole: flags & WHOLE != 0,
        what,
    })
}

fn what<'a>(kind: u16, flags: u16, cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    Ok(match kind {
        1 => write(flags, cut)?,
        2 => What::CallEnd { ret: cut.i64()? },
        3 => What::Truncate {
            inode: cut.inode()?,
        },
        4 => fallocate(cut)?,
        5 => dirty(cut)?,
        6 => What::Create(name(cut)?),
        7 => What::Mkdir(name(cut)?),
        8 => What::Mknod(name(cut)?),
        9 => {
            let (entry, target) = entry(cut)?;
            What::Symlink { entry, target }
        }
        10 => What::Link(name(cut)?),
        11 => What::Unlink(name(cut)?),
        12 => What::Rmdir(name(cut)?),
        13 => What::Rename(rename(cut)?),
        14 => attribute(cut)?,
        15 => xattr(cut)?,
        16 => What::At(at(cut)?),
        17 => open(cut)?,
        18 => read(cut)?,
        19 => What::Close {
            inode: cut.inode()?,
        },
        20 => fork(cut)?,
        21 => What::Exec(exec(cut)?),
        22 => exit(cut)?,
        23 => output(cut)?,
        _ => return Err(unknown("kind", kind.into())),
    })
}

const fn unknown(field: &'static str, value: u32) -> WireError {
    WireError::Unknown { field, value }
}

const fn had(inode: Inode, has: u32, bit: u32) -> Option<Inode> {
    if has & bit == 0 { None } else { Some(inode) }
}

fn write<'a>(flags: u16, cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let inode = cut.inode()?;
    let (offset, len, _) = (cut.u64()?, cut.u32()?, cut.u32()?);
    let bytes = match flags & PAYLOAD {
        0 => None,
        _ => Some(payload(len, cut)?),
    };
    Ok(What::Write {
        inode,
        offset,
        len,
        bytes,
    })
}

fn payload<'a>(len: u32, cut: &mut Cut<'a>) -> Result<&'a [u8], WireError> {
    let bounded = usize::try_from(len).ok().filter(|len| *len <= BYTES_MAX);
    cut.bytes(bounded.ok_or(unknown("length", len))?)
}

fn fallocate<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let inode = cut.inode()?;
    let (offset, len) = (cut.u64()?, cut.u64()?);
    let (mode, _) = (cut.u32()?, cut.u32()?);
    Ok(What::Fallocate {
        inode,
        mode,
        offset,
        len,
    })
}

fn dirty<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let inode = cut.inode()?;
    let (offset, len) = (cut.u64()?, cut.u64()?);
    let (reason, _) = (reason(cut.u32()?)?, cut.u32()?);
    Ok(What::Dirty {
        inode,
        offset,
        len,
        reason,
    })
}

fn entry<'a>(cut: &mut Cut<'a>) -> Result<(Entry<'a>, &'a [u8]), WireError> {
    let (inode, parent, has) = (cut.inode()?, cut.inode()?, cut.u32()?);
    let (name, target) = (cut.u16()?, cut.u16()?);
    let entry = Entry {
        inode: had(inode, has, HAS_INODE),
        parent: had(parent, has, HAS_PARENT),
        name: cut.bytes(name.into())?,
    };
    Ok((entry, cut.bytes(target.into())?))
}

fn name<'a>(cut: &mut Cut<'a>) -> Result<Entry<'a>, WireError> {
    match entry(cut)? {
        (entry, []) => Ok(entry),
        (_, _) => Err(unknown("target", 0)),
    }
}

fn rename<'a>(cut: &mut Cut<'a>) -> Result<Rename<'a>, WireError> {
    let (inode, from, to) = (cut.inode()?, cut.inode()?, cut.inode()?);
    let (replaced, has, flags) = (cut.inode()?, cut.u32()?, cut.u32()?);
    let (from_name, to_name, _) = (cut.u16()?, cut.u16()?, cut.u32()?);
    Ok(Rename {
        inode: had(inode, has, HAS_INODE),
        from_parent: had(from, has, HAS_PARENT),
        from_name: cut.bytes(from_name.into())?,
        to_parent: had(to, has, HAS_TO),
        to_name: cut.bytes(to_name.into())?,
        replaced: had(replaced, has, HAS_REPLACED),
        flags,
    })
}

fn attribute<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let inode = cut.inode()?;
    let (attr, _) = (attr(cut.u32()?)?, cut.u32()?);
    Ok(What::Attr { inode, attr })
}

fn xattr<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let (inode, removed) = (cut.inode()?, cut.u32()? != 0);
    let (name, _) = (cut.u16()?, cut.u16()?);
    Ok(What::Xattr {
        inode,
        name: cut.bytes(name.into())?,
        removed,
    })
}

fn at<'a>(cut: &mut Cut<'a>) -> Result<At<'a>, WireError> {
    let (dir, other, has) = (cut.inode()?, cut.inode()?, cut.u32()?);
    let (op, flags) = (cut.u32()?, cut.u32()?);
    let (path, other_path) = (cut.u16()?, cut.u16()?);
    Ok(At {
        op: at_op(op, flags)?,
        dir: had(dir, has, HAS_PARENT),
        path: cut.bytes(path.into())?,
        other_dir: had(other, has, HAS_TO),
        other_path: cut.bytes(other_path.into())?,
        flags,
    })
}

fn open<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let inode = cut.inode()?;
    let (flags, created) = (cut.u32()?, cut.u32()? != 0);
    Ok(What::Open {
        inode,
        flags,
        created,
    })
}

fn read<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let inode = cut.inode()?;
    let (offset, len, _, _) = (cut.u64()?, cut.u64()?, cut.u32()?, cut.u32()?);
    Ok(What::Read { inode, offset, len })
}

fn fork<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let (start, pid, tid) = (cut.u64()?, cut.u32()?, cut.u32()?);
    let child = Task { pid, tid, start };
    Ok(What::Fork { child })
}

fn exec<'a>(cut: &mut Cut<'a>) -> Result<Exec<'a>, WireError> {
    let (exe, cwd, has) = (cut.inode()?, cut.inode()?, cut.u32()?);
    let (uid, gid, ppid) = (cut.u32()?, cut.u32()?, cut.u32()?);
    let comm = cut.bytes(16)?;
    let (filename, argv, _) = (cut.u16()?, cut.u16()?, cut.u32()?);
    Ok(Exec {
        exe: had(exe, has, HAS_INODE),
        cwd: had(cwd, has, HAS_PARENT),
        uid,
        gid,
        ppid,
        comm: comm.split(|byte| *byte == 0).next().unwrap_or_default(),
        filename: cut.bytes(filename.into())?,
        argv: cut.bytes(argv.into())?,
        cut: has & CUT != 0,
    })
}

fn exit<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let (status, _) = (cut.u32()?, cut.u32()?);
    Ok(What::Exit { status })
}

fn output<'a>(cut: &mut Cut<'a>) -> Result<What<'a>, WireError> {
    let (stream, len) = (stream(cut.u32()?)?, cut.u32()?);
    let bytes = payload(len, cut)?;
    Ok(What::Output { stream, bytes })
}

const fn reason(value: u32) -> Result<Reason, WireError> {
    Ok(match value {
        1 => Reason::Mmap,
        2 => Reason::Direct,
        3 => Reason::Clone,
        4 => Reason::NoPayload,
        5 => Reason::RingFull,
        6 => Reason::Foreign,
        7 => Reason::Undone,
        _ => return Err(unknown("reason", value)),
    })
}

const fn attr(value: u32) -> Result<Attr, WireError> {
    Ok(match value {
        1 => Attr::Chmod,
        2 => Attr::Chown,
        3 => Attr::Utimes,
        4 => Attr::Flags,
        _ => return Err(unknown("attribute", value)),
    })
}

const fn stream(value: u32) -> Result<Stream, WireError> {
    match value {
        1 => Ok(Stream::Stdout),
        2 => Ok(Stream::Stderr),
        _ => Err(unknown("stream", value)),
    }
}

fn at_op(op: u32, flags: u32) -> Result<AtOp, WireError> {
    Ok(match op {
        3 => AtOp::Truncate,
        6 => AtOp::Create,
        7 => AtOp::Mkdir,
        8 => AtOp::Mknod,
        9 => AtOp::Symlink,
        10 => AtOp::Link,
        11 => AtOp::Unlink,
        12 => AtOp::Rmdir,
        13 => AtOp::Rename,
        14 => AtOp::Attr(attr(flags)?),
        15 => AtOp::Xattr,
        _ => return Err(unknown("operation", op)),
    })
}
