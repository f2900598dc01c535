//! What keys mean at the moment: browsing, typing into a line, a letter, a menu, reading.

/// The one mode that the screen is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Keys are actions.
    #[default]
    Browse,
    /// Keys are text.
    Prompt(Prompt),
    /// The next key is a letter.
    Letter(Letter),
    /// The next key chooses.
    Menu(Menu),
    /// The keys are shown, from this line on.
    Help(usize),
    /// A text is shown until a key is pressed: its title and lines.
    Told(String, Vec<String>),
    /// Where a text came and went; which of the places is chosen.
    Hits(usize),
}

/// What a letter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// Setting a mark.
    Set,
    /// Going to a mark.
    Go,
    /// Comparing with a mark.
    Diff,
}

/// A choice by one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    /// What to copy.
    Copy,
    /// What to open the content in.
    Open,
    /// By what of a process to filter.
    Who,
}

impl Menu {
    /// The keys with what they choose.
    #[must_use]
    pub const fn choices(self) -> &'static [(char, &'static str)] {
        match self {
            Self::Copy => &[
                ('p', "path"),
                ('c', "content"),
                ('d', "diff"),
                ('v', "this view as a command line"),
            ],
            Self::Open => &[
                ('p', "$PAGER"),
                ('e', "$EDITOR"),
                ('d', "a difftool, with the version before"),
            ],
            Self::Who => &[
                ('p', "this process (pid)"),
                ('n', "all of its name (comm)"),
                ('e', "all of its program (exe)"),
                ('a', "it and all below it (ancestor)"),
            ],
        }
    }
}

/// A line that is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub kind: Typed,
    /// The text.
    pub text: String,
    /// Characters before the caret.
    pub caret: usize,
    /// What is wrong with the text.
    pub error: Option<String>,
    /// Which of the files is chosen, while picking one.
    pub chosen: usize,
}

/// What is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A WHEN.
    When,
    /// A filter.
    Filter,
    /// A text in paths and outputs.
    Search,
    /// A text in all contents.
    History,
    /// Parts of a file's name.
    File,
    /// Where to write the tree.
    ExportTree,
    /// Where to write the file.
    ExportFile,
}

impl Typed {
    /// What stands before the text.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::When => "go to (2m14s, +5s, -5s, #1234, 50%, 'a): ",
            Self::Filter => "filter: ",
            Self::Search => "search paths and outputs: ",
            Self::History => "when did this text appear: ",
            Self::File => "file: ",
            Self::ExportTree => "export the tree to (tab: only the file): ",
            Self::ExportFile => "export the file to (tab: the whole tree): ",
        }
    }
}

/// A change of a typed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A character comes in.
    Insert(char),
    /// The character before the caret goes.
    Backspace,
    /// The character at the caret goes.
    Delete,
    /// The word before the caret goes.
    DeleteWord,
    /// All goes.
    Clear,
    /// The caret moves.
    Left,
    /// The caret moves.
    Right,
    /// The caret moves.
    Home,
    /// The caret moves.
    End,
    /// Another file is chosen.
    Up,
    /// Another file is chosen.
    Down,
    /// The other thing of two.
    Toggle,
    /// Done.
    Accept,
    /// Given up.
    Cancel,
}

impl Prompt {
    /// A line with a text to begin with.
    #[must_use]
    pub fn new(kind: Typed, text: &str) -> Self {
        Self {
            kind,
            text: text.to_owned(),
            caret: text.chars().count(),
            error: None,
            chosen: 0,
        }
    }

    /// Changes the text; whether it is another one now.
    pub fn edit(&mut self, edit: Edit) -> bool {
        let count = self.text.chars().count();
        match edit {
            Edit::Insert(c) if !c.is_control() && self.text.len() < 4096 => {
                self.text.insert(self.byte(self.caret), c);
                self.caret += 1;
            }
            Edit::Backspace if self.caret > 0 => {
                self.caret -= 1;
                self.text.remove(self.byte(self.caret));
            }
            Edit::Delete if self.caret < count => {
                self.text.remove(self.byte(self.caret));
            }
            Edit::DeleteWord => {
                let before: Vec<char> = self.text.chars().take(self.caret).collect();
                let word = before.iter().rev();
                let spaces = word.clone().take_while(|c| **c == ' ').count();
                let letters = word.skip(spaces).take_while(|c| **c != ' ').count();
                let start = self.caret - spaces - letters;
                self.text
                    .replace_range(self.byte(start)..self.byte(self.caret), "");
                self.caret = start;
            }
            Edit::Clear => {
                self.text.clear();
                self.caret = 0;
            }
            Edit::Left => self.caret = self.caret.saturating_sub(1),
            Edit::Right => self.caret = (self.caret + 1).min(count),
            Edit::Home => self.caret = 0,
            Edit::End => self.caret = count,
            _ => return false,
        }
        !matches!(edit, Edit::Left | Edit::Right | Edit::Home | Edit::End)
    }

    /// Where a character begins.
    fn byte(&self, caret: usize) -> usize {
        let mut places = self.text.char_indices().map(|(at, _)| at);
        places.nth(caret).unwrap_or(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Edit, Prompt, Typed};

    #[test]
    fn a_line_is_edited_by_characters() {
        let mut line = Prompt::new(Typed::Search, "größe x");
        line.edit(Edit::Home);
        line.edit(Edit::Right);
        line.edit(Edit::Right);
        line.edit(Edit::Delete);
        assert_eq!((line.text.as_str(), line.caret), ("grße x", 2));
        line.edit(Edit::End);
        line.edit(Edit::DeleteWord);
        assert_eq!(line.text, "grße ");
        line.edit(Edit::DeleteWord);
        assert_eq!((line.text.as_str(), line.caret), ("", 0));
        assert!(!line.edit(Edit::Insert('\u{1b}')));
    }
}
