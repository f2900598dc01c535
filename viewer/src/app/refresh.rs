//! What the panes need and do not have: asked for after every input, so that nothing else
//! has to think of it. A question that stands is not asked twice.

use diffkeeper_store::model::Seq;

use super::App;
use super::Effect;
use crate::ask::{DensityAsk, Request, TreeAsk};
use crate::page::{Base, PageAsk};
use crate::view::layout::Pane;

/// Rows of the event list that are kept.
const MAX_KEPT: usize = 4096;
/// Rows that are asked for ahead of where the cursor may go next.
const AHEAD: usize = 64;

impl App {
    pub(super) fn refresh(&mut self, effects: &mut Vec<Effect>) {
        if self.is_landing() {
            return;
        }
        self.want_rows(effects);
        self.want_page(effects);
        self.want_tree(effects);
        self.want_density(effects);
        self.want_processes(effects);
    }

    /// Whether it is not known yet where to begin.
    pub(crate) fn is_landing(&self) -> bool {
        self.seeking
            .is_some_and(|(_, name)| name == "the last failure")
    }

    /// The events of the list, with the place of the cursor's row: the last event of the
    /// list that is not after the cursor.
    pub(crate) fn listed(&self, height: usize) -> (Vec<Seq>, Option<usize>) {
        let mut above = Vec::new();
        let current = self.order.floor(self.cursor);
        let mut at = current;
        while let Some(seq) = at.filter(|_| above.len() <= self.offset) {
            above.push(seq);
            at = self.order.before(seq);
        }
        above.reverse();
        let row = current.and(above.len().checked_sub(1));
        let mut listed = above;
        let mut last = listed.last().copied().unwrap_or(self.facts.start.0);
        while listed.len() < height {
            match self.order.after(last) {
                Some(next) => {
                    listed.push(next);
                    last = next;
                }
                None => break,
            }
        }
        (listed, row)
    }

    fn want_rows(&mut self, effects: &mut Vec<Effect>) {
        let (mut wanted, _) = self.listed(self.height(Pane::Events));
        if wanted.iter().all(|seq| self.rows.contains_key(seq)) && self.near_rows_known(&wanted) {
            return;
        }
        let (first, last) = (wanted.first().copied(), wanted.last().copied());
        let before = std::iter::successors(first, |seq| self.order.before(*seq));
        let before: Vec<Seq> = before.skip(1).take(AHEAD).collect();
        let after = std::iter::successors(last, |seq| self.order.after(*seq));
        let after: Vec<Seq> = after.skip(1).take(AHEAD).collect();
        wanted.extend(before.into_iter().chain(after));
        // The cursor's time is wanted also where a filter hides its row.
        wanted.push(self.cursor);
        wanted.retain(|seq| *seq > self.facts.start.0 && !self.rows.contains_key(seq));
        wanted.sort_unstable();
        wanted.dedup();
        if wanted != self.asked.rows && !wanted.is_empty() {
            self.asked.rows.clone_from(&wanted);
            effects.push(Effect::Ask(Request::Rows(wanted)));
        }
    }

    /// Whether the rows next to those shown are there, so that a step shows one at once.
    fn near_rows_known(&self, shown: &[Seq]) -> bool {
        let known = |seq: Option<Seq>| seq.is_none_or(|seq| self.rows.contains_key(&seq));
        let far = |seq: Option<&Seq>, back: bool| {
            let step = |seq: &Seq| match back {
                true => self.order.before(*seq),
                false => self.order.after(*seq),
            };
            std::iter::successors(seq.copied(), step).nth(AHEAD / 4)
        };
        let cursor = Some(self.cursor).filter(|seq| *seq > self.facts.start.0);
        known(cursor) && known(far(shown.first(), true)) && known(far(shown.last(), false))
    }

    /// Forgets rows that are far away.
    pub(super) fn trim_rows(&mut self) {
        while self.rows.len() > MAX_KEPT {
            let ends = (self.rows.first_key_value(), self.rows.last_key_value());
            let (Some((first, _)), Some((last, _))) = ends else {
                return;
            };
            let far = if self.cursor.0.abs_diff(first.0) > self.cursor.0.abs_diff(last.0) {
                *first
            } else {
                *last
            };
            self.rows.remove(&far);
        }
    }

    /// The page that belongs to the state.
    pub(crate) fn wanted_page(&self) -> PageAsk {
        PageAsk {
            seq: self.cursor,
            file: self.pinned.clone(),
            view: self.content.view,
            base: self.content.base,
            context: self.content.context,
            start: self.content.start,
            all: self.content.all,
        }
    }

    fn want_page(&mut self, effects: &mut Vec<Effect>) {
        let ask = self.wanted_page();
        let is_shown = self
            .layout()
            .is_some_and(|layout| layout.area(Pane::Content).width > 0);
        if is_shown && self.asked.page.as_ref() != Some(&ask) {
            self.asked.page = Some(ask.clone());
            effects.push(Effect::Ask(Request::Page(ask)));
        }
    }

    /// The state that the marks of the tree tell the difference to.
    pub(crate) fn tree_base(&self) -> Seq {
        match self.content.base {
            Base::Previous => self.facts.start.0,
            Base::Mark(_, seq) => seq,
        }
    }

    fn want_tree(&mut self, effects: &mut Vec<Effect>) {
        let is_shown = self
            .layout()
            .is_some_and(|layout| layout.area(Pane::Tree).width > 0);
        if !is_shown || !self.facts.has_tree {
            return;
        }
        if self.tree.changed_only {
            let ask = (self.tree_base(), self.cursor);
            if self.asked.changes != Some(ask) {
                self.asked.changes = Some(ask);
                effects.push(Effect::Ask(Request::Changes(ask.0, ask.1)));
            }
            return;
        }
        let ask = TreeAsk {
            at: self.cursor,
            base: self.tree_base(),
            open: self.tree.open.clone(),
            first: self.tree.top,
            rows: self.height(Pane::Tree),
        };
        if self.asked.tree.as_ref() != Some(&ask) {
            self.asked.tree = Some(ask.clone());
            effects.push(Effect::Ask(Request::Tree(ask)));
        }
    }

    fn want_density(&mut self, effects: &mut Vec<Effect>) {
        let ask = DensityAsk {
            from: self.zoom.0,
            to: self.zoom.1,
            columns: self.size.0,
        };
        if self.asked.density != Some(ask) && ask.columns > 0 {
            self.asked.density = Some(ask);
            effects.push(Effect::Ask(Request::Density(ask)));
        }
    }

    fn want_processes(&mut self, effects: &mut Vec<Effect>) {
        let is_shown = self
            .layout()
            .is_some_and(|layout| layout.area(Pane::Processes).width > 0);
        let census = self.processes.census.as_ref();
        let counts = census.is_some_and(|census| census.counted.0 < census.counted.1);
        let last = self.facts.last_seq;
        let asked = self.asked.processes;
        // Counting that is under way is not begun again for what came meanwhile.
        if is_shown && (asked.is_none() || asked < Some(last) && !counts) {
            self.asked.processes = Some(last);
            effects.push(Effect::Ask(Request::Processes));
        }
    }
}
