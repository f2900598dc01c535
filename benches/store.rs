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

mod captured;
#[path = "../tests/common/mod.rs"]
mod common;
mod corpora;
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
use diffkeeper_store::Store;
use diffkeeper_store::model::VersionRef;

const VERSIONS: usize = 21;
/// Between two versions: long enough for an observing backend to see each.
const PAUSE: Duration = Duration::from_millis(500);

/// Records `VERSIONS` versions of one file; gives each with a time at which it stood.
fn recorded(env: &Env, version: &mut corpora::Next) -> Vec<(String, Vec<u8>)> {
    let mut command: Command = env.recording();
    command.args([
        "sh",
        "-c",
        "> ../ready; until [ -e ../end ]; do sleep 0.05; done",
    ]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut recorder = command.spawn().unwrap();
    until("the recording starts", || env.base().join("ready").exists());
    let mut versions = Vec::new();
    for _ in 0..VERSIONS {
        let content = version();
        write_in_place(&env.tree().join("file"), &content);
        sleep(PAUSE);
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
        versions.push((time, content));
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

/// What captured appends weigh, and how long it takes to read states between them.
fn appends() {
    const READS: u64 = 200;
    let mut rng = Rng::new(2);
    let content = rng.bytes(APPENDS * APPENDED);
    let env = Env::new();
    let store = Store::create(&env.state(), "bench").unwrap();
    let mut seqs = Vec::new();
    let took = side::seconds(|| seqs = captured::appends(&store, content.chunks(APPENDED)));
    store.close().unwrap();
    let stored = side::bytes_below(&env.state());
    let store = Store::open(&env.state(), "bench").unwrap();
    let session = store.session(None).unwrap();
    let mut times = Vec::new();
    for _ in 0..READS {
        let number = rng.below(APPENDS as u64) as usize;
        let at = VersionRef {
            file: captured::FILE,
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
        appends();
        let head = format!("{VERSIONS} versions of one file");
        println!("\n{head:<34} {:>10} {:>10} {:>9}", "raw", "stored", "saved");
        for corpus in corpora::all() {
            let Ok((name, mut version, bound)) = corpus else {
                println!("{}", corpus.err().unwrap_or_default());
                continue;
            };
            let env = Env::new();
            let versions = recorded(&env, version.as_mut());
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
