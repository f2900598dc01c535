//! The vocabulary of a trace: what the store keeps, the recorder produces and the
//! viewers show. No I/O and no encoding happens here.

mod burst;
mod event;
mod ids;
mod node;
mod path;
mod process;
mod session;
mod version;

pub use burst::{Burst, BurstWrite};
pub use event::{Event, GapReason, Op, OpKind, Place, Stream};
pub use ids::{Digest, FileId, ProcessId, Seq, SessionId, Timestamp};
pub use node::{Kind, Node, NodeIdent, UnixTime, Xattr};
pub use path::{Escaped, TracePath, escape};
pub use process::{ExitStatus, Process};
pub use session::{Backend, Base, Counts, Progress, Root, Seal, Session};
pub use version::{Data, MissingReason, PatchCodec, Provenance, Repr, Version, VersionRef};
