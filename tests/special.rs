//! What is no plain file: pipes, sockets, holes, links that lead nowhere, files one may not read.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use common::{EXE, Env, missing, run, skip};
use diffkeeper_demo::tree::{Options, compare};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use rustix::process::geteuid;

#[test]
fn pipes_and_sockets_neither_block_nor_vanish() {
    let env = Env::new();
    mknodat(CWD, env.tree().join("old"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let listener = UnixListener::bind(env.tree().join("socket")).unwrap();
    env.sh(
        "mkfifo new sub-$$; mv new renamed; echo through > sub-$$ & cat sub-$$ > got; rm sub-$$",
    );
    drop(listener);
    env.assert_latest();
}

#[test]
fn a_file_removed_while_it_is_read() {
    let env = Env::new();
    env.sh(
        "for i in $(seq 30); do head -c 4000000 /dev/urandom > big; rm big; done
        for i in $(seq 30); do head -c 300000 /dev/urandom > b$i; mv b$i last; done
        mkdir d; for i in $(seq 30); do mkdir d/$i; echo $i > d/$i/f; rm -r d/$i; done",
    );
    env.assert_latest();
}

#[test]
fn holes_stay_holes() {
    let env = Env::new();
    let script = "truncate -s 200M before-end; printf end >> before-end; truncate -s 64M empty
        printf start > middle; printf x | dd of=middle bs=1 seek=100000000 conv=notrunc status=none";
    fs::write(env.tree().join("old"), "").unwrap();
    let old = fs::File::create(env.tree().join("old")).unwrap();
    old.set_len(50 << 20).unwrap();
    env.sh(script);
    let out = env.export("latest");
    common::assert_tree_equal(&env.tree(), &out);
    for name in ["before-end", "empty", "middle", "old"] {
        let blocks = |dir: &Path| fs::metadata(dir.join(name)).unwrap().blocks() * 512;
        let (original, exported) = (blocks(&env.tree()), blocks(&out));
        let bound = original + (1 << 20);
        assert!(exported <= bound, "{name}: {original} became {exported}");
    }
}

#[test]
fn links_that_loop_or_lead_nowhere() {
    let env = Env::new();
    fs::create_dir_all(env.tree().join("dir/sub")).unwrap();
    for (target, name) in [
        ("self", "self"),
        ("b", "a"),
        ("a", "b"),
        ("nowhere", "dangling"),
        ("..", "dir/up"),
        ("../..", "dir/sub/out"),
        ("/", "root"),
        ("/proc/self", "proc"),
    ] {
        symlink(target, env.tree().join(name)).unwrap();
    }
    env.sh(
        "ln -s new-self new-self; ln -s /etc etc; ln -sfn elsewhere dangling; mv a c; rm b
        ln -s ../outside dir/outside; echo through > dir/up/via-link; ln -P dangling hard-to-link",
    );
    env.assert_latest();
    assert!(!env.base().join("outside").exists());
}

#[test]
fn modes_with_set_id_bits_and_sealed_directories() {
    let env = Env::new();
    env.sh(
        "for m in 0000 0111 0400 0444 1644 2755 4711 6755 7777; do echo $m > f$m; chmod $m f$m; done
        for m in 0500 0555 1777 2775 3700; do mkdir d$m; echo in > d$m/f; chmod $m d$m; done
        mkdir -p sealed/inner; echo x > sealed/inner/f; chmod 0555 sealed/inner sealed",
    );
    if geteuid().is_root() {
        env.assert_latest();
    } else {
        let out = env.export("latest");
        let unreadable = |path: &Path| path.starts_with("f0000") || path.starts_with("f0111");
        let found = compare(&env.tree(), &out, &Options::default());
        let rest: Vec<_> = found.iter().filter(|d| !unreadable(&d.path)).collect();
        assert!(rest.is_empty(), "{rest:?}");
    }
    env.sh("chmod -R u+rwx .");
}

#[test]
fn extended_attributes() {
    let env = Env::new();
    fs::write(env.tree().join("old"), "").unwrap();
    let set =
        |name, value: &[u8]| setxattr(env.tree().join(name), "user.a", value, XattrFlags::empty());
    if set("old", b"before").is_err() {
        return skip("no user attributes on this filesystem");
    }
    if let Some(program) = missing(&["python3"]) {
        return skip(&format!("{program} is not installed"));
    }
    let script = "import os
open('new', 'w').close(); os.setxattr('new', 'user.b', b'\\0binary\\xff')
os.mkdir('dir'); os.setxattr('dir', 'user.c', b''); os.setxattr('old', 'user.a', b'after')
os.setxattr('old', 'user.gone', b'x'); os.removexattr('old', 'user.gone')
os.setxattr('new', 'user.long', b'l' * 3000)";
    env.record(&["python3", "-c", script]).expect(0);
    env.assert_latest();
}

/// Runs the recorder as a user for whom one file is closed; as root by becoming nobody.
fn as_other_user(env: &Env) -> Option<Command> {
    if !geteuid().is_root() {
        let mut command = Command::new(EXE);
        command.current_dir(env.tree());
        return Some(command);
    }
    const NOBODY: u32 = 65534;
    let drop = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut probe = Command::new("setpriv");
    probe
        .args(drop)
        .args(["test", "-x", EXE, "-a", "-x"])
        .arg(env.tree());
    chown(env.base(), Some(NOBODY), Some(NOBODY)).unwrap();
    chown(env.tree(), Some(NOBODY), Some(NOBODY)).unwrap();
    if !probe.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(drop).arg(EXE).current_dir(env.tree());
    Some(command)
}

#[test]
fn an_unreadable_file_is_a_gap_and_no_failure() {
    let env = Env::new();
    fs::set_permissions(env.base(), fs::Permissions::from_mode(0o755)).unwrap();
    let Some(mut command) = as_other_user(&env) else {
        return skip("cannot become a user who may run the binary");
    };
    fs::write(env.tree().join("closed"), "secret").unwrap();
    fs::set_permissions(env.tree().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    common::clean(&mut command);
    command.args(["record", "--state-dir"]).arg(env.state());
    command.args(["--backend", &common::backend(), "--", "sh", "-c"]);
    command.arg("echo 1 > open; echo 2 > shut; chmod 0 shut; mkdir d; chmod 0 d; exit 3");
    let done = run(&mut command);
    done.expect(3);
    let events = env.timeline(&[]);
    let gap = |path: &Path| {
        let path = path.to_str().unwrap();
        events.iter().any(|e| e["op"] == "gap" && e["path"] == path)
    };
    assert!(gap(Path::new("closed")), "no gap for closed");
    let out = env.export("latest");
    for difference in compare(&env.tree(), &out, &Options::default()) {
        // What cannot be compared is named by where it stands.
        let path = difference.path.strip_prefix(env.tree());
        let path = path.unwrap_or(&difference.path);
        assert!(gap(path), "a silent difference: {difference}");
    }
    assert_eq!(fs::read_to_string(out.join("open")).unwrap(), "1\n");
    fs::set_permissions(env.tree().join("d"), fs::Permissions::from_mode(0o700)).unwrap();
}
