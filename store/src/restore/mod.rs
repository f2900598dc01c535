//! Restore: a directory made to be the tree of one instant. Decided first, then carried
//! out.
//!
//! A [`RestorePlan`] says for every name what will happen to it; nothing is touched to
//! make one. Carrying it out, each file is made beside its place and moved there, so that
//! a name shows the old file or the new one and nothing between. A restore that was killed
//! is made again: what it left half-way has a name of its own ([`LEFTOVER`]) and goes.
//! As in an export every name is resolved from the descriptor of the directory, never
//! through a symlink.

mod carry;
mod compare;
mod found;
mod judge;
mod newest;
mod remove;
mod stamps;
mod untouched;
mod vouch;

use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::Mode;
use rustix::io::Errno;

use crate::export::plan::Plan;
use crate::export::write::supplied;
use crate::export::{ExportError, LeftOut, Report, Why, dirs};
use crate::meter::Meter;
use crate::model::{Repr, Seq, TracePath};
use crate::reader::SessionReader;
use crate::snapshot::{Entry, Snapshot};
use crate::supply::Supply;
use found::Inode;
pub use newest::{Fault, Newest, NewestError, newest};
use stamps::Whole;
pub use untouched::untouched;

/// Files that are being made begin with this name until they are moved to their place.
pub const LEFTOVER: &[u8] = b".diffkeeper-restore-";

/// How to restore.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Remove what the snapshot does not hold.
    pub delete: bool,
    /// Paths, relative to the directory, that are left alone whatever the snapshot says:
    /// what a recording leaves out is not known to be absent.
    pub spare: &'a (dyn Fn(&[u8]) -> bool + Sync),
    /// Where contents that were left out of the trace are taken from.
    pub supply: Option<&'a Supply>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("delete", &self.delete)
            .finish_non_exhaustive()
    }
}

/// What happens to one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nothing is there.
    Create,
    /// Something else is there.
    Replace,
    /// The content is right, attributes are not.
    Adjust,
    /// It does not belong there.
    Remove,
    /// It is right as it is.
    Keep,
}

impl Step {
    /// The word users read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Adjust => "adjust",
            Self::Remove => "remove",
            Self::Keep => "keep",
        }
    }
}

/// Why a restore stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something other than a directory is there; a symbolic link is not followed.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The snapshot holds no directory at its top.
    #[error("the trace is damaged: it has no top directory")]
    NoTop,
    /// The filesystem gave up, or would not say what it holds.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl From<ExportError> for RestoreError {
    fn from(error: ExportError) -> Self {
        match error {
            // A restore goes into what is there: no export step reports this to it.
            ExportError::NotEmpty(path) | ExportError::NotADirectory(path) => {
                Self::NotADirectory(path)
            }
            ExportError::NoTop => Self::NoTop,
            ExportError::Io { path, source } => Self::Io { path, source },
        }
    }
}

/// A decided restore.
pub struct RestorePlan<'s> {
    session: &'s SessionReader<'s>,
    to: PathBuf,
    /// `None` while nothing is there.
    top: Option<OwnedFd>,
    tree: Plan<'s>,
    /// For each directory of the tree, in its order.
    dirs: Vec<Decision>,
    /// For each unit of the tree its entries, in their order.
    units: Vec<Vec<Decision>>,
    /// For each further name of the tree, in its order.
    links: Vec<Decision>,
    removals: Vec<Removal>,
    /// Names that the snapshot does not hold and that stay.
    strangers: u64,
    left_out: Vec<LeftOut>,
    /// Which snapshot this is, and what the stamps that were there say of a whole one.
    seq: Seq,
    was_whole: Option<Whole>,
}

/// What was decided about one entry.
#[derive(Clone, Copy)]
struct Decision {
    /// `None`: it is left out.
    step: Option<Step>,
    /// What stands there now.
    inode: Option<Inode>,
    /// Its stamp says that it is right: nothing of it had to be read.
    stamped: bool,
}

impl Decision {
    const fn of(step: Step) -> Self {
        Self {
            step: Some(step),
            inode: None,
            stamped: false,
        }
    }

    const LEFT_OUT: Self = Self {
        step: None,
        inode: None,
        stamped: false,
    };

    /// Whether the name has to lead to another node than it does now.
    const fn makes(self) -> bool {
        matches!(self.step, Some(Step::Create | Step::Replace))
    }
}

/// A name that goes.
struct Removal {
    /// Index of its directory in the tree.
    dir: usize,
    path: TracePath,
}

/// What a restore did, and where it is not exact.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// What was written, what was left out, and which attributes could not be set.
    pub written: Report,
    /// Names that were created.
    pub created: u64,
    /// Names that lead to something else now.
    pub replaced: u64,
    /// Files and directories that got other attributes.
    pub adjusted: u64,
    /// Names that were removed, those below a removed directory included.
    pub removed: u64,
    /// Names that were right.
    pub kept: u64,
    /// Names that the snapshot does not hold and that stayed.
    pub strangers: u64,
}

impl RestoreReport {
    fn count(&mut self, step: Step) {
        let counter = match step {
            Step::Create => &mut self.created,
            Step::Replace => &mut self.replaced,
            Step::Adjust => &mut self.adjusted,
            Step::Remove => &mut self.removed,
            Step::Keep => &mut self.kept,
        };
        *counter += 1;
    }

    fn add(&mut self, other: Self) {
        self.written.add(other.written);
        self.created += other.created;
        self.replaced += other.replaced;
        self.adjusted += other.adjusted;
        self.removed += other.removed;
        self.kept += other.kept;
    }

    /// Whether the directory is now just as it was recorded, strangers apart.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.written.is_exact()
    }
}

impl<'s> RestorePlan<'s> {
    /// Decides what has to be done so that `to`, which need not exist, becomes
    /// `snapshot` of `session`. Reads what is there and changes nothing.
    ///
    /// # Errors
    /// A `to` that is no directory or cannot be read.
    pub fn new(
        session: &'s SessionReader<'s>,
        snapshot: &'s Snapshot,
        to: &Path,
        options: &Options<'_>,
        meter: &dyn Meter,
    ) -> Result<Self, RestoreError> {
        let tree = Plan::new(snapshot, None)?;
        // Without a trailing slash, through which the kernel would follow a symlink.
        let to = to.components().as_path().to_owned();
        let top = existing(&to)?;
        meter.expect(tree.steps());
        judge::decide((session, snapshot.seq()), tree, (to, top), options, meter)
    }

    /// Everything that will happen, in the order of the tree; names that stay last among
    /// equals.
    #[must_use]
    pub fn steps(&self) -> Vec<(Step, &[u8])> {
        let slots = self.tree.dirs.iter().zip(&self.dirs);
        let units = self.tree.units.iter().zip(&self.units);
        let files = units.flat_map(|(unit, decisions)| unit.slots().zip(decisions));
        let links = self.tree.links.iter().zip(&self.links);
        let mut steps: Vec<(Step, &[u8])> = slots
            .map(|(slot, decision)| (slot.entry, decision))
            .chain(files.map(|(slot, decision)| (slot.entry, decision)))
            .chain(links.map(|(link, decision)| (link.further.entry, decision)))
            .filter_map(|(entry, decision)| Some((decision.step?, entry.path.as_slice())))
            .chain(self.removals.iter().map(|gone| (Step::Remove, &*gone.path)))
            .collect();
        steps.sort_by(|(_, a), (_, b)| a.split(|b| *b == b'/').cmp(b.split(|b| *b == b'/')));
        steps
    }

    /// Names that the snapshot does not hold and that will stay.
    #[must_use]
    pub const fn strangers(&self) -> u64 {
        self.strangers
    }

    /// What will not be restored, as far as it is known beforehand.
    #[must_use]
    pub fn left_out(&self, options: &Options<'_>) -> Vec<LeftOut> {
        let units = self.tree.units.iter().zip(&self.units);
        let files = units.flat_map(|(unit, decisions)| unit.slots().zip(decisions));
        let made = files.filter(|(_, decision)| decision.makes());
        let missing = made.filter_map(|(slot, _)| missing(slot.entry, options.supply));
        self.left_out.iter().cloned().chain(missing).collect()
    }

    fn io(&self, path: &[u8], error: Errno) -> RestoreError {
        io(&self.to, path, error)
    }
}

/// A file that cannot be made: its content was not recorded, and nothing supplies it.
fn missing(entry: &Entry, supply: Option<&Supply>) -> Option<LeftOut> {
    let (_, version) = entry.state.version.as_ref()?;
    let Repr::Missing(reason) = version.repr else {
        return None;
    };
    let supplied = supply.and_then(|supply| supplied(supply, entry));
    supplied.is_none().then(|| LeftOut {
        path: entry.path.clone(),
        why: Why::Missing(reason),
    })
}

fn io(to: &Path, path: &[u8], error: Errno) -> RestoreError {
    RestoreError::Io {
        path: dirs::join(to, path),
        source: error.into(),
    }
}

fn existing(to: &Path) -> Result<Option<OwnedFd>, RestoreError> {
    match rustix::fs::open(to, dirs::DIRECTORY, Mode::empty()) {
        Ok(top) => Ok(Some(top)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(RestoreError::NotADirectory(to.to_owned())),
        Err(error) => Err(io(to, &[], error)),
    }
}
