//! Actions: each goes to the part of the state that it concerns.

use super::{App, Effect};
use crate::action::Action;
use crate::ask::Sought;
use crate::mode::{Letter, Menu, Mode, Prompt, Typed};
use crate::view::layout::Pane;
use crate::view::processes;

impl App {
    pub(super) fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        if !matches!(self.mode, Mode::Browse) && self.act_in_mode(action) {
            return;
        }
        match action {
            Action::Quit => {
                self.quitting = true;
                effects.push(Effect::Quit);
            }
            Action::Suspend => effects.push(Effect::Suspend),
            Action::Redraw => effects.push(Effect::Redraw),
            Action::Help => self.mode = Mode::Help(0),
            Action::NextPane => self.turn_pane(1),
            Action::PrevPane => self.turn_pane(Pane::ALL.len() - 1),
            Action::Processes => self.toggle_processes(),
            Action::Up | Action::Down | Action::PageUp | Action::PageDown => self.scroll(action),
            Action::Open => self.open(effects),
            Action::Back => self.back(effects),
            Action::SetMark => self.mode = Mode::Letter(Letter::Set),
            Action::GoToMark => self.mode = Mode::Letter(Letter::Go),
            Action::GoTo => self.mode = Mode::Prompt(Prompt::new(Typed::When, "")),
            Action::Clock => self.clock = !self.clock,
            Action::Filter => {
                self.filter_before.clone_from(&self.filtering.text);
                let prompt = Prompt::new(Typed::Filter, &self.filtering.text);
                self.mode = Mode::Prompt(prompt);
            }
            Action::Search => self.mode = Mode::Prompt(Prompt::new(Typed::Search, "")),
            Action::SearchNext => self.search_on(true, effects),
            Action::SearchPrev => self.search_on(false, effects),
            Action::PickFile => {
                self.mode = Mode::Prompt(Prompt::new(Typed::File, ""));
                self.ask_for_files(effects);
            }
            Action::History => self.begin_history(),
            Action::Writer => self.choose_who(),
            Action::NextTrouble => {
                effects.extend(self.seek(true, Sought::Trouble, "gap or failure"));
            }
            Action::PrevTrouble => {
                effects.extend(self.seek(false, Sought::Trouble, "gap or failure"));
            }
            Action::Export => self.begin_export(),
            Action::OpenWith => self.mode = Mode::Menu(Menu::Open),
            Action::Copy => self.mode = Mode::Menu(Menu::Copy),
            Action::ChangedOnly => self.toggle_changed_only(),
            Action::PrevEvent
            | Action::NextEvent
            | Action::PrevBucket
            | Action::NextBucket
            | Action::PrevVersion
            | Action::NextVersion
            | Action::Start
            | Action::End
            | Action::ZoomIn
            | Action::ZoomOut
            | Action::Play
            | Action::Faster
            | Action::Slower => self.move_in_time(action, effects),
            Action::DiffView
            | Action::DiffMark
            | Action::LessContext
            | Action::MoreContext
            | Action::PrevHunk
            | Action::NextHunk
            | Action::LoadAll => self.change_content(action),
        }
    }

    /// What an action does while something lies over the panes; whether that was all.
    fn act_in_mode(&mut self, action: Action) -> bool {
        match (&mut self.mode, action) {
            (_, Action::Quit | Action::Suspend | Action::Redraw) => false,
            (Mode::Help(top), Action::Down) => {
                *top += 1;
                true
            }
            (Mode::Help(top), Action::Up) => {
                *top = top.saturating_sub(1);
                true
            }
            (Mode::Help(top), Action::PageDown) => {
                *top += 10;
                true
            }
            (Mode::Help(top), Action::PageUp) => {
                *top = top.saturating_sub(10);
                true
            }
            (Mode::Hits(_), Action::Up | Action::Down | Action::PageUp | Action::PageDown) => {
                self.move_in_hits(action);
                true
            }
            (Mode::Hits(_), Action::Open) => {
                self.go_to_hit();
                true
            }
            _ => {
                self.mode = Mode::Browse;
                true
            }
        }
    }

    fn turn_pane(&mut self, by: usize) {
        let all = Pane::ALL;
        let at = all.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        let next = all.iter().cycle().nth(at + by);
        self.focus(next.copied().unwrap_or(Pane::Events));
    }

    pub(super) fn focus(&mut self, pane: Pane) {
        self.pane = pane;
        if matches!(pane, Pane::Tree | Pane::Processes) {
            self.lower = pane;
        }
        self.offset = self.offset.min(self.height(Pane::Events) - 1);
    }

    fn toggle_processes(&mut self) {
        let pane = match self.pane {
            Pane::Processes => Pane::Events,
            _ => Pane::Processes,
        };
        self.focus(pane);
        if pane == Pane::Events {
            self.lower = Pane::Tree;
        }
    }

    fn scroll(&mut self, action: Action) {
        let rows = match action {
            Action::PageUp | Action::PageDown => self.height(self.pane).saturating_sub(1).max(1),
            _ => 1,
        };
        let down = matches!(action, Action::Down | Action::PageDown);
        self.scroll_pane(self.pane, rows, down);
    }

    /// Moves the rows of a pane, or what is selected in it.
    pub(super) fn scroll_pane(&mut self, pane: Pane, rows: usize, down: bool) {
        match pane {
            Pane::Events => self.step(rows, down),
            Pane::Content => self.scroll_content(rows, down),
            Pane::Tree => self.select_in_tree(rows, down),
            Pane::Processes => self.select_process(rows, down),
        }
    }

    fn open(&mut self, effects: &mut Vec<Effect>) {
        match self.pane {
            Pane::Events => self.focus(Pane::Content),
            Pane::Tree => self.open_in_tree(),
            Pane::Processes => self.filter_who('p', effects),
            Pane::Content => {}
        }
    }

    fn back(&mut self, effects: &mut Vec<Effect>) {
        if self.seeking.take().is_some() {
            self.tell("stopped looking");
        } else if self.pane != Pane::Events {
            self.focus(Pane::Events);
        } else if self.pinned.take().is_some() {
            self.content.start = None;
            self.tell("the content follows the cursor");
        } else if !self.filtering.text.is_empty() {
            effects.extend(self.set_filter(""));
            self.tell("no filter");
        }
    }

    fn select_process(&mut self, rows: usize, down: bool) {
        let count = self
            .processes
            .census
            .as_ref()
            .map_or(0, |census| census.lines.len());
        let state = &mut self.processes;
        state.selected = match down {
            true => (state.selected + rows).min(count.saturating_sub(1)),
            false => state.selected.saturating_sub(rows),
        };
        let layout = self.layout().unwrap_or_default();
        let height = usize::from(processes::rows(layout.inner(Pane::Processes))).max(1);
        let state = &mut self.processes;
        state.top = keep_in_sight(state.top, state.selected, height);
    }
}

/// The first row that is shown so that one row is in sight, moved as little as possible.
pub(super) const fn keep_in_sight(top: usize, row: usize, height: usize) -> usize {
    if row < top {
        row
    } else if row >= top + height {
        row + 1 - height
    } else {
        top
    }
}
