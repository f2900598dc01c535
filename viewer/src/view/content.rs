//! The content pane.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::Pen;
use crate::app::App;
use crate::page::{Base, Body, Line, Page, PageView, Tag, Window};
use crate::text::grouped;
use diffkeeper_store::size::format_bytes;

/// The file with its version, and the views.
pub(super) fn title(app: &App) -> (String, String) {
    let view = app
        .content
        .page
        .as_ref()
        .map_or(app.content.view, |(_, page)| page.view);
    let views = PageView::ALL.map(|known| {
        let word = known.word();
        if known == view {
            format!("[{word}]")
        } else {
            word.to_owned()
        }
    });
    let Some((ask, page)) = &app.content.page else {
        return (String::new(), views.join(" "));
    };
    let mut left = page.title.clone();
    if !page.version.is_empty() {
        left += &format!("  {}", page.version);
    }
    if let Some((added, removed)) = page.counts {
        left += &format!("  +{added} -{removed}");
    }
    if !page.known.is_empty() {
        left += &format!("  {}", page.known);
    }
    if let Base::Mark(name, _) = ask.base {
        left += &format!("  since mark {name}");
    }
    if app.pinned.is_some() {
        left += "  (kept)";
    }
    // The page of another moment says so until the right one is there.
    if *ask != app.wanted_page() {
        left += &format!("  …at #{}", grouped(ask.seq.0));
    }
    (left, views.join(" "))
}

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let Some((_, page)) = &app.content.page else {
        return;
    };
    let facts = facts_height(page, area.height);
    let body = Rect {
        height: area.height - facts,
        ..area
    };
    match &page.body {
        Body::Lines(lines) => draw_lines(app, lines, page, body, pen),
        Body::Side(rows) => draw_side(app, rows, body, pen),
    }
    draw_facts(
        page,
        Rect {
            y: body.y + body.height,
            height: facts,
            ..area
        },
        pen,
    );
}

/// Rows below the content for what is known of it; a third at most.
fn facts_height(page: &Page, height: u16) -> u16 {
    let lines = page.facts.len() + usize::from(page.window.is_some());
    let lines = u16::try_from(lines).unwrap_or(u16::MAX);
    if lines == 0 { 0 } else { lines.min(height / 3) }
}

fn draw_facts(page: &Page, area: Rect, pen: &mut Pen<'_>) {
    let window = page.window.map(describe_window);
    let lines = window.iter().chain(&page.facts);
    for (y, line) in (area.y..area.y + area.height).zip(lines) {
        let row = Rect {
            y,
            height: 1,
            ..area
        };
        pen.pieces(
            row,
            &[("  ", Style::new()), (line.as_str(), pen.theme.dim())],
        );
    }
}

fn describe_window(window: Window) -> String {
    let last = window.start + window.len;
    format!(
        "{} to {} of {}: scroll on for more, A for more at once",
        grouped(window.start),
        grouped(last),
        format_bytes(window.total)
    )
}

fn draw_lines(app: &App, lines: &[Line], page: &Page, area: Rect, pen: &mut Pen<'_>) {
    let shown = lines.iter().skip(app.content.top);
    for (y, line) in (area.y..area.y + area.height).zip(shown) {
        let row = Rect {
            y,
            height: 1,
            ..area
        };
        draw_line(line, page.view == PageView::Hex, row, pen);
    }
}

fn draw_side(app: &App, rows: &[(Option<Line>, Option<Line>)], area: Rect, pen: &mut Pen<'_>) {
    let half = area.width.saturating_sub(1) / 2;
    let shown = rows.iter().skip(app.content.top);
    for (y, (left, right)) in (area.y..area.y + area.height).zip(shown) {
        let row = Rect {
            y,
            height: 1,
            width: half,
            ..area
        };
        let middle = Rect {
            x: area.x + half,
            width: 1,
            ..row
        };
        pen.text(middle, "│", pen.theme.dim());
        let beside = Rect {
            x: area.x + half + 1,
            ..row
        };
        for (line, place) in [(left, row), (right, beside)] {
            if let Some(line) = line {
                draw_line(line, false, place, pen);
            }
        }
    }
}

fn draw_line(line: &Line, is_hex: bool, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    let style = theme.line(line.tag);
    if line.tag == Tag::Note {
        let text = format!("      ··· {}", line.text());
        pen.text(area, &text, style);
        return;
    }
    let mark = match line.tag {
        Tag::Added => "+",
        Tag::Removed => "-",
        Tag::Same | Tag::Note => " ",
    };
    let number = match (line.number, is_hex) {
        (Some(offset), true) => format!("{offset:08x} "),
        (Some(number), false) => format!("{number:>5} "),
        // What goes on from the row above.
        (None, _) => "    ↪ ".to_owned(),
    };
    let mut rest = pen.pieces(area, &[(mark, style), (number.as_str(), theme.dim())]);
    for span in &line.spans {
        let mut piece = style.patch(theme.class(span.class));
        if line.tag != Tag::Same {
            piece = style;
        }
        if span.strong {
            piece = theme.differing(style);
        }
        let used = pen.text(rest, &span.text, piece);
        rest.x += used;
        rest.width -= used;
        if rest.width == 0 {
            break;
        }
    }
}
