//! Sources, order, tree and capture: from the filesystem to the store.

pub mod observation;
pub mod probe;
pub mod scope;
pub mod source;
