//! The state of the screen and what changes it: [`App::update`] takes an input and says
//! what is to be done. It asks no store and draws nothing.

mod answer;
mod browse;
mod content;
mod find;
mod grow;
mod leave;
mod mouse;
mod refresh;
#[cfg(test)]
mod tests;
mod time;
mod tree;
mod typing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{FileId, Seq, Timestamp, TracePath};

use crate::action::Action;
use crate::ask::{
    Answer, Census, Changed, Column, DensityAsk, FetchAsk, History, Request, Row, Sought, Tree,
    TreeAsk,
};
use crate::facts::Facts;
use crate::keymap::Keymap;
use crate::mode::{Edit, Mode};
use crate::page::{Base, Page, PageAsk, PageView};
use crate::view::layout::{Layout, Pane};

/// Something that happened to the screen.
#[derive(Clone, Debug)]
pub enum Input {
    /// A key asks for something.
    Act(Action),
    /// A typed line changes.
    Edit(Edit),
    /// A key where a letter or a choice is awaited, or where anything closes a text.
    Letter(char),
    /// The mouse did something.
    Mouse(Mouse),
    /// The screen has another size, columns and rows.
    Resize(u16, u16),
    /// So much time has passed.
    Tick(Duration),
    /// A worker answered.
    Answer(Box<Answer>),
    /// Something is to be told.
    Notice(String, bool),
}

/// What the mouse did, at a column and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button went down.
    Press(u16, u16),
    /// It moved with the button down.
    Drag(u16, u16),
    /// The button went up.
    Release(u16, u16),
    /// The wheel turned, away from the user or towards it.
    Wheel(u16, u16, bool),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A question for a worker.
    Ask(Request),
    /// Into the clipboard.
    Copy(Vec<u8>),
    /// Another program opens these bytes.
    Open(FetchAsk, Vec<u8>),
    /// Marks are to be kept.
    SaveMarks(BTreeMap<char, Seq>),
    /// Back to the shell.
    Suspend,
    /// The terminal may hold anything.
    Redraw,
    /// The end.
    Quit,
}

/// The filter in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filtering {
    /// As it was typed.
    pub(crate) text: String,
    pub(crate) filter: Arc<Filter>,
    /// That of the scan whose answers count.
    id: u64,
    /// Events that have been asked about.
    pub(crate) done: u64,
    pub(crate) finished: bool,
    pub(crate) unsearched: u64,
}

/// What is asked of whom and not answered yet, and for which the answer is shown.
#[derive(Clone, Debug, Default)]
struct Asked {
    page: Option<PageAsk>,
    tree: Option<TreeAsk>,
    changes: Option<(Seq, Seq)>,
    density: Option<DensityAsk>,
    rows: Vec<Seq>,
    /// The last event of the session when the processes were asked for.
    processes: Option<Seq>,
}

/// Playing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Play {
    /// Times as fast as it happened.
    pub(crate) speed: f64,
    /// Where it has come to, ns.
    at: f64,
    pub(crate) on: bool,
}

/// The content pane.
#[derive(Clone, Debug)]
pub(crate) struct ContentState {
    pub(crate) page: Option<(PageAsk, Arc<Page>)>,
    pub(crate) view: PageView,
    pub(crate) base: Base,
    pub(crate) context: usize,
    pub(crate) start: Option<u64>,
    pub(crate) all: bool,
    /// First row that is shown.
    pub(crate) top: usize,
}

/// The tree pane.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeState {
    pub(crate) open: std::collections::BTreeSet<TracePath>,
    pub(crate) tree: Option<(TreeAsk, Arc<Tree>)>,
    pub(crate) changes: Option<(Seq, Seq, Arc<Vec<Changed>>)>,
    pub(crate) changed_only: bool,
    pub(crate) selected: usize,
    pub(crate) top: usize,
}

/// The process pane.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessState {
    pub(crate) census: Option<Arc<Census>>,
    pub(crate) selected: usize,
    pub(crate) top: usize,
}

/// A line that is told until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) facts: Arc<Facts>,
    pub(crate) keymap: Arc<Keymap>,
    pub(crate) size: (u16, u16),
    pub(crate) mode: Mode,
    pub(crate) pane: Pane,
    /// What stands below the event list in wide layouts.
    pub(crate) lower: Pane,
    /// The state that all panes show: that after this event.
    pub(crate) cursor: Seq,
    /// The time of the cursor, as far as it is known.
    pub(crate) time: Timestamp,
    pub(crate) order: Order,
    pub(crate) filtering: Filtering,
    /// The filter that was in force before one was typed.
    filter_before: String,
    pub(crate) rows: BTreeMap<Seq, Row>,
    /// Rows of the list above the cursor's.
    pub(crate) offset: usize,
    /// The file that the content pane stays with; `None`: that of the event.
    pub(crate) pinned: Option<(FileId, TracePath)>,
    pub(crate) content: ContentState,
    pub(crate) tree: TreeState,
    pub(crate) processes: ProcessState,
    pub(crate) density: Option<(DensityAsk, Vec<Column>)>,
    /// The stretch of time that the histogram shows.
    pub(crate) zoom: (Timestamp, Timestamp),
    /// A stretch that the mouse selects, as columns of the histogram.
    pub(crate) drag: Option<(u16, u16)>,
    pub(crate) marks: BTreeMap<char, Seq>,
    pub(crate) play: Play,
    pub(crate) clock: bool,
    pub(crate) notice: Option<Notice>,
    pub(crate) history: Option<Arc<History>>,
    pub(crate) picked: (Vec<TracePath>, usize),
    /// What is searched for, as typed and as a filter.
    pub(crate) search: Option<(String, Arc<Filter>)>,
    /// A seek that is not answered yet, and what for.
    pub(crate) seeking: Option<(u64, &'static str)>,
    /// The command that does the export at work again.
    exporting: Option<String>,
    next_id: u64,
    asked: Asked,
    quitting: bool,
}

pub(crate) use crate::matches::Order;
pub(crate) use find::{UNKNOWN, file_at};

/// How to begin.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// The cursor; `None`: the moment of the last failure.
    pub at: Option<Seq>,
    /// The file of the content pane.
    pub file: Option<(FileId, TracePath)>,
    /// The filter, which is known to be one.
    pub filter: String,
    /// Marks that were kept.
    pub marks: BTreeMap<char, Seq>,
}

impl App {
    /// The state at the beginning, with what is to be done first.
    #[must_use]
    pub fn new(
        facts: Facts,
        keymap: Arc<Keymap>,
        size: (u16, u16),
        begin: Begin,
    ) -> (Self, Vec<Effect>) {
        let cursor = begin.at.unwrap_or(facts.last_seq);
        let mut app = Self {
            order: Order::all(facts.start.0, facts.last_seq),
            zoom: (Timestamp(0), facts.end),
            facts: Arc::new(facts),
            keymap,
            size,
            mode: Mode::Browse,
            pane: Pane::Events,
            lower: Pane::Tree,
            cursor,
            time: Timestamp(0),
            filtering: Filtering::default(),
            filter_before: String::new(),
            rows: BTreeMap::new(),
            offset: 0,
            pinned: begin.file,
            content: ContentState {
                page: None,
                view: PageView::Inline,
                base: Base::Previous,
                context: 3,
                start: None,
                all: false,
                top: 0,
            },
            tree: TreeState::default(),
            processes: ProcessState::default(),
            density: None,
            drag: None,
            marks: begin.marks,
            play: Play {
                speed: 1.0,
                at: 0.0,
                on: false,
            },
            clock: false,
            notice: None,
            history: None,
            picked: (Vec::new(), 0),
            search: None,
            seeking: None,
            exporting: None,
            next_id: 0,
            asked: Asked::default(),
            quitting: false,
        };
        let mut effects = Vec::new();
        if !begin.filter.is_empty() {
            effects.extend(app.set_filter(&begin.filter));
        }
        app.centre();
        // What is being recorded is followed at its end.
        if begin.at.is_none() && !app.facts.live {
            // Nothing else is asked before it is known where to begin.
            effects.extend(app.seek(true, Sought::Landing, "the last failure"));
        } else {
            app.refresh(&mut effects);
        }
        (app, effects)
    }

    /// Takes an input, and says what is to be done.
    pub fn update(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(input, Input::Act(_) | Input::Edit(_) | Input::Letter(_)) {
            self.notice = None;
        }
        match input {
            Input::Act(action) => self.act(action, &mut effects),
            Input::Edit(edit) => self.edit(edit, &mut effects),
            Input::Letter(letter) => self.letter(letter, &mut effects),
            Input::Mouse(mouse) => self.mouse(mouse, &mut effects),
            Input::Resize(width, height) => self.resize(width, height),
            Input::Tick(passed) => self.tick(passed, &mut effects),
            Input::Answer(answer) => self.answer(*answer, &mut effects),
            Input::Notice(text, is_error) => self.notice = Some(Notice { text, is_error }),
        }
        self.refresh(&mut effects);
        effects
    }

    /// Whether the screen is at its end.
    #[must_use]
    pub const fn is_quitting(&self) -> bool {
        self.quitting
    }

    /// What keys mean at the moment.
    #[must_use]
    pub const fn mode(&self) -> &Mode {
        &self.mode
    }

    /// Whether time passes on the screen, so that ticks are wanted.
    #[must_use]
    pub const fn is_playing(&self) -> bool {
        self.play.on
    }

    /// The event that the screen stands at.
    #[must_use]
    pub const fn cursor(&self) -> Seq {
        self.cursor
    }

    /// This view as a command line.
    #[must_use]
    pub fn command_line(&self) -> String {
        let file = self.pinned.as_ref().map(|(_, path)| path);
        self.facts
            .command_line(self.cursor, file, &self.filtering.text)
    }

    pub(crate) fn layout(&self) -> Option<Layout> {
        Layout::of(self.size, self.pane, self.lower)
    }

    /// Rows of a pane; some even where it is not shown.
    fn height(&self, pane: Pane) -> usize {
        let layout = self.layout().unwrap_or_default();
        usize::from(layout.inner(pane).height).max(1)
    }

    /// The cursor's row keeps its place in the list, in proportion; a screen on which nothing
    /// is drawn moves nothing.
    fn resize(&mut self, width: u16, height: u16) {
        let before = self.layout().map(|_| self.height(Pane::Events));
        self.size = (width, height);
        if self.layout().is_none() {
            return;
        }
        let rows = self.height(Pane::Events);
        let scaled = before.map_or(self.offset, |before| self.offset * rows / before.max(1));
        self.offset = scaled.min(rows.saturating_sub(1));
        self.clamp_tree();
    }

    fn tell(&mut self, text: impl Into<String>) {
        let text = text.into();
        let is_error = false;
        self.notice = Some(Notice { text, is_error });
    }

    fn complain(&mut self, text: impl Into<String>) {
        let text = text.into();
        let is_error = true;
        self.notice = Some(Notice { text, is_error });
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
