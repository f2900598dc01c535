//! Counts in the current directory; see `diffkeeper_demo::counting`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Make numbered files in order, so that any state of the directory can be told from its number.
#[derive(Parser)]
struct Args {
    /// The last number
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// Microseconds after each step
    #[arg(long, default_value_t = 1000)]
    pause: u64,
    /// Where to write the process id before the first step; outside the counted directory
    #[arg(long)]
    pid_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let told = match &args.pid_file {
        Some(path) => std::fs::write(path, std::process::id().to_string()),
        None => Ok(()),
    };
    let pause = Duration::from_micros(args.pause);
    match told.and_then(|()| {
        diffkeeper_demo::counting::count(std::path::Path::new("."), args.count, pause)
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("counting-workload: {error}");
            ExitCode::from(2)
        }
    }
}
