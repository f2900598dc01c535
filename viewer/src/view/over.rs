//! What lies over the panes: prompts, menus, texts, places of a text.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::pen::Pen;
use crate::app::App;
use crate::mode::{Menu, Prompt, Typed};
use crate::text::{grouped, shorten};
use diffkeeper_store::model::escape;
use diffkeeper_store::when::format_time;

/// Empties a place in the middle for `(columns, rows)`, frames it, and gives the inside.
pub(super) fn popup(
    title: &str,
    (width, height): (u16, u16),
    body: Rect,
    pen: &mut Pen<'_>,
) -> Rect {
    let width = width.saturating_add(4).min(body.width);
    let height = height.saturating_add(2).min(body.height);
    let area = Rect {
        x: body.x + (body.width - width) / 2,
        y: body.y + (body.height - height) / 2,
        width,
        height,
    };
    pen.clear(area);
    pen.frame(area, true, title, "");
    Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    }
}

pub(super) fn told(title: &str, lines: &[String], body: Rect, pen: &mut Pen<'_>) {
    let width = usize::from(body.width.saturating_sub(4)).max(1);
    // A command line must be readable whole, so that it can be typed or selected.
    let wrapped: Vec<String> = lines.iter().flat_map(|line| wrap(line, width)).collect();
    let longest = wrapped.iter().map(|line| line.width()).max().unwrap_or(0);
    let longest = longest.max(title.width() + 4);
    let size = (
        u16::try_from(longest).unwrap_or(u16::MAX),
        u16::try_from(wrapped.len()).unwrap_or(u16::MAX),
    );
    let inner = popup(title, size, body, pen);
    for (y, line) in (inner.y..inner.y + inner.height).zip(&wrapped) {
        pen.text(
            Rect {
                y,
                height: 1,
                ..inner
            },
            line,
            Style::new(),
        );
    }
}

fn wrap(line: &str, width: usize) -> Vec<String> {
    let (mut rows, mut row) = (Vec::new(), String::new());
    for c in line.chars() {
        if row.width() + unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) > width {
            rows.push(std::mem::take(&mut row));
        }
        row.push(c);
    }
    rows.push(row);
    rows
}

pub(super) fn menu(menu: Menu, body: Rect, pen: &mut Pen<'_>) {
    let choices = menu.choices();
    let title = match menu {
        Menu::Copy => "copy",
        Menu::Open => "open in",
        Menu::Who => "only what was done by",
    };
    let height = u16::try_from(choices.len()).unwrap_or(1);
    let inner = popup(title, (40, height), body, pen);
    for (y, (key, text)) in (inner.y..inner.y + inner.height).zip(choices) {
        let key = format!("{key}  ");
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        pen.pieces(
            row,
            &[(key.as_str(), pen.theme.cursor()), (text, Style::new())],
        );
    }
}

pub(super) fn prompt(app: &App, prompt: &Prompt, status: Rect, body: Rect, pen: &mut Pen<'_>) {
    if prompt.kind == Typed::File {
        files(app, prompt, body, pen);
    }
    pen.clear(status);
    let theme = pen.theme;
    let rest = pen.pieces(status, &[(prompt.kind.label(), theme.cursor())]);
    let (before, after): (String, String) = {
        let chars: Vec<char> = prompt.text.chars().collect();
        let (a, b) = chars.split_at(prompt.caret.min(chars.len()));
        (a.iter().collect(), b.iter().collect())
    };
    let mut after = after.chars();
    let at = after.next().unwrap_or(' ').to_string();
    let after: String = after.collect();
    // The caret stays in sight: what is far before it is left out.
    let room = usize::from(rest.width / 2).max(8);
    let skip = before.chars().count().saturating_sub(room);
    let before: String = before.chars().skip(skip).collect();
    let caret = Style::new().add_modifier(ratatui::style::Modifier::REVERSED);
    let plain = Style::new();
    pen.pieces(rest, &[(&before, plain), (&at, caret), (&after, plain)]);
    if let Some(error) = &prompt.error {
        let above = Rect {
            y: status.y.saturating_sub(1),
            ..status
        };
        pen.clear(above);
        pen.text(above, error, theme.alarm());
    }
}

fn files(app: &App, prompt: &Prompt, body: Rect, pen: &mut Pen<'_>) {
    let (paths, total) = &app.picked;
    let title = format!(
        "{} of {} files",
        grouped(paths.len() as u64),
        grouped(*total as u64)
    );
    let height = u16::try_from(paths.len()).unwrap_or(u16::MAX).clamp(1, 16);
    let inner = popup(&title, (90, height), body, pen);
    let rows = usize::from(inner.height.max(1));
    let top = prompt.chosen.saturating_sub(rows - 1);
    for (y, (at, path)) in (inner.y..inner.y + inner.height).zip(paths.iter().enumerate().skip(top))
    {
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        pen.text(row, &escape(path).to_string(), Style::new());
        if at == prompt.chosen {
            pen.paint(row, pen.theme.selected(true));
        }
    }
}

pub(super) fn hits(app: &App, chosen: usize, body: Rect, pen: &mut Pen<'_>) {
    let Some(history) = &app.history else { return };
    let (done, all) = history.done;
    let progress = match history.finished {
        true => String::new(),
        false => format!(", {}% searched", done * 100 / all.max(1)),
    };
    let places = crate::text::counted(history.hits.len() as u64, "place");
    let mut title = format!(
        "{}: {places}{progress}",
        shorten(&escape(history.text.as_bytes()).to_string(), 40)
    );
    if history.unsearched > 0 {
        title += &format!(
            ", {} contents could not be searched",
            grouped(history.unsearched)
        );
    }
    if history.cut {
        title += ", more are left out";
    }
    let inner = popup(&title, (110, body.height.saturating_sub(2)), body, pen);
    let rows = usize::from(inner.height.saturating_sub(1).max(1));
    let top = (chosen + 1).saturating_sub(rows);
    for (y, (at, hit)) in
        (inner.y..inner.y + inner.height - 1).zip(history.hits.iter().enumerate().skip(top))
    {
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        let what = if hit.appears {
            "+ appears in "
        } else {
            "- no longer in "
        };
        let when = match hit.seq.0 {
            0 => "at the start ".to_owned(),
            seq => format!("{} #{} ", format_time(hit.time), grouped(seq)),
        };
        let style = if hit.appears {
            pen.theme.good()
        } else {
            pen.theme.dim()
        };
        let path = escape(&hit.path).to_string();
        pen.pieces(
            row,
            &[
                (&format!("{when:<26}"), pen.theme.dim()),
                (what, style),
                (&path, Style::new()),
            ],
        );
        if at == chosen {
            pen.paint(row, pen.theme.selected(true));
        }
    }
    let last = Rect {
        y: inner.y + inner.height.saturating_sub(1),
        height: 1,
        ..inner
    };
    pen.text(
        last,
        "enter goes there, / searches anew, esc closes",
        pen.theme.dim(),
    );
}
