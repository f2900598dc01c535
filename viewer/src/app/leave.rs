//! Leaving with something: exports, other programs, the clipboard.

use std::path::PathBuf;

use diffkeeper_store::model::{Seq, TracePath, escape};

use super::{App, Effect};
use crate::ask::{ExportAsk, FetchAsk, Purpose, Request};
use crate::mode::{Mode, Prompt, Typed};
use crate::page::Base;
use crate::view::layout::Pane;
use crate::words::shell_word;

impl App {
    /// The file that the content pane shows, or that is selected in the tree.
    fn file(&self) -> Option<(diffkeeper_store::model::FileId, TracePath)> {
        if self.pane == Pane::Tree
            && let Some((path, file, false)) = self.selected_in_tree()
        {
            return Some((file, path));
        }
        let page = self.content.page.as_ref();
        page.and_then(|(_, page)| page.file.clone())
            .or_else(|| self.pinned.clone())
    }

    pub(super) fn begin_export(&mut self) {
        if !self.facts.has_tree {
            return self.complain("this session has no tree: its baseline is not complete");
        }
        let kind = match self.pane {
            Pane::Content => Typed::ExportFile,
            _ => Typed::ExportTree,
        };
        let name = format!("debug_fs_{}", self.cursor.0);
        self.mode = Mode::Prompt(Prompt::new(kind, &name));
    }

    pub(super) fn export(
        &mut self,
        out: &str,
        only_file: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        if out.trim().is_empty() {
            return Err("expected a directory".to_owned());
        }
        let path = match (only_file, self.file()) {
            (false, _) => None,
            (true, Some((_, path))) => Some(path),
            (true, None) => return Err("no file is shown".to_owned()),
        };
        let out = PathBuf::from(out);
        self.tell("exporting");
        let at = self.cursor;
        self.exporting = Some(self.export_command(at, path.as_ref(), &out));
        effects.push(Effect::Ask(Request::Export(ExportAsk { at, path, out })));
        Ok(())
    }

    /// The command that does the same again.
    fn export_command(&self, at: Seq, path: Option<&TracePath>, out: &std::path::Path) -> String {
        let mut words = self.facts.program.clone();
        if let Some(command) = words.get_mut(1) {
            *command = b"export".to_vec();
        }
        words.push(format!("--time=#{}", at.0).into_bytes());
        if let Some(path) = path {
            let glob = globset::escape(&String::from_utf8_lossy(path));
            words.push([b"--path=", glob.as_bytes()].concat());
        }
        words.push([b"--out=", out.as_os_str().as_encoded_bytes()].concat());
        let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    }

    pub(super) fn exported(&mut self, told: &str) {
        let command = self.exporting.take().unwrap_or_default();
        let lines = vec![
            told.to_owned(),
            String::new(),
            "the same again:".to_owned(),
            command,
        ];
        self.mode = Mode::Told("exported".to_owned(), lines);
    }

    pub(super) fn copy(&mut self, choice: char, effects: &mut Vec<Effect>) {
        match choice {
            'v' => {
                let line = self.command_line().into_bytes();
                self.copied("this view as a command line", line, effects);
            }
            'p' => match self.file() {
                Some((_, path)) => self.copied("path", path, effects),
                None => self.complain("no file is shown"),
            },
            'c' => self.fetch(Purpose::CopyContent, effects),
            'd' => self.fetch(Purpose::CopyDiff, effects),
            _ => self.tell("nothing copied"),
        }
    }

    pub(super) fn open_with(&mut self, choice: char, effects: &mut Vec<Effect>) {
        match choice {
            'p' => self.fetch(Purpose::Pager, effects),
            'e' => self.fetch(Purpose::Editor, effects),
            'd' => self.fetch(Purpose::Difftool, effects),
            _ => self.tell("nothing opened"),
        }
    }

    fn fetch(&mut self, purpose: Purpose, effects: &mut Vec<Effect>) {
        let Some((file, path)) = self.file() else {
            return self.complain("no file is shown");
        };
        self.tell(format!("reading {}", escape(&path)));
        effects.push(Effect::Ask(Request::Fetch(FetchAsk {
            path,
            file,
            at: self.cursor,
            base: match self.content.base {
                Base::Previous => None,
                Base::Mark(_, seq) => Some(seq),
            },
            purpose,
        })));
    }
}
