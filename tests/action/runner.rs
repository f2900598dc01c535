//! A machine for the action to run on: act, in a home and a workspace of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{EXE, Run, clean, run, run_for};

/// The action's checkout.
pub(crate) const ACTION: &str = env!("CARGO_MANIFEST_DIR");
/// How long act may take for all jobs of a workflow.
const LIMIT: Duration = Duration::from_secs(480);

/// Where a machine without a binary finds one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// A release with its checksum.
    Right,
    /// One that is not what its checksum says.
    Wrong,
    /// None, and a cargo that builds.
    Built,
    /// Nowhere.
    None,
}

/// What came of a workflow.
pub(crate) struct Runner {
    base: TempDir,
    log: Run,
}

/// How a step that used the action ended.
#[derive(Debug)]
pub(crate) struct Step(Value);

impl Step {
    pub(crate) fn output(&self, name: &str) -> &str {
        let value = self.0.get("outputs").and_then(|outputs| outputs.get(name));
        value.and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn is_green(&self) -> bool {
        self.0.get("outcome").and_then(Value::as_str) == Some("success")
    }
}

impl Runner {
    /// The scenarios, run once; `None` without act.
    pub(crate) fn scenarios() -> Option<&'static Self> {
        static RAN: LazyLock<Option<Runner>> = LazyLock::new(|| {
            let runner = Runner::prepare()?;
            let dir = Path::new(EXE).parent().unwrap().to_owned();
            Some(runner.act("scenarios.yml", &[dir], &[]))
        });
        RAN.as_ref()
    }

    /// `missing.yml`; `None` without act.
    pub(crate) fn missing(release: Release) -> Option<Self> {
        let runner = Self::prepare()?;
        let releases = runner.base.path().join("releases");
        if let Release::Right | Release::Wrong = release {
            write_release(&releases, release == Release::Right);
        }
        let bin = runner.base.path().join("bin");
        let built = format!(
            "printf '%s ' \"$@\" >\"$RESULTS/cargo.arguments\"\n\
             mkdir -p \"$CARGO_TARGET_DIR/release\" && cp '{EXE}' \"$CARGO_TARGET_DIR/release/\""
        );
        let cargo = if release == Release::Built {
            built.as_str()
        } else {
            "exit 1"
        };
        write_program(&bin.join("cargo"), cargo);
        let from = format!("DIFFKEEPER_RELEASES=file://{}", releases.display());
        Some(runner.act("missing.yml", &[], &[from]))
    }

    pub(crate) fn can_pack() -> bool {
        run(Command::new(EXE).args(["pack", "--help"])).code() == Some(0)
    }

    fn prepare() -> Option<Self> {
        let mut version = Command::new("act");
        if !version
            .arg("--version")
            .output()
            .is_ok_and(|out| out.status.success())
        {
            return None;
        }
        let base = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for dir in ["home", "results/uploads", "bin", "workspace", "checkout"] {
            fs::create_dir_all(base.path().join(dir)).unwrap();
        }
        write_program(
            &base.path().join("bin/sudo"),
            "echo 'no password' >&2; exit 1",
        );
        let log = run(Command::new("true").current_dir(base.path()));
        let runner = Self { base, log };
        runner.copy_checkout();
        Some(runner)
    }

    /// What the action consists of: act copies its whole directory for every job.
    fn copy_checkout(&self) {
        let to = self.base.path().join("checkout");
        fs::create_dir(to.join(".github")).unwrap();
        let mut copy = Command::new("cp");
        copy.args(["-a", "action.yml", "Cargo.toml"])
            .arg(&to)
            .current_dir(ACTION);
        run(&mut copy).expect(0);
        let mut copy = Command::new("cp");
        copy.args(["-a", ".github/action"])
            .arg(to.join(".github"))
            .current_dir(ACTION);
        run(&mut copy).expect(0);
    }

    fn act(mut self, workflow: &str, bins: &[PathBuf], env: &[String]) -> Self {
        let base = self.base.path().to_owned();
        let workspace = base.join("workspace");
        let sources = Path::new(ACTION).join("tests/action");
        run(Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(&workspace))
        .expect(0);
        let git = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "commit",
            "--quiet",
        ];
        let mut commit = Command::new("git");
        commit
            .args(git)
            .args(["--allow-empty", "-m", "empty"])
            .current_dir(&workspace);
        run(&mut commit).expect(0);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let others = std::env::split_paths(&path).filter(|dir| !dir.join("diffkeeper").exists());
        let own = std::iter::once(base.join("bin")).chain(bins.iter().cloned());
        let upload = upload_reference();
        let mut act = Command::new("act");
        clean(&mut act);
        act.args(["push", "-P", "ubuntu-latest=-self-hosted", "--workflows"])
            .arg(sources.join(workflow))
            .arg("--local-repository")
            .arg(format!(
                "diffkeeper/diffkeeper@main={}/checkout",
                base.display()
            ))
            .arg("--local-repository")
            .arg(format!("{upload}={}/upload", sources.display()))
            .arg(format!("--env=RESULTS={}/results", base.display()))
            .args(env.iter().map(|pair| format!("--env={pair}")))
            .current_dir(&workspace)
            .env("HOME", base.join("home"))
            .env("XDG_CACHE_HOME", base.join("home/cache"))
            .env("PATH", std::env::join_paths(own.chain(others)).unwrap());
        self.log = run_for(&mut act, LIMIT);
        self
    }

    /// How the step of a job ended.
    pub(crate) fn step(&self, name: &str) -> Step {
        let text = self.result(&format!("{name}.json"));
        Step(serde_json::from_str(&text).unwrap())
    }

    /// A file that a job left among the results.
    pub(crate) fn result(&self, name: &str) -> String {
        let path = self.base.path().join("results").join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.log))
    }

    /// A copy of a job's workspace.
    pub(crate) fn workspace(&self, name: &str) -> PathBuf {
        self.base.path().join("results/workspaces").join(name)
    }

    /// A file that a job left in its workspace.
    pub(crate) fn left(&self, name: &str, file: &str) -> String {
        let path = self.workspace(name).join(file);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}\n{}", self.log))
    }

    /// What act printed for a job.
    pub(crate) fn log(&self, job: &str) -> String {
        let all = format!("{}{}", self.log.out(), self.log.err());
        let mark = format!("/{job}");
        let lines = all.lines().filter(|line| {
            let prefix = line.split_once(']').map(|(prefix, _)| prefix.trim_end());
            prefix.is_some_and(|prefix| prefix.ends_with(&mark))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A file out of the trace that a step uploaded.
    pub(crate) fn uploaded(&self, step: &Step, file: &str) -> String {
        let artifact = step.output("artifact-name");
        let trace = self
            .base
            .path()
            .join("results/uploads")
            .join(artifact)
            .join("trace.dkpack");
        let mut show = Command::new(EXE);
        clean(&mut show);
        show.arg("show").arg("--state-dir").arg(trace).arg(file);
        let shown = run(&mut show);
        shown.expect(0);
        shown.out()
    }
}

/// How action.yml names the action that uploads.
fn upload_reference() -> String {
    let text = fs::read_to_string(Path::new(ACTION).join("action.yml")).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("uses: actions/upload-artifact@"));
    let reference = line.unwrap().split_whitespace().nth(1).unwrap();
    reference.to_owned()
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A release as the workflow makes it, around a script in place of the binary.
fn write_release(releases: &Path, is_right: bool) {
    let version = env!("CARGO_PKG_VERSION");
    let dir = releases.join(format!("v{version}"));
    fs::create_dir_all(&dir).unwrap();
    write_program(&dir.join("diffkeeper"), &format!("exec '{EXE}' \"$@\""));
    let name = format!(
        "diffkeeper-{version}-{}-unknown-linux-musl.tar.gz",
        std::env::consts::ARCH
    );
    let script = format!(
        "tar -czf {name} diffkeeper && sha256sum {name} >{name}.sha256 && rm diffkeeper\n{}",
        if is_right {
            ""
        } else {
            "printf x >>$(echo *.tar.gz)"
        }
    );
    run(Command::new("sh").args(["-ec", &script]).current_dir(&dir)).expect(0);
}
