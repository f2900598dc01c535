//! The versioned-filesystem store of diffkeeper: names, nodes, versions and events of
//! recorded sessions in an LSM, and what can be asked of them.

pub mod chunk;
pub mod compress;
pub mod model;
pub mod patch;
pub mod policy;
