//! The tree pane.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::Pen;
use crate::app::App;
use crate::page::Base;
use crate::text::{counted, grouped};
use crate::view::layout::Pane;
use diffkeeper_store::model::escape;

pub(super) fn title(app: &App) -> String {
    let since = match app.content.base {
        Base::Previous => "the start".to_owned(),
        Base::Mark(name, _) => format!("mark {name}"),
    };
    if app.tree.changed_only {
        let count = app
            .tree
            .changes
            .as_ref()
            .map_or(0, |(.., changes)| changes.len());
        return format!("{} since {since}", counted(count as u64, "change"));
    }
    format!("tree at #{}, changes since {since}", grouped(app.cursor.0))
}

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    if !app.facts.has_tree {
        let text = "no tree: the recorder ended before its baseline was complete";
        pen.text(area, text, pen.theme.alarm());
        return;
    }
    if app.tree.changed_only {
        draw_changes(app, area, pen);
    } else {
        draw_tree(app, area, pen);
    }
}

fn draw_tree(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let Some((ask, tree)) = &app.tree.tree else {
        return;
    };
    let skipped = app.tree.top.saturating_sub(ask.first);
    if tree.total == 0 {
        pen.text(area, "empty", pen.theme.dim());
    }
    for (at, node) in tree.nodes.iter().enumerate().skip(skipped) {
        let Some(line) = line(area, at - skipped) else {
            break;
        };
        let sign = match (node.is_dir, app.tree.open.contains(&node.path)) {
            (false, _) => "  ",
            (true, false) => "▸ ",
            (true, true) => "▾ ",
        };
        let indent = "  ".repeat(node.depth.min(40));
        let slash = if node.is_dir { "/" } else { "" };
        let name = format!("{indent}{sign}{}{slash}", node.name);
        draw_row(app, (node.mark, &name), ask.first + at, line, pen);
    }
}

fn draw_changes(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let Some((.., changes)) = &app.tree.changes else {
        return;
    };
    if changes.is_empty() {
        pen.text(area, "nothing changed up to here", pen.theme.dim());
    }
    for (at, change) in changes.iter().enumerate().skip(app.tree.top) {
        let Some(line) = line(area, at - app.tree.top) else {
            break;
        };
        let name = match change.path.as_slice() {
            b"" => ".".to_owned(),
            path => escape(path).to_string(),
        };
        draw_row(app, (change.mark, &name), at, line, pen);
    }
}

fn line(area: Rect, at: usize) -> Option<Rect> {
    let y = u16::try_from(at).ok().filter(|y| *y < area.height)?;
    Some(Rect {
        y: area.y + y,
        height: 1,
        ..area
    })
}

fn draw_row(app: &App, (mark, name): (char, &str), at: usize, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    use crate::sign::of_kind;
    use diffkeeper_store::model::OpKind;
    let style = match mark {
        'A' => theme.sign(of_kind(OpKind::Create)),
        'M' => theme.sign(of_kind(OpKind::Write)),
        'D' => theme.sign(of_kind(OpKind::Unlink)),
        'R' => theme.sign(of_kind(OpKind::Rename)),
        'T' => theme.alarm(),
        'm' => theme.sign(of_kind(OpKind::Chmod)),
        _ => Style::new(),
    };
    let mark = mark.to_string();
    pen.pieces(area, &[(mark.as_str(), style), (" ", style), (name, style)]);
    if at == app.tree.selected {
        pen.paint(area, theme.selected(app.pane == Pane::Tree));
    }
}
