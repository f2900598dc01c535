//! A workload of writes into one file, each known by its number: what captured writes are
//! compared with, one after the other.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::rng::Rng;

/// How the file is written.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Of the random choices.
    pub seed: u64,
    /// Writes of each thread.
    pub writes: u64,
    /// Threads, all at once on the same bytes.
    pub threads: u64,
    /// Length of the file at most, bytes.
    pub span: u64,
    /// Longest write, bytes; 0 makes every write as long as the span.
    pub longest: u64,
    /// Every write waits for the disk (O_DSYNC).
    pub sync: bool,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Of the first byte.
    pub offset: u64,
    /// What.
    pub bytes: Vec<u8>,
}

impl Plan {
    /// The writes of one thread, in order.
    #[must_use]
    pub fn of_thread(&self, thread: u64) -> Vec<Write> {
        let mut rng = Rng::new(self.seed * 1000 + thread);
        (0..self.writes).map(|_| self.write(&mut rng)).collect()
    }

    fn write(&self, rng: &mut Rng) -> Write {
        let len = match self.longest {
            0 => self.span,
            longest => 1 + rng.below(longest.min(self.span)),
        };
        let offset = match self.span - len {
            0 => 0,
            room => rng.below(room + 1),
        };
        let first = rng.next_u64();
        let bytes = (0..len).map(|at| (first.wrapping_add(at * 31) >> (at % 3)) as u8);
        Write {
            offset,
            bytes: bytes.collect(),
        }
    }

    /// Writes them all.
    ///
    /// # Errors
    /// The first write that fails.
    pub fn run(&self, path: &Path) -> io::Result<()> {
        let flags = if self.sync { libc_dsync() } else { 0 };
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let file = options.custom_flags(flags).open(path)?;
        std::thread::scope(|scope| {
            let file = &file;
            let writer = |thread| {
                move || {
                    let mut writes = self.of_thread(thread).into_iter();
                    writes.try_for_each(|write| file.write_all_at(&write.bytes, write.offset))
                }
            };
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| scope.spawn(writer(thread)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a writer panicked")))
            })
        })
    }
}

const fn libc_dsync() -> i32 {
    rustix::fs::OFlags::DSYNC.bits().cast_signed()
}

/// Applies a write to what the file held.
pub fn apply(content: &mut Vec<u8>, write: &Write) {
    let offset = usize::try_from(write.offset).unwrap_or(usize::MAX);
    let end = offset.saturating_add(write.bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(offset..end) {
        place.copy_from_slice(&write.bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn one_thread_leaves_what_its_plan_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let plan = Plan {
            seed: 3,
            writes: 50,
            threads: 1,
            span: 10_000,
            longest: 700,
            sync: false,
        };
        plan.run(&path).unwrap();
        let mut expected = Vec::new();
        for write in plan.of_thread(0) {
            apply(&mut expected, &write);
        }
        assert!(std::fs::read(path).unwrap() == expected);
    }
}
