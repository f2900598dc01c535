//! The pipeline between a source and the store: a closure plays the command, and the
//! trace is compared with what is on disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod bed;
mod live;
mod scripted;
