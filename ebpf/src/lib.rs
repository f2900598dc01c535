//! Kernel capture: what the host supports.
