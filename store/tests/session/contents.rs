//! Every content that goes in comes out, whatever form it was stored in.

use std::io::{Read, Seek};

use diffkeeper_store::WHOLE_MAX;
use diffkeeper_store::model::{FileId, PatchCodec, Repr, VersionRef};

use crate::{Bed, SEEN, create, event, write};

/// xorshift64: seeded noise.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(len).collect()
    }
}

fn read(bed: &Bed, file: u64, seq: diffkeeper_store::model::Seq) -> Vec<u8> {
    let store = bed.store();
    let session = store.session(None).unwrap();
    let at = VersionRef {
        file: FileId(file),
        seq,
    };
    let mut content = session.content(at).unwrap();
    content.to_vec(u64::MAX).unwrap().unwrap()
}

#[test]
fn a_chain_of_every_form_reads_back() {
    let mut noise = Noise(42);
    let mut states: Vec<Vec<u8>> = vec![Vec::new(), b"x".to_vec()];
    let mut text = noise.bytes(100_000);
    states.push(text.clone());
    text[5000] ^= 1;
    states.push(text.clone()); // ranges
    text.splice(100..100, *b"inserted");
    states.push(text.clone()); // prefix
    text.truncate(60_000);
    states.push(text.clone());
    states.push(noise.bytes(70_000)); // keyframe
    states.push(noise.bytes(3 << 20)); // chunks
    let mut large = states.last().unwrap().clone();
    large[1 << 20] ^= 1;
    states.push(large); // ranges over chunks
    states.push(Vec::new());
    states.push(states[2].clone());
    let bed = Bed::new();
    let mut seqs = Vec::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        for (time, state) in (1..).zip(&states) {
            seqs.push(write(writer, time, 2, state).expect("differs from the one before"));
        }
        assert!(write(writer, 99, 2, states.last().unwrap()).is_none());
    });
    for (seq, state) in seqs.iter().zip(&states) {
        assert!(read(&bed, 2, *seq) == *state, "{seq:?}");
    }
    let store = bed.store();
    let session = store.session(None).unwrap();
    let forms: Vec<_> = session
        .versions(FileId(2))
        .map(|version| match version.unwrap().1.repr {
            Repr::Keyframe(_) => "keyframe",
            Repr::Patch { codec, .. } => codec.word(),
            Repr::Chunks(_) => "chunks",
            _ => "other",
        })
        .collect();
    for form in ["keyframe", "ranges", "prefix", "chunks"] {
        assert!(forms.contains(&form), "{forms:?}");
    }
}

#[test]
fn long_files_read_back_in_windows() {
    let mut noise = Noise(7);
    let mut states = vec![noise.bytes(WHOLE_MAX as usize + 12_345)];
    for step in 0..20 {
        let mut next = states.last().unwrap().clone();
        let at = (noise.next() % next.len() as u64) as usize;
        next[at] ^= 0x55;
        if step % 5 == 4 {
            next.extend(noise.bytes(1000));
        }
        if step == 7 {
            next.truncate(WHOLE_MAX as usize + 5);
        }
        states.push(next);
    }
    states.push(noise.bytes(WHOLE_MAX as usize + 1));
    states.push(noise.bytes(1000));
    let bed = Bed::new();
    let mut seqs = Vec::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        for (time, state) in (1..).zip(&states) {
            let open = || {
                let mut file = tempfile::tempfile()?;
                std::io::Write::write_all(&mut file, state)?;
                file.rewind()?;
                Ok(file)
            };
            if state.len() as u64 > WHOLE_MAX {
                let content = writer.encode_long(FileId(2), SEEN, open).unwrap().unwrap();
                let (offset, len) = content.encoded.changed.unwrap_or((0, 0));
                let op = diffkeeper_store::model::Op::Write {
                    offset,
                    len,
                    size: state.len() as u64,
                };
                let change = diffkeeper_store::Change::Content {
                    file: FileId(2),
                    content,
                };
                seqs.push(event(writer, time, 2, op, vec![change]));
            } else {
                seqs.push(write(writer, time, 2, state).unwrap());
            }
        }
    });
    let store = bed.store();
    let session = store.session(None).unwrap();
    let mut ranges = 0;
    for (seq, state) in seqs.iter().zip(&states) {
        let at = VersionRef {
            file: FileId(2),
            seq: *seq,
        };
        let mut content = session.content(at).unwrap();
        let whole = content.to_vec(u64::MAX).unwrap().unwrap();
        assert!(whole == *state, "{seq:?}");
        let mut window = vec![0; 4096];
        let offset = (noise.next() % state.len() as u64) as usize;
        let n = content.read_at(offset as u64, &mut window).unwrap();
        assert_eq!(
            &window[..n],
            &state[offset..(offset + 4096).min(state.len())]
        );
        ranges += u32::from(matches!(
            content.version().repr,
            Repr::Patch {
                codec: PatchCodec::Ranges,
                ..
            }
        ));
    }
    assert!(ranges >= 15, "{ranges} of 22 versions are ranges");
}

#[test]
fn a_file_may_be_built_on_the_one_it_replaced() {
    let mut noise = Noise(3);
    let old = noise.bytes(500_000);
    let mut new = old.clone();
    new[1000..1010].fill(0);
    let bed = Bed::new();
    let mut seq = None;
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        write(writer, 1, 2, &old);
        create(writer, 2, 3, "f.tmp");
        writer.succeed(FileId(3), FileId(2));
        seq = write(writer, 3, 3, &new);
    });
    assert_eq!(read(&bed, 3, seq.unwrap()), new);
    let store = bed.store();
    let session = store.session(None).unwrap();
    let (_, version) = session
        .version_at(FileId(3), seq.unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(version.repr.base().unwrap().file, FileId(2));
}

#[test]
fn a_flipped_bit_in_a_blob_is_noticed() {
    let mut noise = Noise(9);
    let bytes = noise.bytes(200_000);
    let bed = Bed::new();
    let mut seq = None;
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        seq = write(writer, 1, 2, &bytes);
    });
    let needle = &bytes[100_000..100_032];
    let mut hit = false;
    for file in walk(&bed.dir.path().join("state/db")) {
        let mut stored = Vec::new();
        std::fs::File::open(&file)
            .unwrap()
            .read_to_end(&mut stored)
            .unwrap();
        if let Some(at) = stored.windows(32).position(|window| window == needle) {
            stored[at] ^= 1;
            std::fs::write(&file, stored).unwrap();
            hit = true;
        }
    }
    assert!(hit, "the noise is stored as it is");
    let store = bed.store();
    let session = store.session(None).unwrap();
    let at = VersionRef {
        file: FileId(2),
        seq: seq.unwrap(),
    };
    let error = session.content(at).err().expect("damage is an error");
    assert!(
        error.to_string().contains("corrupt") || error.to_string().contains("database"),
        "{error}"
    );
}

pub(crate) fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn a_patch_is_refined_to_bsdiff_where_that_is_smaller() {
    let mut noise = Noise(11);
    let mut states = vec![noise.bytes(300_000)];
    for _ in 0..3 {
        // As in a program whose parts have moved: every address is another one.
        let mut next = states.last().unwrap().clone();
        for address in next.chunks_exact_mut(4).step_by(4) {
            let moved = u32::from_le_bytes(address.try_into().unwrap()).wrapping_add(0x1040);
            address.copy_from_slice(&moved.to_le_bytes());
        }
        states.push(next);
    }
    let bed = Bed::new();
    let store = bed.store();
    let session = crate::session(store.next_session().unwrap());
    let mut writer = store.begin(&session).unwrap();
    writer.baseline_done().unwrap();
    create(&mut writer, 0, 2, "f");
    for (time, state) in (1..).zip(&states) {
        write(&mut writer, time, 2, state).unwrap();
    }
    writer.commit().unwrap();
    let mut refined = 0;
    while let Some(candidate) = writer.candidate() {
        if let Some(smaller) = store.refine(&candidate).unwrap() {
            writer.apply(smaller);
            refined += 1;
        }
    }
    writer.commit().unwrap();
    assert!(refined >= 2, "{refined} of 3 patches are smaller as bsdiff");
    let read = store.session(None).unwrap();
    let versions: Vec<_> = read.versions(FileId(2)).map(Result::unwrap).collect();
    for ((seq, version), state) in versions.iter().zip(&states) {
        let at = VersionRef {
            file: FileId(2),
            seq: *seq,
        };
        let mut content = read.content(at).unwrap();
        let bytes = content.to_vec(u64::MAX).unwrap().unwrap();
        assert!(bytes == *state, "{version:?}");
    }
    let bsdiff = |version: &diffkeeper_store::model::Version| {
        matches!(
            version.repr,
            Repr::Patch {
                codec: PatchCodec::Bsdiff,
                ..
            }
        )
    };
    assert_eq!(
        versions
            .iter()
            .filter(|(_, version)| bsdiff(version))
            .count(),
        refined
    );
}
