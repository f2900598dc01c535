//! How fast a snapshot is written out, against `cp -a` of the same tree, alternating, in
//! fresh directories. Arguments: files (10000), runs (7), directory to work in.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example for developers"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diffkeeper_store::model::{
    Backend, Digest, ExitStatus, FileId, Kind, Node, NodeIdent, Place, Provenance, Root, Seal, Seq,
    Session, SessionId, UnixTime,
};
use diffkeeper_store::policy::Load;
use diffkeeper_store::{Change, Seen, SessionWriter, Store, export};

const DIRS: u64 = 100;
const LEN: u64 = 8 << 10;

fn session(id: SessionId) -> Session {
    Session {
        roots: vec![Root {
            path: b"/w".to_vec(),
            label: Vec::new(),
        }],
        ..Session::new(id, Backend::Scripted)
    }
}

fn node(kind: Kind, mode: u32, links: Vec<Place>) -> Node {
    Node {
        kind,
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: UnixTime { sec: 1, nsec: 5 },
        rdev: 0,
        ident: NodeIdent::default(),
        target: Vec::new(),
        xattrs: Vec::new(),
        links,
    }
}

/// Half text, half noise.
fn content(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let len = (LEN / 2 + word() % LEN) as usize;
    let text = |word: u64| format!("let value_{} = call({});\n", word % 64, word % 10_000);
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < len {
        if seed.is_multiple_of(2) {
            bytes.extend(text(word()).as_bytes());
        } else {
            bytes.extend(word().to_le_bytes());
        }
    }
    bytes.truncate(len);
    bytes
}

fn put(writer: &mut SessionWriter<'_>, file: u64, parent: u64, name: &str, kind: Kind, mode: u32) {
    let parent = FileId(parent);
    let (file, name) = (FileId(file), name.as_bytes().to_vec());
    let links = vec![Place {
        parent,
        name: name.clone(),
    }];
    let child = Some(file);
    let named = Change::Name {
        parent,
        name,
        child,
    };
    let state = Change::Node {
        file,
        node: node(kind, mode, links),
    };
    writer.baseline(vec![named, state]).unwrap();
}

fn build(path: &Path, files: u64) {
    let store = Store::create(path, "example").unwrap();
    let mut writer = store.begin(&session(SessionId(1))).unwrap();
    let top = node(Kind::Dir, 0o755, Vec::new());
    let (file, seen) = (
        FileId::TOP,
        Seen {
            mtime: UnixTime { sec: 7, nsec: 8 },
            sparse: false,
            provenance: Provenance::Observed,
            load: Load::Calm,
        },
    );
    writer
        .baseline(vec![Change::Node { file, node: top }])
        .unwrap();
    for dir in 0..DIRS {
        put(
            &mut writer,
            2 + dir,
            1,
            &format!("dir{dir:03}"),
            Kind::Dir,
            0o755,
        );
    }
    for i in 0..files {
        let file = 2 + DIRS + i;
        let name = format!("file{i:06}.rs");
        put(&mut writer, file, 2 + i % DIRS, &name, Kind::File, 0o644);
        let file = FileId(file);
        let prepared = store.prepare(&content(i)).unwrap();
        let content = writer.adopt(file, prepared, seen).unwrap();
        writer
            .baseline(vec![Change::Content { file, content }])
            .unwrap();
    }
    writer.baseline_done().unwrap();
    let seal = Seal {
        end: Default::default(),
        end_wall: UnixTime::default(),
        status: ExitStatus::Code(0),
        root: Digest::of(b""),
        faults: Vec::new(),
    };
    writer.seal(seal).unwrap();
    store.close().unwrap();
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn export_once(state: &Path, out: &Path) -> [Duration; 3] {
    let start = Instant::now();
    let store = Store::open(state, "example").unwrap();
    let session = store.session(None).unwrap();
    let opened = start.elapsed();
    let snapshot = session.salvage(Seq::BASELINE).unwrap();
    let loaded = start.elapsed();
    let report =
        export::export(&session, &snapshot, out, &export::Options::default(), &()).unwrap();
    assert!(report.is_exact(), "{:?}", report.left_out.first());
    [opened, loaded - opened, start.elapsed() - loaded]
}

fn main() {
    let mut args = std::env::args().skip(1);
    let files = args.next().map_or(10_000, |n| n.parse().unwrap());
    let runs: usize = args.next().map_or(7, |n| n.parse().unwrap());
    let base = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(base).unwrap();
    let state = dir.path().join("state");
    build(&state, files);
    let source = dir.path().join("source");
    export_once(&state, &source);
    let (mut copies, mut exports) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let target = dir.path().join(format!("cp{run}"));
        let start = Instant::now();
        let status = std::process::Command::new("cp")
            .arg("-a")
            .args([&source, &target])
            .status();
        assert!(status.unwrap().success());
        copies.push(start.elapsed());
        let parts = export_once(&state, &dir.path().join(format!("export{run}")));
        println!(
            "cp -a {:.0?}, open {:.1?} snapshot {:.1?} write {:.1?}",
            copies[run], parts[0], parts[1], parts[2]
        );
        exports.push(parts.iter().sum());
    }
    let (copy, export) = (median(&mut copies), median(&mut exports));
    let ratio = export.as_secs_f64() / copy.as_secs_f64();
    println!(
        "{files} files, medians of {runs}: cp -a {copy:.0?}, export {export:.0?}, ratio {ratio:.2}"
    );
}
