//! Export: a snapshot written out as a real tree, exactly, or with a list of what is not.
//!
//! The order of the work keeps a hostile trace inside `out`: directories are made first,
//! open to nobody else (0700), then files, symlinks and other nodes are created in them
//! (never opened if they exist), then further names are linked, and last, deepest first,
//! directories get their attributes. Every name is resolved one component at a time from
//! the descriptor of `out`, never through a symlink.

pub(crate) mod attrs;
pub(crate) mod dirs;
pub(crate) mod plan;
mod report;
pub(crate) mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use globset::GlobSet;
use rayon::prelude::*;
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use crate::meter::Meter;
use crate::model::FileId;
use crate::reader::SessionReader;
use crate::snapshot::Snapshot;
use crate::supply::Supply;
use attrs::{Defaults, Refusals};
use dirs::Walk;
use plan::{Plan, Slot, Unit};
pub use report::{LeftOut, Report, Why};
use write::{Maker, Written};

/// What to export.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only entries that match or lie below a directory that does, and the directories
    /// above them. Matched against the path from the top, without a leading `/`.
    pub paths: Option<GlobSet>,
    /// Where contents that were left out of the trace are taken from.
    pub supply: Option<Supply>,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something is there already, and nothing is ever overwritten.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// Something other than a directory is there; a symbolic link is not followed.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The snapshot holds no directory at its top.
    #[error("the trace is damaged: it has no top directory")]
    NoTop,
    /// The filesystem gave up (full, read-only, out of descriptors).
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes `snapshot` of `session` to `out`, which must be absent or an empty directory.
///
/// Whatever cannot be written exactly is listed or counted in the report.
///
/// # Errors
/// An `out` that is neither absent nor an empty directory, and failures that would hit
/// every further file as well; what was written until then stays.
pub fn export(
    session: &SessionReader<'_>,
    snapshot: &Snapshot,
    out: &Path,
    options: &Options,
    meter: &dyn Meter,
) -> Result<Report, ExportError> {
    let plan = Plan::new(snapshot, options.paths.as_ref())?;
    let top = dirs::open_top(out)?;
    let defaults = Defaults::probe(&top);
    let job = Job {
        maker: Maker {
            session,
            defaults,
            supply: options.supply.as_ref(),
        },
        plan: &plan,
        out,
        top,
        meter,
    };
    meter.expect(plan.steps());
    let mut outcome = Outcome::new(plan.left_out.clone());
    let made = job.make_dirs(&mut outcome)?;
    outcome.merge(job.fill(&made)?);
    job.link(&made, &mut outcome)?;
    job.finish_dirs(&made, &mut outcome)?;
    outcome.report.finish();
    Ok(outcome.report)
}

/// Everything the steps share.
struct Job<'a> {
    maker: Maker<'a>,
    plan: &'a Plan<'a>,
    out: &'a Path,
    top: rustix::fd::OwnedFd,
    meter: &'a dyn Meter,
}

/// What a part of the work led to.
struct Outcome {
    report: Report,
    /// Files that were not written, which their further names cannot be linked to.
    failed: HashMap<FileId, Why>,
}

impl Outcome {
    fn new(left_out: Vec<LeftOut>) -> Self {
        let report = Report {
            left_out,
            ..Report::default()
        };
        let failed = HashMap::new();
        Self { report, failed }
    }

    fn leave_out(&mut self, slot: Slot<'_>, why: Why) {
        let path = slot.entry.path.clone();
        self.failed.insert(slot.entry.file, why.clone());
        self.report.left_out.push(LeftOut { path, why });
    }

    fn merge(&mut self, other: Self) {
        self.report.add(other.report);
        self.failed.extend(other.failed);
    }
}

/// Failures that would meet every further file as well.
pub(crate) const fn is_fatal(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOSPC
            | Errno::DQUOT
            | Errno::IO
            | Errno::ROFS
            | Errno::NOMEM
            | Errno::MFILE
            | Errno::NFILE
    )
}

impl Job<'_> {
    /// A fatal error is passed on, any other is why one entry is left out.
    fn refusal(&self, path: &[u8], error: Errno) -> Result<Why, ExportError> {
        if is_fatal(error) {
            return Err(ExportError::Io {
                path: dirs::join(self.out, path),
                source: error.into(),
            });
        }
        Ok(Why::Refused(std::io::Error::from(error).to_string()))
    }

    /// Makes every directory; tells which there are.
    fn make_dirs(&self, outcome: &mut Outcome) -> Result<Vec<bool>, ExportError> {
        let mut walk = Walk::new(&self.top);
        let mut made = vec![true];
        for slot in self.plan.dirs.iter().skip(1) {
            let parent_made = made.get(slot.dir).copied().unwrap_or(false);
            let result = if parent_made {
                let parent = walk.open(self.plan.dir_path(slot.dir));
                parent.and_then(|fd| {
                    rustix::fs::mkdirat(fd, slot.entry.name(), Mode::from_raw_mode(0o700))
                })
            } else {
                Err(Errno::NOENT)
            };
            made.push(result.is_ok());
            if let Err(error) = result {
                let why = self.refusal(&slot.entry.path, error)?;
                outcome.leave_out(*slot, why);
            }
        }
        Ok(made)
    }

    /// Creates everything that is not a directory, each node under its first name.
    fn fill(&self, made: &[bool]) -> Result<Outcome, ExportError> {
        let empty = || Ok(Outcome::new(Vec::new()));
        self.plan
            .units
            .par_iter()
            .map_init(
                || Walk::new(&self.top),
                |walk, unit| self.fill_unit(walk, unit, made),
            )
            .reduce(empty, |a, b| {
                let mut all = a?;
                all.merge(b?);
                Ok(all)
            })
    }

    fn fill_unit(
        &self,
        walk: &mut Walk<'_>,
        unit: &Unit<'_>,
        made: &[bool],
    ) -> Result<Outcome, ExportError> {
        let mut outcome = Outcome::new(Vec::new());
        let open = if made.get(unit.dir).copied().unwrap_or(false) {
            walk.open(self.plan.dir_path(unit.dir))
        } else {
            Err(Errno::NOENT)
        };
        let mut refused = Refusals::default();
        for slot in unit.slots() {
            let result = match open {
                Ok(dir) => {
                    let name = slot.entry.name();
                    self.maker.make(dir, name, slot.entry, &mut refused)
                }
                Err(error) => Err(write::Stop::Os(error)),
            };
            match result {
                Ok(written) => outcome.report.count(written),
                Err(write::Stop::Os(error)) => {
                    let why = self.refusal(&slot.entry.path, error)?;
                    outcome.leave_out(slot, why);
                }
                Err(write::Stop::Content(error)) => outcome.leave_out(slot, error.into()),
            }
        }
        outcome.report.refused += refused;
        self.meter.advance(unit.len());
        Ok(outcome)
    }

    /// Gives nodes their further names.
    fn link(&self, made: &[bool], outcome: &mut Outcome) -> Result<(), ExportError> {
        let (mut from, mut to) = (Walk::new(&self.top), Walk::new(&self.top));
        for link in &self.plan.links {
            let why = outcome.failed.get(&link.first.entry.file).cloned();
            let parent_made = made.get(link.further.dir).copied().unwrap_or(false);
            let why = match why {
                Some(why) => Some(why),
                None if parent_made => match self.link_one(&mut from, &mut to, link) {
                    Ok(()) => None,
                    Err(error) => Some(self.refusal(&link.further.entry.path, error)?),
                },
                None => Some(self.refusal(&link.further.entry.path, Errno::NOENT)?),
            };
            match why {
                None => outcome.report.count(Written::Link),
                Some(why) => {
                    let path = link.further.entry.path.clone();
                    outcome.report.left_out.push(LeftOut { path, why });
                }
            }
            self.meter.advance(1);
        }
        Ok(())
    }

    fn link_one(
        &self,
        from: &mut Walk<'_>,
        to: &mut Walk<'_>,
        link: &plan::Link<'_>,
    ) -> Result<(), Errno> {
        let old = from.open(self.plan.dir_path(link.first.dir))?;
        let new = to.open(self.plan.dir_path(link.further.dir))?;
        let names = (link.first.entry.name(), link.further.entry.name());
        rustix::fs::linkat(old, names.0, new, names.1, AtFlags::empty())
    }

    /// Gives directories their attributes, those inside before those around them.
    fn finish_dirs(&self, made: &[bool], outcome: &mut Outcome) -> Result<(), ExportError> {
        let mut walk = Walk::new(&self.top);
        let mut refused = Refusals::default();
        for (slot, made) in self.plan.dirs.iter().zip(made).rev() {
            if *made {
                let dir = walk.open(&slot.entry.path);
                match dir {
                    Ok(dir) => {
                        attrs::set(dir, slot.entry, &self.maker.defaults, None, &mut refused)
                    }
                    Err(error) => {
                        let why = self.refusal(&slot.entry.path, error)?;
                        outcome.leave_out(*slot, why);
                    }
                }
                outcome.report.dirs += 1;
            }
            self.meter.advance(1);
        }
        outcome.report.refused += refused;
        Ok(())
    }
}
