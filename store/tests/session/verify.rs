//! Verify finds damage, names it, and survives it.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use diffkeeper_store::export::{Options, export};
use diffkeeper_store::model::{
    Data, Digest, FileId, Kind, Op, PatchCodec, Provenance, Repr, Seq, SessionId, UnixTime,
    Version, VersionRef,
};
use diffkeeper_store::verify::{FindingKind, VerifyReport, verify};
use diffkeeper_store::{Change, NewContent, SessionWriter, Store, StoreError};

use crate::contents::{Noise, walk};
use crate::{Bed, create, event, node, place, session, write};

fn check(bed: &Bed) -> VerifyReport {
    verify(&bed.store(), None, &()).unwrap()
}

fn texts(report: &VerifyReport) -> Vec<String> {
    let line = |found: &diffkeeper_store::verify::Finding| {
        let path = found.path.as_deref().map(String::from_utf8_lossy);
        format!("{} {:?}: {}", found.kind.word(), path, found.text)
    };
    report.findings.iter().map(line).collect()
}

/// Events of [`story`].
const STORY: u64 = 4 * 21 + 4;

/// A few files of every form, with names that move.
fn story(writer: &mut SessionWriter<'_>) {
    let mut noise = Noise(5);
    for file in 2..6 {
        create(writer, file, file, &format!("f{file}"));
        let mut bytes = noise.bytes(20_000);
        for step in 0..20 {
            bytes[step * 50] ^= 1;
            if step == 10 {
                bytes.splice(7..7, *b"inserted");
            }
            write(writer, 10 * file, file, &bytes);
        }
    }
    let named = |name: &str, child: Option<u64>| Change::Name {
        parent: FileId::TOP,
        name: name.into(),
        child: child.map(FileId),
    };
    let rename = |from: &str, to: &str, exchange| Op::Rename {
        from: place(FileId::TOP, from),
        to: place(FileId::TOP, to),
        exchange,
    };
    let is = |file: u64, name: Option<&str>| Change::Node {
        file: FileId(file),
        node: node(
            Kind::File,
            name.map(|name| place(FileId::TOP, name))
                .into_iter()
                .collect(),
        ),
    };
    let changes = vec![
        named("f2", None),
        named("f3", Some(2)),
        is(2, Some("f3")),
        is(3, None),
    ];
    event(writer, 100, 2, rename("f2", "f3", false), changes);
    let changes = vec![
        named("f4", Some(5)),
        named("f5", Some(4)),
        is(4, Some("f5")),
        is(5, Some("f4")),
    ];
    event(writer, 101, 4, rename("f4", "f5", true), changes);
    let changes = vec![named("f4", None), is(5, None)];
    event(
        writer,
        102,
        5,
        Op::Unlink(place(FileId::TOP, "f4")),
        changes,
    );
    create(writer, 103, 9, "f4");
}

#[test]
fn a_sound_store_is_found_sound() {
    let bed = Bed::new();
    bed.record(story);
    bed.record(story);
    let report = check(&bed);
    assert!(report.is_sound(), "{:?}", texts(&report));
    assert_eq!(report.sessions, 2);
    assert_eq!(report.versions, 2 * 4 * 20);
    assert_eq!(report.events, 2 * STORY);
    // Both sessions hold the same four keyframes.
    assert_eq!((report.blobs, report.bytes), (4, 80_000));
    let one = verify(&bed.store(), Some(SessionId(2)), &()).unwrap();
    assert_eq!((one.sessions, one.versions), (1, 80));
    let none = verify(&bed.store(), Some(SessionId(7)), &());
    assert!(matches!(none, Err(StoreError::NoSuchSession { .. })));
}

#[test]
fn a_session_without_a_seal_is_stated() {
    let bed = Bed::new();
    {
        let store = bed.store();
        let mut writer = store.begin(&session(SessionId(1))).unwrap();
        let top = Change::Node {
            file: FileId::TOP,
            node: node(Kind::Dir, Vec::new()),
        };
        writer.baseline(vec![top]).unwrap();
        writer.baseline_done().unwrap();
        story(&mut writer);
        writer.commit().unwrap();
    }
    let report = check(&bed);
    assert!(report.is_sound(), "{:?}", texts(&report));
    assert_eq!(report.unsealed, [SessionId(1)]);
}

#[test]
fn a_damaged_blob_is_named_with_the_files_that_need_it() {
    let bed = Bed::new();
    let bytes = Noise(9).bytes(100_000);
    bed.record(|writer| {
        create(writer, 0, 2, "hit");
        write(writer, 1, 2, &bytes);
        create(writer, 2, 3, "fine");
        write(writer, 3, 3, b"fine");
    });
    let files = walk(&bed.dir.path().join("state/db")).into_iter();
    let hits = files.filter(|file| {
        let mut stored = std::fs::read(file).unwrap();
        let at = stored.windows(32).position(|w| w == &bytes[500..532]);
        at.is_some_and(|at| {
            stored[at] ^= 4;
            std::fs::write(file, stored).unwrap();
            true
        })
    });
    assert_eq!(hits.count(), 1);
    let report = check(&bed);
    let kinds: Vec<_> = report.findings.iter().map(|found| found.kind).collect();
    assert_eq!(
        kinds,
        [FindingKind::Blob, FindingKind::Version],
        "{:?}",
        texts(&report)
    );
    assert_eq!(report.findings[1].path.as_deref(), Some(&b"hit"[..]));
    assert_eq!(report.findings[1].seq, Some(Seq(2)));
    assert_eq!((report.versions, report.blobs), (1, 1));
}

#[test]
fn names_that_no_event_explains_are_found() {
    let bed = Bed::new();
    bed.record(|writer| {
        create(writer, 0, 2, "fine");
        let changes = vec![
            Change::Name {
                parent: FileId::TOP,
                name: b"real".to_vec(),
                child: Some(FileId(2)),
            },
            Change::Node {
                file: FileId(2),
                node: node(Kind::File, vec![place(FileId::TOP, "fine")]),
            },
        ];
        event(writer, 1, 2, Op::Link(place(FileId::TOP, "told")), changes);
    });
    let report = check(&bed);
    let mut paths: Vec<_> = report
        .findings
        .iter()
        .map(|f| f.path.clone().unwrap())
        .collect();
    paths.sort();
    assert_eq!(
        paths,
        // The file itself is named too: its event has no record of the name it tells.
        [b"fine".to_vec(), b"real".to_vec(), b"told".to_vec()],
        "{:?}",
        texts(&report)
    );
    assert!(report.findings.iter().all(|f| f.kind == FindingKind::Name));
}

#[test]
fn versions_that_stand_on_nothing_or_lie_are_found() {
    let bed = Bed::new();
    let base = VersionRef {
        file: FileId(2),
        seq: Seq(1),
    };
    bed.record(|writer| {
        create(writer, 0, 2, "base");
        create(writer, 1, 3, "lie");
        let version = Version {
            length: 0,
            digest: None,
            provenance: Provenance::Captured,
            mtime: UnixTime::default(),
            sparse: false,
            redacted: false,
            repr: Repr::Patch {
                base,
                codec: PatchCodec::Ranges,
                payload: Data::Inline(Vec::new()),
            },
        };
        let change = |file: u64, content| Change::Content {
            file: FileId(file),
            content,
        };
        let write = Op::Truncate { size: 0 };
        let content = NewContent::missing(version);
        event(writer, 2, 2, write.clone(), vec![change(2, content)]);
        let mut content = writer
            .encode(FileId(3), b"truth", crate::SEEN)
            .unwrap()
            .unwrap();
        content.encoded.version.digest = Some(Digest::of(b"other"));
        event(writer, 3, 3, write, vec![change(3, content)]);
    });
    let report = check(&bed);
    let found = texts(&report);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("base") && found[0].contains("version #1 of file 2 is missing"));
    assert!(found[1].contains("lie") && found[1].contains("does not match its digest"));
}

#[test]
fn a_long_chain_takes_one_step_a_version() {
    let bed = Bed::new();
    let mut bytes = Noise(21).bytes(200_000);
    bed.record(|writer| {
        create(writer, 0, 2, "f");
        for step in 0..1000 {
            bytes[step * 100] ^= 0xff;
            write(writer, step as u64, 2, &bytes).unwrap();
        }
    });
    let started = std::time::Instant::now();
    let report = check(&bed);
    assert!(report.is_sound(), "{:?}", texts(&report));
    assert_eq!(report.versions, 1000);
    // From scratch each, it is half a million steps over 200 kB.
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// Copies a directory; long runs of zeros at the end of a file become a hole.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            std::fs::write(&target, &bytes[..used(&bytes)]).unwrap();
            let file = std::fs::File::options().write(true).open(target).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
        }
    }
}

/// Bytes up to the last one that is not zero.
fn used(bytes: &[u8]) -> usize {
    let zeros = bytes
        .chunks(4096)
        .rev()
        .take_while(|chunk| chunk.iter().all(|b| *b == 0));
    bytes.len() - zeros.map(<[u8]>::len).sum::<usize>()
}

/// One damage to one file: cut, flipped or zeroed where it holds something, or removed.
fn damage(file: &Path, noise: &mut Noise) -> String {
    let mut bytes = std::fs::read(file).unwrap();
    let len = used(&bytes) as u64;
    if len == 0 || noise.next().is_multiple_of(20) {
        std::fs::remove_file(file).unwrap();
        return format!("{} removed", file.display());
    }
    let at = (noise.next() % len) as usize;
    let how = match noise.next() % 4 {
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            let end = (at + 512).min(bytes.len());
            bytes[at..end].fill(0);
            "zeroed"
        }
        _ => {
            bytes[at] ^= 1 << (noise.next() % 8);
            "flipped"
        }
    };
    std::fs::write(file, bytes).unwrap();
    format!("{} {how} at {at} of {len}", file.display())
}

fn survives(state: &Path) -> Result<VerifyReport, StoreError> {
    let store = Store::open(state, "test")?;
    let report = verify(&store, None, &())?;
    // What is undamaged is given up as well as it can be.
    if let Ok(session) = store.session(None)
        && let Ok(snapshot) = session.salvage(session.progress().last_seq)
    {
        let out = state.with_extension("out");
        let _ = export(&session, &snapshot, &out, &Options::default(), &());
        let _ = std::fs::remove_dir_all(out);
    }
    Ok(report)
}

/// Panics inside the database are caught, but each would print its backtrace.
fn quiet() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !diffkeeper_store::panic_is_guarded() {
            hook(info);
        }
    }));
}

/// Damages one file at a time; tells what was noticed and what was lost in silence.
fn damages(bed: &Bed, rounds: usize, chosen: impl Fn(&str) -> bool) -> (usize, Vec<String>) {
    quiet();
    let mut noise = Noise(77);
    let (mut noticed, mut silent) = (0, Vec::new());
    for round in 0..rounds {
        let state = bed.dir.path().join(format!("copy{round}"));
        copy(&bed.dir.path().join("state"), &state);
        let mut files = walk(&state.join("db"));
        files.sort();
        files.retain(|file| chosen(&file.to_string_lossy()));
        let file = &files[(noise.next() % files.len() as u64) as usize];
        let what = damage(file, &mut noise);
        let (sender, receiver) = mpsc::channel();
        let path = state.clone();
        std::thread::spawn(move || sender.send(survives(&path).map_err(|e| e.to_string())));
        match receiver.recv_timeout(Duration::from_secs(60)) {
            Ok(Ok(report)) if report.is_sound() => {
                if report.events < STORY {
                    silent.push(format!("{what}: {} events", report.events));
                }
            }
            Ok(_) => noticed += 1,
            Err(gone) => panic!("{what}: {gone}"),
        }
        std::fs::remove_dir_all(&state).unwrap();
    }
    (noticed, silent)
}

#[test]
fn damaged_tables_are_an_error_or_a_finding() {
    let bed = Bed::new();
    bed.record(story);
    let tables = |file: &str| file.contains("/tables/") || file.contains("/blobs/");
    let (noticed, silent) = damages(&bed, 50, tables);
    assert!(silent.is_empty(), "{silent:?}");
    assert!(noticed >= 45, "only {noticed} of 50 damages were noticed");
}

#[test]
fn damage_anywhere_is_never_a_panic() {
    let bed = Bed::new();
    bed.record(story);
    let (noticed, silent) = damages(&bed, 50, |_| true);
    // Most of the small files are earlier states of the database's own bookkeeping.
    assert!(silent.is_empty(), "{silent:?}");
    assert!(noticed >= 10, "only {noticed} of 50 damages were noticed");
}

#[test]
fn a_damaged_journal_is_never_a_panic() {
    let bed = Bed::new();
    {
        let store = bed.store();
        let mut writer = store.begin(&session(SessionId(1))).unwrap();
        writer.baseline_done().unwrap();
        story(&mut writer);
        writer.commit().unwrap();
    }
    // A journal that is cut may end earlier in silence: the mark of how far it went is
    // cut off with it.
    damages(&bed, 30, |file| file.ends_with(".jnl"));
}

#[test]
fn no_lost_file_of_the_database_is_lost_in_silence() {
    quiet();
    let bed = Bed::new();
    bed.record(story);
    let state = bed.dir.path().join("state");
    let files = walk(&state.join("db"));
    for (round, file) in files.iter().enumerate() {
        let copied = bed.dir.path().join(format!("copy{round}"));
        copy(&state, &copied);
        let lost = copied.join(file.strip_prefix(&state).unwrap());
        std::fs::remove_file(&lost).unwrap();
        // What is not needed may be lost, as long as everything is there without it.
        if let Ok(report) = survives(&copied) {
            let whole = (report.events, report.versions, report.blobs) == (STORY, 80, 4);
            assert!(
                whole && report.is_sound(),
                "{}: {:?}",
                lost.display(),
                texts(&report)
            );
        }
    }
}
