//! A trace that is being recorded: what is new appears, and nothing moves that the user
//! did not move, save a cursor that stands at the end.

use std::sync::Arc;

use diffkeeper_store::model::{Seq, Timestamp};
use diffkeeper_store::when::format_time;

use super::{App, Asked, Effect};
use crate::facts::Facts;

impl App {
    /// The session has grown, or has ended.
    pub(super) fn grown(&mut self, facts: Facts, effects: &mut Vec<Effect>) {
        let program = self.facts.program.clone();
        let new = Arc::new(Facts { program, ..facts });
        let old = std::mem::replace(&mut self.facts, new.clone());
        let follows = self.cursor >= old.last_seq && !self.play.on;
        self.order.reach(new.start.0, new.last_seq);
        if self.zoom == (Timestamp(0), old.end) {
            self.zoom.1 = new.end;
        }
        if self.zoom.1 >= old.end {
            self.asked.density = None;
        }
        if !new.live {
            self.ended(old.live, effects);
        } else if self.filtering.finished && new.last_seq > old.last_seq {
            effects.extend(self.scan_on());
        }
        if follows && new.last_seq > old.last_seq {
            self.follow_to(new.last_seq);
        }
    }

    fn follow_to(&mut self, last: Seq) {
        self.set_cursor(last);
        self.centre();
    }

    /// What the recorder did not answer any more is asked again, of the trace it left.
    fn ended(&mut self, just_now: bool, effects: &mut Vec<Effect>) {
        self.asked = Asked::default();
        self.seeking = None;
        effects.extend(self.scan_on());
        if !just_now {
            return;
        }
        match &self.facts.outcome {
            Some((outcome, _)) => self.tell(format!("the recording has ended: {outcome}")),
            None => self.complain(format!(
                "the recorder died: the trace ends at {} (#{})",
                format_time(self.facts.end),
                self.facts.last_seq.0,
            )),
        }
    }

    /// Nothing is heard of the trace any more.
    pub(super) fn lost_sight(&mut self, why: &str) {
        let facts = Facts::clone(&self.facts);
        let live = false;
        self.facts = Arc::new(Facts { live, ..facts });
        self.complain(format!("the trace is not followed any more: {why}"));
    }
}
