//! The tee: every byte, in the order of the writes, to the right stream.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::bench::Bench;

/// The pieces of a tee file: stream and bytes.
fn pieces(bench: &Bench) -> Vec<(u8, Vec<u8>)> {
    let data = fs::read(bench.path("tee")).unwrap();
    let mut rest = &data[..];
    let mut pieces = Vec::new();
    while let [stream, b':', tail @ ..] = rest {
        let colon = tail.iter().position(|&byte| byte == b':').unwrap();
        let length: usize = std::str::from_utf8(&tail[..colon])
            .unwrap()
            .parse()
            .unwrap();
        pieces.push((stream - b'0', tail[colon + 1..][..length].to_vec()));
        rest = &tail[colon + 2 + length..];
    }
    assert!(rest.is_empty());
    pieces
}

/// Pieces of one stream that follow each other, put together.
fn runs(bench: &Bench) -> Vec<(u8, Vec<u8>)> {
    let mut runs: Vec<(u8, Vec<u8>)> = Vec::new();
    for (stream, bytes) in pieces(bench) {
        match runs.last_mut() {
            Some((last, run)) if *last == stream => run.extend(bytes),
            _ => runs.push((stream, bytes)),
        }
    }
    runs
}

fn of(bench: &Bench, stream: u8) -> Vec<u8> {
    let pieces = pieces(bench)
        .into_iter()
        .filter(|(piece, _)| *piece == stream);
    pieces.flat_map(|(_, bytes)| bytes).collect()
}

#[test]
fn ten_thousand_alternating_writes_keep_their_order() {
    let bench = Bench::new();
    let script = "import os\nfor i in range(10000): os.write(1 + i % 2, b'%d\\n' % i)";
    let output = bench.run(&["--tee", "tee"], &["python3", "-c", script]);
    let expected: Vec<_> = (0..10_000)
        .map(|i| (1 + i % 2, format!("{i}\n").into_bytes()))
        .map(|(s, b)| (s as u8, b))
        .collect();
    assert_eq!(bench.fact("order"), "Exact 0");
    assert_eq!(pieces(&bench), expected);
    assert_eq!(output.stdout, of(&bench, 1));
    assert_eq!(output.stderr, of(&bench, 2));
}

/// Lengths around the page, where a piece can be a part of a write or all of it.
const MIXED: &str = "import os,random,sys
random.seed(int(sys.argv[1]))
sizes = [1, 10, 100, 4095, 4096, 4096, 4097, 8192, 12288, 20000, 70000, 300000]
order = open('order', 'w')
for i in range(1500):
    stream, size = random.choice([1, 1, 2]), random.choice(sizes)
    order.write('%d %d\\n' % (stream, size))
    os.write(stream, (b'%d' % (i % 10)) * size)";

#[test]
fn long_writes_keep_their_order_or_say_so() {
    for seed in ["1", "2", "3"] {
        let bench = Bench::new();
        let output = bench.run(&["--tee", "tee"], &["python3", "-c", MIXED, seed]);
        assert_eq!(
            (output.stdout, output.stderr),
            (of(&bench, 1), of(&bench, 2))
        );
        if !bench.fact("order").starts_with("Exact") {
            continue;
        }
        let mut expected: Vec<(u8, Vec<u8>)> = Vec::new();
        for (i, line) in bench.read("order").lines().enumerate() {
            let (stream, size) = line.split_once(' ').unwrap();
            let (stream, size): (u8, usize) = (stream.parse().unwrap(), size.parse().unwrap());
            let bytes = vec![b'0' + (i % 10) as u8; size];
            match expected.last_mut() {
                Some((last, run)) if *last == stream => run.extend(bytes),
                _ => expected.push((stream, bytes)),
            }
        }
        assert!(runs(&bench) == expected, "seed {seed}");
    }
}

/// stdout and stderr of the recorder are one file: the order holds there, and each piece still
/// knows its stream.
#[test]
fn both_into_one_file() {
    let bench = Bench::new();
    let file = fs::File::create(bench.path("log")).unwrap();
    let script = "import os\nfor i in range(2000): os.write(1 + i % 2, b'%d\\n' % i)";
    let mut driver = bench.driver(&["--tee", "tee"], &["python3", "-c", script]);
    driver.stdout(file.try_clone().unwrap()).stderr(file);
    assert!(driver.status().unwrap().success());
    let expected: String = (0..2000).map(|i| format!("{i}\n")).collect();
    assert_eq!(bench.read("log"), expected);
    assert!(
        pieces(&bench)
            .iter()
            .enumerate()
            .all(|(i, (stream, _))| usize::from(*stream) == 1 + i % 2)
    );
}

#[test]
fn a_large_write_is_whole() {
    let bench = Bench::new();
    let script = "import os,hashlib\ndata = os.urandom(5_000_000)\n\
        open('sum', 'w').write(hashlib.sha256(data).hexdigest())\n\
        assert os.write(1, data) == len(data)";
    let output = bench.run(&["--tee", "tee"], &["python3", "-c", script]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout.len(), 5_000_000);
    fs::write(bench.path("got"), &output.stdout).unwrap();
    let check = std::process::Command::new("sha256sum")
        .arg(bench.path("got"))
        .output()
        .unwrap();
    assert!(check.stdout.starts_with(bench.read("sum").as_bytes()));
}

/// The reader of the recorder's stdout goes away: the command gets SIGPIPE as it would have.
#[test]
fn a_closed_reader_ends_the_writer() {
    let bench = Bench::new();
    let argv = ["sh", "-c", "yes; echo $? >yes-status; exit 8"];
    let mut child = bench
        .driver(&["--tee", "tee"], &argv)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"y\n");
    assert_eq!(child.wait().unwrap().code(), Some(8));
    assert_eq!(bench.read("yes-status"), "141\n");
    assert_eq!(bench.fact("failed"), "true");
}

/// A slow reader holds the writer back, as a pipe does; it loses nothing.
#[test]
fn a_slow_reader_holds_the_writer_back() {
    let bench = Bench::new();
    bench.fifo("go");
    let script =
        "import os\nos.write(2, b'x')\nos.write(1, b'z' * 1_000_000)\nopen('written', 'w')";
    let mut child = bench.driver(&["--tee", "tee"], &["python3", "-c", script]);
    let mut child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut one = [0; 1];
    child.stderr.take().unwrap().read_exact(&mut one).unwrap();
    // The pipe to us takes 64 KiB, the FIFO a page: a million bytes cannot have been written.
    crate::bench::until_state(bench.pid("child"), 'S');
    assert!(!bench.path("written").exists());
    let mut all = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 1_000_000);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A background process keeps the descriptors: the recorder does not wait for it, nor kill it.
#[test]
fn a_process_left_behind_does_not_hold_the_recorder() {
    let bench = Bench::new();
    bench.fifo("go");
    let script = "trap '' PIPE; (read line <go; echo late; echo $? >late-status; touch gone) & echo early; exit 2";
    let output = bench.run(&["--tee", "tee"], &["sh", "-c", script]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"early\n");
    assert_eq!(bench.fact("left_open"), "true");
    bench.meet("go");
    while !bench.path("gone").exists() {
        std::thread::yield_now();
    }
    assert_ne!(bench.read("late-status"), "0\n");
}

/// A script that opens its own stdout by name.
#[test]
fn dev_stdout_can_be_opened() {
    let bench = Bench::new();
    let script = "echo a >/dev/stdout; echo b >/dev/stderr; echo c | tee /dev/stderr";
    let output = bench.run(&["--tee", "tee"], &["bash", "-c", script]);
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"a\nc\n"[..], &b"b\nc\n"[..])
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn closed_output_ends_the_tee_and_not_the_command() {
    let bench = Bench::new();
    let output = bench.run(
        &["--tee", "tee"],
        &["sh", "-c", "echo out; exec >&- 2>&-; sleep 0.1; exit 5"],
    );
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(5), &b"out\n"[..])
    );
    assert_eq!(bench.fact("left_open"), "false");
}
