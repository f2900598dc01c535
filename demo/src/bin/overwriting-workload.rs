//! Writes into one file; see `diffkeeper_demo::overwriting`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use diffkeeper_demo::overwriting::Plan;

/// Write into one file what can be told from a seed.
#[derive(Parser)]
struct Args {
    /// Of the random choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Writes of each thread
    #[arg(long, default_value_t = 200)]
    writes: u64,
    /// Threads, all at once on the same bytes
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Length of the file at most, bytes
    #[arg(long, default_value_t = 4096)]
    span: u64,
    /// Longest write, bytes; 0 makes every write as long as the span
    #[arg(long, default_value_t = 0)]
    longest: u64,
    /// Every write waits for the disk
    #[arg(long)]
    sync: bool,
    /// The file
    file: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan {
        seed: args.seed,
        writes: args.writes,
        threads: args.threads,
        span: args.span,
        longest: args.longest,
        sync: args.sync,
    };
    match plan.run(&args.file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overwriting-workload: {error}");
            ExitCode::from(2)
        }
    }
}
