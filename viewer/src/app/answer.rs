//! Answers of the workers: each goes where it is waited for, or nowhere.

use std::sync::Arc;

use super::{App, Effect, UNKNOWN};
use crate::ask::{Answer, FetchAsk, Purpose};
use crate::mode::{Mode, Typed};
use crate::page::{Page, PageAsk};
use crate::text::{counted, shorten};

impl App {
    pub(super) fn answer(&mut self, answer: Answer, effects: &mut Vec<Effect>) {
        match answer {
            Answer::Rows(rows) => {
                self.rows.extend(rows.into_iter().map(|row| (row.seq, row)));
                self.asked.rows.clear();
                self.trim_rows();
                self.learn_time();
            }
            Answer::Page(ask, page) => self.take_page(ask, *page),
            Answer::Tree(ask, tree) if self.asked.tree.as_ref() == Some(&ask) => {
                self.tree.tree = Some((ask, Arc::new(tree)));
                self.clamp_tree();
            }
            Answer::Changes(base, at, changes) if self.asked.changes == Some((base, at)) => {
                self.tree.changes = Some((base, at, changes));
                self.clamp_tree();
            }
            Answer::Density(ask, columns) if self.asked.density == Some(ask) => {
                self.density = Some((ask, columns));
            }
            Answer::Matches {
                id,
                first,
                words,
                done,
                finished,
                unsearched,
            } if self.filtering.id == id => {
                self.order.add(first, &words);
                self.filtering.done = self.filtering.done.max(done);
                self.filtering.finished |= finished;
                self.filtering.unsearched = unsearched;
                self.settle_list();
                if finished && self.filtering.done < self.facts.last_seq.0 {
                    effects.extend(self.scan_on());
                }
            }
            Answer::Found(ask, found) => self.found(&ask, found),
            Answer::Processes(census) => self.processes.census = Some(Arc::new(census)),
            Answer::History(history) if self.history_id() == Some(history.id) => {
                self.history = Some(Arc::new(history));
            }
            Answer::Picked(ask, paths, total) => {
                if let Mode::Prompt(prompt) = &mut self.mode
                    && prompt.kind == Typed::File
                    && prompt.text == ask.text
                {
                    prompt.chosen = prompt.chosen.min(paths.len().saturating_sub(1));
                    self.picked = (paths, total);
                }
            }
            Answer::Exported(Ok(told)) => self.exported(&told),
            Answer::Exported(Err(why)) => self.complain(format!("not exported: {why}")),
            Answer::Fetched(ask, bytes) => self.fetched(ask, bytes, effects),
            Answer::Grown(Ok(facts)) => self.grown(*facts, effects),
            Answer::Grown(Err(why)) => self.lost_sight(&why),
            Answer::Failed(why) => {
                self.seeking = None;
                self.complain(why);
            }
            _ => {}
        }
    }

    fn take_page(&mut self, ask: PageAsk, page: Page) {
        if self.asked.page.as_ref() != Some(&ask) {
            return;
        }
        let place = |ask: &PageAsk, page: &Page| {
            let file = page.file.as_ref().map(|(file, _)| *file);
            (
                ask.seq,
                file,
                page.view,
                ask.base,
                ask.context,
                ask.start,
                ask.all,
            )
        };
        let shown = self.content.page.as_ref();
        let is_same = shown.is_some_and(|(old, shown)| place(old, shown) == place(&ask, &page));
        if !is_same {
            self.content.top = first_change(&page).saturating_sub(3);
        }
        // A file that was named by its path is known by its identity from now on.
        if let (Some((file, path)), Some((found, of))) = (&mut self.pinned, &page.file)
            && *file == UNKNOWN
            && path == of
        {
            *file = *found;
        }
        self.content.page = Some((ask, Arc::new(page)));
        self.clamp_content();
    }

    fn fetched(
        &mut self,
        ask: FetchAsk,
        bytes: Result<Vec<u8>, String>,
        effects: &mut Vec<Effect>,
    ) {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(why) => return self.complain(why),
        };
        let what = match ask.purpose {
            Purpose::CopyContent => "content",
            Purpose::CopyDiff => "diff",
            Purpose::Pager | Purpose::Editor | Purpose::Difftool => {
                return effects.push(Effect::Open(ask, bytes));
            }
        };
        self.copied(what, bytes, effects);
    }

    /// Copies, and shows as text what was copied.
    pub(super) fn copied(&mut self, what: &str, bytes: Vec<u8>, effects: &mut Vec<Effect>) {
        let title = format!("copied: {what}, {}", counted(bytes.len() as u64, "byte"));
        let lines = bytes.split(|byte| *byte == b'\n').take(200);
        let shown = |line: &[u8]| shorten(&crate::text::harmless(line), 1000);
        self.mode = Mode::Told(title, lines.map(shown).collect());
        effects.push(Effect::Copy(bytes));
    }
}

fn first_change(page: &Page) -> usize {
    (0..page.body.len())
        .find(|row| page.body.is_change(*row))
        .unwrap_or(0)
}
