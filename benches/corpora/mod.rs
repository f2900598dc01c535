//! Files that change in known ways: random bytes, text as programs write it, and what real
//! programs make (SQLite, a compiler, tar).
#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use diffkeeper_demo::rng::Rng;
use tempfile::TempDir;

use crate::common::missing;

const BLOCK: usize = 4096;
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Gives the next version of a file, the first one to begin with.
pub(crate) type Next = dyn FnMut() -> Vec<u8>;

/// A corpus: its name, its versions, and the least saving in percent where one is asked for.
pub(crate) type Corpus = (&'static str, Box<Next>, Option<f64>);

/// All of them; a text where the program that makes one is missing.
pub(crate) fn all() -> impl Iterator<Item = Result<Corpus, String>> {
    // 1 whole and 20 tenths of fresh random bytes: 85.7 % is the bound of entropy.
    let blocks = in_memory(megabyte, |rng, content| change_blocks(rng, content));
    // Its bound of entropy is about 79.9 %.
    let scattered = in_memory(megabyte, |rng, content| scatter(rng, content));
    let own: [Corpus; 5] = [
        ("1 MiB, 10 % in blocks", blocks, Some(83.0)),
        ("1 MiB, 10 % scattered bytes", scattered, None),
        (
            "a log of 1 MiB, 16 KiB appended",
            in_memory(log, append),
            None,
        ),
        (
            "JSON of 12 KB, one value",
            in_memory(json, change_value),
            None,
        ),
        (
            "source of 171 KB, three lines",
            in_memory(source, change_lines),
            None,
        ),
    ];
    let made = [
        (
            "SQLite of 1.4 MB, 20 rows",
            "sqlite3",
            sqlite as fn() -> Box<Next>,
        ),
        ("ELF, 10 of 6000 functions", "cc", elf),
        ("tar of 6 MB, a line in 3 files", "tar", tar),
    ];
    let made = made
        .into_iter()
        .map(|(name, tool, make)| match missing(&[tool]) {
            Some(tool) => Err(format!("{name:<34} skipped: no {tool}")),
            None => Ok((name, make(), None)),
        });
    own.into_iter().map(Ok).chain(made)
}

fn in_memory(
    make: impl Fn(&mut Rng) -> Vec<u8> + 'static,
    step: impl Fn(&mut Rng, &mut Vec<u8>) + 'static,
) -> Box<Next> {
    let mut rng = Rng::new(1);
    let mut content = None;
    Box::new(move || {
        match &mut content {
            None => content = Some(make(&mut rng)),
            Some(content) => step(&mut rng, content),
        }
        content.clone().unwrap_or_default()
    })
}

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

pub(crate) fn append(rng: &mut Rng, content: &mut Vec<u8>) {
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

/// Of this project.
fn source(_: &mut Rng) -> Vec<u8> {
    let mut files = rust_files(&Path::new(ROOT).join("store/src"));
    files.sort();
    let mut content: Vec<u8> = files
        .iter()
        .flat_map(|file| fs::read(file).unwrap())
        .collect();
    content.truncate(171_000);
    content
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| {
        if path.is_dir() {
            rust_files(&path)
        } else {
            vec![path]
        }
    });
    below.collect()
}

pub(crate) fn change_lines(rng: &mut Rng, content: &mut Vec<u8>) {
    for _ in 0..3 {
        let at = rng.below(content.len() as u64) as usize;
        let at = content[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |n| at + n + 1);
        let line = format!(
            "    let changed_{:x} = {};\n",
            rng.below(1 << 20),
            rng.below(1000)
        );
        content.splice(at..at, line.into_bytes());
    }
}

/// What a command makes in a directory of its own, version after version.
fn by_command(file: &'static str, mut script: impl FnMut(u64) -> String + 'static) -> Box<Next> {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut number = 0;
    Box::new(move || {
        let mut command = Command::new("sh");
        command
            .args(["-ec", &script(number)])
            .current_dir(dir.path());
        assert!(command.stdin(Stdio::null()).status().unwrap().success());
        number += 1;
        fs::read(dir.path().join(file)).unwrap()
    })
}

fn sqlite() -> Box<Next> {
    let made = "create table t(id integer primary key, name text, value blob);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 12000)
        insert into t select i, 'row ' || i, hex(i * 2654435761 % 4294967296)
            || hex(i) || printf('%.70c', 'x') from n;";
    by_command("db", move |number| match number {
        0 => format!("sqlite3 db \"{made}\""),
        _ => format!(
            "sqlite3 db \"update t set name = 'changed {number}' where id % 600 = {}\"",
            number * 29 % 600
        ),
    })
}

fn elf() -> Box<Next> {
    by_command("program", |number| {
        format!(
            "awk 'BEGIN {{ for (i = 0; i < 6000; i++) {{
                k = i % 1200 == {number} ? {number} * 7919 : 3
                printf \"int f%d(int x) {{ return x > %d ? x * %d + %d : x - 1; }}\\n\", i, i, i, k
            }} print \"int main(void) {{ return f1(2); }}\" }}' >program.c
            cc -O1 -o program program.c"
        )
    })
}

fn tar() -> Box<Next> {
    by_command("tree.tar", |number| {
        format!(
            "if [ ! -d tree ]; then mkdir tree; for d in store recorder viewer ebpf src docs tests; do
                cp -r {ROOT}/$d tree/; done; fi
            for f in $(find tree -type f | sort | awk 'NR % 97 == {number}' | head -3); do
                echo 'changed {number}' >>$f; done
            tar --sort=name --mtime=@{number} -cf tree.tar tree"
        )
    })
}
