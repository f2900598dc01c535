//! An ordinary user records on the tracepoint tier: `sudo -n` elevates the loader of the kernel
//! programs and nothing else. The user is `nobody`, and what `sudo` allows them stands in a mount
//! namespace of each test, as does `/mnt`, where they find their directories. Needs root, `sudo`
//! and an ext4 below `target/`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use common::{EXE, Env, Run, clean, kernel_bed, kernel_tier, missing, run, skip};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

/// Allows nothing but the loader.
const LOADER: &str = "nobody ALL=(root) NOPASSWD: /mnt/keeper loader";
/// Status of a script that found no `sudo` which reads the rules of the test.
const UNUSABLE: i32 = 77;

/// What comes before a script: `keeper` is the program as `nobody`, in `/mnt/tree`.
const BEGIN: &str = r#"
    rm -rf "$STATE"; chmod 755 ..; cp "$EXE" ../keeper
    mount --bind .. /mnt
    mount -t tmpfs -o mode=755 none /etc/sudoers.d
    echo "$RULE" >/etc/sudoers.d/test; chmod 440 /etc/sudoers.d/test
    chown nobody /mnt /mnt/tree; cd /mnt/tree
    nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" "$@"; }
    keeper() { nobody /mnt/keeper "$@"; }
    nobody sudo -n -l >/dev/null 2>&1 || [ "$RULE" != "$LOADER" ] || exit 77
"#;

/// Runs a script as root, in a mount namespace in which `sudo` has one more rule.
fn unprivileged(env: &Env, rule: &str, script: &str) -> Option<Run> {
    let mut command = Command::new("unshare");
    clean(&mut command);
    command.args(["-m", "--", "sh", "-ec"]);
    command.arg(format!("{BEGIN}\n{script}"));
    command.env("EXE", EXE).env("STATE", env.state());
    command.env("RULE", rule).env("LOADER", LOADER);
    let done = run(command.current_dir(env.tree()));
    if done.code() == Some(UNUSABLE) {
        skip("sudo does not read /etc/sudoers.d, or does not know nobody");
        return None;
    }
    done.expect(0);
    Some(done)
}

fn bed() -> Option<Env> {
    if kernel_tier() != "tracepoint" {
        skip("it is about the tracepoint tier");
        return None;
    }
    if let Some(program) = missing(&["sudo", "unshare", "setpriv"]) {
        skip(&format!("{program} is not installed"));
        return None;
    }
    kernel_bed()
}

#[test]
fn an_ordinary_user_captures_every_write() {
    let Some(env) = bed() else { return };
    let script = r#"
        nobody sh -c 'ls /proc/self/fd' >../fds
        keeper record --state-dir /mnt/state -- sh -ec '
            for i in 1 2 3 4 5 6 7 8 9; do echo $i$i >>log; done; mv log moved
            id -u >who; grep -E "^(Cap|NoNewPrivs)" /proc/self/status >rights
            ls /proc/self/fd >fds; exit 0'
        cmp fds ../fds; nobody grep -E '^(Cap|NoNewPrivs)' /proc/self/status | cmp - rights
        find /mnt/state /mnt/tree ! -user nobody
        test "$(cat who)" = "$(nobody id -u)"
        keeper verify --state-dir /mnt/state"#;
    let Some(done) = unprivileged(&env, LOADER, script) else {
        return;
    };
    let told = done.err();
    assert!(told.contains("backend tracepoint: "), "{done}");
    assert!(told.contains("sudo -n"), "{done}");
    assert!(!done.out().contains("/mnt/"), "not nobody's: {done}");
    assert_eq!(env.timeline(&["--filter", "op:gap"]).len(), 0);
    let writes = env.timeline(&["--filter", "op:write path:log"]);
    let offsets: Vec<_> = writes
        .iter()
        .map(|write| write["offset"].as_u64())
        .collect();
    assert_eq!(offsets, (0..9).map(|n| Some(n * 3)).collect::<Vec<_>>());
    for (n, write) in (1u64..).zip(&writes) {
        assert_eq!(write["provenance"], "captured", "{write}");
        assert_eq!(write["comm"], "sh", "{write}");
        assert_eq!(write["size"], 3 * n, "{write}");
    }
    let state = env.state();
    let at = format!("--time=#{}", writes[4]["seq"]);
    let mut show = env.bare();
    show.args(["show", &at, "--state-dir"])
        .arg(state)
        .arg("log");
    assert_eq!(run(&mut show).out(), "11\n22\n33\n44\n55\n");
    let printed = env.json("processes", &[]);
    let owner = fs::metadata(env.tree()).unwrap();
    let uid = std::os::unix::fs::MetadataExt::uid(&owner);
    assert!(
        printed.iter().all(|process| process["uid"] == uid),
        "{printed:?}"
    );
    env.assert_latest();
}

/// What root does meanwhile in the user's tree is told as far as its modes let the user see it.
#[test]
fn secrets_of_others_stay_theirs() {
    let Some(env) = bed() else { return };
    let script = r#"
        keeper record --state-dir /mnt/state -- \
            sh -c 'echo >ready; while [ ! -e go ]; do sleep 0.05; done' &
        while [ ! -e ready ]; do sleep 0.05; done
        echo for-everybody >public; chmod 644 public
        (umask 077; echo hidden-word >secret; mkdir closed; echo deep-word >closed/deepname)
        sleep 0.2; touch go; wait $!
        keeper verify --state-dir /mnt/state"#;
    if unprivileged(&env, LOADER, script).is_none() {
        return;
    }
    let public = env.timeline(&["--filter", "op:write path:public"]);
    assert_eq!(public.len(), 1, "{public:?}");
    assert_eq!(public[0]["provenance"], "captured");
    for word in ["content:hidden", "content:deep", "path:**/deepname"] {
        let found = env.timeline(&["--filter", word]);
        assert!(found.is_empty(), "{word}: {found:?}");
    }
    let all = format!("{:?}", env.timeline(&[]));
    assert!(!all.contains("deepname"), "{all}");
    let gaps = env.timeline(&["--filter", "op:gap path:secret"]);
    assert!(!gaps.is_empty());
    let mut show = env.command("show");
    let shown = run(show.arg("secret"));
    assert_ne!(shown.code(), Some(0), "{shown}");
    assert!(!shown.out().contains("hidden"), "{shown}");
}

/// One line says what is missing and how to get it.
#[test]
fn without_a_password_it_is_said_and_notify_taken() {
    let Some(env) = bed() else { return };
    let script = r#"
        keeper record --state-dir /mnt/state -- sh -c 'echo 1 >file'
        keeper record --state-dir /mnt/state --no-sudo -- true
        if keeper record --state-dir /mnt/state --backend tracepoint -- touch ran; then exit 1; fi
        test ! -e ran"#;
    let Some(done) = unprivileged(&env, "nobody ALL=(root) ALL", script) else {
        return;
    };
    let told = done.err();
    let lines: Vec<_> = told
        .lines()
        .filter(|line| line.contains("CAP_BPF"))
        .collect();
    assert_eq!(lines.len(), 3, "{done}");
    for part in [
        "backend notify: ",
        "a password is required",
        "`sudo -v`",
        "--cap-add BPF",
    ] {
        assert!(lines[0].contains(part), "{part}: {done}");
    }
    assert!(lines[1].contains("backend notify: "), "{done}");
    assert!(!lines[1].contains("password"), "{done}");
    assert!(lines[2].contains("a password is required"), "{done}");
    let observed = env.timeline(&["--session=1", "--filter", "path:file"]);
    assert!(!observed.is_empty());
}

#[test]
fn doctor_tells_that_the_loader_can_be_elevated() {
    let Some(env) = bed() else { return };
    let script = "keeper doctor --state-dir /mnt/state; keeper doctor --json; keeper doctor";
    let Some(done) = unprivileged(&env, LOADER, script) else {
        return;
    };
    let out = done.out();
    assert!(out.contains("by a loader that sudo -n elevates"), "{done}");
    assert!(out.contains("--backend auto takes tracepoint"), "{done}");
    assert!(out.contains("\"chosen\":\"tracepoint\""), "{done}");
    let Some(done) = unprivileged(&env, "nobody ALL=(root) ALL", script) else {
        return;
    };
    assert!(done.out().contains("a password is required"), "{done}");
    assert!(done.out().contains("--backend auto takes notify"), "{done}");
}

/// What becomes of a loader with this as stdin.
fn loader(socket: impl Into<Stdio>, uid: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(EXE);
    clean(&mut command);
    command.arg("loader").stdin(socket).env_remove("SUDO_UID");
    command.envs(uid.map(|uid| ("SUDO_UID", uid)));
    let done = command.output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.code(), told)
}

fn pair() -> (OwnedFd, OwnedFd) {
    let kind = SocketType::SEQPACKET;
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
}

#[test]
fn the_loader_loads_for_no_one_but_a_recorder() {
    let refused = |(code, told): (Option<i32>, String), why: &str| {
        assert_eq!(code, Some(125), "{told}");
        assert!(told.contains(why), "{told}");
    };
    refused(loader(Stdio::null(), None), "not the socket of a recorder");
    let (ours, theirs) = pair();
    drop(ours);
    // Another user than the one who made the socket called sudo.
    refused(loader(theirs, Some("4711")), "not the socket of a recorder");
    let (ours, theirs) = pair();
    send(ours.as_fd(), b"something else", SendFlags::empty()).unwrap();
    refused(loader(theirs, None), "none of this version");
}

#[test]
fn the_loader_ends_with_its_socket() {
    let (ours, theirs) = pair();
    drop(ours);
    let (code, told) = loader(theirs, None);
    assert_eq!((code, told.as_str()), (Some(0), ""));
}
