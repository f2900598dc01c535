//! Sets of byte ranges: which parts of a file some writes have reached.

/// Ascending ranges (first byte, end) with space between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Every byte there can be.
    pub(super) fn all() -> Self {
        Self(vec![(0, u64::MAX)])
    }

    /// Adds a range. Ranges with at most `join` bytes between them become one, so that
    /// a set stays small where it may be larger than what was added.
    pub(super) fn add(&mut self, start: u64, end: u64, join: u64) {
        if start >= end {
            return;
        }
        let (from, to) = self.between(start.saturating_sub(join), end.saturating_add(join));
        let joined = self.0.get_mut(from..to).unwrap_or_default();
        let end = joined.last().map_or(end, |last| last.1.max(end));
        // Mostly a write goes on where the one before it ended: one range grows.
        match joined.first_mut() {
            None => self.0.insert(from, (start, end)),
            Some(first) => {
                *first = (first.0.min(start), end);
                self.0.drain(from + 1..to);
            }
        }
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (from, to) = self.between(start, end);
        let cut = self.0.get(from..to).unwrap_or_default();
        if cut.is_empty() {
            return;
        }
        let before = cut.first().map(|first| (first.0, first.1.min(start)));
        let after = cut.last().map(|last| (last.0.max(end), last.1));
        let kept = before.into_iter().chain(after).filter(|(a, b)| a < b);
        let kept: Vec<_> = kept.collect();
        self.0.splice(from..to, kept);
    }

    /// Whether any byte of a range is in the set.
    pub(super) fn touches(&self, start: u64, end: u64) -> bool {
        self.within(start, end).next().is_some()
    }

    /// What the set has of a range.
    pub(super) fn within(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (from, to) = self.between(start, end);
        let part = self.0.get(from..to).unwrap_or_default().iter();
        part.map(move |(a, b)| ((*a).max(start), (*b).min(end)))
            .filter(|(a, b)| a < b)
    }

    /// Indices of the ranges that overlap this one or meet its ends.
    fn between(&self, start: u64, end: u64) -> (usize, usize) {
        let from = self.0.partition_point(|span| span.1 < start);
        let to = self.0.partition_point(|span| span.0 <= end);
        (from, to.max(from))
    }
}

#[cfg(test)]
mod tests {
    use super::Spans;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_holds_what_a_list_of_flags_holds(
            steps in prop::collection::vec((any::<bool>(), 0_u64..64, 0_u64..20), 0..30),
            (start, len) in (0_u64..64, 0_u64..64),
        ) {
            let (mut spans, mut flags) = (Spans::default(), [false; 128]);
            for (add, at, len) in steps {
                let end = at + len;
                if add { spans.add(at, end, 0) } else { spans.remove(at, end) }
                for flag in &mut flags[at as usize..end as usize] {
                    *flag = add;
                }
            }
            let mut found = [false; 128];
            for (a, b) in spans.within(start, start + len) {
                for flag in &mut found[a as usize..b as usize] {
                    *flag = true;
                }
            }
            for (at, flag) in flags.iter().enumerate() {
                let inside = (start..start + len).contains(&(at as u64));
                prop_assert_eq!(found[at], *flag && inside);
            }
            let apart = spans.0.windows(2).all(|pair| pair[0].1 < pair[1].0);
            prop_assert!(apart && spans.0.iter().all(|(a, b)| a < b));
        }

        #[test]
        fn joining_only_adds(ranges in prop::collection::vec((0_u64..64, 1_u64..5), 1..20)) {
            let mut spans = Spans::default();
            for (at, len) in &ranges {
                spans.add(*at, at + len, 8);
            }
            for (at, len) in &ranges {
                prop_assert_eq!(spans.within(*at, at + len).collect::<Vec<_>>(), [(*at, at + len)]);
            }
            prop_assert!(spans.0.windows(2).all(|pair| pair[0].1 + 8 < pair[1].0));
        }
    }
}
