//! Kernel capture: what the host supports, and what its kernel tells.

pub mod loader;
mod programs;
pub mod stopped;
pub mod support;
mod symbols;
pub mod wire;
