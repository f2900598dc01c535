//! `diffkeeper summary`: a session on one page of Markdown, for people who look at a CI job:
//! the verdict, how dense the changes were, the last of them, and the commands to go on with.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{Counts, ExitStatus, Op, OpKind, Timestamp, escape};
use diffkeeper_store::when::{format_duration, format_time};
use diffkeeper_store::{RESOLUTIONS, SessionReader};

use super::timeline::{self, Line};
use crate::cli;
use crate::config::Config;
use crate::error::CliError;
use crate::output::{Output, counted, shorten};
use crate::trace;
use diffkeeper_viewer::words::shell_word;

/// Changes that are listed.
const LISTED: usize = 20;
/// Characters of a listed line; with this the page stays far below the 1 MiB that a job's
/// summary may have.
const MAX_LINE: usize = 400;
/// Bars of the histogram.
const BARS: u64 = 60;
const CHANGES: &str = "op:create,write,truncate,rename,unlink,mkdir,rmdir,link,symlink,mknod";
/// What stood there before a write is mostly the state this long before, ns: an overwrite is often a
/// truncate and a write.
const SHORTLY: u64 = 500_000_000;

/// Runs the command.
///
/// # Errors
/// Whatever keeps the session from being read.
pub(crate) fn run(args: &cli::Summary, config: &Config) -> Result<ExitCode, CliError> {
    let store = trace::open(config, "summary")?;
    let reader = trace::session(&store, args.session)?;
    let name = args.trace.as_ref().unwrap_or(&config.state_dir);
    let name = shell_word(name.as_os_str().as_encoded_bytes());
    let mut output = Output::new(config);
    output.write_all(page(&reader, &name)?.as_bytes())?;
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// The page; `name` is how the commands call the trace.
fn page(reader: &SessionReader<'_>, name: &str) -> Result<String, CliError> {
    let lines = timeline::last(reader, &Filter::parse(CHANGES)?, LISTED)?;
    let mut page = head(reader)?;
    // Writing to a String cannot fail. In a block of code nothing is markup, and a line that is
    // escaped cannot end it.
    if !lines.is_empty() {
        let _ = writeln!(page, "\nThe last changes, the very last first:\n\n```text");
        for line in &lines {
            let _ = writeln!(page, "{}", shorten(&line.text, MAX_LINE));
        }
        page.push_str("```\n");
    }
    page.push_str("\nTo go on with:\n\n```sh\n");
    for command in commands(&lines, name) {
        let _ = writeln!(page, "{command}");
    }
    page.push_str("```\n");
    Ok(page)
}

fn head(reader: &SessionReader<'_>) -> Result<String, CliError> {
    let (session, counts) = (reader.session(), &reader.progress().counts);
    let (mark, verdict) = match reader.seal().map(|seal| seal.status) {
        Some(ExitStatus::Code(0)) => ("✅", "ended with 0".to_owned()),
        Some(ExitStatus::Code(code)) => ("❌", format!("ended with {code}")),
        Some(ExitStatus::Signal(signal)) => ("❌", format!("was ended by signal {signal}")),
        None => ("❓", "has no recorded end: the recorder died".to_owned()),
    };
    let backend = trace::provenance(session.backend);
    let (events, gaps) = (counted(counts.total(), "event"), trace::gaps(reader));
    let end = format_time(reader.end());
    let mut head = format!(
        "{mark} The command {verdict} after {end}: {events}, {gaps}, {backend}.\n\n\
         ```text\n{}\n{}\n```\n",
        shorten(&escape(&session.argv.join(&b' ')).to_string(), MAX_LINE),
        histogram(reader)?,
    );
    let faults = reader.seal().map_or(0, |seal| seal.faults.len());
    if faults > 0 {
        let faults = counted(faults as u64, "fault");
        let _ = writeln!(
            head,
            "\n⚠ The recorder had {faults}; the trace may lack what followed."
        );
    }
    Ok(head)
}

/// Changes over time, one bar for each part of the session.
fn histogram(reader: &SessionReader<'_>) -> Result<String, CliError> {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let end = reader.end().0;
    let fine_enough = |width: &u64| end / width >= BARS;
    let resolution = RESOLUTIONS.iter().rposition(fine_enough).unwrap_or(0);
    let resolution = u8::try_from(resolution).unwrap_or(0);
    let mut bars = [0_u64; BARS as usize];
    for bucket in reader.density(resolution, Timestamp(0), Timestamp(end)) {
        let (start, counts) = bucket?;
        let at = u128::from(start.0) * u128::from(BARS) / (u128::from(end) + 1);
        let bar = usize::try_from(at).ok().and_then(|at| bars.get_mut(at));
        if let Some(bar) = bar {
            *bar += changes(&counts);
        }
    }
    let most = bars.iter().copied().max().unwrap_or(0).max(1);
    let block = |bar: &u64| {
        let height = (bar * 8).div_ceil(most);
        let block = usize::try_from(height).ok().and_then(|at| BLOCKS.get(at));
        block.copied().unwrap_or('█')
    };
    let bars: String = bars.iter().map(block).collect();
    Ok(format!("0s |{bars}| {}", format_time(reader.end())))
}

/// Everything but looks and processes.
fn changes(counts: &Counts) -> u64 {
    let others = [OpKind::Open, OpKind::Read, OpKind::Exec, OpKind::Exit];
    let others: u64 = others.iter().map(|kind| counts.get(*kind)).sum();
    counts.total() - others
}

fn commands(lines: &[Line], name: &str) -> Vec<String> {
    let mut commands = vec![format!("diffkeeper timeline --state-dir {name}")];
    let writes = lines
        .iter()
        .filter_map(|line| match (&line.event.op, &line.path) {
            (Op::Write { .. }, Some(path)) => Some((line.event.seq, line.event.time, path)),
            _ => None,
        });
    if let Some((seq, time, path)) = writes.into_iter().next() {
        let earlier = format_duration(time.0.saturating_sub(SHORTLY) / 1_000_000 * 1_000_000);
        let (seq, path) = (seq.0, shell_word(path));
        commands.push(format!(
            "diffkeeper diff --state-dir {name} --from={earlier} --to='#{seq}' -- {path}"
        ));
        commands.push(format!(
            "diffkeeper export --state-dir {name} --time={earlier} --out=before"
        ));
    }
    commands
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::page;
    use crate::testing::bed;

    #[test]
    fn a_page_tells_the_verdict_and_the_way_on() {
        let bed = bed();
        let store = bed.store();
        let page = page(&store.session(None).unwrap(), "it").unwrap();
        assert!(
            page.starts_with("❌ The command ended with 1 after "),
            "{page}"
        );
        assert!(page.contains("1 gap, observed (notify)"), "{page}");
        assert!(
            page.contains("diffkeeper timeline --state-dir it\n"),
            "{page}"
        );
        assert!(page.contains("make te st\\n\n"), "{page}");
        assert!(page.contains('█'), "{page}");
        assert!(page.len() < 1 << 20);
    }
}
