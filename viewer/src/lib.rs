//! What a trace looks like in a terminal.

pub mod sign;
