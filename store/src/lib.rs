//! The versioned-filesystem store of diffkeeper.

pub mod chunk;
pub mod compress;
pub mod patch;
pub mod policy;
