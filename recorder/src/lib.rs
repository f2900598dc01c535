//! Sources, order, tree and capture: from the filesystem to the store.

pub mod launch;
