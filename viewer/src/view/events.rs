//! The event list.

use diffkeeper_store::model::Seq;
use diffkeeper_store::when::{format_duration, format_time, wall};
use ratatui::layout::Rect;

use super::pen::Pen;
use crate::app::App;
use crate::ask::Row;
use crate::text::grouped;
use crate::view::layout::Pane;

pub(super) fn title(app: &App) -> String {
    let total = grouped(app.facts.last_seq.0);
    let filtering = &app.filtering;
    if filtering.text.is_empty() {
        return format!("events {total}");
    }
    let count = grouped(app.order.count());
    let mut title = format!("events {count} of {total}");
    if !filtering.finished {
        let done = filtering.done * 100 / app.facts.last_seq.0.max(1);
        title += &format!(", {done}% searched");
    }
    if filtering.unsearched > 0 {
        title += &format!(
            ", {} contents could not be searched",
            grouped(filtering.unsearched)
        );
    }
    title
}

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let (listed, cursor) = app.listed(usize::from(area.height));
    if listed.is_empty() {
        let text = match (app.filtering.text.is_empty(), app.filtering.finished) {
            (true, _) => "no events",
            (false, true) => "no event matches the filter",
            (false, false) => "searching",
        };
        pen.text(area, text, pen.theme.dim());
        return;
    }
    for (at, seq) in listed.iter().enumerate() {
        let Ok(y) = u16::try_from(at) else { break };
        if y >= area.height {
            break;
        }
        let line = Rect {
            y: area.y + y,
            height: 1,
            ..area
        };
        let here = cursor == Some(at);
        row(app, *seq, here, line, pen);
        if here {
            let style = pen.theme.selected(app.pane == Pane::Events);
            pen.paint(line, style);
        }
    }
}

fn row(app: &App, seq: Seq, here: bool, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    // The row before the cursor stands for it where the cursor's own is not listed.
    let pointer = match (here, app.cursor == seq) {
        (true, true) => "▶",
        (true, false) => "▷",
        (false, _) => " ",
    };
    let marked = app.marks.iter().find(|(_, at)| **at == seq);
    let pointer = match (marked, here) {
        (Some((name, _)), false) => name.to_string(),
        _ => pointer.to_owned(),
    };
    let Some(row) = app.rows.get(&seq) else {
        let text = format!("#{}", grouped(seq.0));
        pen.pieces(
            area,
            &[(pointer.as_str(), theme.cursor()), (&text, theme.dim())],
        );
        return;
    };
    let time = time(app, row);
    let sign = theme.sign(row.sign);
    let word = format!("{:<8}", row.kind.word());
    let mark = row.sign.mark.to_string();
    let known = row.known.to_string();
    let rest = pen.pieces(
        area,
        &[
            (pointer.as_str(), theme.cursor()),
            (time.as_str(), theme.dim()),
            (" ", theme.dim()),
            (mark.as_str(), sign),
            (" ", sign),
            (word.as_str(), sign),
            (" ", sign),
        ],
    );
    let known_width = u16::from(row.known != ' ') * 2;
    // Who did it gives way where the rest needs the room.
    let who_width = u16::try_from(row.who.chars().count()).unwrap_or(u16::MAX);
    let text_needs = u16::try_from(row.text.chars().count())
        .unwrap_or(u16::MAX)
        .min(30);
    let shows_who = rest.width > who_width.saturating_add(text_needs + known_width);
    let text_width = if shows_who {
        rest.width - who_width - 1 - known_width
    } else {
        rest.width.saturating_sub(known_width)
    };
    pen.text(
        Rect {
            width: text_width,
            ..rest
        },
        &row.text,
        ratatui::style::Style::new(),
    );
    if known_width > 0 {
        let x = rest.x + text_width + 1;
        pen.text(
            Rect {
                x,
                width: 1,
                ..rest
            },
            &known,
            theme.dim(),
        );
    }
    if shows_who {
        pen.right(rest, &row.who, theme.dim());
    }
}

/// The time: relative or that of the wall; from a mark where the content is compared with
/// one.
fn time(app: &App, row: &Row) -> String {
    if app.clock {
        let wall = wall(app.facts.start_wall, row.time);
        // The date is in the header.
        let clock = wall.split('T').nth(1).unwrap_or(&wall);
        return clock.get(..12).unwrap_or(clock).to_owned();
    }
    if let crate::page::Base::Mark(_, seq) = app.content.base
        && let Some(mark) = app.rows.get(&seq)
    {
        let ms = |ns: u64| format_duration(ns / 1_000_000 * 1_000_000);
        let (sign, by) = if row.time >= mark.time {
            ('+', row.time.0 - mark.time.0)
        } else {
            ('-', mark.time.0 - row.time.0)
        };
        return format!("{:>11}", format!("{sign}{}", ms(by)));
    }
    format_time(row.time)
}
