//! What a trace looks like in a terminal: signs and words for listings, and the viewer.
//!
//! The viewer is a state ([`app`]) that inputs change, a pure picture of it (`view`), and
//! workers (`worker`) that ask the store. Nothing that draws ever waits for the store.

pub mod action;
pub mod app;
pub mod ask;
pub mod config;
pub mod describe;
pub mod facts;
pub mod flags;
mod follow;
pub mod harness;
mod input;
pub mod keymap;
mod lines;
pub mod look;
pub mod marks;
pub mod matches;
pub mod mode;
mod open;
pub mod page;
pub mod processes;
mod run;
mod side;
pub mod sign;
pub mod source;
mod terminal;
pub mod text;
pub mod theme;
mod view;
pub mod words;
mod worker;

pub use run::{Ended, Options, run};
