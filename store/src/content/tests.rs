//! Captured writes against plain bytes, with limits so small that every form is met.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use proptest::prelude::*;

use super::burst::Bounds;
use super::read::{Lookup, open_layered};
use super::{Seen, open};
use crate::lookup::SessionLookup;
use crate::model::{
    Backend, Data, Digest, ExitStatus, FileId, Op, Provenance, Repr, Seal, Seq, Session, SessionId,
    Timestamp, UnixTime, VersionRef,
};
use crate::policy::Load;
use crate::{Change, Checked, NewContent, Record, SessionWriter, Store, verify};

const ID: SessionId = SessionId(1);
const FILES: u64 = 3;
const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 1, nsec: 2 },
    sparse: false,
    provenance: Provenance::Captured,
    load: Load::Calm,
};
const TIGHT: Bounds = Bounds {
    whole: 4000,
    small: 700,
    smalls: 5,
    slack: 300,
    gathered: 3000,
    layers: 20,
    held: 9000,
};

fn session() -> Session {
    Session::new(ID, Backend::Scripted)
}

/// A step of one file.
#[derive(Clone, Debug)]
enum Step {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Append(Vec<u8>),
    Truncate(usize),
    /// Changed behind the recorder's back and read afterwards.
    Observe {
        at: usize,
        byte: u8,
    },
    Replace(Vec<u8>),
    /// Everything moves by a byte, so that a patch needs all of its base.
    Shift,
    Check,
    /// Encoded and never recorded.
    Abandon {
        at: usize,
        bytes: Vec<u8>,
    },
    /// Its content is lost, and read again later.
    Lose,
    /// Ends what may be one record.
    Commit,
}

fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..longest),
        (any::<u8>(), 1..longest).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let any_write = (0_usize..9000, bytes(2500)).prop_map(|(at, bytes)| Step::Write { at, bytes });
    prop_oneof![
        8 => (0_usize..3000, bytes(200)).prop_map(|(at, bytes)| Step::Write { at, bytes }),
        4 => any_write,
        8 => bytes(300).prop_map(Step::Append),
        3 => bytes(1500).prop_map(Step::Append),
        1 => Just(Step::Truncate(0)),
        3 => (0_usize..9000).prop_map(Step::Truncate),
        1 => (0_usize..9000, any::<u8>()).prop_map(|(at, byte)| Step::Observe { at, byte }),
        1 => bytes(9000).prop_map(Step::Replace),
        2 => Just(Step::Shift),
        2 => Just(Step::Check),
        1 => (0_usize..5000, bytes(900)).prop_map(|(at, bytes)| Step::Abandon { at, bytes }),
        1 => Just(Step::Lose),
        4 => Just(Step::Commit),
    ]
}

/// A session beside what its files hold, version by version.
struct Model<'s> {
    writer: SessionWriter<'s>,
    now: Vec<Vec<u8>>,
    states: Vec<(VersionRef, Vec<u8>)>,
}

impl Model<'_> {
    fn record(&mut self, file: FileId, content: NewContent) -> Seq {
        let size = content.encoded.version.length;
        let record = Record {
            time: Timestamp::default(),
            process: None,
            file: Some(file),
            op: Op::Truncate { size },
            changes: vec![Change::Content { file, content }],
        };
        self.writer.append(record).unwrap()
    }

    fn settle(&mut self, file: FileId, content: NewContent) {
        let seq = self.record(file, content);
        let bytes = self.now[file.0 as usize].clone();
        self.states.push((VersionRef { file, seq }, bytes));
    }

    fn capture(&mut self, file: FileId, at: usize, bytes: &[u8], length: usize) {
        let now = &mut self.now[file.0 as usize];
        now.resize(length, 0);
        now[at..at + bytes.len()].copy_from_slice(bytes);
        let write = (at as u64, bytes, length as u64);
        let content = self.writer.capture(file, SEEN, write).unwrap().unwrap();
        self.settle(file, content);
    }

    /// The content is read; `None` if the store says that it is known.
    fn read(&mut self, file: FileId) -> Option<NewContent> {
        let bytes = self.now[file.0 as usize].clone();
        if bytes.len() as u64 > TIGHT.whole {
            let open = || Ok(bytes.as_slice());
            return self.writer.encode_long(file, SEEN, open).unwrap();
        }
        self.writer.encode(file, &bytes, SEEN).unwrap()
    }

    /// Nothing but captured writes went by since the last content.
    fn check_equal(&mut self, file: FileId) {
        let bytes = self.now[file.0 as usize].clone();
        let checked = self.writer.check(file, || Ok(bytes.as_slice()), SEEN);
        assert!(matches!(checked.unwrap(), Checked::Equal(found) if found == Digest::of(&bytes)));
        let last = (bytes.len() as u64, Some(Digest::of(&bytes)));
        assert_eq!(self.writer.last_content(file), Some(last));
        assert!(self.read(file).is_none());
    }

    /// The file does not hold what was captured.
    fn check_differs(&mut self, file: FileId) {
        let bytes = self.now[file.0 as usize].clone();
        match self.writer.check(file, || Ok(bytes.as_slice()), SEEN) {
            Ok(Checked::Differs(content)) => self.settle(file, content),
            other => panic!("{other:?}"),
        }
    }

    fn lose(&mut self, file: FileId) {
        let mut version = self.read(file).map_or_else(
            || crate::model::Version {
                length: 0,
                digest: None,
                provenance: Provenance::Observed,
                mtime: UnixTime::default(),
                sparse: false,
                redacted: false,
                repr: Repr::Keyframe(Digest::of(b"")),
            },
            |content| content.encoded.version,
        );
        version.digest = None;
        version.repr = Repr::Missing(crate::model::MissingReason::Torn);
        self.record(file, NewContent::missing(version));
        let write = (0, &b"x"[..], 1);
        assert!(self.writer.capture(file, SEEN, write).unwrap().is_none());
        let bytes = self.now[file.0 as usize].clone();
        match self.writer.check(file, || Ok(bytes.as_slice()), SEEN) {
            Ok(Checked::Unknown(content)) => self.settle(file, content),
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, file: FileId, step: Step) {
        let length = self.now[file.0 as usize].len();
        match step {
            Step::Write { at, bytes } => {
                self.capture(file, at, &bytes, length.max(at + bytes.len()));
            }
            Step::Append(bytes) if length + bytes.len() < 16_000 => {
                self.capture(file, length, &bytes, length + bytes.len());
            }
            Step::Append(_) => {}
            Step::Truncate(length) => self.capture(file, 0, &[], length),
            Step::Observe { at, byte } if at < length && self.now[file.0 as usize][at] != byte => {
                self.now[file.0 as usize][at] = byte;
                self.check_differs(file);
            }
            Step::Observe { .. } => self.check_equal(file),
            Step::Replace(bytes) => {
                self.now[file.0 as usize] = bytes;
                if let Some(content) = self.read(file) {
                    self.settle(file, content);
                }
            }
            Step::Shift => {
                self.now[file.0 as usize].insert(0, 7);
                self.check_differs(file);
            }
            Step::Check => self.check_equal(file),
            Step::Abandon { at, bytes } => {
                let write = (at as u64, &bytes[..], (at + bytes.len()).max(length) as u64);
                self.writer.capture(file, SEEN, write).unwrap();
            }
            Step::Lose => self.lose(file),
            Step::Commit => self.writer.commit().unwrap(),
        }
    }
}

/// Records steps on files that begin empty.
fn recorded(store: &Store, steps: Vec<(u64, Step)>, cache: u64) -> Vec<(VersionRef, Vec<u8>)> {
    let mut writer = store.begin(&session()).unwrap();
    writer.contents().bind(TIGHT, cache);
    writer.baseline_done().unwrap();
    let mut model = Model {
        writer,
        now: vec![Vec::new(); FILES as usize + 1],
        states: Vec::new(),
    };
    for file in 1..=FILES {
        let content = model.read(FileId(file)).unwrap();
        model.settle(FileId(file), content);
    }
    for (file, step) in steps {
        model.step(FileId(file), step);
    }
    let seal = Seal {
        end: Timestamp::default(),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: Digest::of(b""),
        faults: Vec::new(),
    };
    model.writer.seal(seal).unwrap();
    model.states
}

/// Versions below one, the bytes they lay over their root, and the length of the longest.
fn weight(lookup: &SessionLookup<'_>, at: VersionRef) -> (u32, u64, u64) {
    let (mut depth, mut held, mut longest, mut next) = (0, 0, 0, Some(at));
    while let Some(at) = next {
        let version = lookup.version(at).unwrap().unwrap();
        next = version.repr.base();
        longest = longest.max(version.length);
        depth += u32::from(next.is_some());
        held += match &version.repr {
            Repr::Extent { data, .. } | Repr::Patch { payload: data, .. } => data.len(),
            Repr::Burst(burst) => burst.data().len(),
            _ => 0,
        };
    }
    (depth, held, longest)
}

fn agree(store: &Store, states: &[(VersionRef, Vec<u8>)]) {
    let lookup = SessionLookup::new(store, ID);
    for (at, bytes) in states {
        let content = open(&lookup, *at).unwrap().to_vec(u64::MAX).unwrap();
        assert!(content.as_ref() == Some(bytes), "{at:?}");
        let (depth, held, longest) = weight(&lookup, *at);
        if bytes.len() as u64 > TIGHT.whole {
            assert!(held <= TIGHT.held && depth <= TIGHT.layers, "{at:?}");
            // No patch that needs its base whole is below a long content.
            let mut layers = open_layered(&lookup, *at).unwrap();
            assert!(layers.to_vec(u64::MAX).unwrap().as_ref() == Some(bytes));
        } else {
            // And no long content below one that such a patch may be made of.
            assert!(longest <= TIGHT.whole, "{at:?}");
        }
    }
    let report = verify::verify(store, None, &()).unwrap();
    assert_eq!(report.findings, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_captured_state_reads_back(
        steps in prop::collection::vec((1..=FILES, step()), 1..160),
        cache in prop_oneof![Just(1 << 20), Just(6000_u64), Just(0)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), "test").unwrap();
        let states = recorded(&store, steps, cache);
        agree(&store, &states);
    }
}

/// Which forms versions have, and whether they have a digest.
fn forms(store: &Store, states: &[(VersionRef, Vec<u8>)]) -> Vec<(&'static str, bool)> {
    let lookup = SessionLookup::new(store, ID);
    let form = |(at, _): &(VersionRef, Vec<u8>)| {
        let version = lookup.version(*at).unwrap().unwrap();
        let word = match &version.repr {
            Repr::Keyframe(_) => "keyframe",
            Repr::Extent { base, .. } if base.seq.0 + 1 == at.seq.0 => "extent",
            Repr::Extent { .. } => "gathered extent",
            Repr::Patch { .. } => "ranges",
            Repr::Chunks(_) => "chunks",
            Repr::Burst(_) => "burst",
            _ => "other",
        };
        (word, version.digest.is_some())
    };
    states.iter().map(form).collect()
}

/// Appends of 600 bytes, writes scattered over what they made, and longer writes at the end: one
/// file after the other, so that a base that is not the version before shows.
#[test]
fn every_form_is_used() {
    let mut steps: Vec<_> = (0..25_u8)
        .map(|byte| Step::Append((0..150).map(|at: u8| at ^ byte).collect()))
        .collect();
    steps.extend((0..12).map(|n| Step::Write {
        at: n * 37 % 13 * 200,
        bytes: vec![n as u8; 100],
    }));
    steps.extend((0..30).map(|n: u8| Step::Append(vec![n; 200])));
    steps.extend((0..8).map(|n: u8| Step::Append(vec![n; 800])));
    steps.extend([1, 2].map(|n| Step::Append(vec![n; 40])));
    steps.push(Step::Check);
    let slow = |(n, step)| match n {
        0..75 => vec![step, Step::Commit],
        _ => vec![step],
    };
    let steps: Vec<_> = steps.into_iter().enumerate().flat_map(slow).collect();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), "test").unwrap();
    let states = recorded(
        &store,
        steps.into_iter().map(|step| (1, step)).collect(),
        1 << 20,
    );
    agree(&store, &states);
    let forms = forms(&store, &states);
    for form in [
        ("keyframe", true),
        ("extent", false),
        ("gathered extent", true),
        ("gathered extent", false),
        ("ranges", true),
        ("chunks", false),
        ("burst", false),
        ("burst", true),
    ] {
        assert!(forms.contains(&form), "no {form:?} in {forms:?}");
    }
    // The check has left its digest in the record.
    assert_eq!(forms.last().map(|form| form.1), Some(true), "{forms:?}");
}

#[test]
fn a_content_that_is_not_recorded_leaves_no_trace() {
    let abandon = || Step::Abandon {
        at: 0,
        bytes: vec![9; 40],
    };
    let steps = [
        Step::Append(vec![1; 100]),
        abandon(),
        Step::Check,
        Step::Append(vec![2; 100]),
        abandon(),
        Step::Observe { at: 50, byte: 3 },
        abandon(),
        Step::Append(vec![4; 100]),
        Step::Check,
    ];
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), "test").unwrap();
    let steps = steps.into_iter().map(|step| (1, step));
    let states = recorded(&store, steps.collect(), 1 << 20);
    agree(&store, &states);
}

/// Two contents are made of one and recorded both: the second is what was asked for, a
/// change of that one, and so is what follows.
#[test]
fn a_content_that_is_recorded_late_says_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), "test").unwrap();
    let mut writer = store.begin(&session()).unwrap();
    writer.contents().bind(TIGHT, 1 << 20);
    writer.baseline_done().unwrap();
    let mut model = Model {
        writer,
        now: vec![vec![1; 6000]; 2],
        states: Vec::new(),
    };
    let file = FileId(1);
    let content = model.read(file).unwrap();
    model.settle(file, content);
    let (one, two) = ([2; 900], [3; 900]);
    let first = model.writer.capture(file, SEEN, (1000, &one, 6000));
    let second = model.writer.capture(file, SEEN, (4000, &two, 6000));
    model.record(file, first.unwrap().unwrap());
    model.now[1][4000..4900].copy_from_slice(&two);
    model.settle(file, second.unwrap().unwrap());
    for turn in 0..200 {
        model.capture(file, 5000 + turn * 37 % 900, &[4; 10], 6000);
    }
    model.writer.commit().unwrap();
    let lookup = SessionLookup::new(&store, ID);
    for (at, bytes) in &model.states {
        let content = open(&lookup, *at).unwrap().to_vec(u64::MAX).unwrap();
        assert!(content.as_ref() == Some(bytes), "{at:?}");
    }
}

/// A long file that is written in order becomes chunks without its bytes being stored twice.
#[test]
fn written_blobs_serve_as_chunks() {
    let noise = |n: u64| {
        blake3::Hasher::new()
            .update(&n.to_le_bytes())
            .finalize_xof()
    };
    let steps = (0..16_u64).map(|n| {
        let mut bytes = vec![0; 900];
        noise(n).fill(&mut bytes);
        (1, Step::Append(bytes))
    });
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), "test").unwrap();
    let states = recorded(&store, steps.collect(), 0);
    agree(&store, &states);
    let lookup = SessionLookup::new(&store, ID);
    let mut written = std::collections::HashSet::new();
    let mut only_in_chunks = None;
    for (at, _) in &states {
        match lookup.version(*at).unwrap().unwrap().repr {
            Repr::Extent {
                data: Data::Blobs(blobs),
                ..
            } => written.extend(blobs),
            // The first write, which is all of the file.
            Repr::Keyframe(digest) => written.extend([(digest, 900)]),
            Repr::Chunks(lists) => {
                for list in lists {
                    let list = lookup.blob(&list).unwrap();
                    let pieces = crate::encode::decode_manifest(&list).unwrap();
                    let (own, older) = pieces.split_last().unwrap();
                    assert!(older.iter().all(|piece| written.contains(piece)));
                    written.insert(*own);
                    only_in_chunks = only_in_chunks.or(Some(own.0));
                }
            }
            _ => {}
        }
    }
    let lost = only_in_chunks.expect("a root of its own");
    let mut batch = store.db.batch();
    batch.remove(crate::db::Space::Blob, crate::key::blob(&lost));
    batch.commit().unwrap();
    let found = verify::verify(&store, None, &()).unwrap().findings;
    assert!(!found.is_empty(), "verify misses a chunk that is gone");
}
