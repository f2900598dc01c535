//! Kernel capture: what the host supports.

pub mod support;
