//! The kernel tier through the binary: every write is a state of its own, in the order of the
//! kernel, with the process that made it. Needs root, BTF and an ext4 below `target/`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::path::Path;

use common::{Env, demo, run, tracepoints};
use diffkeeper_demo::overwriting::{Plan, apply};
use diffkeeper_demo::rng::Rng;
use serde_json::Value;

fn record(env: &Env, args: &[&std::ffi::OsStr]) -> common::Run {
    let mut command = env.command("record");
    command.args(["--backend", "tracepoint", "--"]).args(args);
    run(&mut command)
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
    let Some(env) = tracepoints() else { return };
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
    let Some(env) = tracepoints() else { return };
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
    let Some(env) = tracepoints() else { return };
    let script = "i=0; while [ $i -lt 300 ]; do \
        mkdir ../d; echo $i > ../d/other; mv ../d ../e; rm -r ../e; echo $i > file; i=$((i+1)); done";
    record(&env, &["sh".as_ref(), "-c".as_ref(), script.as_ref()]).expect(0);
    let seen = env.timeline(&["--filter", "op:write or op:gap"]);
    assert_eq!(seen.len(), 300);
    for event in &seen {
        assert_eq!(event["provenance"], "captured", "{event}");
        assert_eq!(event["path"], "file", "{event}");
    }
}

fn concurrent_writers_leave_the_same_file(sync: bool) {
    let Some(env) = tracepoints() else { return };
    let plan = Plan {
        seed: 3,
        writes: 250,
        threads: 8,
        span: 200_000,
        longest: 3000,
        sync,
    };
    overwrite(&env, &plan);
    let writes = writes(&env);
    assert_eq!(writes.len(), 2000);
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
    let Some(env) = tracepoints() else { return };
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
    assert_eq!(told("op:read"), ["read b sh"]);
    assert_eq!(told("op:gap"), Vec::<String>::new());
}
