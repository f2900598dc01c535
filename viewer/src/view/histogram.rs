//! The histogram: how much happened when, as the logarithm of the number of events, in
//! the colour of what outweighs; gaps, failures and the cursor.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::pen::Pen;
use crate::app::App;
use crate::ask::{Column, DensityAsk};
use crate::sign;
use crate::worker::column_of;
use diffkeeper_store::model::{OpKind, Timestamp};
use diffkeeper_store::when::format_duration;

const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let Some((ask, columns)) = &app.density else {
        return;
    };
    let bars = area.height.saturating_sub(1).max(1);
    let most = columns
        .iter()
        .map(|column| column.events)
        .max()
        .unwrap_or(0);
    for (x, column) in (area.x..area.x + area.width).zip(columns) {
        bar(column, most, Rect::new(x, area.y, 1, bars), pen);
    }
    if let Some((a, b)) = app.drag {
        let (from, to) = (a.min(b), a.max(b).min(area.width.saturating_sub(1)));
        let chosen = Rect::new(from, area.y, to.saturating_sub(from) + 1, bars);
        pen.paint(chosen, Style::new().add_modifier(Modifier::REVERSED));
    }
    let cursor = u16::try_from(column_of(*ask, app.time))
        .ok()
        .filter(|x| *x < area.width);
    if area.height > 1 {
        let axis = Rect::new(area.x, area.y + bars, area.width, 1);
        draw_axis(*ask, columns, axis, pen);
        draw_marks(app, *ask, axis, pen);
        if let Some(x) = cursor {
            let style = pen.theme.cursor();
            pen.text(Rect::new(x, axis.y, 1, 1), "▼", style);
        }
    } else if let Some(x) = cursor {
        let style = pen.theme.cursor().add_modifier(Modifier::REVERSED);
        pen.paint(Rect::new(x, area.y, 1, 1), style);
    }
}

/// A column; a gap and a failure are never hidden by what else happened.
fn bar(column: &Column, most: u64, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    let bottom = Rect {
        y: area.y + area.height - 1,
        height: 1,
        ..area
    };
    if column.events > 0 {
        let steps = usize::from(area.height) * BARS.len();
        let level = level(column.events, most, steps);
        let style = column
            .kind
            .map_or(theme.dim(), |kind| theme.sign(sign::of_kind(kind)));
        for row in 0..area.height {
            let below = usize::from(area.height - 1 - row) * BARS.len();
            let here = level.saturating_sub(below).min(BARS.len());
            if let Some(text) = here.checked_sub(1).and_then(|at| BARS.get(at)) {
                pen.text(
                    Rect {
                        y: area.y + row,
                        height: 1,
                        ..area
                    },
                    text,
                    style,
                );
            }
        }
    }
    if column.failed {
        pen.text(bottom, "▲", theme.alarm());
    }
    if column.gaps > 0 {
        pen.text(bottom, "×", theme.sign(sign::of_kind(OpKind::Gap)));
    }
}

/// From 1 on for one event up to `steps` for the most.
fn level(events: u64, most: u64, steps: usize) -> usize {
    let scale = ((most + 1) as f64).ln();
    let share = ((events + 1) as f64).ln() / scale.max(f64::EPSILON);
    ((share * steps as f64).round() as usize).clamp(1, steps)
}

/// Where the stretch begins and ends, and its middle.
fn draw_axis(ask: DensityAsk, columns: &[Column], area: Rect, pen: &mut Pen<'_>) {
    let dim = pen.theme.dim();
    let text = |time: Timestamp| short(time, ask.to.0 - ask.from.0);
    let middle = Timestamp(ask.from.0 / 2 + ask.to.0 / 2);
    pen.text(area, &text(ask.from), dim);
    let half = Rect {
        x: area.x + area.width / 2,
        width: area.width / 2,
        ..area
    };
    pen.text(half, &text(middle), dim);
    pen.right(area, &text(ask.to), dim);
    let gap = columns.iter().position(|column| column.gaps > 0);
    if let Some(x) = gap.and_then(|x| u16::try_from(x).ok()) {
        let style = pen.theme.loss();
        pen.text(
            Rect {
                x,
                width: area.width.saturating_sub(x).min(3),
                ..area
            },
            "gap",
            style,
        );
    }
}

/// A time as exact as the stretch needs.
fn short(time: Timestamp, span: u64) -> String {
    let unit = (span / 1000).max(1);
    let unit = 10_u64.pow(unit.ilog10());
    format_duration(time.0 / unit * unit)
}

fn draw_marks(app: &App, ask: DensityAsk, area: Rect, pen: &mut Pen<'_>) {
    for (name, seq) in &app.marks {
        let Some(row) = app.rows.get(seq) else {
            continue;
        };
        if let Ok(x) = u16::try_from(column_of(ask, row.time))
            && x < area.width
        {
            let style = pen.theme.cursor();
            pen.text(
                Rect {
                    x,
                    width: 1,
                    ..area
                },
                &name.to_string(),
                style,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn one_event_is_seen_beside_a_million() {
        assert_eq!(level(1, 1_000_000, 16), 1);
        assert_eq!(level(1_000_000, 1_000_000, 16), 16);
        assert!(level(1000, 1_000_000, 16) > level(10, 1_000_000, 16));
    }
}
