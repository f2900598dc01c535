//! Contents rebuilt from records alone.

use diffkeeper_ebpf::wire::What;

const PUNCH_HOLE: u32 = 2;
const COLLAPSE: u32 = 8;
const ZERO: u32 = 0x10;
const INSERT: u32 = 0x20;

/// One file's bytes.
#[derive(Default)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    /// Applies a record about this file; others leave it as it is.
    pub(crate) fn apply(&mut self, what: &What<'_>) {
        match *what {
            What::Write {
                inode,
                offset,
                len,
                bytes,
            } => {
                let bytes = bytes.expect("a write without its bytes");
                assert_eq!(bytes.len(), len as usize);
                self.bytes.resize(size(inode.size), 0);
                let at = size(offset);
                self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
            }
            What::Truncate { inode } => self.bytes.resize(size(inode.size), 0),
            What::Fallocate {
                inode,
                mode,
                offset,
                len,
            } => self.reshape(mode, size(offset), size(len), size(inode.size)),
            _ => {}
        }
    }

    fn reshape(&mut self, mode: u32, offset: usize, len: usize, after: usize) {
        if mode & COLLAPSE != 0 {
            self.bytes.drain(offset..offset + len);
        } else if mode & INSERT != 0 {
            self.bytes.splice(offset..offset, vec![0; len]);
        } else if mode & (PUNCH_HOLE | ZERO) != 0 {
            let end = (offset + len).min(self.bytes.len());
            self.bytes[offset.min(end)..end].fill(0);
        }
        self.bytes.resize(after, 0);
    }
}

pub(crate) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap()
}
