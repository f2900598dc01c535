//! Probes: what the filesystem says about one path at this moment, knowing that others
//! change it meanwhile. Nothing here follows a symbolic link in the last name.

mod content;
mod stat;
mod xattr;

pub use content::{Large, Read, read_stable};
pub(crate) use stat::without_births;
pub use stat::{Stat, stat};
pub use xattr::{NodeParts, XattrFault, node};
