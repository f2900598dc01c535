//! Drawing: from the state to a screen, without asking anybody.

mod axis;
mod content;
mod events;
mod header;
mod help;
mod histogram;
pub(crate) mod layout;
mod over;
mod pen;
pub(crate) mod processes;
mod status;
mod tree;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::app::App;
use crate::mode::Mode;
use crate::theme::Theme;
use layout::{Layout, MIN, Pane};
use pen::Pen;

/// Draws the screen.
pub(crate) fn draw(app: &App, theme: Theme, buf: &mut Buffer) {
    let area = buf.area;
    buf.set_style(area, Style::reset());
    let mut pen = Pen::new(buf, theme);
    let size = (area.width, area.height);
    match Layout::of(size, app.pane, app.lower) {
        Some(layout) => draw_all(app, layout, &mut pen),
        None => {
            let (width, height) = MIN;
            let text = format!("needs {width}x{height}, has {}x{}", size.0, size.1);
            pen.text(Rect::new(0, 0, area.width, 1), &text, theme.alarm());
        }
    }
    if theme.ascii {
        pen::make_ascii(buf);
    }
}

fn draw_all(app: &App, layout: Layout, pen: &mut Pen<'_>) {
    header::draw(app, layout.header, pen);
    histogram::draw(app, layout.histogram, pen);
    if !layout.wide {
        tabs(app, layout.tabs, pen);
    }
    for pane in Pane::ALL {
        let area = layout.area(pane);
        if area.width == 0 {
            continue;
        }
        if layout.wide {
            let (left, right) = title(app, pane);
            pen.frame(area, app.pane == pane, &left, &right);
        }
        let inner = layout.inner(pane);
        match pane {
            Pane::Events => events::draw(app, inner, pen),
            Pane::Tree => tree::draw(app, inner, pen),
            Pane::Processes => processes::draw(app, inner, pen),
            Pane::Content => content::draw(app, inner, pen),
        }
    }
    status::draw(app, layout.status, pen);
    let body = Rect {
        y: layout.tabs.y.max(layout.histogram.y) + 1,
        height: layout
            .status
            .y
            .saturating_sub(layout.tabs.y.max(layout.histogram.y) + 1),
        ..layout.header
    };
    match &app.mode {
        Mode::Help(top) => help::draw(app, *top, body, pen),
        Mode::Told(title, lines) => over::told(title, lines, body, pen),
        Mode::Hits(chosen) => over::hits(app, *chosen, body, pen),
        Mode::Menu(menu) => over::menu(*menu, body, pen),
        Mode::Prompt(prompt) => over::prompt(app, prompt, layout.status, body, pen),
        Mode::Browse | Mode::Letter(_) => {}
    }
}

/// What stands on the frame of a pane, at its left and at its right.
fn title(app: &App, pane: Pane) -> (String, String) {
    match pane {
        Pane::Events => (events::title(app), String::new()),
        Pane::Tree => (tree::title(app), String::new()),
        Pane::Processes => (processes::title(app), String::new()),
        Pane::Content => content::title(app),
    }
}

/// The names of the panes, in narrow layouts, then the title of the one that is shown.
fn tabs(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let mut x = area.x;
    for pane in Pane::ALL {
        let style = if pane == app.pane {
            pen.theme.selected(true)
        } else {
            pen.theme.dim()
        };
        let text = format!(" {} ", pane.word());
        x += pen.text(Rect { x, ..area }, &text, style);
    }
    let (left, right) = title(app, app.pane);
    // Of the views only the one in force.
    let view = right.split(' ').find(|word| word.starts_with('['));
    let right = view.map_or_else(|| left.clone(), |view| format!("{left}  {view}"));
    let room = area.width.saturating_sub(x + 1);
    pen.right(
        Rect {
            x: x + 1,
            width: room,
            ..area
        },
        &right,
        pen.theme.strong(),
    );
}

/// The pane whose name stands in a column of the tabs.
pub(crate) fn tab_at(column: u16) -> Option<Pane> {
    let mut x = 0;
    Pane::ALL.into_iter().find(|pane| {
        x += pane.word().len() + 2;
        usize::from(column) < x
    })
}
