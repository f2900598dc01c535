//! The content codecs: round trips, hostile payloads, the foreign `bsdiff`, and the choice of form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod bsdiff;
mod chunk;
mod compress;
mod data;
mod patch;
mod policy;
mod ranges;
