//! The records that the kernel side puts into the ring, decoded with checks: the mirror of
//! `bpf/wire.h`. Every length is bounded by the record before it is believed, and a record
//! that does not fit its kind is an error. Byte order is the host's own.

mod cut;
mod decode;
#[cfg(test)]
mod tests;

pub(crate) use cut::decode_inode;
pub use decode::{WireError, decode};

/// Longest payload of one record, in bytes; longer segments come as several.
pub const BYTES_MAX: usize = 65536;

/// One fact from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// CLOCK_MONOTONIC, in ns.
    pub time: u64,
    /// Who did it.
    pub task: Task,
    /// Number of the system call within the thread: the records of one call share it.
    pub call: u64,
    /// Emitted under the lock of what it changes, so that its place in the ring is its
    /// place in the order of all changes of that file or directory.
    pub ordered: bool,
    /// Of a write: all that its call wrote, so that no [`What::CallEnd`] follows.
    pub whole: bool,
    /// What was done.
    pub what: What<'a>,
}

/// A thread and the process that it belongs to, numbered in the recorder's pid namespace:
/// 0 outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// The thread group.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// When the process (its group leader) began: CLOCK_BOOTTIME, in ns. `/proc/PID/stat`
    /// has the same in clock ticks.
    pub start: u64,
}

/// What the kernel held of an inode at the moment of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inode {
    /// Device, encoded as `st_dev`.
    pub dev: u64,
    /// Number on that device; reused after an unlink.
    pub ino: u64,
    /// Time of birth in ns since the epoch; 0 where it could not be had.
    pub birth_ns: u64,
    /// Tells users of one number apart; 0 on file systems without.
    pub generation: u32,
    /// Kind and permissions, as `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names.
    pub nlink: u32,
    /// Length in bytes.
    pub size: u64,
    /// Modification in ns since the epoch.
    pub mtime: i64,
    /// Change in ns since the epoch.
    pub ctime: i64,
    /// What a device node stands for, encoded as `st_rdev`.
    pub rdev: u64,
    /// The file system's magic number, as `statfs` gives it.
    pub magic: u32,
}

/// Why content may differ from what the records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A shared writable mapping was made, or went away.
    Mmap,
    /// Written past the page cache.
    Direct,
    /// Extents of another file were linked in.
    Clone,
    /// The bytes could not be read in the kernel.
    NoPayload,
    /// The ring had no room.
    RingFull,
    /// The file system has no hook under the lock.
    Foreign,
    /// Records of this call went out, then the call failed.
    Undone,
}

/// Which attributes a call set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attr {
    /// Permissions.
    Chmod,
    /// Owner or group.
    Chown,
    /// Times.
    Utimes,
    /// Flags of `chattr`.
    Flags,
}

/// Where output of the command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// A name that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What the name stands for.
    pub inode: Option<Inode>,
    /// The directory that holds the name. Its times and links may be those from just before.
    pub parent: Option<Inode>,
    /// One component, without a slash; empty for a file that was made without a name.
    pub name: &'a [u8],
}

/// A name that became another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rename<'a> {
    /// What moved.
    pub inode: Option<Inode>,
    /// The directory that held the old name.
    pub from_parent: Option<Inode>,
    /// The old name.
    pub from_name: &'a [u8],
    /// The directory that holds the new name.
    pub to_parent: Option<Inode>,
    /// The new name.
    pub to_name: &'a [u8],
    /// Of an exchange: what the new name stood for. A plain rename does not tell what it
    /// replaced; the order of all records does.
    pub replaced: Option<Inode>,
    /// `RENAME_*`.
    pub flags: u32,
}

/// A call whose inodes could not be had in the kernel: user space resolves the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<'a> {
    /// What it did.
    pub op: AtOp,
    /// The directory that `path` is relative to; `None` for an absolute path.
    pub dir: Option<Inode>,
    /// As the caller gave it.
    pub path: &'a [u8],
    /// The directory that `other_path` is relative to.
    pub other_dir: Option<Inode>,
    /// Of rename and link the new name, of symlink the target, else empty.
    pub other_path: &'a [u8],
    /// Of a rename: `RENAME_*`.
    pub flags: u32,
}

/// What a call known only by its paths did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtOp {
    /// A file was made or opened anew.
    Create,
    /// A directory was made.
    Mkdir,
    /// A device, pipe or socket was made.
    Mknod,
    /// A symbolic link was made.
    Symlink,
    /// A further name was made.
    Link,
    /// A name went.
    Unlink,
    /// A directory went.
    Rmdir,
    /// A name became another.
    Rename,
    /// Attributes were set.
    Attr(Attr),
    /// An extended attribute was set or removed.
    Xattr,
    /// The length was set.
    Truncate,
}

/// What a process is after an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exec<'a> {
    /// The file that runs.
    pub exe: Option<Inode>,
    /// The working directory.
    pub cwd: Option<Inode>,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Process id of the parent.
    pub ppid: u32,
    /// The short name, without padding.
    pub comm: &'a [u8],
    /// The path as the caller of exec gave it.
    pub filename: &'a [u8],
    /// The arguments, each ended by a NUL.
    pub argv: &'a [u8],
    /// Whether the arguments were longer than the record holds.
    pub cut: bool,
}

/// What a task did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// One segment of a write.
    Write {
        /// `size` is the length after this segment.
        inode: Inode,
        /// In bytes.
        offset: u64,
        /// In bytes; the same as the payload's where there is one.
        len: u32,
        /// The content of the range under the inode's lock; `None` where it could not be
        /// had: then the range is dirty.
        bytes: Option<&'a [u8]>,
    },
    /// A call that emitted segments is over, unless its only one was [`Record::whole`].
    /// Workers of io_uring have no call that could end.
    CallEnd {
        /// What it returned.
        ret: i64,
    },
    /// The length was set: `inode.size`.
    Truncate {
        /// Whose.
        inode: Inode,
    },
    /// Space was allocated, punched or zeroed.
    Fallocate {
        /// Whose; `size` is the length afterwards.
        inode: Inode,
        /// `FALLOC_FL_*`.
        mode: u32,
        /// In bytes.
        offset: u64,
        /// In bytes.
        len: u64,
    },
    /// Content changed, or may, without its bytes being seen: read it again.
    Dirty {
        /// Whose.
        inode: Inode,
        /// In bytes.
        offset: u64,
        /// In bytes; 0 means the whole file.
        len: u64,
        /// How it came about.
        reason: Reason,
    },
    /// A regular file was made.
    Create(Entry<'a>),
    /// A directory was made.
    Mkdir(Entry<'a>),
    /// A device, pipe or socket was made.
    Mknod(Entry<'a>),
    /// A symbolic link was made.
    Symlink {
        /// Its name.
        entry: Entry<'a>,
        /// Where it points.
        target: &'a [u8],
    },
    /// A file got a further name.
    Link(Entry<'a>),
    /// A file lost a name; `nlink` is what is left.
    Unlink(Entry<'a>),
    /// A directory went.
    Rmdir(Entry<'a>),
    /// A name became another.
    Rename(Rename<'a>),
    /// Attributes were set: the inode has the new ones.
    Attr {
        /// Whose.
        inode: Inode,
        /// Which.
        attr: Attr,
    },
    /// An extended attribute was set or removed.
    Xattr {
        /// Whose.
        inode: Inode,
        /// With its namespace, as in `user.x`.
        name: &'a [u8],
        /// Removed, not set.
        removed: bool,
    },
    /// Something known by path only.
    At(At<'a>),
    /// A file was opened.
    Open {
        /// Which.
        inode: Inode,
        /// `O_*`.
        flags: u32,
        /// Whether the open made it.
        created: bool,
    },
    /// The first read of an open file.
    Read {
        /// Which.
        inode: Inode,
        /// In bytes.
        offset: u64,
        /// In bytes.
        len: u64,
    },
    /// A descriptor was closed that was open for writing.
    Close {
        /// Of which file, as it was when the descriptor was first seen.
        inode: Inode,
    },
    /// A thread or process was made.
    Fork {
        /// The new one.
        child: Task,
    },
    /// A process became another program.
    Exec(Exec<'a>),
    /// A process ended.
    Exit {
        /// As `wait` gives it.
        status: u32,
    },
    /// Bytes written to the command's standard output or error.
    Output {
        /// Which.
        stream: Stream,
        /// What.
        bytes: &'a [u8],
    },
}

/// The kernel's own `major << 20 | minor` as `st_dev` has it.
#[must_use]
pub const fn st_dev(kernel: u32) -> u64 {
    let (major, minor) = ((kernel >> 20) as u64, (kernel & 0xf_ffff) as u64);
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
}

/// The inverse of [`st_dev`]; `None` where the kernel has no such device.
#[must_use]
pub fn kernel_dev(st_dev: u64) -> Option<u32> {
    let major = (st_dev >> 8 & 0xfff) | (st_dev >> 32 & !0xfff);
    let minor = (st_dev & 0xff) | (st_dev >> 12 & 0xffff_ff00);
    let fits = major < 1 << 12 && minor < 1 << 20;
    fits.then(|| u32::try_from(major << 20 | minor).ok())?
}
