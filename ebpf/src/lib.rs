//! Kernel capture: what the host supports, and what its kernel tells.

pub mod loader;
pub mod support;
pub mod wire;
