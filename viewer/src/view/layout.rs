//! Where each part of the screen stands. The same answer serves drawing and the mouse.

use ratatui::layout::{Position, Rect};

/// Least size that is drawn.
pub(crate) const MIN: (u16, u16) = (40, 8);
/// From so many columns and rows on, panes stand beside one another.
const WIDE: (u16, u16) = (120, 20);

/// A part of the screen that keys go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pane {
    /// The event list.
    Events,
    /// The tree at the cursor.
    Tree,
    /// The processes.
    Processes,
    /// The content.
    Content,
}

impl Pane {
    /// All, in the order in which a key goes through them.
    pub(crate) const ALL: [Self; 4] = [Self::Events, Self::Content, Self::Tree, Self::Processes];

    /// The word that users read.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Tree => "tree",
            Self::Processes => "processes",
            Self::Content => "content",
        }
    }
}

/// The parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whether panes stand beside one another.
    pub(crate) wide: bool,
    pub(crate) header: Rect,
    /// Bars, and in wide layouts the axis below them.
    pub(crate) histogram: Rect,
    /// The names of the panes, in narrow layouts.
    pub(crate) tabs: Rect,
    /// With frame; empty if it is not shown.
    pub(crate) events: Rect,
    pub(crate) tree: Rect,
    pub(crate) processes: Rect,
    pub(crate) content: Rect,
    pub(crate) status: Rect,
}

impl Layout {
    /// The layout of a screen; `None` if that is too small.
    pub(crate) fn of((width, height): (u16, u16), pane: Pane, lower: Pane) -> Option<Self> {
        if width < MIN.0 || height < MIN.1 {
            return None;
        }
        let row = |y, height| Rect::new(0, y, width, height);
        let mut layout = Self {
            wide: width >= WIDE.0 && height >= WIDE.1,
            header: row(0, 1),
            status: row(height - 1, 1),
            ..Self::default()
        };
        if !layout.wide {
            layout.histogram = row(1, 1);
            layout.tabs = row(2, 1);
            layout.set(pane, row(3, height - 4));
            return Some(layout);
        }
        layout.histogram = row(1, 3);
        let body = row(4, height - 5);
        let left = width * 46 / 100;
        let lower_height = (body.height * 3 / 10).max(6);
        let upper = body.height - lower_height;
        layout.events = Rect::new(0, body.y, left, upper);
        layout.set(lower, Rect::new(0, body.y + upper, left, lower_height));
        layout.content = Rect::new(left, body.y, width - left, body.height);
        Some(layout)
    }

    fn set(&mut self, pane: Pane, area: Rect) {
        *match pane {
            Pane::Events => &mut self.events,
            Pane::Tree => &mut self.tree,
            Pane::Processes => &mut self.processes,
            Pane::Content => &mut self.content,
        } = area;
    }

    /// The area of a pane, with its frame.
    pub(crate) const fn area(&self, pane: Pane) -> Rect {
        match pane {
            Pane::Events => self.events,
            Pane::Tree => self.tree,
            Pane::Processes => self.processes,
            Pane::Content => self.content,
        }
    }

    /// The rows and columns inside the frame of a pane.
    pub(crate) const fn inner(&self, pane: Pane) -> Rect {
        let area = self.area(pane);
        if self.wide {
            Rect {
                x: area.x + 1,
                y: area.y + 1,
                width: area.width.saturating_sub(2),
                height: area.height.saturating_sub(2),
            }
        } else {
            area
        }
    }

    /// The pane at a place.
    pub(crate) fn pane_at(&self, at: Position) -> Option<Pane> {
        Pane::ALL
            .into_iter()
            .find(|pane| self.area(*pane).contains(at))
    }
}
