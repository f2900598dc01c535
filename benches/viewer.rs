//! The viewer on a large session: how long until the first screen, from a key to its frame,
//! how much memory. Absolute figures, so they need a quiet machine.
//!
//!     cargo bench --bench viewer
//!
//! `DIFFKEEPER_BENCH_EVENTS` (1000000), `DIFFKEEPER_BENCH_FILES` (10000),
//! `DIFFKEEPER_BENCH_KEYS` (10000) and `DIFFKEEPER_BENCH_LONG` (1073741824, the bytes of a
//! long file) change the sizes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark ends with the first thing that goes wrong"
)]

mod side;

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diffkeeper_store::model::{
    Backend, Digest, ExitStatus, FileId, Kind, Node, NodeIdent, Op, Place, Process, ProcessId,
    Provenance, Root, Seal, Seq, Session, SessionId, Timestamp, UnixTime,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Record, Seen, SessionWriter, Store};
use diffkeeper_viewer::Options;
use diffkeeper_viewer::app::Begin;
use diffkeeper_viewer::harness::{Harness, with};
use diffkeeper_viewer::source::Source;

const SEEN: Seen = Seen {
    mtime: UnixTime { sec: 7, nsec: 0 },
    sparse: false,
    provenance: Provenance::Captured,
    load: Load::Calm,
};
const SCREEN: (u16, u16) = (200, 60);

fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        // Each step is a process of its own, so that its memory is its own.
        Some("--make") => make(Path::new(&args[2])),
        Some("--look") => look(Path::new(&args[2])),
        Some("--long") => long(Path::new(&args[2])),
        _ => return side::enter(bench),
    }
    ExitCode::SUCCESS
}

fn bench() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let this = std::env::current_exe().unwrap();
    for step in ["--make", "--look", "--long"] {
        let status = Command::new(&this).arg(step).arg(dir.path()).status();
        assert!(status.unwrap().success(), "{step}");
    }
}

/// Records the session.
fn make(dir: &Path) {
    let (events, files) = (
        knob("DIFFKEEPER_BENCH_EVENTS", 1_000_000),
        knob("DIFFKEEPER_BENCH_FILES", 10_000),
    );
    let store = Store::create(&dir.join("trace"), "bench").unwrap();
    let mut writer = store.begin(&session(&store)).unwrap();
    let mut changes = vec![top()];
    let dirs = files / 100 + 1;
    for dir in 0..dirs {
        changes.extend(named(
            FileId(2 + dir),
            Kind::Dir,
            &place(FileId::TOP, &format!("dir{dir:04}")),
        ));
    }
    let file = |n: u64| FileId(2 + dirs + n);
    for n in 0..files {
        let parent = FileId(2 + n % dirs);
        changes.extend(named(
            file(n),
            Kind::File,
            &place(parent, &format!("file{n:06}.log")),
        ));
        let text = format!("file {n}\nstate 0\n");
        let content = writer
            .encode(file(n), text.as_bytes(), SEEN)
            .unwrap()
            .unwrap();
        changes.push(Change::Content {
            file: file(n),
            content,
        });
        if changes.len() > 3000 {
            writer.baseline(std::mem::take(&mut changes)).unwrap();
        }
    }
    changes.extend(long_files(&mut writer, FileId(2 + dirs + files)));
    writer.baseline(changes).unwrap();
    writer.baseline_done().unwrap();
    for id in 1..=200 {
        writer.process(ProcessId(id), &process(id));
    }
    for n in 0..events {
        let which = file(n * 7919 % files);
        let text = format!("file {n}\nstate {n}\n");
        let content = writer.encode(which, text.as_bytes(), SEEN).unwrap();
        let size = text.len() as u64;
        let changes = content.map(|content| Change::Content {
            file: which,
            content,
        });
        writer
            .append(Record {
                time: Timestamp(n * 100_000),
                process: Some(ProcessId(1 + u32::try_from(n % 200).unwrap())),
                file: Some(which),
                op: Op::Write {
                    offset: 0,
                    len: size,
                    size,
                },
                changes: changes.into_iter().collect(),
            })
            .unwrap();
        if n % 1000 == 999 {
            writer.commit().unwrap();
        }
    }
    writer.seal(seal(events * 100_000)).unwrap();
    store.close().unwrap();
}

/// A file of `DIFFKEEPER_BENCH_LONG` bytes, and one with a line of 50 MB.
fn long_files(writer: &mut SessionWriter<'_>, first: FileId) -> Vec<Change> {
    let length = knob("DIFFKEEPER_BENCH_LONG", 1 << 30);
    let mut changes = Vec::new();
    for (at, (name, length, lines)) in
        [("long.log", length, true), ("line.json", 50_000_000, false)]
            .into_iter()
            .enumerate()
    {
        let file = FileId(first.0 + at as u64);
        changes.extend(named(file, Kind::File, &place(FileId::TOP, name)));
        let open = || {
            Ok(Text {
                at: 0,
                length,
                lines,
            })
        };
        let content = writer.encode_long(file, SEEN, open).unwrap().unwrap();
        changes.push(Change::Content { file, content });
    }
    changes
}

/// Bytes that do not repeat at once.
struct Text {
    at: u64,
    length: u64,
    lines: bool,
}

impl Read for Text {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = usize::try_from(self.length - self.at)
            .unwrap()
            .min(buf.len());
        for (i, byte) in buf[..n].iter_mut().enumerate() {
            let at = self.at + i as u64;
            let is_end = self.lines && at % 64 == 63;
            *byte = if is_end {
                b'\n'
            } else {
                b'a' + (at.wrapping_mul(0x9e37_79b9) >> 20) as u8 % 26
            };
        }
        self.at += n as u64;
        Ok(n)
    }
}

fn source(dir: &Path) -> Source {
    let store = Store::open(&dir.join("trace"), "bench").unwrap();
    Source::new(Arc::new(store), SessionId(1))
}

fn look(dir: &Path) {
    let begin = Instant::now();
    let source = source(dir);
    with(&source, SCREEN, Options::default(), |harness| {
        assert!(harness.settle());
        harness.draw();
        println!(
            "first full screen            {:>9.1} ms",
            ms(begin.elapsed())
        );
        keys(harness);
        filter(harness);
        println!("peak memory                  {:>9.1} MB", peak());
        let screen = harness.screen();
        let title = screen
            .lines()
            .find_map(|line| line.split(" events ").nth(1));
        let events = title.and_then(|title| title.split(' ').next());
        println!("events                       {:>9}", events.unwrap_or("?"));
    })
    .unwrap();
}

/// From a key to its frame, with the answers that have come by then; and until all that
/// the key asked for is on the screen.
fn keys(harness: &mut Harness<'_>) {
    let script = [
        "h", "h", "h", "j", "k", "H", "H", "t", "T", "L", "pagedown", "pageup", "z", "z", "Z", "Z",
        "d", "tab", "down", "down", "up", "tab", "tab", "tab", "d", "d", "d", "enter", "]", "}",
        "{", "esc", "0", "l", "l", "$", "p", "down", "p", "v", "down", "v", "esc", "?", "down",
        "esc", "m", "a", "'", "a",
    ];
    let count = usize::try_from(knob("DIFFKEEPER_BENCH_KEYS", 10_000)).unwrap();
    let mut frames = Vec::with_capacity(count);
    for key in script.iter().cycle().take(count) {
        let begin = Instant::now();
        harness.keys(&[key]);
        harness.take_answers();
        harness.draw();
        frames.push(ms(begin.elapsed()));
        // As fast as a held key repeats.
        std::thread::sleep(Duration::from_millis(1));
    }
    told("key to frame", frames);
    harness.settle();
    let mut settled = Vec::new();
    for key in script.iter().cycle().take(500) {
        let begin = Instant::now();
        harness.keys(&[key]);
        harness.settle();
        harness.draw();
        settled.push(ms(begin.elapsed()));
    }
    told("key to settled frame", settled);
}

fn filter(harness: &mut Harness<'_>) {
    harness.keys(&["esc", "esc", "$", "f"]);
    let begin = Instant::now();
    harness.text("path:dir0001");
    let mut first = None;
    let mut frames = Vec::new();
    while begin.elapsed() < Duration::from_secs(60) {
        let frame = Instant::now();
        harness.take_answers();
        let screen = harness.screen();
        frames.push(ms(frame.elapsed()));
        // The number of matches in the title of the list.
        if first.is_none() && screen.contains(" of ") && !screen.contains("events 0 of") {
            first = Some(ms(begin.elapsed()));
        }
        if !screen.contains("% searched") {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    println!(
        "filter: first results        {:>9.1} ms",
        first.unwrap_or(f64::NAN)
    );
    println!(
        "filter: all events           {:>9.1} ms",
        ms(begin.elapsed())
    );
    told("frame while filtering", frames);
    harness.keys(&["enter"]);
    harness.keys(&["f", "ctrl-u"]);
    harness.text("content:nothing");
    let begin = Instant::now();
    harness.keys(&["ctrl-u"]);
    harness.settle();
    println!(
        "filter: interrupted after    {:>9.1} ms",
        ms(begin.elapsed())
    );
}

/// Long contents under the cursor.
fn long(dir: &Path) {
    let source = source(dir);
    for name in ["long.log", "line.json"] {
        let begin = Begin {
            at: Some(Seq(1)),
            ..Begin::default()
        };
        let options = Options {
            begin,
            ..Options::default()
        };
        with(&source, SCREEN, options, |harness| {
            assert!(harness.settle());
            harness.keys(&["g"]);
            harness.text(name);
            assert!(harness.settle());
            let begin = Instant::now();
            harness.keys(&["enter"]);
            let mut frames = Vec::new();
            while begin.elapsed() < Duration::from_secs(60) {
                let frame = Instant::now();
                harness.take_answers();
                let screen = harness.screen();
                frames.push(ms(frame.elapsed()));
                if screen.contains("scroll on for more") {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            println!(
                "{name:<10} first content     {:>9.1} ms",
                ms(begin.elapsed())
            );
            for key in ["down", "pagedown", "]", "d", "d", "d", "d"]
                .iter()
                .cycle()
                .take(300)
            {
                let frame = Instant::now();
                harness.keys(&[key]);
                harness.take_answers();
                harness.draw();
                frames.push(ms(frame.elapsed()));
                std::thread::sleep(Duration::from_millis(1));
            }
            told(&format!("{name}: key to frame"), frames);
        })
        .unwrap();
    }
    println!("peak memory, long contents   {:>9.1} MB", peak());
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn told(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what:<28} {:>9.2} ms median, {:.2} p99, {:.2} most",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// The most memory that this process ever had, MB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1e3
}

fn session(store: &Store) -> Session {
    Session {
        id: store.next_session().unwrap(),
        argv: vec![b"bench".to_vec()],
        cwd: b"/w".to_vec(),
        roots: vec![Root {
            path: b"/w".to_vec(),
            label: Vec::new(),
        }],
        excludes: Vec::new(),
        host: Vec::new(),
        kernel: Vec::new(),
        boot_id: Vec::new(),
        uid: 0,
        backend: Backend::Tracepoint,
        backend_reason: Vec::new(),
        recorder: Vec::new(),
        start_monotonic: 0,
        start_wall: UnixTime { sec: 1, nsec: 0 },
    }
}

fn seal(end: u64) -> Seal {
    Seal {
        end: Timestamp(end),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(1),
        root: Digest::of(b""),
        faults: Vec::new(),
    }
}

fn process(id: u32) -> Process {
    Process {
        pid: 1000 + id,
        start: Timestamp(0),
        parent: (id > 1).then_some(ProcessId(1)),
        comm: format!("worker{id}").into_bytes(),
        exe: b"/bin/worker".to_vec(),
        argv: vec![b"worker".to_vec()],
        cwd: b"/w".to_vec(),
        uid: 0,
        exit: Some(ExitStatus::Code(0)),
    }
}

fn top() -> Change {
    Change::Node {
        file: FileId::TOP,
        node: node(Kind::Dir, Vec::new()),
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

fn place(parent: FileId, name: &str) -> Place {
    Place {
        parent,
        name: name.as_bytes().to_vec(),
    }
}

fn named(file: FileId, kind: Kind, place: &Place) -> Vec<Change> {
    vec![
        Change::Name {
            parent: place.parent,
            name: place.name.clone(),
            child: Some(file),
        },
        Change::Node {
            file,
            node: node(kind, vec![place.clone()]),
        },
    ]
}
