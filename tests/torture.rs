//! Real programs under `record`; each time the end of the session is the tree, exactly.
//!
//! fsx is looked for on PATH and in `target/torture/bin`
//! (`cargo install fsx --root target/torture`). `DIFFKEEPER_TEST_FSX_OPS` (2000) and
//! `DIFFKEEPER_TEST_FILES` (10000) change the sizes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{EXE, Env, knob, missing, run, skip};

/// Runs `before` unrecorded and `script` recorded, unless a program is missing.
fn torture(programs: &[&str], before: &str, script: &str) {
    if let Some(program) = missing(programs) {
        return skip(&format!("{program} is not installed"));
    }
    let env = Env::new();
    let mut prepare = std::process::Command::new("sh");
    common::clean(&mut prepare);
    prepare.args(["-ec", before]).current_dir(env.tree());
    run(&mut prepare).expect(0);
    env.sh(script);
    env.assert_latest();
    run(&mut env.command("verify")).expect(0);
}

const AUTHOR: &str = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b \
    GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n";

#[test]
fn git_commits_rebases_and_collects() {
    let script = "git init -q -b main repo; cd repo
        for i in 1 2 3 4 5 6; do seq $((i * 200)) > file$i; git add .; git commit -qm c$i; done
        git checkout -qb side HEAD~3; echo side > side; git add .; git commit -qm side
        git rebase -q main; git gc -q --prune=now; git fsck --strict";
    torture(&["git"], "", &format!("{AUTHOR}{script}"));
}

#[test]
fn git_clones_a_local_repository() {
    let before = "git init -q -b main origin; cd origin; mkdir -p src/deep
        for i in $(seq 300); do seq $i > src/deep/f$i; done; git add .; git commit -qm all";
    let script = "git clone -q --no-hardlinks origin clone; git clone -q origin linked
        cd clone; git checkout -qb other; rm -r src; git commit -qam gone; git checkout -q main";
    let before = format!("{AUTHOR}{before}");
    torture(&["git"], &before, &format!("{AUTHOR}{script}"));
}

fn sqlite(journal: &str) {
    let script = format!(
        "sqlite3 t.db 'PRAGMA journal_mode={journal}; CREATE TABLE t(k INTEGER PRIMARY KEY, v);'
        for i in 1 2 3 4 5 6 7 8; do
          sqlite3 t.db \"BEGIN; INSERT INTO t(v) SELECT hex(randomblob(400)) FROM
            (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300)
             SELECT i FROM n); UPDATE t SET v='x' WHERE k%7=$i; COMMIT;\"
          sqlite3 t.db 'BEGIN; DELETE FROM t; ROLLBACK;'
        done
        sqlite3 t.db 'VACUUM'; sqlite3 t.db 'PRAGMA integrity_check' | grep -q ok"
    );
    torture(&["sqlite3"], "", &script);
}

#[test]
fn sqlite_with_a_write_ahead_log() {
    sqlite("wal");
}

#[test]
fn sqlite_with_a_rollback_journal() {
    sqlite("delete");
}

#[test]
fn cargo_builds_a_crate() {
    let before = r#"mkdir -p c/src; cd c
        printf '[package]\nname="c"\nversion="0.1.0"\nedition="2021"\n[workspace]\n' > Cargo.toml
        printf 'pub mod m;\nfn main() { println!("{}", m::f(20)); }\n' > src/main.rs
        printf 'pub fn f(n: u64) -> u64 { if n < 2 { n } else { f(n-1) + f(n-2) } }\n' > src/m.rs"#;
    let script = "cd c; cargo build --offline -q; ./target/debug/c | grep -qx 6765
        echo 'pub fn g() {}' >> src/m.rs; cargo build --offline -q";
    torture(&["cargo", "cc"], before, script);
}

#[test]
fn tar_cp_and_rm() {
    let before = "mkdir -p src/a/b/c; for i in $(seq 400); do seq $i > src/a/b/f$i; done
        ln src/a/b/f1 src/a/hard; ln -s b/f2 src/a/soft; mkdir src/empty; chmod 1777 src/empty";
    let script = "cp -a src copy; tar cf all.tar src; mkdir un; tar xf all.tar -C un
        rm -rf src; mv un/src moved; rmdir un; cp -a moved/a moved/empty/again
        rm -rf copy/a/b; gzip -1 all.tar; touch -d '2001-02-03 04:05:06.789' moved/a/hard";
    torture(&["tar", "gzip"], before, script);
}

#[test]
fn python_rewrites_and_maps_files() {
    let script = r#"cat > w.py <<'PY'
import mmap, os, random, shutil, tempfile
random.seed(1)
for i in range(60):
    path = f"d{i % 7}/f{i % 13}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab") as f:
        f.write(os.urandom(random.randrange(200000)))
    with open(path, "r+b") as f:
        f.seek(random.randrange(1000)); f.write(b"middle")
        if i % 3 == 0: f.truncate(random.randrange(5000))
    if i % 11 == 0: shutil.rmtree(f"d{random.randrange(7)}", ignore_errors=True)
with open("mapped", "wb") as f: f.truncate(1 << 20)
with open("mapped", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
    for i in range(0, 1 << 20, 4099): m[i:i+1] = b"m"
fd, name = tempfile.mkstemp(dir="."); os.write(fd, b"x" * 10); os.close(fd)
os.replace(name, "replaced")
PY
python3 w.py; rm w.py"#;
    torture(&["python3"], "", script);
}

#[test]
fn npm_installs_a_local_package() {
    let before = r#"mkdir -p lib/sub app
        echo '{"name":"lib","version":"1.0.0","main":"i.js"}' > lib/package.json
        echo 'module.exports = 1' > lib/i.js; for i in $(seq 50); do echo $i > lib/sub/$i; done
        (cd lib && npm pack --silent >/dev/null && mv lib-1.0.0.tgz ..)
        echo '{"name":"app","version":"1.0.0"}' > app/package.json"#;
    let script = "cd app; HOME=$PWD npm install --offline --silent --no-audit --no-fund \
        --cache ./.cache ../lib-1.0.0.tgz; test -f node_modules/lib/sub/50; rm -rf node_modules";
    torture(&["npm", "node"], before, script);
}

#[test]
fn ten_thousand_files_in_new_nested_directories() {
    let env = Env::new();
    let files = knob("DIFFKEEPER_TEST_FILES", 10_000);
    let script = "import os, sys
for i in range(int(sys.argv[1])):
    path = f'n/{i % 10}/{i // 10 % 10}/{i // 100}'
    os.makedirs(path, exist_ok=True)
    with open(f'{path}/{i}', 'w') as f: f.write(str(i) * 9)";
    if let Some(program) = missing(&["python3"]) {
        return skip(&format!("{program} is not installed"));
    }
    let count = files.to_string();
    env.record(&["python3", "-c", script, &count]).expect(0);
    let made = walk(&env.tree());
    assert_eq!(made as u64, files);
    env.assert_latest();
}

fn walk(dir: &Path) -> usize {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path()),
            false => 1,
        })
        .sum()
}

fn fsx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    std::env::split_paths(&path)
        .chain([
            target.join("torture/bin"),
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target/torture/bin"),
        ])
        .map(|dir| dir.join("fsx"))
        .find(|fsx| fsx.is_file())
}

#[test]
fn fsx_exercises_one_file() {
    let Some(fsx) = fsx() else {
        return skip("fsx: `cargo install fsx --root target/torture`");
    };
    let env = Env::new();
    for seed in ["1", "2", "3"] {
        let ops = knob("DIFFKEEPER_TEST_FSX_OPS", 2000).to_string();
        let file = format!("fsx-{seed}");
        let args = ["-q", "-N", &ops, "-S", seed, &file].map(std::ffi::OsStr::new);
        let mut command = env.recording();
        run(command.arg(&fsx).args(args)).expect(0);
        env.assert_latest();
    }
    run(&mut env.command("verify")).expect(0);
}

#[test]
fn a_recorder_records_beside_another() {
    let env = Env::new();
    let script = format!(
        "mkdir inner; {EXE} record --state-dir ../inner-state --watch inner -- \
         sh -c 'echo in > inner/file'"
    );
    env.sh(&script);
    env.assert_latest();
    let mut inner = env.bare();
    inner.args(["show", "--state-dir", "../inner-state", "file"]);
    let shown = run(&mut inner);
    shown.expect(0);
    assert_eq!(shown.out(), "in\n");
}
