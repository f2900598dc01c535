//! The processes as a table for people: the tree first, then when and how each ended, what
//! it did, and its command line. A column in which nothing would stand is left out.

use std::io::Write;

use anstyle::Style;
use diffkeeper_store::StoreError;
use diffkeeper_store::model::{ExitStatus, Process};
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::when::format_time;

use crate::error::CliError;
use crate::output::{Output, grouped, paint, shorten};
use diffkeeper_viewer::processes::tally::Member;
use diffkeeper_viewer::processes::tree::{Line, Strokes, lines};
use diffkeeper_viewer::processes::{Processes, command_line, name};

/// Columns before the command line.
const COLUMNS: usize = 12;
const HEADINGS: [&str; COLUMNS] = [
    "PROCESS", "START", "END", "EXIT", "WRITES", "BYTES", "FILES", "CREATED", "REMOVED", "RENAMED",
    "OPENS", "READS",
];
/// Columns that stand in any case.
const ALWAYS: usize = 4;
/// What stands where there is nothing to say.
const NOTHING: &str = "-";
/// Least of a command line that is shown, however narrow the terminal.
const MIN_COMMAND: usize = 16;

/// The place that the table is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Columns, where lines are to be cut.
    pub(super) width: Option<usize>,
    /// Whether it shows more than ASCII.
    pub(super) utf8: bool,
}

/// Writes the table; nothing without lines.
///
/// # Errors
/// Damaged records, or those of `output`.
pub(super) fn write(
    members: &[Member],
    processes: &Processes<'_>,
    place: Place,
    output: &mut Output,
) -> Result<(), CliError> {
    let lines = lines(members, Strokes::new(place.utf8));
    let mut rows = Vec::with_capacity(lines.len());
    for line in &lines {
        rows.push(row(line, members, processes)?);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let widths = widths(&rows);
    let used = widths.iter().map(|width| width + 2).sum();
    writeln!(
        output,
        "{}COMMAND",
        padded(&HEADINGS.map(str::to_owned), &widths)
    )?;
    for (line, row) in lines.iter().zip(&rows) {
        let Some((member, process)) = found(line, members, processes)? else {
            continue;
        };
        let command = cut(command_line(&process), place.width, used);
        let text = padded(row, &widths) + &command;
        // Those above stand there only so that one sees where the chosen ones belong.
        let style = Style::new();
        let style = if member.chosen { style } else { style.dimmed() };
        writeln!(output, "{}", paint(output.color(), style, text.trim_end()))?;
    }
    Ok(())
}

type Row = [String; COLUMNS];

fn found<'m>(
    line: &Line,
    members: &'m [Member],
    processes: &Processes<'_>,
) -> Result<Option<(&'m Member, std::rc::Rc<Process>)>, StoreError> {
    let Some(member) = members.get(line.member) else {
        return Ok(None);
    };
    let process = processes.get(member.id)?;
    Ok(process.map(|process| (member, process)))
}

fn row(line: &Line, members: &[Member], processes: &Processes<'_>) -> Result<Row, StoreError> {
    let Some((member, process)) = found(line, members, processes)? else {
        return Ok(Row::default());
    };
    let deeds = &member.deeds;
    let files = match deeds.more_files {
        true => grouped(deeds.files) + "+",
        false => number(deeds.files),
    };
    Ok([
        format!("{}{}", line.prefix, name(&process)),
        format_time(process.start),
        member
            .end
            .map_or(NOTHING.to_owned(), |(time, _)| format_time(time)),
        exit_text(super::exit_of(member, &process)),
        number(deeds.writes),
        match deeds.bytes {
            0 => NOTHING.to_owned(),
            bytes => format_bytes(bytes),
        },
        files,
        number(deeds.created),
        number(deeds.removed),
        number(deeds.renamed),
        number(deeds.opens),
        number(deeds.reads),
    ])
}

fn number(number: u64) -> String {
    match number {
        0 => NOTHING.to_owned(),
        number => grouped(number),
    }
}

fn exit_text(status: Option<ExitStatus>) -> String {
    match status {
        Some(ExitStatus::Code(code)) => code.to_string(),
        Some(ExitStatus::Signal(signal)) => format!("signal {signal}"),
        None => NOTHING.to_owned(),
    }
}

/// Width of each column in characters; 0 for one that is left out.
fn widths(rows: &[Row]) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for (at, (width, heading)) in widths.iter_mut().zip(HEADINGS).enumerate() {
        let cells = || rows.iter().filter_map(|row| row.get(at));
        if at < ALWAYS || cells().any(|cell| cell != NOTHING) {
            let longest = cells().map(|cell| cell.chars().count()).max();
            *width = longest.unwrap_or(0).max(heading.len());
        }
    }
    widths
}

fn padded(row: &Row, widths: &[usize; COLUMNS]) -> String {
    let cells = row.iter().zip(widths).filter(|(_, width)| **width > 0);
    cells
        .map(|(cell, width)| format!("{cell:width$}  "))
        .collect()
}

/// A command line that ends where the terminal does.
fn cut(command: String, width: Option<usize>, used: usize) -> String {
    match width {
        None => command,
        Some(width) => {
            let room = width.saturating_sub(used).max(MIN_COMMAND);
            if command.chars().count() <= room {
                return command;
            }
            shorten(&command, room - 3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_command_line_ends_with_the_terminal() {
        let long = "x".repeat(100);
        assert_eq!(cut(long.clone(), None, 60), long);
        assert_eq!(cut(long.clone(), Some(160), 60), long);
        let shown = cut(long.clone(), Some(100), 60);
        assert_eq!(shown, format!("{}...", "x".repeat(37)));
        assert_eq!(cut(long, Some(10), 60).chars().count(), 16);
    }
}
