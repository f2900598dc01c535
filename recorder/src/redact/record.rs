//! The redaction of one recording: what is masked in events, states and processes, and which
//! files hold masked contents.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use diffkeeper_store::Change;
use diffkeeper_store::model::{FileId, Node, Op, Place, Process, ProcessId, Session, Stream};

use super::matcher::LONGEST;
use super::{Carry, Redactor};

/// Files whose last captured bytes are remembered.
const REMEMBERED: usize = 4096;

/// What a recording keeps to redact by.
pub(crate) struct Redaction {
    pub(crate) redactor: Arc<Redactor>,
    /// Files whose recorded content is masked in parts.
    masked: HashSet<FileId>,
    /// Files that are secret as a whole, under whatever name by now.
    denied: HashSet<FileId>,
    /// Where the last captured write to a file ended, and what stood before.
    tails: HashMap<FileId, (u64, Vec<u8>)>,
    /// A secret may be printed by one process or by several in turn.
    printed: HashMap<(Option<ProcessId>, Stream), Carry>,
}

/// A captured write: where, the bytes, and the length of the file afterwards.
pub(crate) type Write<'a> = (u64, &'a [u8], u64);

impl Redaction {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self {
            redactor: Arc::new(redactor),
            masked: HashSet::new(),
            denied: HashSet::new(),
            tails: HashMap::new(),
            printed: HashMap::new(),
        }
    }

    /// Remembers that a file is secret as a whole.
    pub(crate) fn deny(&mut self, file: FileId) {
        self.denied.insert(file);
    }

    pub(crate) fn denies(&self, file: FileId) -> bool {
        self.denied.contains(&file)
    }

    /// Whether parts of the content that is recorded of a file are masked.
    pub(crate) fn masks(&self, file: FileId) -> bool {
        self.masked.contains(&file)
    }

    /// Notes whether the content just read had parts masked.
    pub(crate) fn note(&mut self, file: FileId, masked: bool) {
        self.tails.remove(&file);
        match masked {
            true => self.masked.insert(file),
            false => self.masked.remove(&file),
        };
    }

    /// Whether a secret may stand in, or reach into, what was written. `path` is where what
    /// lies around it can be read.
    pub(crate) fn touches(&mut self, file: FileId, path: Option<&Path>, write: Write<'_>) -> bool {
        let (offset, bytes, size) = write;
        if bytes.is_empty() {
            return false;
        }
        let tail = self.tails.remove(&file).filter(|(end, _)| *end == offset);
        let matcher = &self.redactor.matcher;
        let mut text = match tail {
            Some((_, tail)) => tail,
            None => {
                let start = offset.saturating_sub(LONGEST as u64);
                let before = around(path, start, offset - start);
                if self.masked.contains(&file) && matcher.find(&before).open.is_some() {
                    return true;
                }
                before
            }
        };
        let before = text.len();
        text.extend_from_slice(bytes);
        let found = matcher.find(&text);
        if found.open.is_some() || found.ranges.iter().any(|range| range.end > before) {
            return true;
        }
        let end = offset.saturating_add(bytes.len() as u64);
        text.drain(..found.keep.min(text.len()));
        let after = size.saturating_sub(end).min(LONGEST as u64);
        if after > 0 {
            let known = text.len();
            let mut text = text.clone();
            text.extend(around(path, end, after));
            let across = |range: &std::ops::Range<usize>| range.start < known;
            if matcher.find(&text).ranges.iter().any(across) {
                return true;
            }
        }
        if self.tails.len() >= REMEMBERED {
            // What stood before is read from the files then.
            self.tails.clear();
        }
        self.tails.insert(file, (end, text));
        false
    }

    /// Masks a piece of output.
    pub(crate) fn print(&mut self, process: ProcessId, stream: Stream, bytes: &mut [u8]) {
        let plain = bytes.to_vec();
        for whose in [None, Some(process)] {
            let carry = self.printed.entry((whose, stream)).or_default();
            for (range, mask) in carry.feed(&self.redactor, &plain) {
                if let Some(part) = bytes.get_mut(range) {
                    part.copy_from_slice(&mask);
                }
            }
        }
    }

    /// Masks the names in an operation.
    pub(crate) fn op(&self, op: &mut Op) {
        match op {
            Op::Create(place)
            | Op::Mkdir(place)
            | Op::Mknod(place)
            | Op::Symlink(place)
            | Op::Link(place)
            | Op::Unlink(place)
            | Op::Rmdir(place) => drop(self.place(place)),
            Op::Rename { from, to, .. } => {
                self.place(from);
                self.place(to);
            }
            Op::Setxattr { name } | Op::Removexattr { name } => drop(self.redactor.mask(name)),
            Op::Marker { label } => drop(self.redactor.mask(label)),
            Op::Gap {
                path: Some(path), ..
            } => drop(self.redactor.mask_path(path)),
            _ => {}
        }
    }

    /// Masks names and attributes in a state; gives whether there was anything to mask.
    pub(crate) fn change(&self, change: &mut Change) -> bool {
        match change {
            Change::Name { name, .. } => self.redactor.mask(name),
            Change::Node { node, .. } => self.node(node),
            Change::Content { .. } => false,
        }
    }

    fn node(&self, node: &mut Node) -> bool {
        let redactor = &self.redactor;
        let mut any = redactor.mask(&mut node.target);
        for xattr in &mut node.xattrs {
            any |= redactor.mask(&mut xattr.name) | redactor.mask(&mut xattr.value);
        }
        // Readers take them to be in order.
        node.xattrs.sort_unstable();
        for link in &mut node.links {
            any |= self.place(link);
        }
        any
    }

    fn place(&self, place: &mut Place) -> bool {
        self.redactor.mask(&mut place.name)
    }

    pub(crate) fn process(&self, process: &mut Process) {
        let redactor = &self.redactor;
        redactor.mask(&mut process.comm);
        redactor.mask(&mut process.exe);
        redactor.mask(&mut process.cwd);
        self.arguments(&mut process.argv);
    }

    pub(crate) fn session(&self, session: &mut Session) {
        let redactor = &self.redactor;
        self.arguments(&mut session.argv);
        self.arguments(&mut session.excludes);
        redactor.mask(&mut session.cwd);
        for root in &mut session.roots {
            redactor.mask_path(&mut root.path);
            redactor.mask(&mut root.label);
        }
    }

    fn arguments(&self, arguments: &mut [Vec<u8>]) {
        for argument in arguments {
            self.redactor.mask(argument);
        }
    }
}

/// What stands in a file by now: the nearest to what stood there when it was written.
fn around(path: Option<&Path>, offset: u64, len: u64) -> Vec<u8> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let open = |path: &Path| {
        File::options()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .ok()
    };
    let file = path.filter(|_| len > 0).and_then(open);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = file.map_or(0, |file| file.read_at(&mut bytes, offset).unwrap_or(0));
    bytes.truncate(read);
    bytes
}
