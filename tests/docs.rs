//! The documents: what README.md and the guides in docs/ tell the reader to type is true.
//!
//! A fenced block whose info string is `sh test` is run, all blocks of one document in
//! order in one shell, in an empty directory with the binary on PATH. A line that ends
//! with `# exit N` must exit with N, any other command with 0. Other blocks only show.
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

use common::{EXE, Env, clean, run};

const OPEN: &str = "```sh test";
const CLOSE: &str = "```";
const MARK: &str = "# exit ";

#[test]
fn what_the_readme_says_is_true() {
    check(include_str!("../README.md"));
}

#[test]
fn what_the_quick_start_says_is_true() {
    check(include_str!("../docs/quickstart.md"));
}

#[test]
fn what_the_ci_guide_says_is_true() {
    check(include_str!("../docs/ci.md"));
}

#[test]
fn what_the_deployment_guide_says_is_true() {
    check(include_str!("../docs/deploy/README.md"));
}

#[test]
fn what_the_security_model_says_is_true() {
    check(include_str!("../docs/security.md"));
}

#[test]
fn what_the_cookbook_says_is_true() {
    common::demo("flakes");
    check(include_str!("../docs/cookbook.md"));
}

#[test]
fn what_the_troubleshooting_page_says_is_true() {
    check(include_str!("../docs/troubleshooting.md"));
}

fn check(document: &str) {
    let script = script(document);
    assert!(script.contains("diffkeeper record"), "nothing to run");
    let done = sh(&script);
    assert!(done.status.success(), "{done}");
}

fn sh(script: &str) -> common::Run {
    let env = Env::new();
    let dir = Path::new(EXE).parent().expect("a directory of the binary");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(dir.to_owned()).chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    clean(&mut shell);
    shell
        .args(["-euxc", script])
        .current_dir(env.tree())
        .env("PATH", std::env::join_paths(dirs).expect("a PATH"));
    run(&mut shell)
}

/// The commands of the marked blocks as one script that ends at the first untrue one.
fn script(document: &str) -> String {
    let (mut script, mut marked) = (String::new(), false);
    for line in document.lines() {
        match line {
            OPEN => marked = true,
            CLOSE => marked = false,
            _ if marked => script += &command(line),
            _ => {}
        }
    }
    assert!(!marked, "a block without an end");
    script
}

fn command(line: &str) -> String {
    match line.rsplit_once(MARK) {
        Some((command, status)) => {
            let status: u8 = status.trim().parse().expect("a status after the mark");
            format!("status=0; {command} || status=$?\n[ $status -eq {status} ]\n")
        }
        None => format!("{line}\n"),
    }
}

#[test]
fn an_untrue_command_is_noticed() {
    let block = |line: &str| format!("text\n{OPEN}\n{line}\n{CLOSE}\ntext\n");
    let is_true = |line: &str| sh(&script(&block(line))).status.success();
    assert!(is_true("true"));
    assert!(is_true("sh -c 'exit 3'    # exit 3"));
    assert!(!is_true("false"));
    assert!(!is_true("true # exit 1"));
    assert!(!is_true("sh -c 'exit 3' # exit 4"));
    assert!(!is_true("diffkeeper no-such-command"));
}
