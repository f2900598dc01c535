//! After a restore: stamps for what is right now.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use rustix::fd::OwnedFd;

use super::found::{Found, look, look_at};
use super::stamps::{self, Stamps, Whole};
use super::{RestorePlan, RestoreReport, compare};
use crate::export::dirs::Walk;
use crate::export::plan::{Slot, Unit};
use crate::model::{FileId, Kind, UnixTime};
use crate::snapshot::Entry;

pub(super) struct Vouching<'a> {
    pub(super) plan: &'a RestorePlan<'a>,
    pub(super) top: &'a OwnedFd,
    /// Files that are not right.
    pub(super) wrong: &'a HashSet<FileId>,
}

impl Vouching<'_> {
    /// Keeps stamps of all that is right, unless they are there already.
    pub(super) fn stamp(&self, report: &RestoreReport) {
        let plan = self.plan;
        let all = plan.dirs.iter().chain(plan.units.iter().flatten());
        let nodes = all.clone().count();
        let whole = self.whole(report, nodes);
        if all.into_iter().all(|decision| decision.stamped) && plan.was_whole == whole {
            return;
        }
        let now = now();
        let mut stamps = self.dirs(now);
        let of_files: Vec<Stamps> = plan
            .tree
            .units
            .par_iter()
            .map_init(
                || Walk::new(self.top),
                |walk, unit| self.unit(walk, unit, now),
            )
            .collect();
        of_files.into_iter().for_each(|more| stamps.extend(more));
        stamps.declare(whole.filter(|_| stamps.len() == nodes));
        let Some(dir) = plan.session.store.state_dir() else {
            return;
        };
        let path = stamps::path(dir);
        if let Err(error) = stamps.save(&path) {
            tracing::debug!(?path, %error, "cannot keep the stamps of a restore");
        }
    }

    /// What to say of the tree once all of its `nodes` have stamps.
    fn whole(&self, report: &RestoreReport, nodes: usize) -> Option<Whole> {
        let exact = report.is_exact() && report.strangers == 0;
        exact.then(|| Whole {
            session: self.plan.session.id(),
            seq: self.plan.seq,
            names: (nodes + self.plan.links.len()) as u64,
        })
    }

    fn is_right(&self, slot: &Slot<'_>) -> bool {
        !self.wrong.contains(&slot.entry.file)
    }

    fn dirs(&self, now: UnixTime) -> Stamps {
        let mut stamps = Stamps::default();
        let mut walk = Walk::new(self.top);
        for slot in self
            .plan
            .tree
            .dirs
            .iter()
            .filter(|slot| self.is_right(slot))
        {
            if let Ok(found) = walk.open(&slot.entry.path).and_then(look_at)
                && compare::same_stat(slot.entry, &found)
            {
                stamps.add(&found, slot.entry, now);
            }
        }
        stamps
    }

    fn unit(&self, walk: &mut Walk<'_>, unit: &Unit<'_>, now: UnixTime) -> Stamps {
        let mut stamps = Stamps::default();
        let Ok(dir) = walk.open(self.plan.tree.dir_path(unit.dir)) else {
            return stamps;
        };
        for slot in unit.slots().filter(|slot| self.is_right(slot)) {
            if let Ok(Some(found)) = look(dir, slot.entry.name())
                && still_is(slot.entry, &found)
            {
                stamps.add(&found, slot.entry, now);
            }
        }
        stamps
    }
}

/// Whether a node that was made or compared just now has not been touched since: its
/// times are still those that were set.
fn still_is(entry: &Entry, found: &Found) -> bool {
    let kind = entry.state.node.kind;
    found.kind == Some(kind)
        && match kind {
            Kind::Symlink => compare::same_but_mode(entry, found),
            Kind::File => {
                found.size == compare::recorded_length(entry) && compare::same_stat(entry, found)
            }
            _ => compare::same_stat(entry, found),
        }
}

fn now() -> UnixTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(UnixTime::default(), |since| UnixTime {
        sec: i64::try_from(since.as_secs()).unwrap_or(0),
        nsec: since.subsec_nanos(),
    })
}
