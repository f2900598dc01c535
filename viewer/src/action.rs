//! Everything a user can ask for, each with the word that a configuration names it by and
//! the text that help shows.

/// Declares the actions with their words and help texts.
macro_rules! actions {
    ($($name:ident $word:literal $help:literal),* $(,)?) => {
        /// Something that a key can be bound to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $(#[doc = $help] $name),* }

        impl Action {
            /// Every action, in the order of the help.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word that a configuration names it by.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// What it does, for people.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help),* }
            }

            /// The action of a word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.word() == word)
            }
        }
    };
}

actions! {
    PrevEvent "previous-event" "previous event",
    NextEvent "next-event" "next event",
    PrevBucket "previous-bucket" "back by a column of the histogram",
    NextBucket "next-bucket" "on by a column of the histogram",
    PrevVersion "previous-version" "previous version of this file",
    NextVersion "next-version" "next version of this file",
    Start "start" "start: the state before the first event",
    End "end" "end: the last event",
    ZoomIn "zoom-in" "show a shorter stretch of time",
    ZoomOut "zoom-out" "show a longer stretch of time",
    Play "play" "play, or stop",
    Faster "faster" "play twice as fast",
    Slower "slower" "play half as fast",
    NextTrouble "next-trouble" "next gap or failure",
    PrevTrouble "previous-trouble" "previous gap or failure",
    SetMark "set-mark" "set the mark of the letter that follows",
    GoToMark "go-to-mark" "go to the mark of the letter that follows",
    GoTo "go-to" "go to a WHEN: 2m14s, +5s, -5s, #1234, 50%, 'a, an RFC 3339 time",
    Clock "clock" "relative times, or the wall clock",
    Up "up" "up a row",
    Down "down" "down a row",
    PageUp "page-up" "up a page",
    PageDown "page-down" "down a page",
    NextPane "next-pane" "next pane",
    PrevPane "previous-pane" "previous pane",
    Open "open" "open what is under the cursor",
    Back "back" "back; the content follows the cursor again",
    DiffView "diff-view" "inline, side by side, hex, raw",
    DiffMark "diff-mark" "compare with the mark of the letter that follows; again: with the previous version",
    LessContext "less-context" "fewer lines around a change",
    MoreContext "more-context" "more lines around a change",
    PrevHunk "previous-hunk" "previous change in the content",
    NextHunk "next-hunk" "next change in the content",
    LoadAll "load-all" "load all of a long content",
    Processes "processes" "who took part, and what each wrote",
    Writer "writer" "filter by who did this: process, name, program, all below it",
    Search "search" "search paths and outputs",
    SearchNext "search-next" "next match",
    SearchPrev "search-previous" "previous match",
    Filter "filter" "filter the events",
    PickFile "pick-file" "find a file by parts of its name",
    History "history" "search contents across time: when did a text first appear",
    ChangedOnly "changed-only" "the whole tree, or only what changed",
    Export "export" "export the tree or the file at the cursor",
    OpenWith "open-with" "open the content in another program",
    Copy "copy" "copy something",
    Help "help" "these keys",
    Suspend "suspend" "back to the shell for a while",
    Redraw "redraw" "draw the screen anew",
    Quit "quit" "quit, and print this view as a command line",
}

#[cfg(test)]
mod tests {
    use super::Action;

    #[test]
    fn words_are_unique_and_read_back() {
        for action in Action::ALL {
            assert_eq!(Action::from_word(action.word()), Some(*action));
        }
        assert_eq!(Action::from_word("no-such"), None);
    }
}
