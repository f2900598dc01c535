//! Kernel capture: what the host supports, and what its kernel tells.

pub mod handover;
pub mod loader;
mod loading;
mod programs;
pub mod stopped;
pub mod support;
mod symbols;
pub mod wire;
