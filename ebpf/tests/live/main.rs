//! The programs in the running kernel: what processes do below a directory on ext4 comes
//! out of the ring, exactly, in order. Needs root; says so and proves nothing without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod bed;
mod bytes;
mod calls;
mod image;
mod loss;
mod names;
mod others;
mod uring;
