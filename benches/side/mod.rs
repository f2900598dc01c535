//! Side by side: one program is measured against another in turn, and only medians and their
//! ratios are told, because times on a shared machine mean nothing by themselves.
#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Decides what this process is: a benchmark under `cargo bench`, the clock around a measured
/// command (see [`clocked`]), or nothing under `cargo test`.
pub(crate) fn enter(bench: impl FnOnce()) -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match args.get(1).and_then(|arg| arg.to_str()) {
        Some("--clock") => return clock(&args[2], &args[3..]),
        _ if args.iter().any(|arg| arg == "--bench") => bench(),
        _ => eprintln!("a benchmark: run it with `cargo bench`"),
    }
    ExitCode::SUCCESS
}

/// The wall time of a command in ns, from just before its start to just after its end.
fn clock(file: &OsStr, command: &[std::ffi::OsString]) -> ExitCode {
    let start = Instant::now();
    let status = Command::new(&command[0]).args(&command[1..]).status();
    let ns = start.elapsed().as_nanos();
    fs::write(file, ns.to_string()).expect("a file for the time");
    match status.expect("the measured command").success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Adds to `command` a shell script whose own wall time goes to `file`, so that what a recorder
/// does before and after it is left out.
pub(crate) fn clocked(command: &mut Command, file: &Path, script: &str) {
    let this = std::env::current_exe().expect("this program");
    command.arg(this).arg("--clock").arg(file);
    command.args(["sh", "-ec", script]);
}

/// What [`clocked`] wrote, in seconds.
pub(crate) fn clocked_seconds(file: &Path) -> f64 {
    let ns = fs::read_to_string(file).expect("the time of the command");
    ns.parse::<f64>().expect("nanoseconds") / 1e9
}

/// The seconds that a closure takes.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The middle of the measured values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Rounds of a comparison: `DIFFKEEPER_BENCH_ROUNDS`, else 5.
pub(crate) fn rounds() -> u64 {
    let given = std::env::var("DIFFKEEPER_BENCH_ROUNDS").ok();
    given.map_or(5, |text| text.parse().expect("a number of rounds"))
}

/// One line: two medians in ms, and the ratio of the first to the second beside its bound.
pub(crate) fn compare_line(name: &str, ours: &[f64], theirs: &[f64], bound: f64) {
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours / theirs;
    let verdict = if ratio <= bound { "ok" } else { "OVER" };
    println!(
        "{name:<28} {:>10.1} {:>10.1} {ratio:>8.2} {bound:>8.2}  {verdict}",
        ours * 1e3,
        theirs * 1e3
    );
}

/// The head above lines of [`compare_line`].
pub(crate) fn compare_head(what: &str, ours: &str, theirs: &str) {
    println!(
        "\n{what:<28} {ours:>10} {theirs:>10} {:>8} {:>8}",
        "ratio", "bound"
    );
}

/// One line: a figure beside the most that it may be.
pub(crate) fn at_most_line(name: &str, figure: f64, unit: &str, bound: f64) {
    let verdict = if figure <= bound { "ok" } else { "OVER" };
    println!("{name:<44} {figure:>8.1} {unit}, at most {bound}  {verdict}");
}

/// The seconds of processor time that a process took until it ended, its children's left out;
/// whether it succeeded.
pub(crate) fn processor_until_end(child: &mut Child) -> (f64, bool) {
    let mut seconds = 0.0;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return (seconds, status.success());
        }
        seconds = processor_seconds(child.id()).unwrap_or(0.0).max(seconds);
        sleep(Duration::from_millis(2));
    }
}

/// Seconds of processor time that a process has used.
pub(crate) fn processor_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let ticks = next()? + next()?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The greatest resident set in MiB that a process reached, from its own high-water mark; the
/// memory of its children does not count.
pub(crate) fn peak_rss(child: &mut Child) -> f64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    while child.try_wait().expect("a child").is_none() {
        peak = f64::max(peak, kib(&status, "VmHWM:").unwrap_or(0.0) / 1024.0);
        sleep(Duration::from_millis(2));
    }
    peak
}

/// A figure in KiB of those that the kernel tells of a process.
pub(crate) fn kib(file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Bytes of all files below a directory: allocated blocks or lengths, whichever is more.
pub(crate) fn bytes_below(dir: &Path) -> u64 {
    let tree = diffkeeper_demo::tree::read(dir, &[]).expect("a readable directory");
    let allocated = tree
        .entries
        .keys()
        .map(|path| fs::symlink_metadata(dir.join(path)).expect("an entry"))
        .filter(|meta| meta.is_file())
        .map(|meta| meta.len().max(meta.blocks() * 512));
    allocated.sum()
}
