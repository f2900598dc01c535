//! The axis below the histogram: the cursor and the marks where they are, and the times
//! where those leave room.

use std::ops::Range;

use diffkeeper_store::model::Timestamp;
use diffkeeper_store::when::format_duration;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::Pen;
use crate::app::App;
use crate::ask::{Column, DensityAsk};
use crate::worker::column_of;

/// How far a text may stand from where it belongs, columns.
const MAX_AWAY: u16 = 12;

pub(super) fn draw(
    app: &App,
    (ask, columns): (DensityAsk, &[Column]),
    area: Rect,
    pen: &mut Pen<'_>,
) {
    let mut axis = Axis {
        taken: Vec::new(),
        area,
    };
    let (cursor, dim, loss) = (pen.theme.cursor(), pen.theme.dim(), pen.theme.loss());
    let column = |time| u16::try_from(column_of(ask, time)).ok();
    let cursor_at = column(app.time);
    axis.put(cursor_at, "▼", cursor, pen);
    for (name, seq) in &app.marks {
        let at = app.rows.get(seq).and_then(|row| column(row.time));
        axis.put(
            at.filter(|at| Some(*at) != cursor_at),
            &name.to_string(),
            cursor,
            pen,
        );
    }
    let text = |time: Timestamp| short(time, ask.to.0 - ask.from.0);
    let (from, to) = (text(ask.from), text(ask.to));
    axis.label(0, &from, dim, pen);
    let end = u16::try_from(to.len()).unwrap_or(0);
    axis.label(area.width.saturating_sub(end), &to, dim, pen);
    let gap = columns.iter().position(|column| column.gaps > 0);
    if let Some(at) = gap.and_then(|at| u16::try_from(at).ok()) {
        axis.label(at, "gap", loss, pen);
    }
    let middle = Timestamp(ask.from.0 / 2 + ask.to.0 / 2);
    axis.label(area.width / 2, &text(middle), dim, pen);
}

/// A row in which no text lies over another.
struct Axis {
    taken: Vec<Range<u16>>,
    area: Rect,
}

impl Axis {
    /// Puts a text at a column, whatever is there.
    fn put(&mut self, at: Option<u16>, text: &str, style: Style, pen: &mut Pen<'_>) {
        let Some(at) = at.filter(|at| *at < self.area.width) else {
            return;
        };
        let x = self.area.x + at;
        let used = pen.text(
            Rect {
                x,
                width: self.area.width - at,
                ..self.area
            },
            text,
            style,
        );
        self.taken.push(at..at + used);
    }

    /// Puts a text as near to a column as there is room for it, if there is.
    fn label(&mut self, at: u16, text: &str, style: Style, pen: &mut Pen<'_>) {
        let width = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let last = self.area.width.checked_sub(width);
        let near = (0..=MAX_AWAY).flat_map(|by| [at.checked_sub(by), at.checked_add(by)]);
        let fits = |at: &u16| Some(*at) <= last && self.is_free(*at, width);
        let place = near.flatten().find(fits);
        self.put(place, text, style, pen);
    }

    /// Whether a text has room there, with a column on both sides.
    fn is_free(&self, at: u16, width: u16) -> bool {
        let apart = |taken: &Range<u16>| at > taken.end || at + width < taken.start;
        self.taken.iter().all(apart)
    }
}

/// A time as exact as the stretch needs.
fn short(time: Timestamp, span: u64) -> String {
    let unit = (span / 1000).max(1);
    let unit = 10_u64.pow(unit.ilog10());
    format_duration(time.0 / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::Axis;
    use crate::theme::Theme;
    use crate::view::pen::Pen;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    /// The row after a cursor and texts were put where they belong.
    fn row(width: u16, cursor: u16, texts: &[(u16, &str)]) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buf = Buffer::empty(area);
        let mut pen = Pen::new(&mut buf, Theme::default());
        let mut axis = Axis {
            taken: Vec::new(),
            area,
        };
        axis.put(Some(cursor), "v", Style::new(), &mut pen);
        for (at, text) in texts {
            axis.label(*at, text, Style::new(), &mut pen);
        }
        let cells = buf.content.iter();
        cells.map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn no_text_lies_over_another() {
        assert_eq!(row(12, 5, &[(0, "0s"), (10, "9s")]), "0s   v    9s");
        assert_eq!(row(12, 0, &[(0, "0s"), (10, "9s")]), "v 0s      9s");
        assert_eq!(row(12, 11, &[(0, "0s"), (10, "9s")]), "0s      9s v");
        assert_eq!(row(12, 6, &[(6, "gap")]), "      v gap ");
        assert_eq!(row(5, 2, &[(0, "100s"), (2, "gap")]), "  v  ");
    }
}
