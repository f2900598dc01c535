//! Events: one change (or one known loss) each, in the order of their `Seq`.

use super::{ExitStatus, FileId, ProcessId, Seq, Timestamp};

/// One entry of the flight record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Position in the session.
    pub seq: Seq,
    /// When, in ns since session start; never decreases with `seq`.
    pub time: Timestamp,
    /// Who; `None` where the backend cannot tell.
    pub process: Option<ProcessId>,
    /// What it happened to; `None` for events that concern no file.
    pub file: Option<FileId>,
    /// What happened.
    pub op: Op,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The directory.
    pub parent: FileId,
    /// The entry's name: any bytes save `/` and NUL.
    pub name: Vec<u8>,
}

/// The kind of a change with what only the event knows of it; the resulting state
/// stands in the `name`, `node` and `version` records of the same `Seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A regular file appeared.
    Create(Place),
    /// A directory appeared.
    Mkdir(Place),
    /// A FIFO, socket or device node appeared.
    Mknod(Place),
    /// A symbolic link appeared.
    Symlink(Place),
    /// A further name of an existing file appeared.
    Link(Place),
    /// A name of a file went away.
    Unlink(Place),
    /// A directory went away.
    Rmdir(Place),
    /// A name moved; what stood at `to` before went away, or to `from` if `exchange`.
    Rename {
        /// The old name.
        from: Place,
        /// The new name.
        to: Place,
        /// The two names swapped their files.
        exchange: bool,
    },
    /// Bytes were written. On observed tiers the span is the smallest one that holds
    /// every byte that differs.
    Write {
        /// First byte, from the start of the file.
        offset: u64,
        /// Bytes.
        len: u64,
        /// Length of the file afterwards, bytes.
        size: u64,
    },
    /// The length changed and no byte below the smaller length did.
    Truncate {
        /// Length afterwards, bytes.
        size: u64,
    },
    /// Permission bits changed.
    Chmod {
        /// The new bits (07777).
        mode: u32,
    },
    /// Owner or group changed.
    Chown {
        /// The new owner.
        uid: u32,
        /// The new group.
        gid: u32,
    },
    /// Times were set.
    Utimes,
    /// An extended attribute was set.
    Setxattr {
        /// Its name.
        name: Vec<u8>,
    },
    /// An extended attribute was removed.
    Removexattr {
        /// Its name.
        name: Vec<u8>,
    },
    /// A file was opened.
    Open {
        /// open(2) flags as the kernel saw them.
        flags: u32,
    },
    /// Bytes were read.
    Read {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// A process began to run a program; the `Process` record tells which.
    Exec,
    /// A process ended.
    Exit(ExitStatus),
    /// The command printed something.
    Output {
        /// On which of its streams.
        stream: Stream,
        /// What, at most [`Op::MAX_OUTPUT`] bytes.
        bytes: Vec<u8>,
    },
    /// A note set by a person or a script.
    Marker {
        /// Its text.
        label: Vec<u8>,
    },
    /// Something is known to be missing here.
    Gap {
        /// Why.
        reason: GapReason,
        /// The path concerned, where it is no longer (or not yet) a file of the trace.
        path: Option<Vec<u8>>,
    },
}

impl Op {
    /// Longest `Output` event, bytes; longer output becomes several events.
    pub const MAX_OUTPUT: usize = 64 * 1024;

    /// The operation without its details.
    #[must_use]
    pub const fn kind(&self) -> OpKind {
        match self {
            Self::Create(_) => OpKind::Create,
            Self::Mkdir(_) => OpKind::Mkdir,
            Self::Mknod(_) => OpKind::Mknod,
            Self::Symlink(_) => OpKind::Symlink,
            Self::Link(_) => OpKind::Link,
            Self::Unlink(_) => OpKind::Unlink,
            Self::Rmdir(_) => OpKind::Rmdir,
            Self::Rename { .. } => OpKind::Rename,
            Self::Write { .. } => OpKind::Write,
            Self::Truncate { .. } => OpKind::Truncate,
            Self::Chmod { .. } => OpKind::Chmod,
            Self::Chown { .. } => OpKind::Chown,
            Self::Utimes => OpKind::Utimes,
            Self::Setxattr { .. } => OpKind::Setxattr,
            Self::Removexattr { .. } => OpKind::Removexattr,
            Self::Open { .. } => OpKind::Open,
            Self::Read { .. } => OpKind::Read,
            Self::Exec => OpKind::Exec,
            Self::Exit(_) => OpKind::Exit,
            Self::Output { .. } => OpKind::Output,
            Self::Marker { .. } => OpKind::Marker,
            Self::Gap { .. } => OpKind::Gap,
        }
    }

    /// The name the operation concerns, for those that add, take or move one (the old
    /// one of a rename).
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        match self {
            Self::Create(place)
            | Self::Mkdir(place)
            | Self::Mknod(place)
            | Self::Symlink(place)
            | Self::Link(place)
            | Self::Unlink(place)
            | Self::Rmdir(place)
            | Self::Rename { from: place, .. } => Some(place),
            _ => None,
        }
    }
}

/// Declares a field-less enum with a stable tag and a stable lower-case word per value.
macro_rules! tagged {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $tag:literal $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant = $tag),* }

        impl $name {
            /// Every value, in the order of the tags.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number that stands for it in the format.
            #[must_use]
            pub const fn tag(self) -> u8 { self as u8 }

            /// The value of a tag read from a trace.
            #[must_use]
            pub const fn from_tag(tag: u8) -> Option<Self> {
                match tag { $($tag => Some(Self::$variant),)* _ => None }
            }

            /// The word users read and type.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The value of a word a user typed.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}
pub(super) use tagged;

tagged! {
    /// [`Op`] without its details.
    OpKind {
        /// See [`Op::Create`].
        Create = 0 "create",
        /// See [`Op::Mkdir`].
        Mkdir = 1 "mkdir",
        /// See [`Op::Mknod`].
        Mknod = 2 "mknod",
        /// See [`Op::Symlink`].
        Symlink = 3 "symlink",
        /// See [`Op::Link`].
        Link = 4 "link",
        /// See [`Op::Unlink`].
        Unlink = 5 "unlink",
        /// See [`Op::Rmdir`].
        Rmdir = 6 "rmdir",
        /// See [`Op::Rename`].
        Rename = 7 "rename",
        /// See [`Op::Write`].
        Write = 8 "write",
        /// See [`Op::Truncate`].
        Truncate = 9 "truncate",
        /// See [`Op::Chmod`].
        Chmod = 10 "chmod",
        /// See [`Op::Chown`].
        Chown = 11 "chown",
        /// See [`Op::Utimes`].
        Utimes = 12 "utimes",
        /// See [`Op::Setxattr`].
        Setxattr = 13 "setxattr",
        /// See [`Op::Removexattr`].
        Removexattr = 14 "removexattr",
        /// See [`Op::Open`].
        Open = 15 "open",
        /// See [`Op::Read`].
        Read = 16 "read",
        /// See [`Op::Exec`].
        Exec = 17 "exec",
        /// See [`Op::Exit`].
        Exit = 18 "exit",
        /// See [`Op::Output`].
        Output = 19 "output",
        /// See [`Op::Marker`].
        Marker = 20 "marker",
        /// See [`Op::Gap`].
        Gap = 21 "gap",
    }
}

tagged! {
    /// One of the command's output streams.
    Stream {
        /// Standard output.
        Stdout = 1 "stdout",
        /// Standard error.
        Stderr = 2 "stderr",
    }
}

tagged! {
    /// Why something is missing.
    GapReason {
        /// The kernel dropped events because its queue was full.
        Overflow = 0 "overflow",
        /// No watch could be set, so changes below were not announced.
        WatchLimit = 1 "watch-limit",
        /// The file kept changing while it was read; no settled content was had.
        Torn = 2 "torn",
        /// The file could not be read or listed.
        Unreadable = 3 "unreadable",
        /// Bytes were written and the file was gone before they could be read.
        Vanished = 4 "vanished",
        /// The last reconcile found a change that no event had announced.
        Unannounced = 5 "unannounced",
        /// Stores through a shared mapping leave no event.
        Mmap = 6 "mmap",
        /// The ring between kernel and recorder was full.
        RingFull = 7 "ring-full",
        /// The recorder itself failed or was stopped here.
        Recorder = 8 "recorder",
        /// The store could not take what was recorded.
        Store = 9 "store",
        /// What followed was recorded and lost to damage of the trace; a repair cut it off.
        Lost = 10 "lost",
        /// The file is longer than the recorder was told to keep (`--max-file`).
        Omitted = 11 "omitted",
        /// A name, a link target or an attribute was masked (`--redact`).
        Redacted = 12 "redacted",
    }
}
