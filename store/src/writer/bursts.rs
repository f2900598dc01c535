//! Bursts that are being written: writes to one file that follow each other, until a commit or
//! another kind of change, become one record.

use super::SessionWriter;
use crate::blob::{self, MAX_BLOB};
use crate::content::{Encoded, Sink};
use crate::db::{Db, Space};
use crate::encode::{MAX_WRITES, encode_version};
use crate::error::StoreError;
use crate::files::FileMap;
use crate::key;
use crate::model::{Burst, BurstWrite, Data, FileId, Repr, Seq, UnixTime, Version, VersionRef};

/// See the file.
#[derive(Default)]
pub(super) struct Bursts {
    open: FileMap<Open>,
    /// Bytes that the open ones will take, about.
    bytes: usize,
}

/// A burst that may go on.
struct Open {
    base: VersionRef,
    base_length: u64,
    /// The last version but for its form.
    last: Version,
    writes: Vec<BurstWrite>,
    data: Vec<u8>,
}

/// What a write takes beside its bytes, about.
const COLUMNS: usize = 8;

/// A captured write of a few bytes that leaves no hole: where, over what, and which.
fn as_write(encoded: &Encoded) -> Option<(VersionRef, u64, &[u8])> {
    let version = &encoded.version;
    let Repr::Extent { base, offset, data } = &version.repr else {
        return None;
    };
    let Data::Inline(bytes) = data else {
        return None;
    };
    let old_length = encoded.old_length?;
    let end = offset.checked_add(bytes.len() as u64)?;
    let grows = *offset <= old_length && version.length == old_length.max(end);
    let plain = version.digest.is_none() && !version.redacted && !bytes.is_empty();
    (grows && plain).then_some((*base, *offset, bytes))
}

impl Open {
    fn begin(seq: Seq, encoded: Encoded) -> Option<Self> {
        let (base, offset, _) = as_write(&encoded)?;
        let base_length = encoded.old_length.unwrap_or(0);
        let (last, data) = without_bytes(encoded.version);
        let mut open = Self {
            base,
            base_length,
            last,
            writes: Vec::new(),
            data,
        };
        let len = open.data.len();
        open.note(seq, open.last.mtime, (offset, len));
        Some(open)
    }

    fn goes_on(&self, encoded: &Encoded, file: FileId) -> bool {
        let Some((base, _, bytes)) = as_write(encoded) else {
            return false;
        };
        let (last, version) = (&self.last, &encoded.version);
        let at = self.writes.last().map(|write| write.seq);
        let is_next = base.file == file && Some(base.seq) == at;
        let fits = self.writes.len() < MAX_WRITES && self.data.len() + bytes.len() <= MAX_BLOB;
        let alike = last.provenance == version.provenance && last.sparse == version.sparse;
        is_next && fits && alike
    }

    fn note(&mut self, seq: Seq, mtime: UnixTime, (offset, len): (u64, usize)) {
        self.writes.push(BurstWrite {
            seq,
            mtime,
            offset,
            len: u32::try_from(len).unwrap_or(u32::MAX),
        });
    }

    fn push(&mut self, seq: Seq, encoded: &Encoded) {
        if let Some((_, offset, bytes)) = as_write(encoded) {
            self.note(seq, encoded.version.mtime, (offset, bytes.len()));
            self.data.extend_from_slice(bytes);
            self.last.length = encoded.version.length;
            self.last.mtime = encoded.version.mtime;
        }
    }

    /// Where its bytes are in the file, if each write goes on where the one before it ended.
    fn one_place(&self) -> Option<u64> {
        let first = self.writes.first()?.offset;
        let mut end = first;
        let mut writes = self.writes.iter();
        let goes_on = writes.all(|write| {
            let goes_on = write.offset == end;
            end = end.saturating_add(u64::from(write.len));
            goes_on
        });
        goes_on.then_some(first)
    }

    /// The record, and the `Seq` it stands at. A write alone is an extent.
    fn finish(self, db: &Db, sink: &mut dyn Sink) -> Result<Option<(Seq, Version)>, StoreError> {
        let Some(last) = self.writes.last().copied() else {
            return Ok(None);
        };
        let (base, is_one) = (self.base, self.writes.len() == 1);
        let data = if self.data.len() <= Data::MAX_INLINE {
            Data::Inline(self.data)
        } else {
            let blob = blob::pack(db, &self.data, false)?;
            let data = Data::Blobs(vec![(blob.digest, blob.plain_len)]);
            sink.blob(blob)?;
            data
        };
        let repr = if is_one {
            let offset = last.offset;
            Some(Repr::Extent { base, offset, data })
        } else {
            Burst::new((base, self.base_length), self.writes, data).map(Repr::Burst)
        };
        Ok(repr.map(|repr| (last.seq, Version { repr, ..self.last })))
    }
}

/// A version whose bytes are taken out.
fn without_bytes(mut version: Version) -> (Version, Vec<u8>) {
    let mut bytes = Vec::new();
    if let Repr::Extent {
        data: Data::Inline(inline),
        ..
    } = &mut version.repr
    {
        bytes = std::mem::take(inline);
    }
    (version, bytes)
}

impl Bursts {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a content is the next write of an open burst.
    pub(super) fn goes_on(&self, file: FileId, encoded: &Encoded) -> bool {
        let open = self.open.get(&file);
        open.is_some_and(|open| open.goes_on(encoded, file))
    }

    /// Takes a write for which [`Self::goes_on`] holds.
    pub(super) fn push(&mut self, file: FileId, seq: Seq, encoded: &Encoded) {
        if let Some(open) = self.open.get_mut(&file) {
            let before = open.data.len();
            open.push(seq, encoded);
            self.bytes += open.data.len() - before + COLUMNS;
        }
    }

    /// Whether a content that lies over the one before is one that a burst begins with.
    pub(super) fn begins(encoded: &Encoded) -> bool {
        as_write(encoded).is_some()
    }

    /// Takes a write for which [`Self::begins`] holds. No burst of the file may be open.
    pub(super) fn begin(&mut self, file: FileId, seq: Seq, encoded: Encoded) {
        if let Some(open) = Open::begin(seq, encoded) {
            self.bytes += open.data.len() + COLUMNS;
            self.open.insert(file, open);
        }
    }

    fn take(&mut self, file: FileId) -> Option<Open> {
        let open = self.open.remove(&file)?;
        self.bytes -= open.data.len() + open.writes.len() * COLUMNS;
        Some(open)
    }
}

impl SessionWriter<'_> {
    /// Ends the burst of a file, if one is open.
    pub(super) fn end_burst(&mut self, file: FileId) -> Result<(), StoreError> {
        let Some(open) = self.bursts.take(file) else {
            return Ok(());
        };
        if open.data.len() > Data::MAX_INLINE {
            self.pending.tally.in_blob(open.data.len());
        }
        let one_place = open.one_place();
        let Some((seq, version)) = open.finish(&self.store.db, &mut self.pending)? else {
            return Ok(());
        };
        if let (Some(offset), Repr::Burst(burst)) = (one_place, &version.repr) {
            self.contents.place(file, offset, burst.data());
        }
        let key = key::file_at(self.session, file, seq);
        let value = encode_version(&version);
        self.pending.batch.put(Space::Version, key, value);
        Ok(())
    }

    /// Ends all of them.
    pub(super) fn end_bursts(&mut self) -> Result<(), StoreError> {
        let mut files: Vec<_> = self.bursts.open.keys().copied().collect();
        // The same events make the same trace.
        files.sort_unstable();
        files.into_iter().try_for_each(|file| self.end_burst(file))
    }
}
