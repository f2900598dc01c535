//! The command starts with what the recorder was started with.

use std::process::{Command, Output};

use crate::bench::Bench;

/// Prints everything that a process inherits and can see of itself.
const LOOK: &str = r#"
    grep -E '^(Sig(Blk|Ign|Cgt)|Shd|Uid|Gid|Groups|CapEff|NoNewPrivs|Seccomp):' /proc/self/status
    umask; ulimit -a; pwd; env | grep -v '^_='; cat /proc/self/oom_score_adj /proc/self/cgroup
    nice; ps -o pgid=,sid=,tty= $$
    for fd in /proc/self/fd/*; do
        case $fd in */[0-9]) echo "$fd $(readlink $fd)";; esac
    done
"#;

/// Runs `before; exec WHAT` in bash, with and without the driver as WHAT, in one process group.
fn both(before: &str, look: &str) -> (Output, Output) {
    let bench = Bench::new();
    let run = |driver: &str| {
        let mut command = Command::new("bash");
        let driven = format!("{before}; {driver} bash -c \"$LOOK\"; exit $?");
        command
            .args(["-c", &driven])
            .env("LOOK", look)
            .current_dir(bench.path(""));
        command.output().unwrap()
    };
    let driver = format!("{} --report report --", env!("CARGO_BIN_EXE_launch-driver"));
    (run(""), run(&driver))
}

fn same(before: &str, look: &str) -> String {
    let (bare, driven) = both(before, look);
    let clean = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        // Process, pipe and session numbers differ from run to run.
        let numbers =
            |word: &str| word.starts_with("pipe:[") || word.starts_with("/proc/self/fd/3/");
        text.lines()
            .map(without_thread_signals)
            .map(|line| {
                let words = line
                    .split(' ')
                    .map(|word| if numbers(word) { "pipe" } else { word });
                words.collect::<Vec<_>>().join(" ")
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(clean(&bare.stdout), clean(&driven.stdout), "after {before}");
    assert_eq!(bare.status.code(), driven.status.code());
    clean(&driven.stdout)
}

#[test]
fn everything_visible_is_the_same() {
    let look = LOOK.replace("ps -o pgid=,sid=,tty= $$", ":");
    let seen = same(
        "umask 027; export PIECE='of env'; ulimit -n 99; exec 7</dev/zero",
        &look,
    );
    for fact in [
        "SigBlk",
        "0027",
        "PIECE=of env",
        "/proc/self/fd/7 /dev/zero",
    ] {
        assert!(seen.contains(fact), "{fact} in {seen}");
    }
}

const SIGNALS: &str = "grep -E '^Sig(Blk|Ign):' /proc/self/status";

/// Leaves out 32 and 33: they belong to the C library, which sets them in a process with threads.
fn without_thread_signals(line: &str) -> String {
    match line
        .strip_prefix("SigIgn:")
        .map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap())
    {
        Some(mask) => format!("SigIgn: {:x}", mask & !(bit(32) | bit(33))),
        None => line.to_owned(),
    }
}

fn signals(seen: &[u8]) -> String {
    let lines = std::str::from_utf8(seen).unwrap().lines();
    lines
        .map(without_thread_signals)
        .collect::<Vec<_>>()
        .join("\n")
}

fn ignored(seen: &str) -> u64 {
    let mask = seen
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

#[test]
fn ignored_signals_stay_ignored() {
    for (name, number) in [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("USR1", 10),
        ("PIPE", 13),
        ("TERM", 15),
        ("TSTP", 20),
    ] {
        let seen = same(&format!("trap '' {name}"), SIGNALS);
        assert_ne!(ignored(&seen) & bit(number), 0, "{name}: {seen}");
    }
    let seen = same("trap - PIPE", SIGNALS);
    assert_eq!(ignored(&seen) & bit(13), 0, "SIGPIPE: {seen}");
}

/// bash never ignores SIGCHLD for its children: a small Python does it, and blocks signals, too.
#[test]
fn mask_and_sigchld_stay_as_they_were() {
    let bench = Bench::new();
    let script = "import os,signal,sys\n\
        signal.signal(signal.SIGCHLD,signal.SIG_IGN)\n\
        signal.pthread_sigmask(signal.SIG_BLOCK,[signal.SIGUSR2,signal.SIGALRM])\n\
        os.execvp(sys.argv[1],sys.argv[1:])";
    let run = |driver: &[&str]| {
        let look = ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"];
        let mut command = Command::new("python3");
        command
            .args(["-c", script])
            .args(driver)
            .args(look)
            .current_dir(bench.path(""));
        command.output().unwrap()
    };
    let bare = run(&[]);
    let driven = run(&[env!("CARGO_BIN_EXE_launch-driver"), "--"]);
    assert_eq!(driven.status.code(), Some(0));
    assert_eq!(signals(&bare.stdout), signals(&driven.stdout));
    assert_ne!(ignored(&signals(&bare.stdout)) & bit(17), 0);
}

#[test]
fn the_process_group_is_the_recorders_own() {
    let bench = Bench::new();
    let output = bench.sh("ps -o pgid= -p $$; ps -o pgid= -p $PPID");
    let text = String::from_utf8(output.stdout).unwrap();
    let groups: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0], groups[1]);
}

#[test]
fn a_working_directory_can_be_given() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("there")).unwrap();
    let output = bench.run(&["--cwd", "there"], &["sh", "-c", "basename \"$(pwd)\""]);
    assert_eq!(output.stdout, b"there\n");
}
