//! The index of a pack from its blocks alone, where the real one is damaged or cut off.
//! What is missing is known by the numbers of the blocks, and is never taken for empty.

use std::os::unix::fs::FileExt;

use super::block::{Entry, FILE_END, FILE_HEAD, Head, MARKER};
use super::read::PackFile;

/// Most blocks that are entered: bounds the memory.
const MAX_ENTRIES: usize = 4 << 20;
/// Bytes searched at a time.
const WINDOW: usize = 64 << 10;

/// Finds every block of records that has a sound head.
pub(super) fn index(pack: &PackFile) -> Vec<Entry> {
    let mut found = Found {
        pack,
        entries: Vec::new(),
        next: 0,
        last: None,
        whole: false,
    };
    let mut at = FILE_HEAD as u64;
    while at < pack.len && found.entries.len() < MAX_ENTRIES {
        match pack.head(at) {
            Ok(head) => {
                let len = head.block_len();
                found.add(head, at);
                at = at.saturating_add(len);
            }
            Err(_) => match next_marker(pack, at + 1) {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    found.finish()
}

struct Found<'p> {
    pack: &'p PackFile,
    entries: Vec<Entry>,
    /// Number of the block that comes next if none is missing.
    next: u64,
    /// First key and offset of the last block.
    last: Option<(Vec<u8>, u64)>,
    /// Whether the root was met, and all blocks before it.
    whole: bool,
}

impl Found<'_> {
    fn add(&mut self, head: Head, at: u64) {
        if head.level > 0 {
            self.whole = head.root && head.number == self.next;
            return;
        }
        let ascends = self
            .last
            .as_ref()
            .is_none_or(|(first, _)| *first < head.first);
        if head.number < self.next || !ascends {
            return;
        }
        if head.number > self.next {
            self.lost();
        }
        self.next = head.number + 1;
        // A lost part cannot begin at or behind the block that was found.
        if self
            .entries
            .last()
            .is_some_and(|entry| entry.first >= head.first)
        {
            self.entries.pop();
        }
        self.last = Some((head.first.clone(), at));
        self.entries.push(Entry {
            first: head.first,
            at: Some(at),
        });
    }

    /// Enters that something is missing behind the last block. If that one cannot be read
    /// itself, it stands for what is missing as well.
    fn lost(&mut self) {
        let first = match &self.last {
            None => Some(Vec::new()),
            Some((_, at)) => self.pack.last_key(*at).map(|mut key| {
                key.push(0);
                key
            }),
        };
        self.entries
            .extend(first.map(|first| Entry { first, at: None }));
    }

    fn finish(mut self) -> Vec<Entry> {
        if !self.whole {
            self.lost();
        }
        self.entries
    }
}

/// The next place at or behind `from` that looks like the beginning of a block.
fn next_marker(pack: &PackFile, from: u64) -> Option<u64> {
    let mut at = from;
    let mut window = vec![0; WINDOW];
    let end = pack.len.saturating_sub(FILE_END as u64);
    while at < end {
        let n = pack
            .file
            .read_at(&mut window, at)
            .ok()
            .filter(|n| *n >= MARKER.len())?;
        let bytes = window.get(..n)?;
        let found = bytes.windows(MARKER.len()).position(|four| four == MARKER);
        if let Some(found) = found {
            return Some(at + found as u64);
        }
        at += (n - MARKER.len() + 1) as u64;
    }
    None
}
