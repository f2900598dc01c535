//! A hermetic place to run the binary in: a tree to watch, a state directory, limits on time.
#![allow(dead_code, unused_imports, reason = "no test file uses all of it")]

pub(crate) mod damage;
pub(crate) mod family;
mod run;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diffkeeper_demo::tree::{Options, compare};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use run::{LIMIT, Run, run, run_for, until};

/// The binary under test.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_diffkeeper");

/// A temporary directory on the filesystem of `target/`, with `tree` to watch and `state` to fill.
pub(crate) struct Env {
    base: TempDir,
    exports: AtomicU32,
}

impl Env {
    pub(crate) fn new() -> Self {
        let base = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
        fs::create_dir(base.path().join("tree")).expect("the watched tree");
        Self {
            base,
            exports: AtomicU32::new(0),
        }
    }

    /// The directory around all others: never watched.
    pub(crate) fn base(&self) -> &Path {
        self.base.path()
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.base().join("tree")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.base().join("state")
    }

    /// The binary, in the tree, with no argument yet.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(EXE);
        command.current_dir(self.tree());
        clean(&mut command);
        command
    }

    /// A subcommand that names the state directory.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = self.bare();
        command.arg(name).arg("--state-dir").arg(self.state());
        command
    }

    /// `record .. --`, to which a test adds the command.
    pub(crate) fn recording(&self) -> Command {
        let mut command = self.command("record");
        command.args(["--backend", &backend(), "--"]);
        command
    }

    /// Records a command in the tree, whatever its end.
    pub(crate) fn record<A: AsRef<OsStr>>(&self, args: &[A]) -> Run {
        run(self.recording().args(args))
    }

    /// Records a shell script that must succeed.
    pub(crate) fn sh(&self, script: &str) -> Run {
        let done = self.record(&["sh", "-ec", script]);
        done.expect(0);
        done
    }

    /// Exports the tree at `when` into a fresh directory.
    pub(crate) fn export(&self, when: &str) -> PathBuf {
        let number = self.exports.fetch_add(1, Ordering::Relaxed);
        let out = self.base().join(format!("out-{number}"));
        let mut command = self.command("export");
        command.arg(format!("--time={when}")).arg("--out").arg(&out);
        run(&mut command).expect(0);
        out
    }

    /// Every event of the last session, or what `args` select.
    pub(crate) fn timeline(&self, args: &[&str]) -> Vec<Value> {
        self.json("timeline", args)
    }

    /// The lines of a listing with `--json`.
    pub(crate) fn json(&self, name: &str, args: &[&str]) -> Vec<Value> {
        let done = run(self.command(name).arg("--json").args(args));
        done.expect(0);
        done.json()
    }

    /// The end of the session is the tree as it stands.
    pub(crate) fn assert_latest(&self) {
        assert_tree_equal(&self.tree(), &self.export("latest"));
    }
}

/// Which backend the tests record with: `DIFFKEEPER_TEST_BACKEND`, else `notify`.
pub(crate) fn backend() -> String {
    std::env::var("DIFFKEEPER_TEST_BACKEND").unwrap_or_else(|_| "notify".into())
}

/// Takes away what the caller's environment would change in the binary or in the tools.
pub(crate) fn clean(command: &mut Command) {
    let ours = |name: &str| {
        name.starts_with("DIFFKEEPER_")
            || name.starts_with("GIT_")
            || name.starts_with("CARGO_BUILD")
            || ["CARGO_TARGET_DIR", "RUSTFLAGS", "NO_COLOR", "RUST_LOG"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C");
}

/// Fails with every difference between two trees, the roots' own attributes included.
pub(crate) fn assert_tree_equal(left: &Path, right: &Path) {
    assert_equal_but(left, right, &Options::default());
}

/// [`assert_tree_equal`], with options.
pub(crate) fn assert_equal_but(left: &Path, right: &Path, options: &Options) {
    let found = compare(left, right, options);
    let lines: Vec<String> = found.iter().take(40).map(ToString::to_string).collect();
    assert!(
        found.is_empty(),
        "{} differences between {} and {}:\n{}",
        found.len(),
        left.display(),
        right.display(),
        lines.join("\n")
    );
}

/// A number that the environment may change.
pub(crate) fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Says, past the capture of the test harness, that a test proves nothing here; a failure where
/// `DIFFKEEPER_TEST_NO_SKIP` is set.
pub(crate) fn skip(reason: &str) {
    assert!(
        std::env::var_os("DIFFKEEPER_TEST_NO_SKIP").is_none(),
        "would skip: {reason}"
    );
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}").expect("stderr");
}

/// The kernel tier that tests of captured events use: fentry if that is the backend of the
/// tests, else that of the tracepoints.
pub(crate) fn kernel_tier() -> &'static str {
    match backend().as_str() {
        "fentry" => "fentry",
        _ => "tracepoint",
    }
}

/// A place where that tier works, or a line that says why there is none.
pub(crate) fn kernel_bed() -> Option<Env> {
    let env = Env::new();
    let mut stat = Command::new("stat");
    let kind = run(stat.args(["-f", "-c", "%T"]).arg(env.tree()));
    if kernel_tier() == "tracepoint" && !kind.out().starts_with("ext2/ext3") {
        skip("the directory of the tests is not on ext4");
        return None;
    }
    // Once: where the processor is emulated, the kernel looks at the programs for ten seconds.
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    if let Some(why) = REFUSAL.get_or_init(kernel_refusal) {
        skip(&format!("no {} tier: {why}", kernel_tier()));
        return None;
    }
    Some(env)
}

/// What the kernel has against that tier.
fn kernel_refusal() -> Option<String> {
    let env = Env::new();
    let mut record = env.command("record");
    record.args(["--backend", kernel_tier(), "--", "true"]);
    let tried = run(&mut record);
    if tried.code() == Some(125) {
        return Some(tried.err().trim().to_owned());
    }
    tried.expect(0);
    None
}

/// The first of these programs that cannot be found.
pub(crate) fn missing<'a>(programs: &[&'a str]) -> Option<&'a str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = |name: &str| dirs.iter().any(|dir| dir.join(name).is_file());
    programs.iter().copied().find(|program| !found(program))
}

/// A program of the demo package, built once into the directory of the binary under test;
/// where `DIFFKEEPER_TEST_BUILT` is set, it is there already.
pub(crate) fn demo(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        let profile = Path::new(EXE).parent().expect("a profile directory");
        if std::env::var_os("DIFFKEEPER_TEST_BUILT").is_some() {
            return profile.to_path_buf();
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "diffkeeper-demo", "--bins"]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        cargo.arg("--target-dir").args(profile.parent());
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(status.expect("cargo").success(), "the demo does not build");
        profile.to_path_buf()
    });
    dir.join(name)
}
