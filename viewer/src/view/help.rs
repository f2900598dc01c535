//! The keys, from the keymap in force.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::over::popup;
use super::pen::Pen;
use crate::app::App;
use crate::keymap::{GROUPS, Keymap};

pub(super) fn draw(app: &App, top: usize, body: Rect, pen: &mut Pen<'_>) {
    let lines = lines(&app.keymap);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = popup(
        "keys  (down for more, any other key closes)",
        (96, height),
        body,
        pen,
    );
    let most = lines.len().saturating_sub(usize::from(inner.height));
    let shown = lines.iter().skip(top.min(most));
    for (y, (keys, text)) in (inner.y..inner.y + inner.height).zip(shown) {
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        if keys.is_empty() {
            pen.text(row, text, pen.theme.strong());
            continue;
        }
        let keys = format!("  {keys:<18}");
        pen.pieces(
            row,
            &[(keys.as_str(), pen.theme.cursor()), (text, Style::new())],
        );
    }
}

/// Groups as lines without keys, and actions with theirs.
pub(crate) fn lines(keymap: &Keymap) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (group, bindings) in GROUPS {
        lines.push((String::new(), (*group).to_owned()));
        for (_, action) in *bindings {
            let keys = keymap.keys_of(*action).join(" ");
            let keys = if keys.is_empty() {
                "-".to_owned()
            } else {
                keys
            };
            lines.push((keys, action.help().to_owned()));
        }
    }
    lines
}
