//! The decisions: what is there against what was recorded, name by name. Changes nothing.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use rayon::prelude::*;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

use super::compare::{self, Sameness};
use super::found::{Found, Inode, look, look_at};
use super::remove::names;
use super::stamps::{self, Stamps};
use super::{Decision, LEFTOVER, Options, Removal, RestoreError, RestorePlan, Step, io};
use crate::export::dirs::Walk;
use crate::export::plan::{Link, Plan, Slot, Unit};
use crate::export::{LeftOut, Why};
use crate::mask::is_masked;
use crate::meter::Meter;
use crate::model::{FileId, Kind, Seq};
use crate::reader::SessionReader;

/// Decides about everything.
pub(super) fn decide<'s>(
    (session, seq): (&'s SessionReader<'s>, Seq),
    tree: Plan<'s>,
    (to, top): (PathBuf, Option<OwnedFd>),
    options: &Options<'_>,
    meter: &dyn Meter,
) -> Result<RestorePlan<'s>, RestoreError> {
    let stamps = session.store.state_dir().map(stamps::path);
    let stamps = stamps.map_or_else(Stamps::default, |path| Stamps::load(&path));
    let was_whole = stamps.whole();
    let mut judge = Judge {
        session,
        tree: &tree,
        to: &to,
        top: top.as_ref(),
        options,
        meter,
        stamps,
        dirs: Vec::with_capacity(tree.dirs.len()),
        left_out: tree.left_out.clone(),
        removals: Vec::new(),
        strangers: 0,
    };
    judge.judge_dirs()?;
    let mut units = judge.judge_units()?;
    judge.share_no_inode(&mut units);
    let links = judge.judge_links(&units)?;
    judge.find_strangers()?;
    let Judge {
        dirs,
        left_out,
        removals,
        strangers,
        ..
    } = judge;
    Ok(RestorePlan {
        session,
        to,
        top,
        tree,
        dirs,
        units,
        links,
        removals,
        strangers,
        left_out,
        seq,
        was_whole,
    })
}

struct Judge<'a, 's> {
    session: &'s SessionReader<'s>,
    tree: &'a Plan<'s>,
    to: &'a PathBuf,
    top: Option<&'a OwnedFd>,
    options: &'a Options<'a>,
    meter: &'a dyn Meter,
    stamps: Stamps,
    /// Decided so far.
    dirs: Vec<Decision>,
    left_out: Vec<LeftOut>,
    removals: Vec<Removal>,
    strangers: u64,
}

/// Decisions about one unit, and what they leave out.
type Judged = (Vec<Decision>, Vec<LeftOut>);

impl Judge<'_, '_> {
    fn fault(&self, path: &[u8]) -> impl Fn(Errno) -> RestoreError {
        let (to, path) = (self.to.clone(), path.to_vec());
        move |error| io(&to, &path, error)
    }

    fn dir(&self, index: usize) -> Decision {
        self.dirs.get(index).copied().unwrap_or(Decision::LEFT_OUT)
    }

    /// What can be said of an entry without looking; `None` if it has to be looked at.
    fn foregone(&self, slot: Slot<'_>) -> Option<Result<Decision, Why>> {
        let parent = self.dir(slot.dir);
        if slot.entry.is_masked() {
            // Nothing that is there is replaced by what is known to be something else.
            return Some(Err(Why::Masked));
        }
        if (self.options.spare)(&slot.entry.path) {
            let why = "it lies where nothing is restored";
            return Some(Err(Why::Refused(why.into())));
        }
        match parent.step {
            None => Some(Err(Why::Refused("its directory is left out".into()))),
            Some(Step::Create | Step::Replace) => Some(Ok(Decision::of(Step::Create))),
            Some(_) => None,
        }
    }

    fn judge_dirs(&mut self) -> Result<(), RestoreError> {
        let Some(top) = self.top else {
            // Below nothing there is nothing.
            self.dirs.push(Decision::of(Step::Create));
            for slot in self.tree.dirs.iter().skip(1) {
                let foregone = self.foregone(*slot);
                self.add_dir(*slot, foregone.unwrap_or(Ok(Decision::LEFT_OUT)));
            }
            return Ok(());
        };
        let mut walk = Walk::new(top);
        for (index, slot) in self.tree.dirs.iter().enumerate() {
            let decided = match self.foregone(*slot).filter(|_| index > 0) {
                Some(foregone) => foregone,
                None => {
                    let fault = self.fault(&slot.entry.path);
                    self.judge_dir(&mut walk, index, *slot).map_err(fault)?
                }
            };
            self.add_dir(*slot, decided);
        }
        self.meter.advance(self.tree.dirs.len() as u64);
        Ok(())
    }

    fn add_dir(&mut self, slot: Slot<'_>, decided: Result<Decision, Why>) {
        self.dirs.push(decided.unwrap_or_else(|why| {
            let path = slot.entry.path.clone();
            self.left_out.push(LeftOut { path, why });
            Decision::LEFT_OUT
        }));
    }

    fn judge_dir(
        &self,
        walk: &mut Walk<'_>,
        index: usize,
        slot: Slot<'_>,
    ) -> Result<Result<Decision, Why>, Errno> {
        if index > 0 {
            let parent = walk.open(self.tree.dir_path(slot.dir))?;
            match look(parent, slot.entry.name())? {
                None => return Ok(Ok(Decision::of(Step::Create))),
                Some(found) if found.kind == Some(Kind::Dir) => {}
                Some(_) => return Ok(Ok(Decision::of(Step::Replace))),
            }
        }
        let fd = walk.open(&slot.entry.path)?;
        let found = look_at(fd)?;
        let stamped = self.stamps.vouch_for(&found, slot.entry);
        let same = stamped || compare::attributes(fd, slot.entry, &found)? == Sameness::Same;
        Ok(Ok(Decision {
            step: Some(if same { Step::Keep } else { Step::Adjust }),
            inode: Some(found.inode),
            stamped,
        }))
    }

    fn judge_units(&mut self) -> Result<Vec<Vec<Decision>>, RestoreError> {
        let this = &*self;
        let judged: Result<Vec<Judged>, RestoreError> = this
            .tree
            .units
            .par_iter()
            .map_init(
                || this.top.map(Walk::new),
                |walk, unit| this.judge_unit(walk.as_mut(), unit),
            )
            .collect();
        let mut units = Vec::with_capacity(self.tree.units.len());
        for (decisions, left_out) in judged? {
            units.push(decisions);
            self.left_out.extend(left_out);
        }
        Ok(units)
    }

    fn judge_unit(
        &self,
        walk: Option<&mut Walk<'_>>,
        unit: &Unit<'_>,
    ) -> Result<Judged, RestoreError> {
        let looked_at = matches!(
            self.dir(unit.dir).step,
            Some(Step::Keep | Step::Adjust | Step::Remove)
        );
        let path = self.tree.dir_path(unit.dir);
        let dir = match walk.filter(|_| looked_at) {
            Some(walk) => Some(walk.open(path).map_err(self.fault(path))?),
            None => None,
        };
        let (mut decisions, mut left_out) = (Vec::new(), Vec::new());
        for slot in unit.slots() {
            let decided = match (self.foregone(slot), dir) {
                (Some(foregone), _) => foregone,
                (None, Some(dir)) => {
                    let fault = self.fault(&slot.entry.path);
                    self.judge_entry(dir, slot).map_err(fault)?
                }
                (None, None) => Ok(Decision::of(Step::Create)),
            };
            decisions.push(decided.unwrap_or_else(|why| {
                let path = slot.entry.path.clone();
                left_out.push(LeftOut { path, why });
                Decision::LEFT_OUT
            }));
        }
        self.meter.advance(unit.len());
        Ok((decisions, left_out))
    }

    fn judge_entry(
        &self,
        dir: BorrowedFd<'_>,
        slot: Slot<'_>,
    ) -> Result<Result<Decision, Why>, Errno> {
        let Some(found) = look(dir, slot.entry.name())? else {
            return Ok(Ok(Decision::of(Step::Create)));
        };
        if found.kind != Some(slot.entry.state.node.kind) {
            return Ok(self
                .in_the_way(&found)
                .map(|()| Decision::of(Step::Replace)));
        }
        if self.stamps.vouch_for(&found, slot.entry) {
            return Ok(Ok(Decision {
                step: Some(Step::Keep),
                inode: Some(found.inode),
                stamped: true,
            }));
        }
        let same = compare::node(self.session, dir, slot.entry, &found)?;
        let step = match same {
            Sameness::Same => Step::Keep,
            // Attributes are those of all names, also of such as lie elsewhere.
            Sameness::Attributes if found.links as usize == links_of(slot) => Step::Adjust,
            Sameness::Attributes | Sameness::Other => Step::Replace,
        };
        Ok(Ok(Decision {
            step: Some(step),
            inode: Some(found.inode),
            stamped: false,
        }))
    }

    /// A directory with what it holds is only taken away where that is asked for.
    fn in_the_way(&self, found: &Found) -> Result<(), Why> {
        if found.kind == Some(Kind::Dir) && !self.options.delete {
            let why = "a directory is in its place, which --delete would remove";
            return Err(Why::Refused(why.into()));
        }
        Ok(())
    }

    /// Two files that were apart and share an inode now are taken apart.
    fn share_no_inode(&self, units: &mut [Vec<Decision>]) {
        let mut taken: HashMap<Inode, FileId> = HashMap::new();
        for (unit, decisions) in self.tree.units.iter().zip(units) {
            for (slot, decision) in unit.slots().zip(decisions) {
                let (Some(Step::Keep | Step::Adjust), Some(inode)) =
                    (decision.step, decision.inode)
                else {
                    continue;
                };
                if *taken.entry(inode).or_insert(slot.entry.file) != slot.entry.file {
                    decision.step = Some(Step::Replace);
                }
            }
        }
    }

    fn judge_links(&mut self, units: &[Vec<Decision>]) -> Result<Vec<Decision>, RestoreError> {
        let firsts: HashMap<FileId, Decision> = self
            .tree
            .units
            .iter()
            .zip(units)
            .flat_map(|(unit, decisions)| unit.slots().zip(decisions))
            .map(|(slot, decision)| (slot.entry.file, *decision))
            .collect();
        let mut walk = self.top.map(Walk::new);
        let mut decisions = Vec::with_capacity(self.tree.links.len());
        for link in &self.tree.links {
            let decided = match self.foregone(link.further) {
                Some(foregone) => foregone,
                None => match walk.as_mut() {
                    Some(walk) => {
                        let first = firsts.get(&link.first.entry.file).copied();
                        let fault = self.fault(&link.further.entry.path);
                        self.judge_link(walk, link, first).map_err(fault)?
                    }
                    None => Ok(Decision::of(Step::Create)),
                },
            };
            let path = &link.further.entry.path;
            decisions.push(decided.unwrap_or_else(|why| {
                let path = path.clone();
                self.left_out.push(LeftOut { path, why });
                Decision::LEFT_OUT
            }));
        }
        self.meter.advance(self.tree.links.len() as u64);
        Ok(decisions)
    }

    fn judge_link(
        &self,
        walk: &mut Walk<'_>,
        link: &Link<'_>,
        first: Option<Decision>,
    ) -> Result<Result<Decision, Why>, Errno> {
        let dir = walk.open(self.tree.dir_path(link.further.dir))?;
        let Some(found) = look(dir, link.further.entry.name())? else {
            return Ok(Ok(Decision::of(Step::Create)));
        };
        let first = first.filter(|first| !first.makes());
        if first.and_then(|first| first.inode) == Some(found.inode) {
            return Ok(Ok(Decision::of(Step::Keep)));
        }
        Ok(self
            .in_the_way(&found)
            .map(|()| Decision::of(Step::Replace)))
    }

    /// Names that the snapshot does not hold.
    fn find_strangers(&mut self) -> Result<(), RestoreError> {
        let Some(top) = self.top else { return Ok(()) };
        let known = known_names(self.tree);
        let masked: HashSet<(usize, usize)> = known
            .iter()
            .filter(|(_, name)| is_masked(name))
            .map(|(dir, name)| (*dir, name.len()))
            .collect();
        let mut walk = Walk::new(top);
        for (index, slot) in self.tree.dirs.iter().enumerate() {
            if !matches!(self.dir(index).step, Some(Step::Keep | Step::Adjust)) {
                continue;
            }
            let path = &slot.entry.path;
            let listed = walk.open(path).and_then(names);
            for name in listed.map_err(self.fault(path))? {
                let is_known = known.contains(&(index, name.as_slice()));
                if !is_known && masked.contains(&(index, name.len())) {
                    // It may be the one whose name is masked.
                    self.strangers += 1;
                } else if !is_known {
                    self.stranger(index, path, &name);
                }
            }
        }
        Ok(())
    }

    fn stranger(&mut self, dir: usize, above: &[u8], name: &[u8]) {
        let path = match above {
            [] => name.to_vec(),
            above => [above, b"/", name].concat(),
        };
        if name.starts_with(LEFTOVER) {
            self.removals.push(Removal { dir, path });
        } else if (self.options.spare)(&path) {
            // Not recorded, so not known to be absent.
        } else if self.options.delete {
            self.removals.push(Removal { dir, path });
        } else {
            self.strangers += 1;
        }
    }
}

fn known_names<'a>(tree: &'a Plan<'_>) -> HashSet<(usize, &'a [u8])> {
    let dirs = tree.dirs.iter().skip(1).copied();
    let files = tree.units.iter().flat_map(Unit::slots);
    let links = tree.links.iter().map(|link| link.further);
    let all = dirs.chain(files).chain(links);
    all.map(|slot| (slot.dir, slot.entry.name())).collect()
}

/// How many names a node had.
fn links_of(slot: Slot<'_>) -> usize {
    slot.entry.state.node.links.len()
}
