//! Reading while recording: the recorder serves its database through a socket, as only
//! one process can have it open.
//!
//! A client has one view of the database, and sees what was committed when it was taken
//! or last renewed. It asks for records and pages of records; it can change nothing.

mod client;
mod server;
#[cfg(test)]
mod tests;
mod wire;

use std::path::{Path, PathBuf};

pub(crate) use client::Client;
pub use server::Server;

/// The directory of the socket in a state directory: nobody else may enter it.
const DIR: &str = "live";
const SOCKET: &str = "socket";

/// A path to the socket that is short enough for its address, whatever that of the
/// directory is: through the descriptor of that.
fn address(dir: &std::fs::File) -> PathBuf {
    use std::os::fd::AsRawFd;
    Path::new("/proc/self/fd")
        .join(dir.as_raw_fd().to_string())
        .join(SOCKET)
}
