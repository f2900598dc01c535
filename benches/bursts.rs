//! Bursts: captured writes of 100 bytes go from one producer into a committed store, beside the
//! same bytes through a plain buffered file. `DIFFKEEPER_BENCH_EVENTS` (1000000) changes how many.
//! A part of the states between is read back: figures of a wrong trace are worth nothing.
//! Then a store of `DIFFKEEPER_BENCH_LARGE` (10000000) events in a tree of 1,000 files is opened and read.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "benchmarks"
)]

mod captured;
#[path = "../tests/common/mod.rs"]
mod common;
mod side;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use common::{Env, knob};
use diffkeeper_demo::rng::Rng;
use diffkeeper_store::model::{
    FileId, Kind, Node, NodeIdent, Op, Place, Provenance, Seq, Timestamp, UnixTime, VersionRef,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Seen, SessionWriter, Store};

const LEN: usize = 100;
/// Bytes that the writes are taken from, one after the other.
const POOL: usize = 8 << 20;

/// Where a write goes.
struct Target {
    file: FileId,
    offset: u64,
    size: u64,
}

type Plan = dyn Fn(u64, &mut Rng) -> Target;

/// One after the other to the end of `files` files in turn, `run` at a time.
fn appends(files: u64, run: u64) -> impl Fn(u64, &mut Rng) -> Target {
    move |number, _| {
        let (turn, file) = (number / run / files, number / run % files);
        let offset = (turn * run + number % run) * LEN as u64;
        Target {
            file: FileId(2 + file),
            offset,
            size: offset + LEN as u64,
        }
    }
}

/// Anywhere in a file of a MiB that was filled first.
fn overwrites(number: u64, rng: &mut Rng) -> Target {
    const SIZE: u64 = 1 << 20;
    let filled = SIZE / LEN as u64;
    if number < filled {
        return appends(1, 1)(number, rng);
    }
    let size = filled * LEN as u64;
    Target {
        file: FileId(2),
        offset: rng.below(size - LEN as u64),
        size,
    }
}

fn seen(number: u64) -> Seen {
    Seen {
        mtime: UnixTime {
            sec: (number / 1_000_000) as i64,
            nsec: (number % 1_000_000 / 1000 * 1_000_000) as u32,
        },
        sparse: false,
        provenance: Provenance::Captured,
        load: Load::Calm,
    }
}

fn node(kind: Kind, links: Vec<Place>) -> Node {
    Node {
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: UnixTime::default(),
        rdev: 0,
        ident: NodeIdent::default(),
        target: Vec::new(),
        xattrs: Vec::new(),
        links,
    }
}

/// A top with `files` empty files from 2 on.
fn tree(writer: &mut SessionWriter<'_>, files: u64) {
    let parent = FileId::TOP;
    let top = node(Kind::Dir, Vec::new());
    let mut changes = vec![Change::Node {
        file: parent,
        node: top,
    }];
    for number in 0..files {
        let (file, name) = (FileId(2 + number), format!("file{number:04}").into_bytes());
        let place = Place {
            parent,
            name: name.clone(),
        };
        let child = Some(file);
        let node = node(Kind::File, vec![place]);
        changes.push(Change::Name {
            parent,
            name,
            child,
        });
        changes.push(Change::Node { file, node });
        let content = writer.encode(file, b"", seen(0)).unwrap().unwrap();
        changes.push(Change::Content { file, content });
    }
    writer.baseline(changes).unwrap();
    writer.baseline_done().unwrap();
}

/// Records; gives the seconds that it took until everything was committed.
fn ingest(store: &Store, (files, events): (u64, u64), plan: &Plan, pool: &[u8]) -> f64 {
    let mut writer = captured::begin(store);
    tree(&mut writer, files);
    let mut rng = Rng::new(3);
    let took = side::seconds(|| {
        for number in 0..events {
            let Target { file, offset, size } = plan(number, &mut rng);
            let bytes = bytes(pool, number);
            let write = (offset, bytes, size);
            let content = writer.capture(file, seen(number), write).unwrap();
            let len = LEN as u64;
            let op = Op::Write { offset, len, size };
            let at = (file, Timestamp(number * 1000));
            captured::put(&mut writer, at, op, content.unwrap());
        }
        writer.commit().unwrap();
    });
    captured::seal(writer, Timestamp(events * 1000));
    took
}

fn bytes(pool: &[u8], number: u64) -> &[u8] {
    let at = number as usize * LEN % (POOL - LEN);
    &pool[at..at + LEN]
}

/// The same bytes through a plain file.
fn plain(env: &Env, events: u64, pool: &[u8]) -> f64 {
    let file = File::create(env.tree().join("plain")).unwrap();
    side::seconds(|| {
        let mut file = BufWriter::new(file);
        for number in 0..events {
            file.write_all(bytes(pool, number)).unwrap();
        }
        file.flush().unwrap();
    })
}

/// Reads states between and compares them; gives the median seconds.
fn read_back(store: &Store, (files, events): (u64, u64), plan: &Plan, pool: &[u8]) -> f64 {
    const READS: u64 = 20;
    let session = store.session(None).unwrap();
    let mut wanted = Rng::new(5);
    let mut at: Vec<u64> = (0..READS).map(|_| wanted.below(events)).collect();
    at.sort_unstable();
    let mut contents = vec![Vec::new(); files as usize];
    let mut rng = Rng::new(3);
    let mut times = Vec::new();
    let mut next = at.into_iter().peekable();
    for number in 0..events {
        let Target { file, offset, .. } = plan(number, &mut rng);
        let content: &mut Vec<u8> = &mut contents[file.0 as usize - 2];
        let (start, end) = (offset as usize, offset as usize + LEN);
        content.resize(content.len().max(end), 0);
        content[start..end].copy_from_slice(bytes(pool, number));
        if next.next_if_eq(&number).is_some() {
            let seq = Seq(number + 1);
            let mut read = None;
            times.push(side::seconds(|| {
                let mut state = session.content(VersionRef { file, seq }).unwrap();
                read = state.to_vec(u64::MAX).unwrap();
            }));
            assert!(read.as_ref() == Some(content), "state {number} is wrong");
        }
        while next.next_if(|at| *at <= number).is_some() {}
    }
    side::median(&times)
}

fn case(name: &str, (files, events): (u64, u64), plan: &Plan, pool: &[u8]) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut read = 0.0;
    let mut weight = 0;
    for round in 0..side::rounds() {
        let env = Env::new();
        theirs.push(plain(&env, events, pool));
        let store = Store::create(&env.state(), "bench").unwrap();
        ours.push(ingest(&store, (files, events), plan, pool));
        store.close().unwrap();
        if round == 0 {
            weight = side::bytes_below(&env.state());
            let store = Store::open(&env.state(), "bench").unwrap();
            read = read_back(&store, (files, events), plan, pool);
        }
    }
    let (ours, theirs) = (side::median(&ours), side::median(&theirs));
    println!(
        "{name:<34} {:>8.0} {:>8.2} {:>8.3} {:>8.2} {:>8.2}",
        ours * 1e9 / events as f64,
        events as f64 / ours / 1e6,
        theirs / ours,
        weight as f64 / (events as f64 * LEN as f64),
        read * 1e3,
    );
}

/// What readers of a long recording wait for.
fn large(pool: &[u8]) {
    const FILES: u64 = 1000;
    let events = knob("DIFFKEEPER_BENCH_LARGE", 10_000_000);
    let env = Env::new();
    let store = Store::create(&env.state(), "bench").unwrap();
    let took = ingest(&store, (FILES, events), &appends(FILES, 20), pool);
    store.close().unwrap();
    println!(
        "\n{events} events in {FILES} files, {:.2} M/s",
        events as f64 / took / 1e6
    );
    let mut rng = Rng::new(7);
    let opened = |_| side::seconds(|| drop(Store::open(&env.state(), "bench").unwrap()));
    let times: Vec<f64> = (0..5).map(opened).collect();
    side::at_most_line("open", side::median(&times) * 1e3, "ms", 150.0);
    let store = Store::open(&env.state(), "bench").unwrap();
    let session = store.session(None).unwrap();
    let snapshot = |_| {
        let at = Seq(rng.below(events));
        side::seconds(|| {
            assert!(session.snapshot(at).unwrap().entries().len() == 1 + FILES as usize)
        })
    };
    let times: Vec<f64> = (0..20).map(snapshot).collect();
    side::at_most_line(
        "snapshot at a random event",
        side::median(&times) * 1e3,
        "ms",
        20.0,
    );
    let mut cursor = session.cursor(Seq(0));
    let step = |_| {
        cursor.seek(Seq(rng.below(events)));
        side::seconds(|| {
            cursor.step(1);
            assert!(cursor.event().unwrap().is_some());
        })
    };
    let times: Vec<f64> = (0..50).map(step).collect();
    side::at_most_line("step", side::median(&times) * 1e3, "ms", 1.0);
    let (from, to) = (Timestamp(0), Timestamp(events * 1000));
    let density = |_| side::seconds(|| assert!(session.density(1, from, to).count() > 0));
    let times: Vec<f64> = (0..20).map(density).collect();
    side::at_most_line("density", side::median(&times) * 1e3, "ms", 5.0);
}

fn main() -> ExitCode {
    side::enter(|| {
        let events = knob("DIFFKEEPER_BENCH_EVENTS", 1_000_000);
        let only = std::env::var("DIFFKEEPER_BENCH_CASE").unwrap_or_default();
        let pool = Rng::new(2).bytes(POOL);
        println!(
            "\n{:<34} {:>8} {:>8} {:>8} {:>8} {:>8}",
            format!("{events} writes of {LEN} B"),
            "ns each",
            "M/s",
            "x plain",
            "stored",
            "read ms"
        );
        let cases: [(&str, u64, Box<Plan>); 4] = [
            ("appends to one file", 1, Box::new(appends(1, 1))),
            (
                "appends, 100 files, 100 in a row",
                100,
                Box::new(appends(100, 100)),
            ),
            ("appends, 100 files in turn", 100, Box::new(appends(100, 1))),
            ("overwrites in 1 MiB", 1, Box::new(overwrites)),
        ];
        for (name, files, plan) in cases {
            if name.contains(&only) {
                case(name, (files, events), plan.as_ref(), &pool);
            }
        }
        if let Some(peak) = side::kib("/proc/self/status", "VmHWM:") {
            println!("\nmost memory of all this: {:.0} MiB", peak / 1024.0);
        }
        large(&pool);
    })
}
