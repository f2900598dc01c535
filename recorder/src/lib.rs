//! Sources, order, tree and capture: from the filesystem to the store.
//!
//! A source says where something happened, the pipeline looks there, compares with the
//! tree as recorded so far, and writes the difference as events with their states.

mod baseline;
mod bring_back;
mod captured;
mod content;
mod doubt;
pub mod elevation;
mod facts;
mod held;
mod host;
mod keep;
pub mod launch;
mod live;
mod look;
pub mod observation;
mod pipeline;
mod priority;
pub mod probe;
mod reconcile;
mod record;
mod recording;
pub mod redact;
mod refinery;
mod rest;
mod restoring;
mod run;
mod scan;
pub mod scope;
pub mod source;
pub mod tier;
mod tree;
pub mod watchdog;

pub use baseline::{Committed, Progress};
pub use bring_back::{BringBack, BringBackError, Restored};
pub use keep::Keep;
pub use record::{Options, Outcome, RecordError, record};
pub use restoring::Spared;

#[cfg(test)]
mod tests;
