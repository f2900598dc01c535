//! The content pane: views, hunks, scrolling, long contents.

use super::App;
use crate::action::Action;
use crate::mode::{Letter, Mode};
use crate::page::{Base, Page};
use crate::view::layout::Pane;
use crate::worker::BUDGET;

impl App {
    pub(super) fn change_content(&mut self, action: Action) {
        let content = &mut self.content;
        match action {
            Action::DiffView => {
                content.view = content.view.next();
                let word = content.view.word();
                self.tell(format!("view: {word}"));
            }
            Action::DiffMark if content.base != Base::Previous => {
                content.base = Base::Previous;
                self.tell("compared with the previous version");
            }
            Action::DiffMark => self.mode = Mode::Letter(Letter::Diff),
            Action::LessContext => content.context = content.context.saturating_sub(1),
            Action::MoreContext => content.context = (content.context + 1).min(10_000),
            Action::NextHunk => self.seek_hunk(true),
            Action::PrevHunk => self.seek_hunk(false),
            Action::LoadAll => {
                content.all = true;
                content.start = None;
            }
            _ => {}
        }
    }

    fn shown(&self) -> Option<&Page> {
        self.content.page.as_ref().map(|(_, page)| page.as_ref())
    }

    fn seek_hunk(&mut self, forward: bool) {
        let Some(page) = self.shown() else { return };
        let body = &page.body;
        let begins = |row: usize| body.is_change(row) && (row == 0 || !body.is_change(row - 1));
        // A hunk that was jumped to stands a little below the top.
        let lead = 2;
        let here = self.content.top + lead;
        let found = if forward {
            (here + 1..body.len()).find(|row| begins(*row))
        } else {
            (0..here.min(body.len())).rev().find(|row| begins(*row))
        };
        match found {
            Some(row) => {
                self.content.top = row.saturating_sub(lead);
                self.clamp_content();
            }
            None => self.tell("no further change in this content"),
        }
    }

    pub(super) fn scroll_content(&mut self, rows: usize, down: bool) {
        let (top, most) = (self.content.top, self.last_top());
        let window = self.shown().and_then(|page| page.window);
        match (down, window) {
            (true, Some(window)) if top >= most && window.start + window.len < window.total => {
                self.content.start = Some(window.start + window.len);
            }
            (false, Some(window)) if top == 0 && window.start > 0 => {
                self.content.start = Some(window.start.saturating_sub(BUDGET));
            }
            (true, _) => self.content.top = (top + rows).min(most),
            (false, _) => self.content.top = top.saturating_sub(rows),
        }
    }

    fn last_top(&self) -> usize {
        let rows = self.shown().map_or(0, |page| page.body.len());
        rows.saturating_sub(self.height(Pane::Content).saturating_sub(2))
    }

    pub(super) fn clamp_content(&mut self) {
        self.content.top = self.content.top.min(self.last_top());
    }
}
