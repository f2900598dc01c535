//! Typed lines, letters and choices.

use super::{App, Effect};
use crate::mode::{Edit, Menu, Mode, Prompt, Typed};

impl App {
    pub(super) fn edit(&mut self, edit: Edit, effects: &mut Vec<Effect>) {
        let Mode::Prompt(prompt) = &mut self.mode else {
            return;
        };
        match (edit, prompt.kind) {
            (Edit::Cancel, kind) => {
                self.mode = Mode::Browse;
                if kind == Typed::Filter && self.filter_before != self.filtering.text {
                    let before = std::mem::take(&mut self.filter_before);
                    effects.extend(self.set_filter(&before));
                }
            }
            (Edit::Accept, _) => self.accept(effects),
            (Edit::Up, Typed::File) => prompt.chosen = prompt.chosen.saturating_sub(1),
            (Edit::Down, Typed::File) => {
                let last = self.picked.0.len().saturating_sub(1);
                prompt.chosen = (prompt.chosen + 1).min(last);
            }
            (Edit::Toggle, Typed::ExportTree) => prompt.kind = Typed::ExportFile,
            (Edit::Toggle, Typed::ExportFile) => prompt.kind = Typed::ExportTree,
            _ if prompt.edit(edit) => self.edited(effects),
            _ => {}
        }
    }

    /// The text is another one now.
    fn edited(&mut self, effects: &mut Vec<Effect>) {
        let Mode::Prompt(prompt) = &mut self.mode else {
            return;
        };
        prompt.error = None;
        match prompt.kind {
            Typed::Filter => {
                let text = prompt.text.clone();
                match diffkeeper_store::filter::Filter::parse(&text) {
                    // The last good one stays in force while one types.
                    Err(error) => prompt.error = Some(error.to_string()),
                    Ok(_) => effects.extend(self.set_filter(&text)),
                }
            }
            Typed::File => {
                prompt.chosen = 0;
                self.ask_for_files(effects);
            }
            _ => {}
        }
    }

    fn accept(&mut self, effects: &mut Vec<Effect>) {
        let Mode::Prompt(prompt) = self.mode.clone() else {
            return;
        };
        let text = prompt.text.as_str();
        let done = match prompt.kind {
            Typed::When => self.go_to(text, effects),
            Typed::Filter => match &prompt.error {
                Some(error) => Err(error.clone()),
                None => Ok(()),
            },
            Typed::Search => self.begin_search(text, effects),
            Typed::History => return self.accepted_history(&prompt, effects),
            Typed::File => return self.pick(prompt.chosen),
            Typed::ExportTree => self.export(text, false, effects),
            Typed::ExportFile => self.export(text, true, effects),
        };
        match done {
            Ok(()) => self.mode = Mode::Browse,
            Err(error) => self.refuse(prompt, error),
        }
    }

    fn accepted_history(&mut self, prompt: &Prompt, effects: &mut Vec<Effect>) {
        if let Err(error) = self.search_contents(&prompt.text, effects) {
            self.refuse(prompt.clone(), error);
        }
    }

    fn refuse(&mut self, prompt: Prompt, error: String) {
        let error = Some(error);
        self.mode = Mode::Prompt(Prompt { error, ..prompt });
    }

    /// A key where a letter or choice is awaited, or where any key closes a text.
    pub(super) fn letter(&mut self, letter: char, effects: &mut Vec<Effect>) {
        match self.mode.clone() {
            Mode::Letter(what) => self.mark(what, letter, effects),
            Mode::Menu(menu) => {
                self.mode = Mode::Browse;
                match menu {
                    Menu::Copy => self.copy(letter, effects),
                    Menu::Open => self.open_with(letter, effects),
                    Menu::Who => self.filter_who(letter, effects),
                }
            }
            Mode::Hits(_) if letter == '/' || letter == 'c' => {
                self.mode = Mode::Prompt(Prompt::new(Typed::History, ""));
            }
            Mode::Hits(_) | Mode::Told(..) | Mode::Help(_) => self.mode = Mode::Browse,
            Mode::Browse | Mode::Prompt(_) => {}
        }
    }
}
