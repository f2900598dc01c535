//! The versioned-filesystem store of diffkeeper: names, nodes, versions and events of
//! recorded sessions in an LSM, and what can be asked of them.

pub mod model;
