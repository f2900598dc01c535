//! Captured writes: every state between them is there, in bounded time and space.

use diffkeeper_store::model::{Digest, FileId, Op, Repr, Seq, VersionRef};
use diffkeeper_store::{Change, Checked, NewContent, SessionReader, SessionWriter, WHOLE_MAX};

use crate::contents::Noise;
use crate::{Bed, SEEN, create, event, write};

const FILE: FileId = FileId(2);

fn record(writer: &mut SessionWriter<'_>, op: Op, content: NewContent) -> Seq {
    let change = Change::Content {
        file: FILE,
        content,
    };
    event(writer, 1, FILE.0, op, vec![change])
}

/// A write as the kernel applied it, to the file and to its copy.
fn capture(writer: &mut SessionWriter<'_>, now: &mut Vec<u8>, at: usize, bytes: &[u8]) -> Seq {
    let end = at + bytes.len();
    now.resize(now.len().max(end), 0);
    now[at..end].copy_from_slice(bytes);
    let (offset, len, size) = (at as u64, bytes.len() as u64, now.len() as u64);
    let content = writer.capture(FILE, SEEN, (offset, bytes, size)).unwrap();
    record(writer, Op::Write { offset, len, size }, content.unwrap())
}

fn truncate(writer: &mut SessionWriter<'_>, now: &mut Vec<u8>, length: usize) -> Seq {
    now.resize(length, 0);
    let size = length as u64;
    let content = writer.capture(FILE, SEEN, (0, b"", size)).unwrap();
    record(writer, Op::Truncate { size }, content.unwrap())
}

fn read(session: &SessionReader<'_>, seq: Seq) -> Vec<u8> {
    let at = VersionRef { file: FILE, seq };
    let content = session.content(at).unwrap().to_vec(u64::MAX).unwrap();
    content.unwrap()
}

/// As [`read`], in windows.
fn digest(session: &SessionReader<'_>, seq: Seq) -> Digest {
    Digest::of(&read(session, seq))
}

#[test]
fn holes_and_truncations_read_as_zeros() {
    let bed = Bed::new();
    let mut states = Vec::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        write(writer, 1, 2, b"old bytes");
        let mut now = b"old bytes".to_vec();
        let mut keep = |seq, now: &Vec<u8>| states.push((seq, now.clone()));
        let seq = truncate(writer, &mut now, 3);
        keep(seq, &now);
        let seq = truncate(writer, &mut now, 12);
        keep(seq, &now);
        let seq = capture(writer, &mut now, 20, b"beyond the end");
        keep(seq, &now);
        let seq = truncate(writer, &mut now, 0);
        keep(seq, &now);
        let seq = capture(writer, &mut now, 2, b"x");
        keep(seq, &now);
    });
    let expected = [
        &b"old"[..],
        b"old\0\0\0\0\0\0\0\0\0",
        b"old\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0beyond the end",
        b"",
        b"\0\0x",
    ];
    let store = bed.store();
    let session = store.session(None).unwrap();
    for ((seq, now), expected) in states.iter().zip(expected) {
        assert_eq!(now, expected);
        assert_eq!(read(&session, *seq), expected);
        let snapshot = session.snapshot(*seq).unwrap();
        let entry = snapshot.entries().iter().find(|entry| entry.path == b"f");
        assert_eq!(entry.unwrap().content().unwrap().seq, *seq);
    }
}

/// Writes that follow each other are one record, and a version each for all who ask.
#[test]
fn every_write_of_a_burst_is_a_version() {
    let bed = Bed::new();
    let mut states = Vec::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        write(writer, 1, 2, b"begun ");
        let mut now = b"begun ".to_vec();
        for (at, bytes) in [(6, &b"and "[..]), (10, b"gone on"), (0, b"B"), (17, b".")] {
            let seq = capture(writer, &mut now, at, bytes);
            states.push((seq, now.clone()));
            event(writer, 1, 1, Op::Utimes, Vec::new());
        }
    });
    let store = bed.store();
    let session = store.session(None).unwrap();
    let mut cursor = session.cursor(Seq(states[0].0.0 - 1));
    for (seq, now) in &states {
        let next = Seq(seq.0 + 1);
        assert_eq!(read(&session, *seq), *now);
        let (found, version) = session.version_at(FILE, next).unwrap().unwrap();
        assert_eq!((found, version.length), (*seq, now.len() as u64));
        assert!(matches!(version.repr, Repr::Burst(_)), "{version:?}");
        assert_eq!(cursor.next_version(FILE).unwrap(), Some(*seq));
    }
    assert_eq!(cursor.next_version(FILE).unwrap(), None);
    assert_eq!(cursor.previous_version(FILE).unwrap(), Some(states[2].0));
    let all: Vec<Seq> = session
        .versions(FILE)
        .map(|found| found.unwrap().0)
        .collect();
    let back: Vec<Seq> = session
        .versions(FILE)
        .rev()
        .map(|found| found.unwrap().0)
        .collect();
    assert_eq!(
        all[all.len() - 4..],
        states.iter().map(|state| state.0).collect::<Vec<_>>()
    );
    assert!(all.iter().rev().eq(&back));
    let content = session.content(VersionRef {
        file: FILE,
        seq: Seq(states[0].0.0 + 1),
    });
    assert!(content.is_err());
}

#[test]
fn what_is_not_known_stays_so() {
    let bed = Bed::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        let write_one = (0, &b"x"[..], 1);
        assert!(writer.capture(FILE, SEEN, write_one).unwrap().is_none());
        // What another file held is no base for this one's writes.
        write(writer, 1, 3, b"of another file");
        writer.succeed(FILE, FileId(3));
        assert!(writer.capture(FILE, SEEN, write_one).unwrap().is_none());
        let open = || Ok(&b"of another file"[..]);
        let checked = writer.check(FILE, open, SEEN).unwrap();
        assert!(matches!(checked, Checked::Unknown(_)), "{checked:?}");
    });
}

#[test]
fn a_burst_on_one_file_reads_back_whole() {
    let mut noise = Noise(17);
    let mut now = noise.bytes(10_000);
    let mut states = Vec::new();
    let bed = Bed::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        write(writer, 1, 2, &now);
        for turn in 2..6000 {
            let offset = (noise.next() % 12_000) as usize;
            let len = (noise.next() % if turn % 100 == 0 { 90_000 } else { 600 }) as usize;
            let seq = if turn % 97 == 0 {
                truncate(writer, &mut now, offset)
            } else {
                let bytes = noise.bytes(len);
                capture(writer, &mut now, offset, &bytes)
            };
            states.push((seq, Digest::of(&now)));
        }
        let checked = writer.check(FILE, || Ok(now.as_slice()), SEEN).unwrap();
        assert!(matches!(checked, Checked::Equal(digest) if digest == Digest::of(&now)));
        assert!(write(writer, 6000, 2, &now).is_none());
    });
    let store = bed.store();
    let session = store.session(None).unwrap();
    for (seq, expected) in states.iter().step_by(7).chain(states.last()) {
        assert_eq!(digest(&session, *seq), *expected, "{seq:?}");
    }
    let (last, version) = session.version_at(FILE, Seq(u64::MAX)).unwrap().unwrap();
    assert_eq!(Some(&(last, version.digest.unwrap())), states.last());
}

/// How many versions a reader goes through, at most, in a file.
fn deepest(session: &SessionReader<'_>) -> usize {
    let versions = session.versions(FILE).map(Result::unwrap);
    let mut depths = std::collections::HashMap::new();
    for (seq, version) in versions {
        let below = version.repr.base().map_or(0, |base| depths[&base.seq]);
        depths.insert(seq, below + 1);
    }
    depths.into_values().max().unwrap()
}

#[test]
fn ten_thousand_appends_stay_cheap() {
    let mut noise = Noise(5);
    let mut now = Vec::new();
    let mut states = Vec::new();
    let bed = Bed::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        write(writer, 1, 2, b"");
        for _ in 0..10_000 {
            let line = noise.bytes(100);
            let at = now.len();
            states.push(capture(writer, &mut now, at, &line));
        }
    });
    let stored: u64 = crate::contents::walk(&bed.dir.path().join("state/db"))
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(stored < 6 * now.len() as u64, "{stored} bytes stored");
    let store = bed.store();
    let session = store.session(None).unwrap();
    assert!(deepest(&session) < 400, "{}", deepest(&session));
    for (index, seq) in states.iter().enumerate().step_by(613) {
        assert!(read(&session, *seq) == now[..(index + 1) * 100], "{seq:?}");
    }
}

/// Grows a file past what is handled in memory, changes it here and there, shrinks it and
/// grows it again.
#[test]
fn long_files_keep_every_state() {
    let mut noise = Noise(23);
    let mut now = Vec::new();
    let mut states = Vec::new();
    let bed = Bed::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        write(writer, 1, 2, b"");
        let mut keep = |seq, now: &Vec<u8>| states.push((seq, Digest::of(now)));
        let block = noise.bytes(1 << 20);
        for turn in 0..50_u8 {
            let bytes: Vec<u8> = block.iter().map(|byte| byte ^ turn).collect();
            let at = now.len();
            let seq = capture(writer, &mut now, at, &bytes);
            keep(seq, &now);
        }
        for turn in 0..1500 {
            let at = (noise.next() % now.len() as u64) as usize;
            let len = (noise.next() % 5000) as usize;
            let seq = capture(writer, &mut now, at, &block[..len]);
            if turn % 30 == 0 {
                keep(seq, &now);
            }
        }
        let checked = writer.check(FILE, || Ok(now.as_slice()), SEEN).unwrap();
        assert!(matches!(checked, Checked::Equal(digest) if digest == Digest::of(&now)));
        now[12_345_678] ^= 1;
        match writer.check(FILE, || Ok(now.as_slice()), SEEN).unwrap() {
            Checked::Differs(content) => {
                let form = &content.encoded.version.repr;
                assert!(matches!(form, Repr::Patch { .. }), "{form:?}");
                let seq = record(writer, Op::Truncate { size: 0 }, content);
                keep(seq, &now);
            }
            other => panic!("{other:?}"),
        }
        for length in [WHOLE_MAX as usize + 1, 5_000_000, 3 * WHOLE_MAX as usize] {
            let seq = truncate(writer, &mut now, length);
            keep(seq, &now);
            let seq = capture(writer, &mut now, 77, b"seventy-seven");
            keep(seq, &now);
        }
        // Longer than what readers hold of one chain.
        let huge = block.repeat(70);
        let seq = capture(writer, &mut now, 1000, &huge);
        keep(seq, &now);
        let seq = truncate(writer, &mut now, 0);
        keep(seq, &now);
    });
    let store = bed.store();
    let session = store.session(None).unwrap();
    assert!(deepest(&session) <= 1025);
    for (seq, expected) in &states {
        assert_eq!(digest(&session, *seq), *expected, "{seq:?}");
    }
    let report = diffkeeper_store::verify::verify(&store, None, &()).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn a_hole_of_any_length_costs_nothing() {
    const LENGTH: u64 = 1 << 40;
    let bed = Bed::new();
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        write(writer, 1, 2, b"begin");
        let mut grow = |offset, bytes: &[u8]| {
            let write = (offset, bytes, LENGTH);
            let content = writer.capture(FILE, SEEN, write).unwrap().unwrap();
            record(writer, Op::Truncate { size: LENGTH }, content);
        };
        grow(0, b"");
        // Enough for a root of its own.
        for turn in 1..3000_u64 {
            grow(turn * (LENGTH / 3000), &turn.to_le_bytes());
        }
    });
    let store = bed.store();
    let session = store.session(None).unwrap();
    let (seq, version) = session.version_at(FILE, Seq(u64::MAX)).unwrap().unwrap();
    assert_eq!(version.length, LENGTH);
    let mut content = session.content(VersionRef { file: FILE, seq }).unwrap();
    let mut window = [1; 16];
    for turn in [1, 1500, 2999] {
        let at = turn * (LENGTH / 3000);
        assert_eq!(content.read_at(at - 4, &mut window).unwrap(), 16);
        assert_eq!(window[..4], [0; 4]);
        assert_eq!(window[4..12], turn.to_le_bytes());
        assert_eq!(window[12..], [0; 4]);
    }
    assert_eq!(content.read_at(0, &mut window[..6]).unwrap(), 6);
    assert_eq!(&window[..6], b"begin\0");
}
