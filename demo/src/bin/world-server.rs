//! A game server that saves its world for ever; see `diffkeeper_demo::world`. It goes on
//! from the last save that is there, and prints the number of each save once it is complete.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use diffkeeper_demo::world;

/// Save a world again and again, and tell when each save is complete.
#[derive(Parser)]
struct Args {
    /// Where the world is
    #[arg(long)]
    dir: PathBuf,
    /// Milliseconds between two saves
    #[arg(long, default_value_t = 50)]
    pause: u64,
    /// Stop after this save
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
}

fn play(args: &Args) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    world::create(&args.dir).map_err(text)?;
    for n in world::level(&args.dir)? + 1..=args.count {
        world::save(&args.dir, n).map_err(text)?;
        writeln!(std::io::stdout(), "{n}").map_err(text)?;
        std::io::stdout().flush().map_err(text)?;
        std::thread::sleep(Duration::from_millis(args.pause));
    }
    Ok(())
}

fn main() -> ExitCode {
    match play(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("world-server: {error}");
            ExitCode::from(2)
        }
    }
}
