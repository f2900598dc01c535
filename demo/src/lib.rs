//! Seeded workloads with a known answer, and the comparer that checks the answer.
//!
//! - [`flaky_ci_test`]: a program that fails like a flaky test (the demo).
//! - [`flakes`]: three flakes with two programs each (the cookbook).
//! - [`workload`]: random changes below a directory, with exact copies at quiet points (the oracle).
//! - [`counting`]: a workload whose every state is known by its number.
//! - [`overwriting`]: writes into one file, each known by its number.
//! - [`world`]: a game server that saves its world, and the check of what a crash left of it.
//! - [`tree`]: reads, compares and copies whole trees, down to nanoseconds and hard links.

pub mod counting;
pub mod flakes;
mod flaky;
#[cfg(target_os = "linux")]
pub mod overwriting;
pub mod rng;
#[cfg(target_os = "linux")]
pub mod tree;
#[cfg(target_os = "linux")]
pub mod workload;
#[cfg(target_os = "linux")]
pub mod world;

pub use flaky::{ERROR, INIT, STEP, flaky_ci_test};
