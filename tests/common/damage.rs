//! A trace with something of everything, and damage at a random place of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use diffkeeper_demo::rng::Rng;

use super::{Env, until};

/// A trace of two sessions with every kind of version, and an arena with things to protect.
pub(crate) fn recorded() -> Env {
    let env = Env::new();
    let bytes = Rng::new(3).bytes(300_000);
    fs::write(env.tree().join("random"), &bytes).unwrap();
    env.sh("seq 20000 > log; mkdir -p d/e; cp random d/e/r; ln log hard; ln -s log soft");
    env.sh(
        "seq 20000 20500 >> log; printf patch | dd of=random conv=notrunc bs=1 seek=5000 \
        status=none; mv d moved; rm hard; echo small > small; chmod 600 small",
    );
    fs::create_dir_all(env.base().join("arena/keep/dir")).unwrap();
    fs::write(env.base().join("arena/keep/dir/file"), "untouched").unwrap();
    env
}

/// The regular files of a state directory, with their lengths in bytes.
pub(crate) fn files(state: &Path) -> Vec<(PathBuf, u64)> {
    let tree = diffkeeper_demo::tree::read(state, &[]).unwrap();
    let files = tree.entries.into_iter().filter(|(_, entry)| entry.size > 0);
    files.map(|(path, entry)| (path, entry.size)).collect()
}

/// Damages one file, a longer one more likely; says how.
pub(crate) fn damage(state: &Path, rng: &mut Rng) -> String {
    let files = files(state);
    let total = files.iter().map(|(_, size)| size).sum();
    // Half of the choices by length, half by file: a short file that matters is not forgotten.
    let mut drawn = rng.below(total);
    let mut chosen = rng.pick(&files).unwrap().clone();
    if rng.one_in(2) {
        for (path, size) in &files {
            if drawn < *size {
                chosen = (path.clone(), *size);
                break;
            }
            drawn -= size;
        }
    }
    let (path, size) = chosen;
    let mut bytes = fs::read(state.join(&path)).unwrap();
    let at = rng.below(size) as usize;
    let how = match rng.below(4) {
        0 => {
            bytes.truncate(at);
            "cut at"
        }
        1 => {
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
            "zeroed a page at"
        }
        _ => {
            bytes[at] ^= 1 << rng.below(8);
            "flipped a bit at"
        }
    };
    fs::write(state.join(&path), bytes).unwrap();
    format!("{} {how} {at} of {size}", path.display())
}

/// A third session, whose recorder dies with all of it in the journal.
pub(crate) fn kill_a_recording(env: &Env) {
    let mut command = env.recording();
    command.args(["sh", "-c"]);
    command
        .arg("for i in $(seq 40); do echo $i >>log; echo $i >n-$i; done; touch ../ready; sleep 60");
    let mut recorder = command.stdin(Stdio::null()).spawn().unwrap();
    until("the command has written", || {
        env.base().join("ready").exists()
    });
    std::thread::sleep(Duration::from_millis(700));
    let child = children(recorder.id());
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    // The hole that a journal ends with would only make every copy slow.
    let path = env.state().join("db/0.jnl");
    let bytes = fs::read(&path).unwrap();
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let journal = fs::File::options().write(true).open(&path).unwrap();
    journal
        .set_len((bytes.len() - zeros + 8192) as u64)
        .unwrap();
    fs::remove_file(env.state().join("reserve")).unwrap();
    for pid in child {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn children(pid: u32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default()
    };
    let all: String = tasks.map(of_task).collect();
    all.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}
