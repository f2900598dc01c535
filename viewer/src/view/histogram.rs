//! The histogram: how much happened when, as the logarithm of the number of events, in
//! the colour of what outweighs; gaps, failures and the cursor.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::axis;
use super::pen::Pen;
use crate::app::App;
use crate::ask::{Column, Exits};
use crate::sign;
use crate::worker::{changes, column_of};
use diffkeeper_store::model::OpKind;

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
        let row = Rect::new(area.x, area.y + bars, area.width, 1);
        axis::draw(app, (*ask, columns), row, pen);
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
    // A good end hides nothing that was changed.
    let changed = column.kind.is_some_and(changes);
    let end = match column.exits {
        Exits::Failed => Some(("▲", theme.alarm())),
        Exits::Well if !changed => Some(("△", theme.sign(sign::of_kind(OpKind::Exit)))),
        Exits::Unread if !changed => Some(("?", theme.dim())),
        Exits::None | Exits::Well | Exits::Unread => None,
    };
    if let Some((mark, style)) = end {
        pen.text(bottom, mark, style);
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
