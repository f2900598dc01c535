//! Filter, search, file picker, contents across time.

use std::sync::Arc;

use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{FileId, Seq, TracePath, escape};

use super::{App, Effect, Filtering, Order};
use crate::action::Action;
use crate::ask::{Actor, History, HistoryAsk, PickAsk, Request, ScanAsk, Sought};
use crate::mode::{Menu, Mode, Prompt, Typed};
use crate::view::layout::Pane;
use crate::worker::term;

impl App {
    /// Puts a filter in force; one that is none changes nothing.
    pub(super) fn set_filter(&mut self, text: &str) -> Vec<Effect> {
        let text = text.trim();
        let filter = match Filter::parse(text) {
            Ok(filter) => Arc::new(filter),
            Err(error) => {
                self.complain(error.to_string());
                return Vec::new();
            }
        };
        let id = self.id();
        let is_empty = filter.is_empty();
        self.filtering = Filtering {
            text: if is_empty {
                String::new()
            } else {
                text.to_owned()
            },
            filter: filter.clone(),
            id,
            done: 0,
            finished: is_empty,
            unsearched: 0,
        };
        let (near, start, last) = (self.cursor, self.facts.start.0, self.facts.last_seq);
        if is_empty {
            self.order = Order::all(start, last);
            self.centre();
        } else {
            self.order = Order::none(start, last);
            self.offset = self.height(Pane::Events) / 2;
        }
        // Also where nothing is to be found out: it stops the scan at work.
        vec![Effect::Ask(Request::Scan(ScanAsk {
            id,
            filter,
            from: Seq(0),
            near,
            unsearched: 0,
        }))]
    }

    /// Asks about the events that came after those the filter was asked about; about all
    /// where that has not come to its end.
    pub(super) fn scan_on(&mut self) -> Option<Effect> {
        let filtering = &mut self.filtering;
        if filtering.filter.is_empty() {
            return None;
        }
        if !filtering.finished {
            (filtering.done, filtering.unsearched) = (0, 0);
        }
        Some(Effect::Ask(Request::Scan(ScanAsk {
            id: filtering.id,
            filter: filtering.filter.clone(),
            from: Seq(filtering.done).next(),
            near: self.cursor,
            unsearched: filtering.unsearched,
        })))
    }

    /// The cursor's row keeps its place while matches come in, unless there are too few
    /// above it.
    pub(super) fn settle_list(&mut self) {
        let rank = usize::try_from(self.order.rank(self.cursor)).unwrap_or(usize::MAX);
        if self.filtering.finished && self.offset >= rank {
            self.offset = rank.saturating_sub(1);
        }
    }

    /// The process that is selected in its pane, else that of the event.
    fn actor(&self) -> Option<&Actor> {
        if self.pane == Pane::Processes {
            let census = self.processes.census.as_ref()?;
            let line = census.lines.get(self.processes.selected)?;
            return Some(&line.actor);
        }
        self.rows.get(&self.cursor)?.actor.as_ref()
    }

    /// Asks by what of the process to filter.
    pub(super) fn choose_who(&mut self) {
        match self.actor() {
            Some(_) => self.mode = Mode::Menu(Menu::Who),
            None => self.complain("it is not known who did this"),
        }
    }

    /// Only what the process did, or those that share with it what the key stands for.
    pub(super) fn filter_who(&mut self, key: char, effects: &mut Vec<Effect>) {
        let Some(actor) = self.actor() else {
            return;
        };
        let filter = match key {
            'p' => format!("pid={}", actor.pid),
            'n' if actor.comm.is_empty() => return self.complain("its name is not known"),
            'n' => format!("comm={}", value(&actor.comm)),
            'e' if actor.exe.is_empty() => return self.complain("its program is not known"),
            'e' => format!("exe={}", value(&actor.exe)),
            'a' => format!("ancestor={}", actor.pid),
            _ => return,
        };
        effects.extend(self.set_filter(&filter));
        if self.pane == Pane::Processes {
            self.focus(Pane::Events);
        }
    }

    /// Begins to search for what was typed.
    pub(super) fn begin_search(
        &mut self,
        text: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let filter = Filter::parse(&term(text)).map_err(|error| error.to_string())?;
        self.search = Some((text.to_owned(), Arc::new(filter)));
        self.search_on(true, effects);
        Ok(())
    }

    pub(super) fn search_on(&mut self, forward: bool, effects: &mut Vec<Effect>) {
        let Some((_, filter)) = &self.search else {
            return self.complain("nothing is searched for");
        };
        let what = Sought::Match(filter.clone());
        effects.extend(self.seek(forward, what, "match"));
    }

    pub(super) fn begin_history(&mut self) {
        self.mode = match &self.history {
            Some(_) => Mode::Hits(0),
            None => Mode::Prompt(Prompt::new(Typed::History, "")),
        };
    }

    pub(super) fn search_contents(
        &mut self,
        text: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        if text.is_empty() {
            self.mode = Mode::Browse;
            return Ok(());
        }
        let content = format!("content:{}", term(text));
        Filter::parse(&content).map_err(|error| error.to_string())?;
        let id = self.id();
        let text = text.to_owned();
        self.history = Some(Arc::new(History {
            id,
            text: text.clone(),
            ..History::default()
        }));
        self.mode = Mode::Hits(0);
        effects.push(Effect::Ask(Request::History(HistoryAsk { id, text })));
        Ok(())
    }

    pub(super) fn history_id(&self) -> Option<u64> {
        self.history.as_ref().map(|history| history.id)
    }

    pub(super) fn move_in_hits(&mut self, action: Action) {
        let count = self
            .history
            .as_ref()
            .map_or(0, |history| history.hits.len());
        if let Mode::Hits(chosen) = &mut self.mode {
            *chosen = match action {
                Action::Up => chosen.saturating_sub(1),
                Action::PageUp => chosen.saturating_sub(10),
                Action::Down => *chosen + 1,
                _ => *chosen + 10,
            };
            *chosen = (*chosen).min(count.saturating_sub(1));
        }
    }

    pub(super) fn go_to_hit(&mut self) {
        let Mode::Hits(chosen) = self.mode else {
            return;
        };
        self.mode = Mode::Browse;
        let hit = self
            .history
            .as_ref()
            .and_then(|history| history.hits.get(chosen).cloned());
        if let Some(hit) = hit {
            self.jump(hit.seq);
            if hit.file.0 > 0 {
                self.pinned = Some((hit.file, hit.path));
            }
        }
    }

    pub(super) fn ask_for_files(&self, effects: &mut Vec<Effect>) {
        if let Mode::Prompt(prompt) = &self.mode {
            effects.push(Effect::Ask(Request::Pick(PickAsk {
                at: self.cursor,
                text: prompt.text.clone(),
            })));
        }
    }

    /// The file that was picked; its identity is found where it is shown.
    pub(super) fn pick(&mut self, chosen: usize) {
        self.mode = Mode::Browse;
        if let Some(path) = self.picked.0.get(chosen).cloned() {
            self.pin(UNKNOWN, path);
        }
    }
}

/// Bytes as a value of the filter grammar that means them and nothing else: quoted where
/// they are not plain, a regular expression where quotes would leave a pattern.
fn value(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+-".contains(byte);
    if bytes.iter().all(plain) {
        return escape(bytes).to_string();
    }
    if !bytes.iter().any(|byte| b"*?[]{}\\".contains(byte)) {
        return format!("\"{}\"", escape(bytes).to_string().replace('"', "\\\""));
    }
    let literal = bytes.iter().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    });
    format!("/(?-u)\\A{}\\z/", literal.collect::<String>())
}

/// Stands for a file of which only the path is known.
pub(crate) const UNKNOWN: FileId = FileId(0);

/// The file that a path led to: at an instant, else before the first event, else after the
/// last.
pub(crate) fn file_at(
    reader: &diffkeeper_store::SessionReader<'_>,
    path: &TracePath,
    at: Seq,
) -> Result<Option<FileId>, diffkeeper_store::StoreError> {
    for at in [at, reader.start(), reader.progress().last_seq] {
        if let Some(file) = reader.find(path, at)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::value;
    use diffkeeper_store::filter::Filter;
    use proptest::prelude::*;

    #[test]
    fn plain_names_stand_as_they_are() {
        assert_eq!(value(b"pkg.test"), "pkg.test");
        assert_eq!(value(b"/usr/bin/go"), "\"/usr/bin/go\"");
        assert_eq!(value(b"a \"b\" \x1b"), "\"a \\\"b\\\" \\x1b\"");
        assert_eq!(
            value(b"[kworker/0]"),
            "/(?-u)\\A\\x5bkworker\\x2f0\\x5d\\z/"
        );
    }

    proptest! {
        #[test]
        fn any_name_is_a_filter(name: Vec<u8>, wild in "[*?a-z\\[\\]{}\"\\\\/ -]{0,12}") {
            let names = [name, wild.into_bytes()];
            for name in names.iter().filter(|name| !name.is_empty()) {
                let filter = Filter::parse(&format!("comm={}", value(name)));
                prop_assert!(filter.is_ok(), "{filter:?}");
            }
        }
    }
}
