//! Nodes: what an inode is apart from its content and beside its names.

use super::{Place, event::tagged};

tagged! {
    /// The type of a node.
    Kind {
        /// A regular file.
        File = 0 "file",
        /// A directory.
        Dir = 1 "dir",
        /// A symbolic link.
        Symlink = 2 "symlink",
        /// A named pipe.
        Fifo = 3 "fifo",
        /// A Unix socket.
        Socket = 4 "socket",
        /// A block device.
        Block = 5 "block",
        /// A character device.
        Char = 6 "char",
    }
}

/// A point on the wall clock as the filesystem keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime {
    /// Whole seconds since 1970, negative before.
    pub sec: i64,
    /// Nanoseconds within the second, 0..1_000_000_000.
    pub nsec: u32,
}

impl UnixTime {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn as_nanos(self) -> i128 {
        i128::from(self.sec) * 1_000_000_000 + i128::from(self.nsec)
    }
}

/// What the kernel calls the file: stable while it lives, reused afterwards, hence the
/// generation (birth time in ns, or the inode generation, or 0 where neither is had).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIdent {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Tells apart files that had the same number one after the other.
    pub generation: u64,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Full name, namespace included.
    pub name: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

/// The state of a node after some `Seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its type; never changes during its life.
    pub kind: Kind,
    /// Permission bits (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification. For a regular file a `Version` of a later `Seq` overrules it.
    pub mtime: UnixTime,
    /// Device number of a device node, else 0.
    pub rdev: u64,
    /// Which inode this was.
    pub ident: NodeIdent,
    /// Target of a symbolic link, else empty.
    pub target: Vec<u8>,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// The names it has, oldest first; empty once it is unlinked, and for the top.
    pub links: Vec<Place>,
}
