//! Drawing of texts, rows and frames: cut to their place, no character that a terminal
//! would obey.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::theme::Theme;

/// Draws with a theme.
pub(crate) struct Pen<'b> {
    pub(crate) buf: &'b mut Buffer,
    pub(crate) theme: Theme,
}

impl<'b> Pen<'b> {
    pub(crate) const fn new(buf: &'b mut Buffer, theme: Theme) -> Self {
        Self { buf, theme }
    }

    /// Writes a text into the first row of an area; returns the columns it took. What is
    /// cut ends with `…`.
    pub(crate) fn text(&mut self, area: Rect, text: &str, style: Style) -> u16 {
        let area = area.intersection(self.buf.area);
        let width = usize::from(area.width);
        if width == 0 || area.height == 0 {
            return 0;
        }
        // Only what may be seen is looked at: a text may be long.
        let near: String = text
            .chars()
            .take(width * 2 + 2)
            .filter(|c| !c.is_control())
            .collect();
        let is_cut = near.width() > width;
        let room = if is_cut { width - 1 } else { width };
        let (end, _) = self.buf.set_stringn(area.x, area.y, &near, room, style);
        if !is_cut {
            return end - area.x;
        }
        self.buf.set_stringn(end, area.y, "…", 1, style);
        end + 1 - area.x
    }

    /// As [`Self::text`], at the right end.
    pub(crate) fn right(&mut self, area: Rect, text: &str, style: Style) -> u16 {
        let width = u16::try_from(text.width())
            .unwrap_or(u16::MAX)
            .min(area.width);
        let x = area.x + area.width - width;
        self.text(Rect { x, width, ..area }, text, style)
    }

    /// Pieces side by side; the columns that are left.
    pub(crate) fn pieces(&mut self, area: Rect, pieces: &[(&str, Style)]) -> Rect {
        let mut rest = area;
        for (text, style) in pieces {
            let used = self.text(rest, text, *style);
            rest.x += used;
            rest.width -= used;
        }
        rest
    }

    /// Lays a style over a row.
    pub(crate) fn paint(&mut self, area: Rect, style: Style) {
        self.buf.set_style(area, style);
    }

    /// Empties an area.
    pub(crate) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buf.area);
        for position in area.positions() {
            if let Some(cell) = self.buf.cell_mut(position) {
                cell.reset();
            }
        }
    }

    /// A frame with texts on its upper side.
    pub(crate) fn frame(&mut self, area: Rect, focused: bool, left: &str, right: &str) {
        let style = self.theme.frame(focused);
        let (width, height) = (usize::from(area.width), area.height);
        if width < 2 || height < 2 {
            return;
        }
        let bar = "─".repeat(width - 2);
        let row = |y| Rect {
            y,
            height: 1,
            ..area
        };
        self.text(row(area.y), &format!("┌{bar}┐"), style);
        self.text(row(area.y + height - 1), &format!("└{bar}┘"), style);
        for y in area.y + 1..area.y + height - 1 {
            self.text(Rect { width: 1, ..row(y) }, "│", style);
            self.text(
                Rect {
                    x: area.x + area.width - 1,
                    width: 1,
                    ..row(y)
                },
                "│",
                style,
            );
        }
        let inner = Rect {
            x: area.x + 2,
            width: area.width.saturating_sub(4),
            ..row(area.y)
        };
        let bold = if focused { style } else { self.theme.strong() };
        let right_width = if right.is_empty() {
            0
        } else {
            self.right(inner, &format!(" {right} "), bold) + 1
        };
        let room = inner.width.saturating_sub(right_width);
        if !left.is_empty() {
            self.text(
                Rect {
                    width: room,
                    ..inner
                },
                &format!(" {left} "),
                bold,
            );
        }
    }
}

/// Replaces every character that is not ASCII.
pub(crate) fn make_ascii(buf: &mut Buffer) {
    let area = buf.area;
    for position in area.positions() {
        let Some(cell) = buf.cell_mut(position) else {
            continue;
        };
        if cell.symbol().is_ascii() {
            continue;
        }
        let plain = match cell.symbol() {
            "─" => "-",
            "│" => "|",
            "┌" | "┐" | "└" | "┘" | "├" | "┤" => "+",
            "▁" => ".",
            "▂" | "▃" => ":",
            "▄" | "▅" => "+",
            "▆" | "▇" => "*",
            "█" => "#",
            "×" => "x",
            "▲" => "^",
            "△" => "o",
            "▼" | "▾" => "v",
            "▶" | "▸" | "↪" => ">",
            "▷" => ")",
            "…" => "~",
            "·" => "-",
            _ => "?",
        };
        cell.set_symbol(plain);
    }
}
