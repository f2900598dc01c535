//! What a trace looks like in a terminal.

pub mod describe;
pub mod flags;
pub mod look;
pub mod processes;
pub mod sign;
pub mod text;
