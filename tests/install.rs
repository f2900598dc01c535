//! Installing: the script that fetches a release, the Debian package, the bill of materials.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{EXE, Run, run, skip};
use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn scratch() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output();
    there.is_ok_and(|done| done.status.success())
}

fn sh(dir: &Path, script: &str) -> Run {
    run(Command::new("sh").args(["-euc", script]).current_dir(dir))
}

/// Stands for a static binary: it runs the one under test.
fn binary(dir: &Path) -> PathBuf {
    let path = dir.join("diffkeeper");
    fs::write(&path, format!("#!/bin/sh\nexec '{EXE}' \"$@\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A release as `.github/release.sh` lays it out.
fn release(base: &Path) -> (PathBuf, String) {
    let dir = base.join(format!("releases/v{VERSION}"));
    fs::create_dir_all(&dir).unwrap();
    binary(&dir);
    let arch = std::env::consts::ARCH;
    let name = format!("diffkeeper-{VERSION}-{arch}-unknown-linux-musl.tar.gz");
    let pack = format!("tar -czf {name} diffkeeper && sha256sum {name} >{name}.sha256");
    sh(&dir, &pack).expect(0);
    (dir, name)
}

fn install(base: &Path) -> Run {
    let mut script = Command::new("sh");
    script.arg(Path::new(ROOT).join("install.sh")).arg(VERSION);
    let releases = format!("file://{}", base.join("releases").display());
    script.env("DIFFKEEPER_RELEASES", releases);
    run(script
        .env("DIFFKEEPER_BIN", base.join("bin"))
        .env("HOME", base))
}

#[test]
fn a_release_is_installed_that_is_what_its_checksum_says() {
    if !has("curl") {
        return skip("curl is not there");
    }
    let base = scratch();
    release(base.path());
    let done = install(base.path());
    done.expect(0);
    assert_eq!(done.out().trim(), format!("diffkeeper {VERSION}"));
    let installed = base.path().join("bin/diffkeeper");
    let mode = fs::metadata(&installed).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    install(base.path()).expect(0);
    let names = fs::read_dir(base.path().join("bin")).unwrap();
    assert_eq!(names.count(), 1, "something is left over");
}

#[test]
fn nothing_is_installed_that_is_something_else() {
    if !has("curl") {
        return skip("curl is not there");
    }
    for spoil in [
        "printf x >>NAME",
        "sed -i 's/  .*/  another.tar.gz/' NAME.sha256",
        ": >NAME.sha256",
        "rm NAME.sha256",
        "rm NAME",
    ] {
        let base = scratch();
        let (dir, name) = release(base.path());
        sh(&dir, &spoil.replace("NAME", &name)).expect(0);
        let done = install(base.path());
        done.expect(1);
        assert!(done.err().contains("install.sh: "), "{spoil}: {done}");
        assert!(!base.path().join("bin/diffkeeper").exists(), "{spoil}");
    }
}

#[test]
fn the_package_holds_the_binary_its_pages_and_completions() {
    if !has("dpkg-deb") {
        return skip("dpkg-deb is not there");
    }
    let base = scratch();
    let arch = sh(base.path(), "dpkg --print-architecture").out();
    let mut build = Command::new(Path::new(ROOT).join(".github/deb.sh"));
    build.arg(binary(base.path())).args([VERSION, arch.trim()]);
    let built = run(build.arg(base.path()));
    built.expect(0);
    let package = PathBuf::from(built.out().trim());
    let extract = format!("dpkg-deb --extract '{}' out", package.display());
    sh(base.path(), &extract).expect(0);
    let read = |path: &str| fs::read(base.path().join("out").join(path)).expect(path);
    for path in [
        "usr/share/man/man1/diffkeeper.1.gz",
        "usr/share/man/man1/diffkeeper-record.1.gz",
        "usr/share/zsh/vendor-completions/_diffkeeper",
        "usr/share/fish/vendor_completions.d/diffkeeper.fish",
        "usr/share/doc/diffkeeper/copyright",
    ] {
        assert!(!read(path).is_empty(), "{path}");
    }
    let bash = read("usr/share/bash-completion/completions/diffkeeper");
    assert!(String::from_utf8(bash).unwrap().contains("complete -F"));
    if !rustix::process::geteuid().is_root() {
        return skip("only root can install a package");
    }
    // Into a root of its own: the machine's packages are not touched.
    let into =
        "mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates && : >root/var/lib/dpkg/status";
    sh(base.path(), into).expect(0);
    let dpkg = format!(
        "dpkg --root=\"$PWD/root\" --install '{}'",
        package.display()
    );
    sh(base.path(), &dpkg).expect(0);
    let version = sh(base.path(), "root/usr/bin/diffkeeper --version");
    assert_eq!(version.out().trim(), format!("diffkeeper {VERSION}"));
    sh(base.path(), "dpkg --root=\"$PWD/root\" --verify diffkeeper").expect(0);
}

#[test]
fn the_bill_of_materials_names_every_crate_that_is_built_in() {
    if !has("jq") {
        return skip("jq is not there");
    }
    let base = scratch();
    let out = base.path().join("sbom.json");
    let mut script = Command::new(Path::new(ROOT).join(".github/sbom.sh"));
    run(script.arg("x86_64-unknown-linux-musl").arg(&out)).expect(0);
    let sbom: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    let components = sbom["components"].as_array().unwrap();
    let names: Vec<_> = components
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    for name in ["fjall", "ratatui", "aya", "regex", "diffkeeper-store"] {
        assert!(names.contains(&name), "{name}");
    }
    for name in ["assert_cmd", "proptest"] {
        assert!(!names.contains(&name), "{name} is only needed by tests");
    }
}
