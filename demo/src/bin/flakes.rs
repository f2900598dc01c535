//! The flakes of the cookbook; see `diffkeeper_demo::flakes`. `flakes NAME` runs both programs
//! of one at the same time in the current directory and ends as the test that is flaky does.

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use diffkeeper_demo::flakes::{self, Failed};

/// Run two programs that get in each other's way.
#[derive(Parser)]
struct Args {
    /// Which
    #[arg(value_enum)]
    flake: Flake,
    /// Meet at the wrong moment for certain
    #[arg(long)]
    unlucky: bool,
    /// Only one of the two
    #[arg(long, value_enum, hide = true)]
    part: Option<Part>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Flake {
    /// Two parallel tests share a fixed path
    SharedPath,
    /// A config is read while it is half written
    HalfConfig,
    /// A cleanup deletes a neighbour's file
    Cleanup,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    First,
    Second,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.part {
        Some(part) => run(args.flake, part, args.unlucky),
        None => both(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Assertion(text)) => {
            eprintln!("FAILED: {text}");
            ExitCode::from(1)
        }
        Err(Failed::Io(error)) => {
            eprintln!("flakes: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(flake: Flake, part: Part, unlucky: bool) -> Result<(), Failed> {
    let dir = Path::new(".");
    match (flake, part) {
        (Flake::SharedPath, Part::First) => flakes::shares_a_path(dir, "test_login", unlucky),
        (Flake::SharedPath, Part::Second) => flakes::shares_a_path(dir, "test_logout", false),
        (Flake::HalfConfig, Part::First) => flakes::reads_a_config(dir),
        (Flake::HalfConfig, Part::Second) => flakes::writes_a_config(dir, unlucky),
        (Flake::Cleanup, Part::First) => flakes::keeps_a_result(dir, "user-list", unlucky),
        (Flake::Cleanup, Part::Second) => flakes::cleans_up(dir, "user"),
    }
}

/// The first part is the test, the second gets in its way: a moment later where they meet.
fn both(args: &Args) -> Result<(), Failed> {
    let this = std::env::current_exe()?;
    let flake = args
        .flake
        .to_possible_value()
        .map(|value| value.get_name().to_owned());
    let part = |part: &str| {
        let mut command = Command::new(&this);
        command.args(&flake).args(["--part", part]);
        command.args(args.unlucky.then_some("--unlucky"));
        command
    };
    let mut first = part("first").spawn()?;
    std::thread::sleep(std::time::Duration::from_millis(20));
    let second = part("second").status()?;
    let first = first.wait()?;
    match first.success() && second.success() {
        true => Ok(()),
        false => Err(Failed::Assertion("one of two tests".into())),
    }
}
