//! The reserve: space that is held while a recorder is at work and given up when the disk is
//! full, so that the session can still be ended in order.

use std::fs::File;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Most bytes that are held: what the engine may have to write out when it is opened again.
const MOST: u64 = 16 << 20;
/// No more than this part of what is free.
const SHARE: u64 = 8;

/// A file that takes space until it is dropped.
pub(crate) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Takes what can be had; a disk that is full already has nothing to hold.
    pub(crate) fn take(path: PathBuf) -> Self {
        let taken = || -> std::io::Result<()> {
            let file = File::create(&path)?;
            let disk = statvfs(&path)?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let size = MOST.min(free / SHARE);
            if size > 0 {
                fallocate(&file, FallocateFlags::empty(), 0, size)?;
            }
            Ok(())
        };
        if let Err(error) = taken() {
            tracing::debug!(%error, "no reserve");
        }
        Self { path }
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // Whoever opens the store next removes one that was left.
        let _ = std::fs::remove_file(&self.path);
    }
}
