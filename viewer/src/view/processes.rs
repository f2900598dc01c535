//! The process pane.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::Pen;
use crate::app::App;
use crate::ask::ProcessLine;
use crate::text::{counted, grouped};
use crate::view::layout::Pane;
use diffkeeper_store::when::format_time;

pub(super) fn title(app: &App) -> String {
    let Some(census) = &app.processes.census else {
        return "processes".to_owned();
    };
    let mut title = format!(
        "processes {}",
        grouped((census.lines.len() + census.more) as u64)
    );
    let (done, all) = census.counted;
    if done < all {
        title += &format!(", {}% counted", done * 100 / all.max(1));
    }
    if census.unattributed > 0 {
        let changes = counted(census.unattributed, "change");
        title += &format!(", {changes} by unknown ones");
    }
    if census.more > 0 {
        title += &format!(", {} not shown", grouped(census.more as u64));
    }
    title
}

/// From so many columns on, a row has room for all that is told of a process.
const ROOMY: u16 = 110;

/// Rows of an area that hold processes: not the heading, nor the line that tells the rest
/// of the selected one.
pub(crate) const fn rows(area: Rect) -> u16 {
    area.height.saturating_sub(1 + has_details(area) as u16)
}

const fn has_details(area: Rect) -> bool {
    area.width < ROOMY && area.height > 3
}

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let Some(census) = &app.processes.census else {
        return;
    };
    let heading = columns(
        area,
        ("process", "start", "end", "exit"),
        ("wrote", "command"),
    );
    let dim = pen.theme.dim();
    pen.text(Rect { height: 1, ..area }, &heading, dim);
    let writer = app.rows.get(&app.cursor).and_then(|row| row.process);
    let lines = census.lines.iter().enumerate().skip(app.processes.top);
    if let Some(line) = census.lines.get(app.processes.selected)
        && has_details(area)
    {
        let y = area.y + area.height - 1;
        pen.text(
            Rect {
                y,
                height: 1,
                ..area
            },
            &details(line),
            dim,
        );
    }
    for (y, (at, line)) in (area.y + 1..area.y + area.height)
        .take(usize::from(rows(area)))
        .zip(lines)
    {
        let row = Rect {
            y,
            height: 1,
            ..area
        };
        let style = match line.failed {
            true => pen.theme.alarm(),
            false => Style::new(),
        };
        pen.text(row, &text(line, area), style);
        if writer == Some(line.id) {
            pen.text(
                Rect {
                    x: area.x,
                    width: 1,
                    ..row
                },
                "▶",
                pen.theme.cursor(),
            );
        }
        if at == app.processes.selected {
            pen.paint(row, pen.theme.selected(app.pane == Pane::Processes));
        }
    }
}

/// When the selected process began and ended, and its command line.
fn details(line: &ProcessLine) -> String {
    let end = line.end.map_or_else(|| "..".to_owned(), format_time);
    let times = format!(" {} to {end}", format_time(line.start));
    format!("{times}  {}", line.command)
}

fn text(line: &ProcessLine, area: Rect) -> String {
    let end = line.end.map(format_time).unwrap_or_default();
    columns(
        area,
        (&line.name, &format_time(line.start), &end, &line.exit),
        (&line.wrote, &line.command),
    )
}

fn columns(
    area: Rect,
    (name, start, end, exit): (&str, &str, &str, &str),
    (wrote, command): (&str, &str),
) -> String {
    let room = usize::from(area.width).saturating_sub(30).clamp(12, 28);
    let name = crate::text::shorten(name, room.saturating_sub(3).max(8));
    let times = if area.width >= 60 {
        format!("{start:<11} {end:<11} ")
    } else {
        String::new()
    };
    format!(" {name:<room$} {times}{exit:<9} {wrote:<16} {command}")
}
