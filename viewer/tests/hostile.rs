//! Names, contents, processes and outputs that try to command a terminal: nothing that one
//! would obey is ever in a cell of the screen, whatever is shown.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{Pen, named, node, place, seal, session};
use diffkeeper_store::Store;
use diffkeeper_store::model::{FileId, Kind, Op, Process, ProcessId, SessionId, Stream, Timestamp};
use diffkeeper_viewer::Options;
use diffkeeper_viewer::harness::{Harness, with};
use diffkeeper_viewer::source::Source;

/// How many names and contents.
const COUNT: u64 = 1000;

/// Bytes that terminals obey, that mean nothing, or that turn a text around.
const ATTACKS: [&[u8]; 12] = [
    b"\x1b[2J",
    b"\x1b]0;title\x07",
    b"\x1b]52;c;ZXZpbA==\x07",
    b"\x9b31m",
    b"\xc2\x9b2J",
    b"\x1bP+q544e\x1b\\",
    b"\r\n\x08\x08",
    b"\xe2\x80\xae\xe2\x81\xa6",
    b"\xff\xfe\xc0\x80",
    b"\x00\x7f\x05",
    "\u{202e}\u{200d}\u{feff}".as_bytes(),
    b"%s%n$(reboot)`x`",
];

/// A text of its own for each number.
fn attack(n: u64) -> Vec<u8> {
    let of = |n: u64| ATTACKS[usize::try_from(n).unwrap() % ATTACKS.len()];
    [
        format!("{n}").as_bytes(),
        of(n),
        b"x",
        of(n / 12),
        of(n / 144),
    ]
    .concat()
}

/// As [`attack`], without what no name may hold.
fn name(n: u64) -> Vec<u8> {
    attack(n)
        .into_iter()
        .filter(|byte| !matches!(byte, 0 | b'/'))
        .collect()
}

fn record(store: &Store) {
    let mut session = session();
    session.argv = vec![attack(1), attack(2)];
    let mut writer = store.begin(&session).unwrap();
    let mut pen = Pen(&mut writer);
    let mut changes = pen.top();
    for n in 0..COUNT {
        let file = FileId(2 + n);
        changes.extend(named(file, Kind::File, &place(FileId::TOP, &name(n))));
        changes.push(pen.content(file, &attack(n + 7)));
    }
    pen.0.baseline(changes).unwrap();
    pen.0.baseline_done().unwrap();
    let who = Process {
        pid: 7,
        start: Timestamp(0),
        parent: None,
        comm: attack(3),
        exe: attack(4),
        argv: vec![attack(5), attack(6)],
        cwd: attack(7),
        uid: 0,
        exit: None,
    };
    pen.0.process(ProcessId(1), &who);
    for n in 0..COUNT {
        let lines = [attack(n), b"\n".to_vec(), attack(n + 1), b"\n".to_vec()].concat();
        pen.write(n * 10, ProcessId(1), FileId(2 + n), 0, 5, &lines);
    }
    let stream = Stream::Stderr;
    let bytes = (0..12).flat_map(attack).collect();
    pen.event(
        20_000,
        Some(ProcessId(1)),
        None,
        Op::Output { stream, bytes },
        Vec::new(),
    );
    let label = attack(9);
    pen.event(20_001, None, None, Op::Marker { label }, Vec::new());
    let mut link = node(Kind::Symlink, vec![place(FileId::TOP, b"link")]);
    link.target = attack(11);
    let link_id = FileId(2 + COUNT);
    let mut made = named(link_id, Kind::Symlink, &place(FileId::TOP, b"link"));
    made.pop();
    made.push(diffkeeper_store::Change::Node {
        file: link_id,
        node: link,
    });
    let op = Op::Symlink(place(FileId::TOP, b"link"));
    pen.event(20_002, None, Some(link_id), op, made);
    writer.seal(seal(30_000)).unwrap();
}

/// Every cell is one harmless character.
fn check(harness: &mut Harness<'_>) {
    assert!(harness.settle());
    for cell in &harness.draw().content {
        let harmless = |c: char| {
            !c.is_control()
                && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        assert!(cell.symbol().chars().all(harmless), "{:?}", cell.symbol());
    }
}

#[test]
fn no_byte_that_a_terminal_obeys_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("trace"), "test").unwrap();
    record(&store);
    let source = Source::new(Arc::new(store), SessionId(1));
    with(&source, (160, 50), Options::default(), |harness| {
        check(harness);
        for key in [
            "tab", "d", "d", "d", "d", "tab", "enter", "v", "end", "p", "y", "v", "esc", "y", "c",
            "esc", "?", "esc",
        ] {
            harness.keys(&[key]);
            check(harness);
        }
        harness.keys(&["0"]);
        for _ in 0..COUNT {
            harness.keys(&["l"]);
            harness.take_answers();
            harness.draw();
        }
        check(harness);
        harness.text("cx");
        harness.keys(&["enter"]);
        check(harness);
        harness.keys(&["esc"]);
        harness.text("gx");
        check(harness);
        for _ in 0..30 {
            harness.keys(&["pagedown", "down"]);
            check(harness);
        }
        harness.keys(&["enter"]);
        check(harness);
        let line = harness.app().command_line();
        assert!(!line.chars().any(char::is_control), "{line:?}");
    })
    .unwrap();
}
