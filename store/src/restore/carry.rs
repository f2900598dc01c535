//! A plan carried out: what goes first, then directories, files, further names, and last,
//! deepest first, the attributes of directories.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::found::{look, look_at};
use super::remove::Removing;
use super::vouch::Vouching;
use super::{Decision, LEFTOVER, Options, RestoreError, RestorePlan, RestoreReport, Step, compare};
use crate::export::attrs::{self, Defaults, Refusals};
use crate::export::dirs::{self, Walk};
use crate::export::plan::{Link, Slot, Unit};
use crate::export::write::{Maker, Stop, Written};
use crate::export::{LeftOut, Why, is_fatal};
use crate::meter::Meter;
use crate::model::{FileId, Kind};
use crate::snapshot::Entry;

impl RestorePlan<'_> {
    /// Carries the plan out. What cannot be restored exactly is listed or counted in the
    /// report.
    ///
    /// # Errors
    /// Failures that would hit every further file as well; the restore can be made again.
    pub fn execute(
        &mut self,
        options: &Options<'_>,
        meter: &dyn Meter,
    ) -> Result<RestoreReport, RestoreError> {
        let top = match self.top.take() {
            Some(top) => top,
            None => dirs::open_or_make(&self.to)?.0,
        };
        let session = self.session;
        let defaults = Defaults::probe(&top);
        let job = Job {
            plan: self,
            maker: Maker {
                session,
                defaults,
                supply: options.supply,
            },
            top: &top,
            options,
            meter,
            made: AtomicU64::new(0),
        };
        job.run()
    }
}

struct Job<'a> {
    plan: &'a RestorePlan<'a>,
    maker: Maker<'a>,
    top: &'a OwnedFd,
    options: &'a Options<'a>,
    meter: &'a dyn Meter,
    /// Files made so far, for their names on the way.
    made: AtomicU64,
}

/// What a part of the work led to.
#[derive(Default)]
struct Outcome {
    report: RestoreReport,
    /// Files that are not right, which their further names cannot be linked to, and whose
    /// state is not vouched for.
    failed: HashMap<FileId, Why>,
    /// Files that lack an attribute.
    lacking: Vec<FileId>,
}

impl Outcome {
    fn leave_out(&mut self, entry: &Entry, why: Why) {
        let path = entry.path.clone();
        self.failed.insert(entry.file, why.clone());
        self.report.written.left_out.push(LeftOut { path, why });
    }

    fn merge(&mut self, other: Self) {
        self.report.add(other.report);
        self.failed.extend(other.failed);
        self.lacking.extend(other.lacking);
    }

    /// Counts attributes that could not be set.
    fn refuse(&mut self, entry: &Entry, refused: Refusals) {
        if refused != Refusals::default() {
            self.lacking.push(entry.file);
            self.report.written.refused += refused;
        }
    }
}

impl Job<'_> {
    fn run(&self) -> Result<RestoreReport, RestoreError> {
        let mut outcome = Outcome::default();
        outcome
            .report
            .written
            .left_out
            .clone_from(&self.plan.left_out);
        outcome.report.strangers = self.plan.strangers;
        self.open_up();
        self.remove(&mut outcome)?;
        self.make_dirs(&mut outcome)?;
        outcome.merge(self.fill()?);
        self.link(&mut outcome)?;
        self.finish_dirs(&mut outcome)?;
        let lacking = outcome.lacking.iter().chain(outcome.failed.keys());
        let wrong: HashSet<FileId> = lacking.copied().collect();
        Vouching {
            plan: self.plan,
            top: self.top,
            wrong: &wrong,
        }
        .stamp(&outcome.report);
        outcome.report.written.finish();
        Ok(outcome.report)
    }

    /// A fatal error is passed on, any other is why one entry is left out.
    fn refusal(&self, path: &[u8], error: Errno) -> Result<Why, RestoreError> {
        if is_fatal(error) {
            return Err(self.plan.io(path, error));
        }
        Ok(Why::Refused(std::io::Error::from(error).to_string()))
    }

    /// Directories whose names will change.
    fn touched(&self) -> Vec<bool> {
        let plan = self.plan;
        let mut touched = vec![false; plan.dirs.len()];
        let mut touch = |dir: usize| {
            if let Some(touched) = touched.get_mut(dir) {
                *touched = true;
            }
        };
        for removal in &plan.removals {
            touch(removal.dir);
        }
        let dirs = plan.tree.dirs.iter().copied().zip(&plan.dirs).skip(1);
        let units = plan.tree.units.iter().zip(&plan.units);
        let files = units.flat_map(|(unit, decisions)| unit.slots().zip(decisions));
        let links = plan.tree.links.iter().map(|link| link.further);
        for (slot, decision) in dirs.chain(files).chain(links.zip(&plan.links)) {
            if decision.makes() {
                touch(slot.dir);
            }
        }
        touched
    }

    /// Lets the owner in where names will change; the final modes are set last.
    fn open_up(&self) {
        let mut walk = Walk::new(self.top);
        let touched = self.touched();
        for (slot, touched) in self.plan.tree.dirs.iter().zip(touched) {
            if !touched {
                continue;
            }
            let Ok(dir) = walk.open(&slot.entry.path) else {
                continue;
            };
            if let Ok(found) = look_at(dir)
                && found.mode & 0o700 != 0o700
            {
                // If it is not permitted, what follows says so.
                let _ = rustix::fs::fchmod(dir, Mode::from_raw_mode(found.mode | 0o700));
            }
        }
    }

    fn remove(&self, outcome: &mut Outcome) -> Result<(), RestoreError> {
        let mut walk = Walk::new(self.top);
        let mut removing = Removing {
            spare: self.options.spare,
            removed: 0,
        };
        for removal in &self.plan.removals {
            let dir = walk.open(self.plan.tree.dir_path(removal.dir));
            let done = dir.and_then(|dir| {
                let dev = look_at(dir)?.inode.dev;
                removing.run(dir, dev, &removal.path)
            });
            if let Err(error) = done {
                let path = removal.path.clone();
                let why = self.refusal(&path, error)?;
                outcome.report.written.left_out.push(LeftOut { path, why });
            }
        }
        outcome.report.removed += removing.removed;
        Ok(())
    }

    fn make_dirs(&self, outcome: &mut Outcome) -> Result<(), RestoreError> {
        let mut walk = Walk::new(self.top);
        let dirs = self.plan.tree.dirs.iter().zip(&self.plan.dirs);
        for (slot, decision) in dirs.skip(1) {
            if !decision.makes() {
                continue;
            }
            let parent = walk.open(self.plan.tree.dir_path(slot.dir));
            let made = parent.and_then(|parent| {
                if decision.step == Some(Step::Replace) {
                    rustix::fs::unlinkat(parent, slot.entry.name(), AtFlags::empty())?;
                }
                rustix::fs::mkdirat(parent, slot.entry.name(), Mode::from_raw_mode(0o700))
            });
            if let Err(error) = made {
                let why = self.refusal(&slot.entry.path, error)?;
                outcome.leave_out(slot.entry, why);
            }
        }
        Ok(())
    }

    /// Makes what is not a directory, each node under its first name.
    fn fill(&self) -> Result<Outcome, RestoreError> {
        let empty = || Ok(Outcome::default());
        let units = self.plan.tree.units.par_iter().zip(&self.plan.units);
        units
            .map_init(
                || Walk::new(self.top),
                |walk, (unit, decisions)| self.fill_unit(walk, unit, decisions),
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
        decisions: &[Decision],
    ) -> Result<Outcome, RestoreError> {
        let mut outcome = Outcome::default();
        let dir = walk.open(self.plan.tree.dir_path(unit.dir));
        for (slot, decision) in unit.slots().zip(decisions) {
            let Some(step) = decision.step else { continue };
            let mut refused = Refusals::default();
            let done = match dir {
                Ok(dir) => self.entry(dir, slot.entry, step, &mut refused),
                Err(error) => Err(Stop::Os(error)),
            };
            match done {
                Ok(written) => {
                    outcome.report.count(step);
                    written
                        .into_iter()
                        .for_each(|w| outcome.report.written.count(w));
                }
                Err(Stop::Os(error)) => {
                    let why = self.refusal(&slot.entry.path, error)?;
                    outcome.leave_out(slot.entry, why);
                }
                Err(Stop::Content(error)) => outcome.leave_out(slot.entry, error.into()),
            }
            outcome.refuse(slot.entry, refused);
        }
        self.meter.advance(unit.len());
        Ok(outcome)
    }

    fn entry(
        &self,
        dir: BorrowedFd<'_>,
        entry: &Entry,
        step: Step,
        refused: &mut Refusals,
    ) -> Result<Option<Written>, Stop> {
        match step {
            Step::Create => self.put(dir, entry, refused).map(Some),
            Step::Replace => {
                self.clear(dir, entry)?;
                self.put(dir, entry, refused).map(Some)
            }
            Step::Adjust => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::openat(dir, entry.name(), flags, Mode::empty())?;
                self.adjust(file.as_fd(), entry, refused);
                Ok(None)
            }
            Step::Keep | Step::Remove => Ok(None),
        }
    }

    /// Takes away a directory that is in the way: its content may go, or it would not have
    /// been decided so, and it stays if anything in it is spared.
    fn clear(&self, dir: BorrowedFd<'_>, entry: &Entry) -> Result<(), Errno> {
        let Some(found) = look(dir, entry.name())? else {
            return Ok(());
        };
        if found.kind != Some(Kind::Dir) {
            return Ok(());
        }
        let mut removing = Removing {
            spare: self.options.spare,
            removed: 0,
        };
        let dev = look_at(dir)?.inode.dev;
        removing.run(dir, dev, &entry.path).map(drop)
    }

    /// Makes a node beside its place and moves it there.
    fn put(
        &self,
        dir: BorrowedFd<'_>,
        entry: &Entry,
        refused: &mut Refusals,
    ) -> Result<Written, Stop> {
        let aside = self.name_aside();
        let written = self.maker.make(dir, &aside, entry, refused)?;
        self.settle(dir, &aside, entry.name())?;
        Ok(written)
    }

    fn name_aside(&self) -> Vec<u8> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let suffix = format!("{}-{number}", std::process::id());
        [LEFTOVER, suffix.as_bytes()].concat()
    }

    fn settle(&self, dir: BorrowedFd<'_>, aside: &[u8], name: &[u8]) -> Result<(), Errno> {
        rustix::fs::renameat(dir, aside, dir, name).inspect_err(|_| {
            let _ = rustix::fs::unlinkat(dir, aside, AtFlags::empty());
        })
    }

    fn adjust(&self, fd: BorrowedFd<'_>, entry: &Entry, refused: &mut Refusals) {
        if compare::strip(fd, &entry.state.node).is_err() {
            refused.xattrs += 1;
        }
        attrs::set(fd, entry, &self.maker.defaults, None, refused);
    }

    /// Gives nodes their further names.
    fn link(&self, outcome: &mut Outcome) -> Result<(), RestoreError> {
        let (mut from, mut to) = (Walk::new(self.top), Walk::new(self.top));
        for (link, decision) in self.plan.tree.links.iter().zip(&self.plan.links) {
            let Some(step) = decision.step else { continue };
            let why = match outcome.failed.get(&link.first.entry.file).cloned() {
                Some(why) => Some(why),
                None if !decision.makes() => None,
                None => match self.link_one(&mut from, &mut to, link) {
                    Ok(()) => None,
                    Err(error) => Some(self.refusal(&link.further.entry.path, error)?),
                },
            };
            match why {
                None => {
                    outcome.report.count(step);
                    if decision.makes() {
                        outcome.report.written.count(Written::Link);
                    }
                }
                Some(why) => {
                    let path = link.further.entry.path.clone();
                    outcome.report.written.left_out.push(LeftOut { path, why });
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
        link: &Link<'_>,
    ) -> Result<(), Errno> {
        let old = from.open(self.plan.tree.dir_path(link.first.dir))?;
        let new = to.open(self.plan.tree.dir_path(link.further.dir))?;
        let (first, further) = (link.first.entry.name(), link.further.entry.name());
        self.clear(new, link.further.entry)?;
        let aside = self.name_aside();
        rustix::fs::linkat(old, first, new, aside.as_slice(), AtFlags::empty())?;
        self.settle(new, &aside, further)?;
        // A move between two names of one node leaves both.
        match rustix::fs::unlinkat(new, aside.as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives directories their attributes, those inside before those around them.
    fn finish_dirs(&self, outcome: &mut Outcome) -> Result<(), RestoreError> {
        let mut walk = Walk::new(self.top);
        let touched = self.touched();
        let dirs = self.plan.tree.dirs.iter().zip(&self.plan.dirs).zip(touched);
        for ((slot, decision), touched) in dirs.rev() {
            let Some(step) = decision.step else { continue };
            if outcome.failed.contains_key(&slot.entry.file) {
                continue;
            }
            if step != Step::Keep || touched {
                self.finish_dir(&mut walk, *slot, outcome)?;
            }
            outcome.report.count(step);
            if decision.makes() {
                outcome.report.written.dirs += 1;
            }
            self.meter.advance(1);
        }
        Ok(())
    }

    fn finish_dir(
        &self,
        walk: &mut Walk<'_>,
        slot: Slot<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), RestoreError> {
        match walk.open(&slot.entry.path) {
            Ok(dir) => {
                let mut refused = Refusals::default();
                self.adjust(dir, slot.entry, &mut refused);
                outcome.refuse(slot.entry, refused);
            }
            Err(error) => {
                let why = self.refusal(&slot.entry.path, error)?;
                outcome.leave_out(slot.entry, why);
            }
        }
        Ok(())
    }
}
