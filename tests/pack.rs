//! A packed trace is as good as the directory it was made of, and what a thin one lacks can be
//! supplied.
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
use std::process::Command;

use common::{Env, Run, assert_tree_equal, clean, missing, run, skip};
use diffkeeper_demo::rng::Rng;

/// Two sessions with every kind of content, the last of which shares most with the first.
fn recorded() -> Env {
    let env = Env::new();
    fs::write(env.tree().join("random"), Rng::new(3).bytes(3_000_000)).unwrap();
    env.sh("seq 20000 > log; mkdir -p d/e; head -c 90000 random > d/e/r; ln log hard; ln -s log s");
    env.sh(
        "seq 20000 20500 >> log; printf patch | dd of=random conv=notrunc bs=1 seek=5000 \
        status=none; mv d moved; rm hard; echo small > small; chmod 600 small; mkfifo pipe",
    );
    env
}

impl Trace<'_> {
    fn run(&self, args: &[&str]) -> Run {
        let mut command = self.0.bare();
        run(command.args(args).arg("--state-dir").arg(self.1))
    }

    fn out(&self, args: &[&str]) -> String {
        let done = self.run(args);
        done.expect(0);
        done.out()
    }

    fn export(&self, session: &str, when: &str, out: &Path) -> Run {
        let when = format!("--time={when}");
        self.run(&["export", "--session", session, &when, "--out", &text(out)])
    }
}

/// A trace to be read, wherever it stands.
struct Trace<'e>(&'e Env, &'e Path);

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn pack(env: &Env, from: &Path, name: &str, args: &[&str]) -> PathBuf {
    let file = env.base().join(name);
    let mut command = env.bare();
    command
        .arg("pack")
        .arg("--state-dir")
        .arg(from)
        .arg("-o")
        .arg(&file);
    run(command.args(args)).expect(0);
    file
}

fn unpack(env: &Env, file: &Path, name: &str) -> PathBuf {
    let to = env.base().join(name);
    run(env.bare().arg("unpack").arg(file).arg("--to").arg(&to)).expect(0);
    to
}

/// Whatever is asked of two traces, they say the same.
fn assert_same(env: &Env, left: &Path, right: &Path, sessions: &[&str]) {
    let (left, right) = (Trace(env, left), Trace(env, right));
    for session in sessions {
        let events = left.out(&["timeline", "--json", "--session", session]);
        assert_eq!(
            events,
            right.out(&["timeline", "--json", "--session", session])
        );
        let reversed = ["timeline", "--reverse", "--session", session];
        assert_eq!(left.out(&reversed), right.out(&reversed));
        let diff = ["diff", "--hex", "--session", session];
        assert_eq!(left.out(&diff), right.out(&diff));
        let processes = ["processes", "--json", "--session", session];
        assert_eq!(left.out(&processes), right.out(&processes));
        for when in ["start", "#1", "#3", "latest"] {
            let out = |side: &str| env.base().join(format!("{side}-{session}-{}", &when[1..]));
            let outs = (out("left"), out("right"));
            left.export(session, when, &outs.0).expect(0);
            right.export(session, when, &outs.1).expect(0);
            assert_tree_equal(&outs.0, &outs.1);
            fs::remove_dir_all(outs.0).unwrap();
            fs::remove_dir_all(outs.1).unwrap();
        }
    }
}

#[test]
fn a_pack_is_as_good_as_the_directory_and_unpacks_to_it() {
    let env = recorded();
    let file = pack(&env, &env.state(), "all.dkpack", &[]);
    Trace(&env, &file).run(&["verify"]).expect(0);
    assert_same(&env, &env.state(), &file, &["1", "2"]);
    let unpacked = unpack(&env, &file, "unpacked");
    Trace(&env, &unpacked).run(&["verify"]).expect(0);
    assert_same(&env, &file, &unpacked, &["2"]);
    // The same records make the same bytes, wherever they come from.
    let bytes = fs::read(&file).unwrap();
    for (from, name) in [(&file, "of-pack"), (&unpacked, "of-unpacked")] {
        let again = pack(&env, from, name, &[]);
        assert!(fs::read(again).unwrap() == bytes, "{name} differs");
    }
    // A recording goes on where the trace was unpacked.
    let mut command = env.bare();
    command.args(["record", "--backend", "notify", "--state-dir"]);
    command.arg(&unpacked).args(["--", "touch", "more"]);
    run(&mut command).expect(0);
    assert_eq!(Trace(&env, &unpacked).out(&["sessions"]).lines().count(), 4);
}

#[test]
fn a_pack_holds_the_sessions_that_were_chosen_and_no_blob_of_others() {
    let env = Env::new();
    let kept = Rng::new(1).bytes(100_000);
    fs::write(env.tree().join("kept"), &kept).unwrap();
    fs::write(env.base().join("secret"), Rng::new(2).bytes(400_000)).unwrap();
    // Still there at the end, so that it was read whatever the tier, and gone before the next.
    env.sh("cat ../secret > secret; echo one > one");
    fs::remove_file(env.tree().join("secret")).unwrap();
    env.sh("echo two > two");
    let all = pack(&env, &env.state(), "all", &[]);
    let second = pack(&env, &env.state(), "second", &["--session", "2"]);
    let len = |path: &Path| path.metadata().unwrap().len();
    assert!(len(&all) > len(&second) + 400_000);
    let trace = Trace(&env, &second);
    assert_eq!(trace.out(&["sessions"]).lines().count(), 2);
    trace.run(&["timeline", "--session", "1"]).expect(2);
    trace.run(&["verify"]).expect(0);
    assert_same(&env, &env.state(), &second, &["2"]);
    let mut command = env.command("pack");
    let done = run(command.args(["--session", "9", "-o", "../none"]));
    done.expect(2);
    assert!(done.err().contains("no session 9"), "{done}");
    assert!(!env.base().join("none").exists());
}

#[test]
fn nothing_is_replaced_but_a_pack_and_no_half_of_one_stays() {
    let env = Env::new();
    env.sh("echo a > a");
    let precious = env.base().join("precious");
    fs::write(&precious, "diffkeeper").unwrap();
    let to = |out: &Path| run(env.command("pack").arg("-o").arg(out));
    let done = to(&precious);
    done.expect(2);
    assert!(done.err().contains("is no packed trace"), "{done}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "diffkeeper");
    to(&env.state().join("inside")).expect(2);
    to(&env.base().join("no/such/place")).expect(2);
    let file = env.base().join("file");
    to(&file).expect(0);
    to(&file).expect(0);
    let done = run(env
        .bare()
        .arg("unpack")
        .arg(&file)
        .arg("--to")
        .arg(env.tree()));
    done.expect(2);
    assert!(done.err().contains("is not empty"), "{done}");
    // Of another layout, and of none.
    let mut bytes = fs::read(&file).unwrap();
    bytes[16] = b'2';
    fs::write(&file, &bytes).unwrap();
    let done = Trace(&env, &file).run(&["sessions"]);
    done.expect(2);
    assert!(done.err().contains("newer format"), "{done}");
    let done = Trace(&env, &precious).run(&["sessions"]);
    done.expect(2);
    assert!(done.err().contains("not a diffkeeper store"), "{done}");
    let left = fs::read_dir(env.base()).unwrap().flatten();
    let left: Vec<_> = left
        .filter(|entry| entry.file_name().as_encoded_bytes()[0] == b'.')
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn git(dir: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    clean(&mut git);
    git.arg("-C")
        .arg(dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@t"])
        .args(args);
    let done = run(&mut git);
    done.expect(0);
    done.out().trim().to_owned()
}

/// A work tree with a commit, files that it has not, and one that was changed since.
fn committed() -> Env {
    let env = Env::new();
    let tree = env.tree();
    git(&tree, &["init", "-q"]);
    fs::create_dir(tree.join("src")).unwrap();
    for (name, size) in [
        ("src/big", 2_000_000),
        ("src/a", 5000),
        ("edited", 5000),
        ("gone", 900),
    ] {
        fs::write(tree.join(name), Rng::new(size).bytes(size as usize)).unwrap();
    }
    git(&tree, &["add", "-A"]);
    git(&tree, &["commit", "-q", "-m", "first"]);
    fs::write(tree.join("edited"), "not as committed").unwrap();
    fs::write(tree.join("untracked"), Rng::new(9).bytes(7000)).unwrap();
    let mut command = env.command("record");
    command.args(["--backend", "notify", "--exclude", ".git", "--"]);
    run(command.args(["sh", "-ec", "echo new > new; echo x >> src/a; rm gone"])).expect(0);
    env
}

#[test]
fn a_thin_pack_lacks_what_the_commit_has_and_takes_it_back() {
    if let Some(program) = missing(&["git"]) {
        return skip(&format!("no {program}"));
    }
    let env = committed();
    let full = pack(&env, &env.state(), "full", &[]);
    let thin = pack(&env, &env.state(), "thin", &["--thin"]);
    let len = |path: &Path| path.metadata().unwrap().len();
    assert!(len(&full) > len(&thin) + 2_000_000);
    let trace = Trace(&env, &thin);
    let done = trace.run(&["verify"]);
    done.expect(0);
    assert!(
        done.err().contains("1 content left out on purpose"),
        "{done}"
    );
    let done = trace.run(&["show", "src/big"]);
    done.expect(1);
    assert!(done.err().contains("--from DIR"), "{done}");
    // What changed, or is not in the commit, is all there.
    for name in ["src/a", "edited", "untracked", "new"] {
        assert_eq!(
            trace.run(&["show", name]).stdout,
            fs::read(env.tree().join(name)).unwrap()
        );
    }
    let partial = env.base().join("partial");
    let done = trace.export("1", "latest", &partial);
    done.expect(1);
    let commit = git(&env.tree(), &["rev-parse", "HEAD"]);
    assert!(
        done.err().contains(&format!("git commit {commit}")),
        "{done}"
    );
    assert!(!partial.join("src/big").exists() && partial.join("src/a").exists());
    // A checkout of the commit, elsewhere and while the tree goes on.
    let checkout = env.base().join("checkout");
    git(
        &env.tree(),
        &[
            "worktree",
            "add",
            "-q",
            "--detach",
            &text(&checkout),
            "HEAD",
        ],
    );
    for when in ["start", "latest"] {
        let out = env.base().join(format!("whole-{when}"));
        let (time, out_text) = (format!("--time={when}"), text(&out));
        let from = ["export", &time, "--out", &out_text, "--from", "../checkout"];
        trace.run(&from).expect(0);
        assert_tree_equal(&env.export(when), &out);
    }
}

#[test]
fn only_the_very_content_is_taken_and_from_wherever_it_stands() {
    let env = Env::new();
    let big = Rng::new(4).bytes(1_500_000);
    fs::write(env.tree().join("big"), &big).unwrap();
    fs::write(env.tree().join("other"), Rng::new(5).bytes(1000)).unwrap();
    env.sh("echo new > new");
    let mut command = env.command("pack");
    let done = run(command.args(["--thin", "-o", "../thin"]));
    done.expect(2);
    assert!(done.err().contains("--from DIR"), "{done}");
    let supply = env.base().join("supply");
    fs::create_dir_all(supply.join("moved/to")).unwrap();
    fs::write(supply.join("moved/to/elsewhere"), &big).unwrap();
    let thin = pack(
        &env,
        &env.state(),
        "thin",
        &["--thin", "--from", "../supply"],
    );
    let trace = Trace(&env, &thin);
    let export = |name: &str| {
        let out = env.base().join(name);
        let done = trace.run(&["export", "--out", &text(&out), "--from", "../supply"]);
        (out, done)
    };
    let (out, done) = export("whole");
    done.expect(0);
    assert_tree_equal(&env.tree(), &out);
    // Another byte, and then a link to the very content: neither is it.
    let mut changed = big.clone();
    changed[700_000] ^= 1;
    fs::remove_dir_all(supply.join("moved")).unwrap();
    fs::write(supply.join("big"), &changed).unwrap();
    fs::write(env.base().join("elsewhere"), &big).unwrap();
    std::os::unix::fs::symlink("../elsewhere", supply.join("link")).unwrap();
    let (out, done) = export("partial");
    done.expect(1);
    assert!(
        !out.join("big").exists() && out.join("other").exists(),
        "{done}"
    );
}

/// A thin pack that lacks `big`, which has two names, and what supplies it.
fn thin(env: &Env) -> (PathBuf, PathBuf) {
    let big = Rng::new(4).bytes(1_500_000);
    fs::write(env.tree().join("big"), &big).unwrap();
    fs::hard_link(env.tree().join("big"), env.tree().join("twin")).unwrap();
    fs::write(env.tree().join("gone"), Rng::new(6).bytes(50_000)).unwrap();
    let supply = env.base().join("supply");
    fs::create_dir(&supply).unwrap();
    fs::write(supply.join("big"), &big).unwrap();
    fs::copy(env.tree().join("gone"), supply.join("gone")).unwrap();
    env.sh("echo new > new; rm gone");
    let args = ["--thin", "--from", "../supply"];
    (pack(env, &env.state(), "thin", &args), supply)
}

#[test]
fn a_restore_takes_what_a_thin_pack_lacks_and_knows_what_is_right() {
    let env = Env::new();
    let (file, supply) = thin(&env);
    let to = env.base().join("to");
    let restore =
        |more: &[&str]| Trace(&env, &file).run(&[&["restore", "--to", &text(&to)], more].concat());
    for args in [&["--dry-run"][..], &[]] {
        let done = restore(args);
        done.expect(1);
        assert!(done.err().contains("--from DIR"), "{done}");
        assert!(
            !to.join("big").exists() && !to.join("twin").exists(),
            "{done}"
        );
    }
    assert!(to.join("new").exists());
    restore(&["--dry-run", "--from", &text(&supply)]).expect(0);
    restore(&["--from", &text(&supply)]).expect(0);
    assert_tree_equal(&env.tree(), &to);
    // What is there and right needs no supply; what is not stays, and is named.
    restore(&[]).expect(0);
    let mut bytes = fs::read(to.join("big")).unwrap();
    bytes[700_000] ^= 1;
    let modified = fs::metadata(to.join("big")).unwrap().modified().unwrap();
    fs::write(to.join("big"), &bytes).unwrap();
    let changed = fs::File::options()
        .append(true)
        .open(to.join("big"))
        .unwrap();
    changed.set_modified(modified).unwrap();
    for _ in 0..2 {
        restore(&[]).expect(1);
        assert!(fs::read(to.join("twin")).unwrap() == bytes);
    }
    fs::create_dir(to.join("inside")).unwrap();
    let done = restore(&["--from", &text(&to.join("inside"))]);
    done.expect(2);
    assert!(done.err().contains("is inside --to"), "{done}");
    restore(&["--delete", "--from", &text(&supply)]).expect(0);
    assert_tree_equal(&env.tree(), &to);
}

#[test]
fn a_supply_that_is_not_the_content_is_not_restored() {
    let env = Env::new();
    let (file, supply) = thin(&env);
    let mut bytes = fs::read(supply.join("big")).unwrap();
    bytes[9] ^= 1;
    fs::write(supply.join("big"), bytes).unwrap();
    let to = text(&env.base().join("to"));
    let args = ["restore", "--to", &to, "--from", &text(&supply)];
    let done = Trace(&env, &file).run(&args);
    done.expect(1);
    assert!(!Path::new(&to).join("big").exists(), "{done}");
    // A file that went away is shown by no diff of a thin pack; the diff says what shows it.
    let done = Trace(&env, &file).run(&["diff", "--from", "start"]);
    done.expect(0);
    assert!(done.err().contains("export --from DIR"), "{done}");
}
