//! The versioned-filesystem store of diffkeeper: names, nodes, versions and events of
//! recorded sessions in an LSM, and what can be asked of them.

mod decimal;
pub mod filter;
pub mod model;
pub mod size;
pub mod when;
