//! The versioned-filesystem store of diffkeeper.

pub mod compress;
pub mod patch;
