//! `launch` through a driver process that can be signalled, stopped and killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod bench;
mod inherit;
mod job;
mod output;
mod signal;
mod status;
