//! Redaction through the binary: of 200 secrets of 20 shapes, and of the values of secret
//! variables, nothing is found in what a recording leaves on disk or what is made of it, however
//! they were written.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod corpus;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::{Env, backend, kernel_bed, kernel_tier, run};
use corpus::{Secret, corpus};
use diffkeeper_store::Store;
use diffkeeper_store::model::{Op, Seq, VersionRef};

/// Values of variables, none of which looks like anything.
const VALUES: [(&str, &str); 4] = [
    ("DEPLOY_TOKEN", "correct-horse-battery"),
    ("DB_PASSWORD", "hunter2hunter"),
    ("AWS_SECRET_ACCESS_KEY", "fourth/of/the-july/fireworks"),
    ("PLAIN_NAME", "named by the user"),
];

/// Each secret is written whole, in two pieces by two processes and by one, among bytes that are
/// no text, over something longer, and gone before anybody looks; then it is printed in two
/// pieces, and stands in names, a link target, an attribute and an argument.
const WORKLOAD: &str = r#"
mkdir whole pieces one binary over printed
for dir in "$1"/*; do
    n=${dir##*/}
    cp "$dir/text" "whole/$n"
    cat "$dir/first" >"pieces/$n"
    cat "$dir/rest" >>"pieces/$n"
    { cat "$dir/first"; cat "$dir/rest"; echo; } >"one/$n"
    { printf 'a\0\377\n'; cat "$dir/first"; cat "$dir/rest"; printf '\0\1'; } >"binary/$n"
    printf '%0300d' 0 >"over/$n"
    dd if="$dir/text" of="over/$n" bs=7 conv=notrunc 2>"$1/../dd"
    cp "$dir/text" gone; rm gone
    cat "$dir/first"; sleep 0.001; cat "$dir/rest"; echo
    cat "$dir/text" >&2
    if [ -e "$dir/name" ]; then
        text=$(cat "$dir/text")
        mkdir "dir-$text"; : >"dir-$text/$text.txt"; mv "dir-$text/$text.txt" "dir-$text/moved-$text"
        ln -s "to/$text" "link-$n"
        setfattr -n "user.$n" -v "$text" "whole/$n" 2>/dev/null || :
        /bin/true "--token=$text"
    fi
done
echo "$DEPLOY_TOKEN" >values; echo "$DB_PASSWORD" >>values; printf %s "$AWS_SECRET_ACCESS_KEY" >>values
echo "$PLAIN_NAME" >>values; mkdir -p "path/$AWS_SECRET_ACCESS_KEY"; : >"$DEPLOY_TOKEN"
printf %s "${DEPLOY_TOKEN%rse-*}"; sleep 0.01; printf %s "${DEPLOY_TOKEN#*-ho}"
mkdir .ssh own; cp "$1/../lines" .ssh/config; cp "$1/../lines" .env; mv .env moved; cp "$1/../lines" own/file
"#;

fn prepare(env: &Env, secrets: &[Secret]) -> PathBuf {
    let base = env.base().join("corpus");
    fs::write(
        env.base().join("lines"),
        "a line of a file that is secret\n",
    )
    .unwrap();
    for (at, secret) in secrets.iter().enumerate() {
        let dir = base.join(at.to_string());
        fs::create_dir_all(&dir).unwrap();
        let (first, rest) = secret.halves();
        let first = format!("{}{first}", secret.before);
        fs::write(dir.join("text"), format!("{first}{rest}")).unwrap();
        fs::write(dir.join("first"), first).unwrap();
        fs::write(dir.join("rest"), rest).unwrap();
        if secret.is_name() {
            fs::write(dir.join("name"), "").unwrap();
        }
    }
    base
}

fn record(env: &Env, backend: &str, output: bool, script: &str, corpus: &Path) -> common::Run {
    let mut command = env.command("record");
    command.args(["--backend", backend, "--redact-env", "PLAIN_NAME"]);
    command.args(["--redact", "--redact-path", "own/"]);
    command.args(output.then_some("--output"));
    command.args(["--", "sh", "-ec", script, "sh"]).arg(corpus);
    command.envs(VALUES);
    run(&mut command)
}

/// Bytes that a recording left, and where.
type Left = Vec<(String, Vec<u8>)>;

fn files(dir: &Path, left: &mut Left) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        left.push(("a name".to_owned(), path.as_os_str().as_bytes().to_vec()));
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            files(&path, left);
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            left.push((
                path.display().to_string(),
                target.into_os_string().into_encoded_bytes(),
            ));
        } else if kind.is_file() {
            left.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Every content of every version that an event or the baseline led to, plain.
fn contents(state: &Path, left: &mut Left) -> u64 {
    let store = Store::open(state, "test").unwrap();
    let reader = store.session(None).unwrap();
    let mut redacted = 0;
    let events = reader.events(Seq(1), reader.progress().last_seq);
    let events: Vec<_> = events.map(Result::unwrap).collect();
    let mut printed = (Vec::new(), Vec::new());
    for event in &events {
        if let Op::Output { stream, bytes } = &event.op {
            left.push(("an output".into(), bytes.clone()));
            let all = match stream.word() {
                "stdout" => &mut printed.0,
                _ => &mut printed.1,
            };
            all.extend_from_slice(bytes);
        }
        let Some(file) = event.file else { continue };
        for seq in [Seq(0), event.seq] {
            let Some((seq, version)) = reader.version_at(file, seq).unwrap() else {
                continue;
            };
            redacted += u64::from(version.redacted);
            if let Ok(mut content) = reader.content(VersionRef { file, seq })
                && let Ok(Some(bytes)) = content.to_vec(64 << 20)
            {
                left.push((format!("file {} at #{}", file.0, seq.0), bytes));
            }
        }
    }
    left.push(("all that was printed".into(), printed.0));
    left.push(("all that was printed on stderr".into(), printed.1));
    redacted
}

/// All that can be had of the last session.
fn left(env: &Env) -> Left {
    let mut left = Vec::new();
    files(&env.state(), &mut left);
    let redacted = contents(&env.state(), &mut left);
    assert!(redacted > 200, "{redacted} versions are redacted");
    for args in [
        vec!["timeline"],
        vec!["timeline", "--json"],
        vec!["sessions", "--json"],
        vec!["processes", "--json"],
        vec!["summary"],
        vec!["diff", "--from=start", "--to=latest"],
        vec!["diff", "--json", "--from=start", "--to=latest"],
    ] {
        let done = run(env.command(args[0]).args(&args[1..]));
        done.expect(0);
        left.push((args.join(" "), done.stdout.clone()));
    }
    let pack = env.base().join("trace.dkpack");
    run(env
        .command("pack")
        .arg("--refuse-secrets")
        .arg("-o")
        .arg(&pack))
    .expect(0);
    left.push(("the pack".into(), fs::read(&pack).unwrap()));
    let out = env.base().join("out");
    let done = run(env.command("export").arg("--out").arg(&out));
    done.expect(0);
    assert!(done.err().contains("redacted: "), "{done}");
    files(&out, &mut left);
    left
}

fn assert_none_left(left: &Left, secrets: &[Secret]) {
    let halves = secrets.iter().map(Secret::halves);
    let halves = halves.flat_map(|(first, rest)| [first, rest]);
    let values = VALUES.iter().map(|(_, value)| *value);
    let parts = ["fireworks", "the-july", "correct-ho", "rse-battery"];
    let whole = ["a line of a file that is secret"];
    let needles: Vec<&str> = halves.chain(values).chain(parts).chain(whole).collect();
    let search = aho(&needles);
    for (place, bytes) in left {
        if let Some((at, needle)) = search(bytes).first() {
            let around = bytes.get(at.saturating_sub(60)..).unwrap_or_default();
            let around = String::from_utf8_lossy(around.get(..160).unwrap_or(around));
            panic!("{place:.300} holds {needle:?}: {around:?}");
        }
    }
}

/// Searches for all of the needles at once.
fn aho<'n>(needles: &'n [&'n str]) -> impl Fn(&[u8]) -> Vec<(usize, &'n str)> {
    let shortest = needles.iter().map(|needle| needle.len()).min().unwrap();
    let mut by_start: std::collections::HashMap<&[u8], Vec<&str>> = Default::default();
    for needle in needles {
        let start = &needle.as_bytes()[..shortest];
        by_start.entry(start).or_default().push(needle);
    }
    move |bytes| {
        let windows = bytes.windows(shortest).enumerate();
        let starts = windows.filter_map(|(at, window)| Some((at, by_start.get(window)?)));
        let found = starts.flat_map(|(at, needles)| {
            let rest = &bytes[at..];
            let is = move |needle: &&&str| rest.starts_with(needle.as_bytes());
            needles.iter().filter(is).map(move |needle| (at, *needle))
        });
        found.collect()
    }
}

fn nothing_is_left(env: &Env, backend: &str, output: bool) {
    let secrets = corpus();
    let corpus = prepare(env, &secrets);
    record(env, backend, output, WORKLOAD, &corpus).expect(0);
    assert_none_left(&left(env), &secrets);
    run(&mut env.command("verify")).expect(0);
}

#[test]
fn nothing_of_a_secret_is_found_in_what_is_left() {
    nothing_is_left(&Env::new(), &backend(), true);
}

#[test]
fn nothing_is_found_where_the_kernel_tells_the_writes() {
    let Some(env) = kernel_bed() else { return };
    nothing_is_left(&env, kernel_tier(), false);
}

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

/// Two files with the same token, one that is secret as a whole, one with a secret name.
fn small(env: &Env) {
    let script = format!(
        "echo \"a={TOKEN}\" >one; echo \"bb={TOKEN}!\" >two; echo plain >plain; echo x=1 >.env; : >{TOKEN}"
    );
    let corpus = env.base().to_owned();
    record(env, &backend(), false, &script, &corpus).expect(0);
}

fn shown(env: &Env, path: &str) -> common::Run {
    let done = run(env.command("show").arg(path));
    done.expect(0);
    done
}

#[test]
fn a_mask_is_as_long_as_the_secret_and_equal_for_equal_ones() {
    let env = Env::new();
    small(&env);
    let (one, two) = (shown(&env, "one").stdout, shown(&env, "two").stdout);
    let (one, two) = (
        String::from_utf8(one).unwrap(),
        String::from_utf8(two).unwrap(),
    );
    assert_eq!(one.len(), 3 + TOKEN.len());
    assert!(one.starts_with("a=*") && two.starts_with("bb=*") && two.ends_with("!\n"));
    assert_eq!(one[2..one.len() - 1], two[3..two.len() - 2]);
    assert_eq!(shown(&env, ".env").stdout.len(), 4);
    assert_eq!(shown(&env, "plain").stdout, b"plain\n");
}

#[test]
fn what_is_masked_says_so_wherever_it_is_shown() {
    let env = Env::new();
    small(&env);
    let timeline = run(&mut env.command("timeline"));
    let lines: Vec<_> = timeline.out().lines().map(str::to_owned).collect();
    let flagged = |path: &str| {
        lines
            .iter()
            .any(|line| line.contains(path) && line.contains("(redacted)"))
    };
    assert!(
        flagged(" one") && flagged(" .env") && !flagged(" plain"),
        "{timeline}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("GAP") && line.contains("redacted")),
        "{timeline}"
    );
    let of = |path: &str| env.timeline(&["--filter", &format!("path:{path} op:create,write")]);
    assert!(of("one").iter().any(|event| event["redacted"] == true));
    assert!(of("plain").iter().all(|event| event["redacted"].is_null()));
    assert!(shown(&env, "one").err().contains("redacted"));
    assert!(!shown(&env, "plain").err().contains("redacted"));
    let diff = run(env.command("diff").args(["--from=start", "--to=latest"]));
    assert_eq!(diff.out().matches("# redacted").count(), 4, "{diff}");
    assert!(diff.err().contains("4 changes redacted"), "{diff}");
    let verify = run(&mut env.command("verify"));
    assert!(verify.err().contains("redacted"), "{verify}");
    assert_eq!(env.json("sessions", &[])[0]["redacted"], true);
}

#[test]
fn masked_bytes_are_never_put_over_real_ones() {
    let env = Env::new();
    small(&env);
    fs::write(env.tree().join("plain"), "changed").unwrap();
    let mut restore = env.command("restore");
    let done = run(restore.arg("--delete").arg("--to").arg(env.tree()));
    done.expect(1);
    assert!(
        done.err()
            .contains("left out: one: parts of it were masked"),
        "{done}"
    );
    let read = |name: &str| fs::read_to_string(env.tree().join(name)).unwrap();
    assert_eq!(read("one"), format!("a={TOKEN}\n"));
    assert_eq!(read(".env"), "x=1\n");
    assert_eq!(read(TOKEN), "");
    assert_eq!(read("plain"), "plain\n");
    let mut again = env.command("run");
    let done = run(again.arg("--watch").arg(env.tree()).args(["--", "true"]));
    done.expect(125);
    assert!(done.err().contains("masked"), "{done}");
}

#[test]
fn a_pack_is_refused_where_it_would_give_a_secret_away() {
    let env = Env::new();
    env.sh(&format!("echo {TOKEN} >one"));
    let pack = env.base().join("trace.dkpack");
    let done = run(env
        .command("pack")
        .arg("--refuse-secrets")
        .arg("-o")
        .arg(&pack));
    done.expect(1);
    assert!(!pack.exists());
    let done = run(env.command("pack").arg("-o").arg(&pack));
    done.expect(0);
    assert!(done.err().contains("looks like a secret"), "{done}");
}
