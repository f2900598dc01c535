//! The last line: what was just said, else the keys that matter here.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::action::Action;
use crate::app::App;
use crate::mode::{Letter, Mode};
use crate::view::layout::Pane;

pub(super) fn draw(app: &App, area: Rect, pen: &mut Pen<'_>) {
    let theme = pen.theme;
    if let Mode::Letter(letter) = app.mode {
        let known: String = app.marks.keys().collect();
        let text = match letter {
            Letter::Set => format!("mark this moment with a letter, a to z (set: {known})"),
            Letter::Go => format!("go to a mark: {known}"),
            Letter::Diff => format!("compare with a mark: {known}"),
        };
        pen.text(area, &text, theme.strong());
        return;
    }
    if let Some(notice) = &app.notice {
        let style = if notice.is_error {
            theme.alarm()
        } else {
            theme.strong()
        };
        pen.text(area, &notice.text, style);
        return;
    }
    // What is found at once is not worth a word.
    if let Some((_, what)) = app.seeking.filter(|(_, what)| *what != "event") {
        pen.text(
            area,
            &format!("looking for: {what} (esc stops)"),
            theme.strong(),
        );
        return;
    }
    let row = app.rows.get(&app.cursor);
    let sign = match row.map(|row| row.known) {
        Some('?') => "? observed: read after the change   ",
        Some('r') => "r redacted: parts were masked   ",
        Some('x') => "x the content was not recorded   ",
        _ => "",
    };
    let mut rest = pen.pieces(area, &[(sign, theme.strong())]);
    for (action, word) in hints(app.pane) {
        let key = app.keymap.hint(*action);
        if key.is_empty() {
            continue;
        }
        rest = pen.pieces(
            rest,
            &[
                (key.as_str(), theme.cursor()),
                (" ", theme.dim()),
                (word, theme.dim()),
                ("  ", theme.dim()),
            ],
        );
    }
}

const fn hints(pane: Pane) -> &'static [(Action, &'static str)] {
    match pane {
        Pane::Events => &[
            (Action::Help, "help"),
            (Action::NextEvent, "event"),
            (Action::NextVersion, "version"),
            (Action::Search, "search"),
            (Action::Filter, "filter"),
            (Action::GoTo, "go to"),
            (Action::DiffView, "diff"),
            (Action::Processes, "processes"),
            (Action::Export, "export"),
            (Action::Copy, "copy"),
            (Action::Quit, "quit"),
        ],
        Pane::Content => &[
            (Action::Help, "help"),
            (Action::DiffView, "view"),
            (Action::NextHunk, "next change"),
            (Action::NextVersion, "version"),
            (Action::DiffMark, "against mark"),
            (Action::MoreContext, "context"),
            (Action::OpenWith, "open"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ],
        Pane::Tree => &[
            (Action::Help, "help"),
            (Action::Open, "open"),
            (Action::ChangedOnly, "only changes"),
            (Action::PickFile, "find file"),
            (Action::Export, "export"),
            (Action::Back, "back"),
        ],
        Pane::Processes => &[
            (Action::Help, "help"),
            (Action::Open, "what it did"),
            (Action::Writer, "by name, program"),
            (Action::Back, "back"),
        ],
    }
}
