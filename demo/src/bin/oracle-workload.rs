//! A seeded random workload with copies at quiet points; see `diffkeeper_demo::workload`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Change a directory at random; at each quiet point copy it aside with the wall-clock time.
#[derive(Parser)]
struct Args {
    /// All choices follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Bursts of changes, each followed by a quiet point
    #[arg(long, default_value_t = 6)]
    bursts: u32,
    /// Changes in a burst
    #[arg(long, default_value_t = 80)]
    ops: u32,
    /// Milliseconds without a change before a copy
    #[arg(long, default_value_t = 700)]
    settle: u64,
    /// Where the copies and their index go; outside the changed directory
    #[arg(long)]
    copies: PathBuf,
    /// The directory to change
    #[arg(default_value = ".")]
    dir: PathBuf,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use diffkeeper_demo::workload::{Settings, run};
    let args = Args::parse();
    let settings = Settings {
        seed: args.seed,
        bursts: args.bursts,
        ops: args.ops,
        settle: std::time::Duration::from_millis(args.settle),
        copies: args.copies,
    };
    match run(&args.dir, &settings) {
        Ok(done) => {
            println!("{done} ops done");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("oracle-workload: {error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    Args::parse();
    eprintln!("oracle-workload: needs Linux");
    ExitCode::from(2)
}
