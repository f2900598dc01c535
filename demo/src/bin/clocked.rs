//! `clocked FILE CMD [ARG...]`: runs a command and writes its wall time in ns, from just before
//! it is started to just after it has ended, to FILE. A benchmark wraps a recorded command in it
//! to leave out what the recorder does before and after.

use std::process::{Command, ExitCode};
use std::time::Instant;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(file), Some(program)) = (args.next(), args.next()) else {
        eprintln!("usage: clocked FILE CMD [ARG...]");
        return ExitCode::from(2);
    };
    let mut command = Command::new(&program);
    command.args(args);
    let start = Instant::now();
    let status = command.status();
    let ns = start.elapsed().as_nanos();
    match status.and_then(|status| std::fs::write(file, ns.to_string()).map(|()| status)) {
        Ok(status) => ExitCode::from(status.code().map_or(255, |code| code as u8)),
        Err(error) => {
            eprintln!("clocked: {}: {error}", program.display());
            ExitCode::from(127)
        }
    }
}
