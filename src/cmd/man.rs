//! `diffkeeper man`: manual pages, generated from the command line.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::{self, Cli};
use crate::config::Config;
use crate::error::{CliError, at_path};
use crate::output::Output;

/// Runs the command.
///
/// # Errors
/// No such command, or a place that cannot be written to.
pub(crate) fn run(args: &cli::Man, config: &Config) -> Result<ExitCode, CliError> {
    if let Some(dir) = &args.dir {
        write_all(dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = args.command.as_deref();
    let pages = pages();
    let page = match wanted {
        None => pages.first(),
        Some(name) => pages.iter().find(|page| is_of(page, name)),
    };
    let Some(page) = page else {
        let name = wanted.unwrap_or_default();
        return Err(CliError::usage(format!("no such command: {name}"))
            .hint("`diffkeeper --help` lists them"));
    };
    let mut output = Output::new(config);
    output.write_all(&render(page)?)?;
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// The program first, then every command under the name `diffkeeper-NAME`.
fn pages() -> Vec<Command> {
    let mut program = Cli::command();
    program.build();
    let page = |command: &Command| {
        let name = format!("diffkeeper-{}", command.get_name());
        let version = program.get_version().unwrap_or_default().to_owned();
        command.clone().name(name).version(version)
    };
    let commands = program.get_subcommands().filter(|c| !c.is_hide_set());
    let commands: Vec<Command> = commands.map(page).collect();
    let mut pages = vec![program];
    pages.extend(commands);
    pages
}

fn is_of(page: &Command, name: &str) -> bool {
    page.get_name().strip_prefix("diffkeeper-") == Some(name)
}

fn render(page: &Command) -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    Man::new(page.clone()).render(&mut text)?;
    Ok(text)
}

fn write_all(dir: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(dir).map_err(|error| at_path(dir, &error))?;
    for page in pages() {
        let path = dir.join(format!("{}.1", page.get_name()));
        std::fs::write(&path, render(&page)?).map_err(|error| at_path(&path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{is_of, pages, render, write_all};
    use crate::cli::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_page_that_names_its_options() {
        let pages = pages();
        for (name, holds) in [
            ("record", "backend"),
            ("timeline", "filter"),
            ("show", "PATH"),
            ("diff", "exit"),
            ("export", "out"),
            ("processes", "filter"),
            ("verify", "json"),
        ] {
            let page = pages.iter().find(|page| is_of(page, name)).unwrap();
            let text = String::from_utf8(render(page).unwrap()).unwrap();
            assert!(
                text.contains(".TH") && text.contains(holds),
                "{name}: {text}"
            );
        }
    }

    #[test]
    fn all_pages_go_into_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        write_all(dir.path()).unwrap();
        assert!(dir.path().join("diffkeeper.1").is_file());
        assert!(dir.path().join("diffkeeper-timeline.1").is_file());
    }
}
