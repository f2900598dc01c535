//! How fast a stream of small writes is taken in: by a session of the store, a plain file, redb
//! and SQLite. Nobody waits for the disk, and what has batches has them of 1,024 writes.
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

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use common::{Env, clean, missing, run};
use diffkeeper_demo::rng::Rng;
use diffkeeper_store::Store;
use redb::{Database, Durability, TableDefinition};

const WRITES: usize = 300_000;
/// Bytes of a write, that of the end of a line included.
const LEN: usize = 100;
const BATCH: usize = 1024;
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("writes");

/// Lines of a log, each with a number of its own.
fn content() -> Vec<u8> {
    let mut rng = Rng::new(1);
    let mut content = Vec::new();
    for number in 0..WRITES {
        let (id, ms) = (rng.next_u64(), rng.below(9000));
        let line = format!("{number:08} INFO request {id:016x} served in {ms} ms");
        writeln!(content, "{line:<width$}", width = LEN - 1).unwrap();
    }
    content
}

fn store(dir: &Path, content: &[u8]) {
    let store = Store::create(&dir.join("state"), "bench").unwrap();
    captured::appends(&store, content.chunks(LEN));
    store.close().unwrap();
}

fn plain(dir: &Path, content: &[u8]) {
    let mut file = BufWriter::new(File::create(dir.join("plain")).unwrap());
    for write in content.chunks(LEN) {
        file.write_all(write).unwrap();
    }
    file.flush().unwrap();
}

fn redb(dir: &Path, content: &[u8]) {
    let database = Database::create(dir.join("redb")).unwrap();
    let mut key = 0;
    for batch in content.chunks(LEN * BATCH) {
        let mut transaction = database.begin_write().unwrap();
        transaction.set_durability(Durability::None).unwrap();
        let mut table = transaction.open_table(TABLE).unwrap();
        for write in batch.chunks(LEN) {
            table.insert(key, write).unwrap();
            key += 1;
        }
        drop(table);
        transaction.commit().unwrap();
    }
}

/// Through its own program, which reads the lines from a file: parsing them is in the time.
fn sqlite(dir: &Path, lines: &Path) {
    let mut command = Command::new("sqlite3");
    clean(&mut command);
    command.arg(dir.join("sqlite")).args([
        "pragma synchronous = off",
        "pragma journal_mode = wal",
        "create table writes(content text)",
    ]);
    command.arg(format!(".import '{}' writes", lines.display()));
    run(&mut command).expect(0);
}

fn all() {
    let content = content();
    let with_sqlite = missing(&["sqlite3"]).is_none();
    let (mut ours, mut file, mut tree, mut sql) = (vec![], vec![], vec![], vec![]);
    for _ in 0..side::rounds() {
        let env = Env::new();
        let lines = env.base().join("lines");
        fs::write(&lines, &content).unwrap();
        file.push(side::seconds(|| plain(env.base(), &content)));
        ours.push(side::seconds(|| store(env.base(), &content)));
        tree.push(side::seconds(|| redb(env.base(), &content)));
        if with_sqlite {
            sql.push(side::seconds(|| sqlite(env.base(), &lines)));
        }
    }
    println!("\n{WRITES} writes of {LEN} B, appended to one file");
    let file = speed("a plain file, buffered", &file);
    let ours = speed("a session of the store", &ours);
    speed("redb", &tree);
    match with_sqlite {
        true => drop(speed("SQLite, .import", &sql)),
        false => println!("SQLite SKIPPED: sqlite3 is not installed"),
    }
    let ratio = ours / file;
    let verdict = if ratio >= 0.15 { "ok" } else { "UNDER" };
    println!("store / plain file {ratio:.3}, at least 0.15  {verdict}");
}

/// Tells and gives the writes a second, in thousands.
fn speed(name: &str, times: &[f64]) -> f64 {
    let speed = WRITES as f64 / side::median(times) / 1e3;
    println!("{name:<28} {speed:>10.0} k a second");
    speed
}

fn main() -> ExitCode {
    side::enter(all)
}
