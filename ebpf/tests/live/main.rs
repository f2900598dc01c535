//! The programs in the running kernel: what processes do below a directory comes out of the
//! ring, exactly, in order. Needs root, and for the tracepoint tier ext4; says so and proves
//! nothing without. `tests/vm/run` runs it in other kernels, with the fentry tier.

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
mod owner;
mod uring;
