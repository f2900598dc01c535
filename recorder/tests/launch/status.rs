//! The exit status comes back unchanged, and a command that cannot start says why as a shell does.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bench::Bench;

#[test]
fn codes_come_back_each_time() {
    let bench = Bench::new();
    for code in [0, 1, 42, 255] {
        for _ in 0..20 {
            assert_eq!(bench.sh(&format!("exit {code}")).status.code(), Some(code));
            assert_eq!(bench.fact("status"), format!("Code({code})"));
        }
    }
}

#[test]
fn signals_come_back_as_128_more() {
    let bench = Bench::new();
    for signal in [1, 2, 3, 6, 9, 11, 13, 15] {
        for _ in 0..20 {
            assert_eq!(
                bench
                    .sh(&format!("ulimit -c 0; kill -{signal} $$"))
                    .status
                    .code(),
                Some(128 + signal)
            );
            assert_eq!(bench.fact("status"), format!("Signal({signal})"));
        }
    }
}

/// A tee changes nothing about the status.
#[test]
fn with_a_tee_too() {
    let bench = Bench::new();
    for script in ["exit 42", "kill -9 $$", "echo a; echo b >&2; exit 3"] {
        let plain = bench.sh(script);
        let teed = bench.run(&["--tee", "tee"], &["/bin/sh", "-c", script]);
        assert_eq!(
            (plain.status.code(), plain.stdout, plain.stderr),
            (teed.status.code(), teed.stdout, teed.stderr)
        );
    }
}

#[test]
fn a_missing_command_is_127() {
    let bench = Bench::new();
    for missing in [
        "./nowhere",
        "/nowhere/at/all",
        "no-such-command-anywhere",
        "",
    ] {
        let output = bench.run(&[], &[missing]);
        assert_eq!(output.status.code(), Some(127), "{missing}");
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("not found")
        );
    }
}

#[test]
fn a_command_that_cannot_execute_is_126() {
    let bench = Bench::new();
    let write = |name: &str, text: &str, mode: u32| {
        fs::write(bench.path(name), text).unwrap();
        fs::set_permissions(bench.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("plain", "echo hello\n", 0o644);
    write("orphan", "#!/no/such/interpreter\n", 0o755);
    fs::create_dir(bench.path("directory")).unwrap();
    for command in ["./plain", "./orphan", "./directory", "./plain/below"] {
        assert_eq!(
            bench.run(&[], &[command]).status.code(),
            Some(126),
            "{command}"
        );
    }
}

#[test]
fn a_script_without_a_first_line_runs_in_sh() {
    let bench = Bench::new();
    fs::write(bench.path("script"), "echo \"$1\"; exit 7\n").unwrap();
    fs::set_permissions(bench.path("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = bench.run(&[], &["./script", "hello"]);
    assert_eq!(
        (output.status.code(), output.stdout),
        (Some(7), b"hello\n".to_vec())
    );
}

#[test]
fn a_fault_of_our_own_is_125() {
    let bench = Bench::new();
    assert_eq!(
        bench
            .run(&["--cwd", "nowhere"], &["/bin/true"])
            .status
            .code(),
        Some(125)
    );
    assert_eq!(
        bench
            .run(&["--cwd", "report"], &["/bin/true"])
            .status
            .code(),
        Some(125)
    );
    assert_eq!(bench.run(&[], &[]).status.code(), Some(125));
}

/// The time of the start is before anything that the command does.
#[test]
fn the_duration_covers_the_command() {
    let bench = Bench::new();
    bench.sh("sleep 0.2");
    let ns: u64 = bench.fact("duration").parse().unwrap();
    assert!((200_000_000..20_000_000_000).contains(&ns), "{ns}");
}
