//! What a trace weighs: files that change in known ways are recorded through the binary; every
//! file of the state directory counts. A saving counts only if every version can be had back.
//! Captured writes, which no backend makes yet, are recorded through the store itself.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "benchmarks"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod side;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use common::{Env, run, until};
use diffkeeper_demo::rng::Rng;
use diffkeeper_store::model::{
    Backend, ExitStatus, FileId, Op, Provenance, Seal, Seq, Session, Timestamp, UnixTime,
    VersionRef,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, NewContent, Record, Seen, SessionWriter, Store};

const VERSIONS: usize = 21;
const BLOCK: usize = 4096;
/// Between two versions: long enough for an observing backend to see each.
const PAUSE: Duration = Duration::from_millis(500);

/// The next version of a file.
type Step = fn(&mut Rng, &mut Vec<u8>);

/// A corpus: its name, the first version, the step to the next, and the least saving in percent
/// where one is asked for.
type Corpus = (&'static str, fn(&mut Rng) -> Vec<u8>, Step, Option<f64>);

const CORPORA: [Corpus; 4] = [
    // 1 whole and 20 tenths of fresh random bytes: 85.7 % is the bound of entropy.
    (
        "1 MiB, 10 % in blocks",
        megabyte,
        |rng, content| change_blocks(rng, content),
        Some(83.0),
    ),
    // Its bound of entropy is about 79.9 %.
    (
        "1 MiB, 10 % scattered bytes",
        megabyte,
        |rng, content| scatter(rng, content),
        None,
    ),
    ("a log of 1 MiB, 16 KiB appended", log, append, None),
    ("JSON of 12 KB, one value", json, change_value, None),
];

fn megabyte(rng: &mut Rng) -> Vec<u8> {
    rng.bytes(1 << 20)
}

fn change_blocks(rng: &mut Rng, content: &mut [u8]) {
    let blocks = content.len() / BLOCK;
    // A partial shuffle: a tenth of the blocks, none of them twice.
    let mut order: Vec<usize> = (0..blocks).collect();
    for i in 0..blocks / 10 {
        let other = i + rng.below((blocks - i) as u64) as usize;
        order.swap(i, other);
        let at = order[i] * BLOCK;
        content[at..at + BLOCK].copy_from_slice(&rng.bytes(BLOCK));
    }
}

fn scatter(rng: &mut Rng, content: &mut [u8]) {
    for _ in 0..content.len() / 10 {
        let at = rng.below(content.len() as u64) as usize;
        content[at] = rng.next_u64() as u8;
    }
}

fn log(rng: &mut Rng) -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < 1 << 20 {
        append(rng, &mut content);
    }
    content
}

fn append(rng: &mut Rng, content: &mut Vec<u8>) {
    let end = content.len() + (16 << 10);
    while content.len() < end {
        let (id, ms) = (rng.next_u64(), rng.below(9000));
        let line = format!("INFO request {id:016x} served in {ms} ms\n");
        content.extend_from_slice(line.as_bytes());
    }
}

fn json(rng: &mut Rng) -> Vec<u8> {
    let values: Vec<_> = (0..500).map(|_| rng.below(1_000_000)).collect();
    serde_json::to_vec_pretty(&serde_json::json!({ "values": values })).unwrap()
}

fn change_value(rng: &mut Rng, content: &mut Vec<u8>) {
    let mut value: serde_json::Value = serde_json::from_slice(content).unwrap();
    let which = rng.below(500) as usize;
    value["values"][which] = rng.below(1_000_000).into();
    *content = serde_json::to_vec_pretty(&value).unwrap();
}

/// Records `VERSIONS` versions of one file; gives each with a time at which it stood.
fn recorded(env: &Env, make: fn(&mut Rng) -> Vec<u8>, step: Step) -> Vec<(String, Vec<u8>)> {
    let mut command: Command = env.recording();
    command.args([
        "sh",
        "-c",
        "> ../ready; until [ -e ../end ]; do sleep 0.05; done",
    ]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut recorder = command.spawn().unwrap();
    until("the recording starts", || env.base().join("ready").exists());
    let mut rng = Rng::new(1);
    let mut content = make(&mut rng);
    let mut versions = Vec::new();
    for number in 0..VERSIONS {
        if number > 0 {
            step(&mut rng, &mut content);
        }
        write_in_place(&env.tree().join("file"), &content);
        sleep(PAUSE);
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
        versions.push((time, content.clone()));
    }
    fs::write(env.base().join("end"), "").unwrap();
    assert!(recorder.wait().unwrap().success());
    versions
}

/// One write over the old content, so that no observer finds the file empty in between.
fn write_in_place(path: &Path, content: &[u8]) {
    use std::os::unix::fs::FileExt;
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap();
    file.write_all_at(content, 0).unwrap();
    file.set_len(content.len() as u64).unwrap();
}

const APPENDS: usize = 10_000;
const APPENDED: usize = 100;
const FILE: FileId = FileId(2);
const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 1, nsec: 0 },
    sparse: false,
    provenance: Provenance::Captured,
    load: Load::Calm,
};

fn session(store: &Store) -> Session {
    Session {
        id: store.next_session().unwrap(),
        argv: Vec::new(),
        cwd: Vec::new(),
        roots: Vec::new(),
        excludes: Vec::new(),
        host: Vec::new(),
        kernel: Vec::new(),
        boot_id: Vec::new(),
        uid: 0,
        backend: Backend::Scripted,
        backend_reason: Vec::new(),
        recorder: Vec::new(),
        start_monotonic: 0,
        start_wall: UnixTime::default(),
    }
}

fn put(writer: &mut SessionWriter<'_>, op: Op, content: NewContent) -> Seq {
    let changes = vec![Change::Content {
        file: FILE,
        content,
    }];
    let record = Record {
        time: Timestamp::default(),
        process: None,
        file: Some(FILE),
        op,
        changes,
    };
    writer.append(record).unwrap()
}

/// Appends random bytes to one file as a kernel tier hands them over; gives the `Seq` of each.
fn capture(store: &Store, content: &[u8]) -> Vec<Seq> {
    let mut writer = store.begin(&session(store)).unwrap();
    writer.baseline_done().unwrap();
    let empty = writer.encode(FILE, b"", SEEN).unwrap().unwrap();
    put(&mut writer, Op::Truncate { size: 0 }, empty);
    let mut seqs = Vec::new();
    for (number, bytes) in content.chunks(APPENDED).enumerate() {
        let (offset, len) = ((number * APPENDED) as u64, bytes.len() as u64);
        let size = offset + len;
        let captured = writer.capture(FILE, SEEN, (offset, bytes, size)).unwrap();
        let op = Op::Write { offset, len, size };
        seqs.push(put(&mut writer, op, captured.unwrap()));
    }
    let seal = Seal {
        end: Timestamp::default(),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: writer.progress().chain,
        faults: Vec::new(),
    };
    writer.seal(seal).unwrap();
    seqs
}

/// What captured appends weigh, and how long it takes to read states between them.
fn captured() {
    const READS: u64 = 200;
    let mut rng = Rng::new(2);
    let content = rng.bytes(APPENDS * APPENDED);
    let env = Env::new();
    let store = Store::create(&env.state(), "bench").unwrap();
    let mut seqs = Vec::new();
    let took = side::seconds(|| seqs = capture(&store, &content));
    store.close().unwrap();
    let stored = side::bytes_below(&env.state());
    let store = Store::open(&env.state(), "bench").unwrap();
    let session = store.session(None).unwrap();
    let mut times = Vec::new();
    for _ in 0..READS {
        let number = rng.below(APPENDS as u64) as usize;
        let at = VersionRef {
            file: FILE,
            seq: seqs[number],
        };
        let mut state = None;
        times.push(side::seconds(|| {
            state = session.content(at).unwrap().to_vec(u64::MAX).unwrap();
        }));
        let expected = &content[..(number + 1) * APPENDED];
        assert!(
            state.unwrap() == expected,
            "state {number} does not come back"
        );
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    println!(
        "\n{APPENDS} captured appends of {APPENDED} random bytes: stored / written {:.2}, \
         {:.1} us each; a random state is read in {:.2} ms (median), {:.2} ms (slowest of {READS})",
        stored as f64 / content.len() as f64,
        took * 1e6 / APPENDS as f64,
        side::median(&times) * 1e3,
        slowest * 1e3,
    );
}

fn main() -> ExitCode {
    side::enter(|| {
        captured();
        let head = format!("{VERSIONS} versions of one file");
        println!("\n{head:<34} {:>10} {:>10} {:>9}", "raw", "stored", "saved");
        for (name, make, step, bound) in CORPORA {
            let env = Env::new();
            let versions = recorded(&env, make, step);
            let lost = |(time, content): &&(String, Vec<u8>)| {
                let mut show = env.command("show");
                run(show.arg(format!("--time={time}")).arg("file")).stdout != *content
            };
            let lost = versions.iter().filter(lost).count();
            let raw: usize = versions.iter().map(|(_, content)| content.len()).sum();
            let stored = side::bytes_below(&env.state());
            let saved = 100.0 * (1.0 - stored as f64 / raw as f64);
            let verdict = match bound {
                _ if lost > 0 => format!("WORTHLESS: {lost} versions do not come back"),
                Some(bound) if saved < bound => format!("UNDER {bound}"),
                Some(bound) => format!("ok, at least {bound}"),
                None => String::new(),
            };
            println!("{name:<34} {raw:>10} {stored:>10} {saved:>7.1} %  {verdict}");
        }
    })
}
