//! After a repair: every session is the true one up to where it was cut.

use std::path::Path;

use diffkeeper_store::Store;
use diffkeeper_store::model::{GapReason, Op, SessionId};
use diffkeeper_store::repair::{Cut, repair};

use super::Truth;
use super::facts::{self, Fact, ask};

/// Repairs a trace; the facts that it does not answer then. All others are right.
pub(crate) fn judge(truth: &Truth, state: &Path, how: &str) -> Vec<Fact> {
    let Ok(report) = repair(state) else {
        return truth.facts.keys().copied().collect();
    };
    let how = &format!("{how}, repaired");
    let store = Store::open(state, "test").unwrap_or_else(|error| panic!("{how}: {error}"));
    assert!(store.losses().is_empty(), "{how}: {:?}", store.losses());
    for cut in &report.cut {
        ends_with_its_gap(&store, *cut, how);
    }
    let mut lost = Vec::new();
    for (fact, truth) in &truth.facts {
        let changed = is_changed(*fact, &report.cut);
        match ask(&store, *fact) {
            Ok(found) if !changed => assert_eq!(found, *truth, "{how}: {fact:?} is wrong"),
            _ => lost.push(*fact),
        }
    }
    lost
}

/// Whether a repair says that the fact is not the true one any more.
fn is_changed(fact: Fact, cuts: &[Cut]) -> bool {
    let cut = |number: u32| cuts.iter().find(|cut| cut.session == SessionId(number));
    let after = |number: u32, seq: u64| {
        let kept = |cut: &Cut| cut.kept.is_none_or(|kept| seq > kept.0);
        cut(number).is_some_and(kept)
    };
    match fact {
        // A session is noted once more when its baseline is complete, as its clock starts then.
        Fact::Sessions => cuts.iter().any(|cut| cut.kept.is_none() || !cut.tree),
        Fact::Tree(number, seq) | Fact::Content(number, _, seq) => after(number, seq),
        Fact::End(n) | Fact::Events(n) | Fact::Histogram(n) | Fact::Processes(n) => {
            cut(n).is_some()
        }
    }
}

fn ends_with_its_gap(store: &Store, cut: Cut, how: &str) {
    let (Ok(reader), Some(kept)) = (store.session(Some(cut.session)), cut.kept) else {
        return;
    };
    if let Ok(events) = facts::events(&reader) {
        let last = events.last().unwrap();
        let is_gap = matches!(
            last.op,
            Op::Gap {
                reason: GapReason::Lost,
                ..
            }
        );
        assert!(is_gap && last.seq == kept.next(), "{how}: {last:?}");
    }
}
