//! What the screen asks the workers, and what they answer: owned values, so that neither
//! waits for the other. An answer names what it is for; one that nobody waits for any more
//! is dropped.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use diffkeeper_store::filter::Filter;
use diffkeeper_store::model::{FileId, OpKind, Process, ProcessId, Seq, Timestamp, TracePath};

use crate::facts::Facts;
use crate::page::{Page, PageAsk};
use crate::sign::Sign;

/// A question. Each kind has a worker of its own, where the newest wins.
#[derive(Clone, Debug)]
pub enum Request {
    /// Rows of the event list.
    Rows(Vec<Seq>),
    /// The content pane.
    Page(PageAsk),
    /// A window of the tree.
    Tree(TreeAsk),
    /// All that changed between two states.
    Changes(Seq, Seq),
    /// The histogram.
    Density(DensityAsk),
    /// The events that a filter takes.
    Scan(ScanAsk),
    /// A place in time.
    Seek(SeekAsk),
    /// The processes with what they did.
    Processes,
    /// Where a text came and went.
    History(HistoryAsk),
    /// Files by parts of their names.
    Pick(PickAsk),
    /// A tree or file written out.
    Export(ExportAsk),
    /// The bytes of a content.
    Fetch(FetchAsk),
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Rows of the event list, in order.
    Rows(Vec<Row>),
    /// The content pane.
    Page(PageAsk, Box<Page>),
    /// A window of the tree.
    Tree(TreeAsk, Tree),
    /// All that changed between two states.
    Changes(Seq, Seq, Arc<Vec<Changed>>),
    /// The histogram.
    Density(DensityAsk, Vec<Column>),
    /// Events that a filter takes, as words of [`crate::matches::Matches::add`].
    Matches {
        /// That of the question.
        id: u64,
        /// The first word.
        first: usize,
        /// The words.
        words: Vec<u64>,
        /// Events that have been asked about.
        done: u64,
        /// Whether that is all.
        finished: bool,
        /// Contents that could not be searched.
        unsearched: u64,
    },
    /// A place in time; none if there is none.
    Found(SeekAsk, Option<Seq>),
    /// The processes.
    Processes(Census),
    /// Where a text came and went.
    History(History),
    /// Files, the best first; and how many there are to choose from.
    Picked(PickAsk, Vec<TracePath>, usize),
    /// What became of an export, and the command that would do it again.
    Exported(Result<String, String>),
    /// The bytes, or why there are none.
    Fetched(FetchAsk, Result<Vec<u8>, String>),
    /// A trace that is being recorded has grown, or has come to its end; or why nothing is
    /// heard of it any more.
    Grown(Result<Box<Facts>, String>),
    /// Something went wrong with a question; one line.
    Failed(String),
}

/// An event as the list shows it; all texts are harmless.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub seq: Seq,
    /// When.
    pub time: Timestamp,
    /// How it is marked.
    pub sign: Sign,
    /// What happened.
    pub kind: OpKind,
    /// Paths and details.
    pub text: String,
    /// `comm[pid]`, or nothing.
    pub who: String,
    /// The file.
    pub file: Option<FileId>,
    /// The process.
    pub process: Option<ProcessId>,
    /// The process as filters name it.
    pub actor: Option<Actor>,
    /// `?` for observed, `r` for redacted, `x` for unknown contents, else a space.
    pub known: char,
}

/// A process as filters name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub comm: Vec<u8>,
    /// The path of its program.
    pub exe: Vec<u8>,
}

impl Actor {
    /// Of a recorded process.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        Self {
            pid: process.pid,
            comm: process.comm.clone(),
            exe: process.exe.clone(),
        }
    }
}

/// A window of the tree at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeAsk {
    /// The state.
    pub at: Seq,
    /// The state that marks tell the difference to.
    pub base: Seq,
    /// Directories that are open.
    pub open: BTreeSet<TracePath>,
    /// First row.
    pub first: usize,
    /// Most rows.
    pub rows: usize,
}

/// A window of the tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// All rows there are.
    pub total: usize,
    /// Those of the window.
    pub nodes: Vec<TreeNode>,
}

/// A row of the tree.
#[derive(Clone, Debug)]
pub struct TreeNode {
    /// The path.
    pub path: TracePath,
    /// The last name, harmless; with the target of a link.
    pub name: String,
    /// Directories above.
    pub depth: usize,
    /// The file.
    pub file: FileId,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// `A M D R T m`, or a space.
    pub mark: char,
}

/// A change between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// `A M D R T m`.
    pub mark: char,
    /// The path; the new one of a rename.
    pub path: TracePath,
    /// The file.
    pub file: FileId,
}

/// Columns of the histogram over a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DensityAsk {
    /// First instant.
    pub from: Timestamp,
    /// Last instant.
    pub to: Timestamp,
    /// How many columns.
    pub columns: u16,
}

/// A column of the histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Events, gaps not included.
    pub events: u64,
    /// Which kind of event stands out.
    pub kind: Option<OpKind>,
    /// Gaps.
    pub gaps: u64,
    /// How processes ended here.
    pub exits: Exits,
}

/// How processes ended in a stretch of time; what is told before the rest comes last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exits {
    /// None did.
    #[default]
    None,
    /// All well.
    Well,
    /// It is not read yet how.
    Unread,
    /// One failed at least.
    Failed,
}

/// The events that a filter takes.
#[derive(Clone, Debug)]
pub struct ScanAsk {
    /// Tells the answers of one question from those of another.
    pub id: u64,
    /// The filter.
    pub filter: Arc<Filter>,
    /// The first event that is asked about.
    pub from: Seq,
    /// Where to begin.
    pub near: Seq,
    /// Contents before `from` that could not be searched.
    pub unsearched: u64,
}

/// A place in time that is looked for.
#[derive(Clone, Debug)]
pub struct SeekAsk {
    /// Tells the answers of one question from those of another.
    pub id: u64,
    /// From this event on, itself not included.
    pub from: Seq,
    /// To later events, or to earlier ones.
    pub forward: bool,
    /// What.
    pub what: Sought,
    /// Only among the events that this filter takes.
    pub within: Option<Arc<Filter>>,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub enum Sought {
    /// An event that a filter takes.
    Match(Arc<Filter>),
    /// A gap, or a process that failed.
    Trouble,
    /// A version of a file.
    Version(FileId),
    /// The last event at or before a time.
    Time(Timestamp),
    /// The moment that the first screen shows.
    Landing,
}

/// The processes of a session.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// A line each, children below their parents.
    pub lines: Vec<ProcessLine>,
    /// Events counted so far, of all.
    pub counted: (u64, u64),
    /// Changes by unknown processes.
    pub unattributed: u64,
    /// Processes that are not shown, there being too many.
    pub more: usize,
}

/// A process.
#[derive(Clone, Debug)]
pub struct ProcessLine {
    /// Which.
    pub id: ProcessId,
    /// The strokes of the tree with `comm[pid]`.
    pub name: String,
    /// As filters name it.
    pub actor: Actor,
    /// When it began.
    pub start: Timestamp,
    /// When it ended, if there is an event of it.
    pub end: Option<Timestamp>,
    /// How it ended.
    pub exit: String,
    /// Whether that was a failure.
    pub failed: bool,
    /// What it wrote.
    pub wrote: String,
    /// Its command line.
    pub command: String,
}

/// A text that is looked for in all contents.
#[derive(Clone, Debug)]
pub struct HistoryAsk {
    /// Tells the answers of one question from those of another.
    pub id: u64,
    /// The text.
    pub text: String,
}

/// Where a text came and went.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// That of the question.
    pub id: u64,
    /// The text.
    pub text: String,
    /// In order of time.
    pub hits: Vec<Hit>,
    /// Events done, of all.
    pub done: (u64, u64),
    /// Contents that could not be searched.
    pub unsearched: u64,
    /// Whether hits were left out, there being too many.
    pub cut: bool,
    /// Whether that is all.
    pub finished: bool,
}

/// A text appears in a file, or is no longer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// After which event; the baseline for what was there from the start.
    pub seq: Seq,
    /// Its time.
    pub time: Timestamp,
    /// The file.
    pub file: FileId,
    /// Its path, or the name of a stream.
    pub path: TracePath,
    /// Whether it appears.
    pub appears: bool,
}

/// Files by parts of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickAsk {
    /// The state.
    pub at: Seq,
    /// What was typed.
    pub text: String,
}

/// A tree or file to be written out.
#[derive(Clone, Debug)]
pub struct ExportAsk {
    /// The state.
    pub at: Seq,
    /// Only this file.
    pub path: Option<TracePath>,
    /// Where to.
    pub out: PathBuf,
}

/// Bytes that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchAsk {
    /// The file.
    pub path: TracePath,
    /// Which.
    pub file: FileId,
    /// The state.
    pub at: Seq,
    /// The state to compare with; `None` for the version before.
    pub base: Option<Seq>,
    /// What for.
    pub purpose: Purpose,
}

/// What bytes are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The clipboard: the content.
    CopyContent,
    /// The clipboard: the diff.
    CopyDiff,
    /// A file that `$PAGER` opens.
    Pager,
    /// A file that `$EDITOR` opens.
    Editor,
    /// Two files that a difftool opens.
    Difftool,
}
