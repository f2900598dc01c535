//! The kernel tier through the binary: every write is a state of its own, in the order of the
//! kernel, with the process that made it. Needs root and BTF; with the tracepoint tier, which is
//! the default, an ext4 below `target/`. `DIFFKEEPER_TEST_BACKEND=fentry` takes that tier.
//!
//! `DIFFKEEPER_TEST_WRITES` (250) is how often each of 8 threads writes, `DIFFKEEPER_TEST_ROUNDS`
//! (300) how often a shell does what is not to be heard.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Env, demo, kernel_bed, kernel_tier, knob, missing, run, skip};
use diffkeeper_demo::overwriting::{Plan, apply};
use diffkeeper_demo::rng::Rng;
use serde_json::Value;

fn record(env: &Env, args: &[&std::ffi::OsStr]) -> common::Run {
    let mut command = env.command("record");
    command.args(["--backend", kernel_tier(), "--"]).args(args);
    run(&mut command)
}

/// For what only the tracepoint tier does.
fn tracepoint_bed() -> Option<Env> {
    if kernel_tier() != "tracepoint" {
        skip("it is about the tracepoint tier");
        return None;
    }
    kernel_bed()
}

fn overwrite(env: &Env, plan: &Plan) {
    let numbers = [
        ("--seed", plan.seed),
        ("--writes", plan.writes),
        ("--threads", plan.threads),
        ("--span", plan.span),
        ("--longest", plan.longest),
    ];
    let mut args = vec![demo("overwriting-workload").into_os_string()];
    for (name, value) in numbers {
        args.extend([name.into(), value.to_string().into()]);
    }
    if plan.sync {
        args.push("--sync".into());
    }
    args.push("file".into());
    let args: Vec<_> = args.iter().map(std::ffi::OsString::as_os_str).collect();
    record(env, &args).expect(0);
}

/// The captured writes of the file, each of a process.
fn writes(env: &Env) -> Vec<Value> {
    let gaps = env.timeline(&["--filter", "op:gap"]);
    assert!(gaps.is_empty(), "{gaps:?}");
    let writes = env.timeline(&["--filter", "op:write path:file"]);
    for write in &writes {
        assert_eq!(write["provenance"], "captured", "{write}");
        assert_eq!(write["comm"], "overwriting-wor", "{write}");
        assert!(write["pid"].as_u64().unwrap() > 0, "{write}");
    }
    writes
}

fn shown(env: &Env, event: &Value) -> Vec<u8> {
    let mut command = env.command("show");
    command.args(["--time", &format!("#{}", event["seq"]), "file"]);
    let done = run(&mut command);
    done.expect(0);
    done.stdout.clone()
}

#[test]
fn each_of_200_overwrites_is_a_state() {
    let Some(env) = kernel_bed() else { return };
    let plan = Plan {
        seed: 1,
        writes: 200,
        threads: 1,
        span: 4096,
        longest: 0,
        sync: false,
    };
    overwrite(&env, &plan);
    let writes = writes(&env);
    assert_eq!(writes.len(), 200);
    for (event, write) in writes.iter().zip(plan.of_thread(0)) {
        assert!(shown(&env, event) == write.bytes, "{event}");
    }
}

#[test]
fn the_image_after_any_write_is_that_of_the_program() {
    let Some(env) = kernel_bed() else { return };
    let plan = Plan {
        seed: 2,
        writes: 1000,
        threads: 1,
        span: 300_000,
        longest: 9000,
        sync: false,
    };
    overwrite(&env, &plan);
    let writes = writes(&env);
    assert_eq!(writes.len(), 1000);
    let mut rng = Rng::new(5);
    let mut chosen: Vec<u64> = (0..100).map(|_| rng.below(1000)).collect();
    chosen.sort_unstable();
    let mut content = Vec::new();
    for (number, write) in (0_u64..).zip(plan.of_thread(0)) {
        apply(&mut content, &write);
        if chosen.contains(&number) {
            let event = &writes[usize::try_from(number).unwrap()];
            assert!(shown(&env, event) == content, "{event}");
        }
    }
}

/// What others do on the same file system does not reach the recorder: it would doubt
/// what it knows, and look.
#[test]
fn what_happens_elsewhere_is_not_heard() {
    let Some(env) = kernel_bed() else { return };
    let rounds = knob("DIFFKEEPER_TEST_ROUNDS", 300);
    let script = format!(
        "i=0; while [ $i -lt {rounds} ]; do mkdir ../d; echo $i > ../d/other; mv ../d ../e; \
        rm -r ../e; echo $i > file; i=$((i+1)); done"
    );
    record(&env, &["sh".as_ref(), "-c".as_ref(), script.as_ref()]).expect(0);
    let seen = env.timeline(&["--filter", "op:write or op:gap"]);
    assert_eq!(seen.len() as u64, rounds);
    for event in &seen {
        assert_eq!(event["provenance"], "captured", "{event}");
        assert_eq!(event["path"], "file", "{event}");
    }
}

fn concurrent_writers_leave_the_same_file(sync: bool) {
    let Some(env) = kernel_bed() else { return };
    let plan = Plan {
        seed: 3,
        writes: knob("DIFFKEEPER_TEST_WRITES", 250),
        threads: 8,
        span: 200_000,
        longest: 3000,
        sync,
    };
    overwrite(&env, &plan);
    let writes = writes(&env);
    assert_eq!(writes.len() as u64, 8 * plan.writes);
    let last = shown(&env, writes.last().unwrap());
    assert!(last == read(&env.tree().join("file")), "the final image");
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn concurrent_overlapping_writes() {
    concurrent_writers_leave_the_same_file(false);
}

#[test]
fn concurrent_overlapping_writes_with_o_dsync() {
    concurrent_writers_leave_the_same_file(true);
}

#[test]
fn who_did_what_is_told() {
    let Some(env) = kernel_bed() else { return };
    let script = "mkdir d; echo one > d/a; cat d/a > b; read x < b; mv b d/c; rm d/a; exit 7";
    record(&env, &["sh".as_ref(), "-c".as_ref(), script.as_ref()]).expect(7);
    env.assert_latest();
    let told = |filter: &str| {
        let events = env.timeline(&["--filter", filter]);
        let line = |event: &Value| {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            [text("op"), text("path"), text("comm")].join(" ")
        };
        events.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(told("op:mkdir"), ["mkdir d mkdir"]);
    assert_eq!(told("op:rename"), ["rename b mv"]);
    assert_eq!(told("op:unlink"), ["unlink d/a rm"]);
    assert_eq!(told("op:write"), ["write d/a sh", "write b cat"]);
    // cat copies in the kernel where it can.
    assert_eq!(told("op:read"), ["read d/a cat", "read b sh"]);
    assert_eq!(told("op:gap"), Vec::<String>::new());
}

/// A process that executes one program after the other is each of them in turn.
#[test]
fn each_program_of_a_process_has_facts_of_its_own() {
    let Some(env) = kernel_bed() else { return };
    let script = "echo 1 > a; exec tail -c 1 a";
    record(&env, &["sh".as_ref(), "-c".as_ref(), script.as_ref()]).expect(0);
    let comms = |filter: &str| {
        let events = env.timeline(&["--filter", filter]);
        let comm = |event: &Value| event["comm"].as_str().unwrap_or_default().to_owned();
        events.iter().map(comm).collect::<Vec<_>>()
    };
    assert_eq!(comms("op:write"), ["sh"]);
    assert_eq!(comms("op:read"), ["tail"]);
    assert_eq!(comms("op:exec"), ["sh", "tail"]);
    assert_eq!(comms("op:exit"), ["tail"]);
    assert_eq!(comms("ancestor:sh op:read"), ["tail"]);
    let processes = env.json("processes", &[]);
    let [shell, tail] = processes.as_slice() else {
        panic!("{processes:?}");
    };
    assert_eq!(shell["pid"], tail["pid"]);
    assert_eq!(
        tail["exe"].as_str().unwrap().rsplit('/').next(),
        Some("tail")
    );
    assert_eq!(tail["argv"][1], "-c");
    assert_eq!((&shell["exit"], &tail["exit"]), (&0.into(), &0.into()));
    assert!(tail.get("ppid").is_none(), "{tail}");
}

/// A shell script as root, in namespaces of its own, with `$EXE` and `$STATE`.
fn unshared(env: &Env, flags: &[&str], script: &str) -> Option<common::Run> {
    if let Some(program) = missing(&["unshare"]) {
        skip(&format!("{program} is not installed"));
        return None;
    }
    let mut command = Command::new("unshare");
    common::clean(&mut command);
    command.args(flags).args(["--", "sh", "-ec", script]);
    command.env("EXE", common::EXE).env("STATE", env.state());
    Some(run(command.current_dir(env.tree())))
}

#[test]
fn a_pid_namespace_is_recorded_by_its_own_numbers() {
    let Some(env) = tracepoint_bed() else { return };
    let script = "$EXE record --backend tracepoint --state-dir $STATE -- \
        sh -c 'echo $$ > pid; cat pid | cat'";
    let Some(done) = unshared(&env, &["-pf", "--mount-proc"], script) else {
        return;
    };
    done.expect(0);
    let writes = env.timeline(&["--filter", "op:write"]);
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0]["pid"].to_string(), done.out().trim());
    let reads = env.timeline(&["--filter", "op:read"]);
    assert!(!reads.is_empty());
    assert!(reads.iter().all(|read| read["comm"] == "cat"), "{reads:?}");
}

/// Below one root: a tmpfs, and another directory of the same ext4.
#[test]
fn several_file_systems_below_one_root() {
    let Some(env) = tracepoint_bed() else { return };
    let script = "mkdir tm bind ../other; mount -t tmpfs none tm; mount --bind ../other bind
        $EXE record --backend tracepoint --state-dir $STATE -- sh -c '
            echo 1 > tm/a; echo 22 > tm/a; mv tm/a tm/b; mkdir tm/d
            echo 3 > bind/c; echo 4 > ../other/d; mv bind/c bind/e'
        $EXE export --state-dir $STATE --out ../out; diff -r . ../out";
    let Some(done) = unshared(&env, &["-m"], script) else {
        return;
    };
    done.expect(0);
    assert_eq!(env.timeline(&["--filter", "op:gap"]), Vec::<Value>::new());
    let known = env.timeline(&["--filter", "op:write path:bind/** provenance:captured"]);
    assert_eq!(known.len(), 2);
    let seen = env.timeline(&["--filter", "op:write,create path:tm/**"]);
    assert!(!seen.is_empty());
    assert!(
        seen.iter().all(|event| event["provenance"] == "observed"),
        "{seen:?}"
    );
}

/// Elsewhere than on ext4 a file is observed when it is closed.
#[test]
fn tmpfs_is_observed_at_close() {
    let Some(env) = tracepoint_bed() else { return };
    let script = "mkdir tm; mount -t tmpfs none tm; cd tm
        $EXE record --backend tracepoint --state-dir $STATE -- sh -c '
            for i in 1 2 3 4 5 6 7 8 9; do echo $i$i > f; sleep 0.05; done
            mkdir d; mv f d/g; ln d/g h; ln -s i d/l; chmod 600 h; truncate -s 100 h
            touch -d 2001-01-01 d; cp h d/i; rm d/g'
        $EXE export --state-dir $STATE --out ../../out; diff -r . ../../out
        stat -c '%n %a %Y %s' h d/i d/l; cd ../../out; stat -c '%n %a %Y %s' h d/i d/l";
    let Some(done) = unshared(&env, &["-m"], script) else {
        return;
    };
    done.expect(0);
    let out = done.out();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], lines[3..], "{out}");
    assert_eq!(env.timeline(&["--filter", "op:gap"]), Vec::<Value>::new());
    for n in 1..=9 {
        let content = format!("op:write,create content:{n}{n} provenance:observed");
        let found = env.timeline(&["--filter", &content]);
        assert!(!found.is_empty(), "{n}");
    }
}

/// Where the kernel takes fentry programs, on a file system of which they tell everything.
#[test]
fn auto_and_doctor_take_fentry_where_it_loads() {
    if kernel_tier() != "fentry" {
        return skip("it is about the fentry tier");
    }
    let Some(env) = kernel_bed() else { return };
    let mut stat = Command::new("stat");
    let kind = run(stat.args(["-f", "-c", "%T"]).arg(env.tree()));
    let told = ["ext2/ext3", "tmpfs"].contains(&kind.out().trim());
    let expected = if told { "fentry" } else { "notify" };
    let done = run(env.command("record").args(["--", "sh", "-c", "echo 1 > f"]));
    done.expect(0);
    let line = format!("backend {expected}: ");
    assert!(done.err().contains(&line), "{done}");
    let provenance = if told { "captured" } else { "observed" };
    let writes = env.timeline(&["--filter", "op:write path:f"]);
    assert!(writes.iter().all(|write| write["provenance"] == provenance));
    let doctor = env.json("doctor", &[]);
    assert_eq!(doctor[0]["chosen"], expected, "{doctor:?}");
}

#[test]
fn auto_takes_the_best_that_works_and_says_why() {
    let Some(env) = tracepoint_bed() else { return };
    let script = "$EXE record --state-dir $STATE -- true";
    let Some(done) = unshared(&env, &["-m"], script) else {
        return;
    };
    done.expect(0);
    let doctor = env.json("doctor", &[]);
    let best = doctor[0]["chosen"].as_str().unwrap();
    assert!(["fentry", "tracepoint"].contains(&best), "{doctor:?}");
    assert!(done.err().contains(&format!("backend {best}: ")), "{done}");
    if let Some(program) = missing(&["setpriv"]) {
        return skip(&format!("{program} is not installed"));
    }
    let script = format!("setpriv --bounding-set=-bpf,-perfmon,-sys_admin {script}");
    let done = unshared(&env, &["-m"], &script).unwrap();
    done.expect(0);
    for part in ["backend notify: ", "CAP_BPF", "sudo"] {
        assert!(done.err().contains(part), "{part}: {done}");
    }
    if best == "fentry" {
        return;
    }
    let script = "mkdir tm; mount -t tmpfs none tm; cd tm; $EXE record --state-dir $STATE -- true";
    let done = unshared(&env, &["-m"], script).unwrap();
    done.expect(0);
    assert!(done.err().contains("backend notify: "), "{done}");
    assert!(done.err().contains("tm is not all on ext4"), "{done}");
}
