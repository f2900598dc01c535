//! The grammar as tables, and properties of any filter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod case;
mod grammar;
mod matching;
mod properties;
