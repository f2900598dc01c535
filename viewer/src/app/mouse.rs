//! The mouse: rows, the histogram, the wheel.

use ratatui::layout::Position;

use super::time::column_start;
use super::{App, Effect, Mouse};
use crate::mode::Mode;
use crate::view::layout::{Layout, Pane};

/// Rows that the wheel turns by.
const WHEEL: usize = 3;

impl App {
    pub(super) fn mouse(&mut self, mouse: Mouse, effects: &mut Vec<Effect>) {
        if !matches!(self.mode, Mode::Browse) {
            if matches!(mouse, Mouse::Press(..)) {
                self.mode = Mode::Browse;
            }
            return;
        }
        let Some(layout) = self.layout() else { return };
        match mouse {
            Mouse::Press(x, y) => self.press(layout, Position::new(x, y)),
            Mouse::Drag(x, _) => {
                if let Some((_, to)) = &mut self.drag {
                    *to = x;
                }
            }
            Mouse::Release(x, _) => self.release(x, effects),
            Mouse::Wheel(x, y, down) => {
                if let Some(pane) = layout.pane_at(Position::new(x, y)) {
                    self.scroll_pane(pane, WHEEL, down);
                }
            }
        }
    }

    fn press(&mut self, layout: Layout, at: Position) {
        if layout.histogram.contains(at) {
            self.drag = Some((at.x, at.x));
            return;
        }
        if layout.tabs.contains(at) {
            let pane = crate::view::tab_at(at.x);
            return pane.map_or((), |pane| self.focus(pane));
        }
        let Some(pane) = layout.pane_at(at) else {
            return;
        };
        self.focus(pane);
        let inner = layout.inner(pane);
        if !inner.contains(at) {
            return;
        }
        let row = usize::from(at.y - inner.y);
        match pane {
            Pane::Events => {
                let (listed, _) = self.listed(usize::from(inner.height));
                if let Some(seq) = listed.get(row).copied() {
                    self.jump(seq);
                    self.offset = row;
                }
            }
            Pane::Tree => {
                self.tree.selected = self.tree.top + row;
                self.clamp_tree();
                self.open_in_tree();
            }
            // Above the rows stands a heading.
            Pane::Processes => self.choose_process(self.processes.top + row.saturating_sub(1)),
            Pane::Content => {}
        }
    }

    fn choose_process(&mut self, row: usize) {
        let count = self
            .processes
            .census
            .as_ref()
            .map_or(0, |census| census.lines.len());
        self.processes.selected = row.min(count.saturating_sub(1));
    }

    fn release(&mut self, x: u16, effects: &mut Vec<Effect>) {
        let Some((from, _)) = self.drag.take() else {
            return;
        };
        let Some((ask, _)) = self.density else { return };
        if from == x {
            // The state at the end of the column, so that what is drawn in it is there.
            let end = column_start(ask, x.saturating_add(1)).0.saturating_sub(1);
            let end = if x + 1 >= ask.columns { ask.to.0 } else { end };
            self.go_to_time(diffkeeper_store::model::Timestamp(end), effects);
        } else {
            self.zoom_to(ask, (from, x));
        }
    }
}
