//! Which events a filter takes: a bit for each, so that a million cost 128 KiB, and with
//! them the order in which the list shows events.

use diffkeeper_store::model::Seq;

/// Words between two sums of the index.
const STRIDE: usize = 64;

/// A set of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    words: Vec<u64>,
    /// Events in all words before each stretch of [`STRIDE`].
    sums: Vec<u64>,
    count: u64,
}

impl Matches {
    /// Adds the events of `words`, the first of which stands for event `64 * first`.
    pub fn add(&mut self, first: usize, words: &[u64]) {
        let end = first + words.len();
        if self.words.len() < end {
            self.words.resize(end, 0);
        }
        for (word, new) in self.words.iter_mut().skip(first).zip(words) {
            *word |= new;
        }
        let mut sum = 0;
        self.sums.clear();
        for stretch in self.words.chunks(STRIDE) {
            self.sums.push(sum);
            sum += stretch
                .iter()
                .map(|word| u64::from(word.count_ones()))
                .sum::<u64>();
        }
        self.count = sum;
    }

    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    fn contains(&self, seq: Seq) -> bool {
        let (at, bit) = place(seq);
        self.word(at) >> bit & 1 == 1
    }

    /// Events up to and with `seq`.
    fn rank(&self, seq: Seq) -> u64 {
        let (at, bit) = place(seq);
        if at >= self.words.len() {
            return self.count;
        }
        let stretch = at / STRIDE;
        let before = self.sums.get(stretch).copied().unwrap_or(0);
        let between = self.words.get(stretch * STRIDE..at).unwrap_or_default();
        let between: u64 = between
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum();
        let own = self.word(at) & (u64::MAX >> (63 - bit));
        before + between + u64::from(own.count_ones())
    }

    fn after(&self, seq: Seq) -> Option<Seq> {
        let (mut at, bit) = place(seq.next());
        let mut word = self.word(at) & (u64::MAX << bit);
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(Seq(at as u64 * 64 + u64::from(word.trailing_zeros())))
    }

    fn before(&self, seq: Seq) -> Option<Seq> {
        let below = Seq(seq.0.checked_sub(1)?);
        let (mut at, bit) = place(below);
        let mut word = self.word(at) & (u64::MAX >> (63 - bit));
        if at >= self.words.len() {
            at = self.words.len();
            word = 0;
        }
        while word == 0 {
            at = at.checked_sub(1)?;
            word = self.word(at);
        }
        Some(Seq(at as u64 * 64 + 63 - u64::from(word.leading_zeros())))
    }
}

fn place(seq: Seq) -> (usize, u32) {
    let at = usize::try_from(seq.0 / 64).unwrap_or(usize::MAX);
    (at, u32::try_from(seq.0 % 64).unwrap_or(0))
}

/// The events that the list shows, in their order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Before the first event there is.
    start: Seq,
    /// The last event of the session.
    last: Seq,
    /// `None`: all events.
    matches: Option<Matches>,
}

impl Order {
    /// All events after `start` up to `last`.
    #[must_use]
    pub const fn all(start: Seq, last: Seq) -> Self {
        let matches = None;
        Self {
            start,
            last,
            matches,
        }
    }

    /// None yet.
    #[must_use]
    pub fn none(start: Seq, last: Seq) -> Self {
        let matches = Some(Matches::default());
        Self {
            start,
            last,
            matches,
        }
    }

    /// The session has other ends.
    pub const fn reach(&mut self, start: Seq, last: Seq) {
        (self.start, self.last) = (start, last);
    }

    /// More of them; see [`Matches::add`].
    pub fn add(&mut self, first: usize, words: &[u64]) {
        if let Some(matches) = &mut self.matches {
            matches.add(first, words);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.matches
            .as_ref()
            .map_or(self.last.0.saturating_sub(self.start.0), |matches| {
                matches.count
            })
    }

    /// Whether an event is one of them.
    #[must_use]
    pub fn contains(&self, seq: Seq) -> bool {
        let known = seq > self.start && seq <= self.last;
        known
            && self
                .matches
                .as_ref()
                .is_none_or(|matches| matches.contains(seq))
    }

    /// How many there are up to and with `seq`.
    #[must_use]
    pub fn rank(&self, seq: Seq) -> u64 {
        let seq = seq.min(self.last);
        let all = seq.0.saturating_sub(self.start.0);
        self.matches
            .as_ref()
            .map_or(all, |matches| matches.rank(seq))
    }

    /// The next one after `seq`.
    #[must_use]
    pub fn after(&self, seq: Seq) -> Option<Seq> {
        let next = match &self.matches {
            None => Some(seq.max(self.start).next()),
            Some(matches) => matches.after(seq),
        };
        next.filter(|next| *next <= self.last)
    }

    /// The last one before `seq`.
    #[must_use]
    pub fn before(&self, seq: Seq) -> Option<Seq> {
        let before = match &self.matches {
            None => seq.0.checked_sub(1).map(Seq),
            Some(matches) => matches.before(seq),
        };
        before.filter(|before| *before > self.start)
    }

    /// The one at or before `seq`.
    #[must_use]
    pub fn floor(&self, seq: Seq) -> Option<Seq> {
        self.before(seq.next())
    }
}

#[cfg(test)]
mod tests {
    use super::Order;
    use diffkeeper_store::model::Seq;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn order(last: u64, taken: &BTreeSet<u64>) -> Order {
        let mut order = Order::none(Seq(0), Seq(last));
        let mut words = vec![0_u64; usize::try_from(last / 64 + 1).unwrap_or(0)];
        for seq in taken {
            if let Some(word) = words.get_mut(usize::try_from(seq / 64).unwrap_or(0)) {
                *word |= 1 << (seq % 64);
            }
        }
        let (front, back) = words.split_at(words.len() / 2);
        order.add(front.len(), back);
        order.add(0, front);
        order
    }

    proptest! {
        #[test]
        fn answers_are_those_of_a_plain_set(
            last in 1_u64..9000,
            seeds in proptest::collection::vec(any::<u64>(), 0..60),
            asked in proptest::collection::vec(0_u64..9100, 20),
        ) {
            let taken: BTreeSet<u64> = seeds.iter().map(|seed| 1 + seed % last).collect();
            let order = order(last, &taken);
            prop_assert_eq!(order.count(), taken.len() as u64);
            for seq in asked {
                let after = taken.range(seq + 1..).next().copied().map(Seq);
                let before = taken.range(..seq).next_back().copied().map(Seq);
                prop_assert_eq!(order.after(Seq(seq)), after);
                prop_assert_eq!(order.before(Seq(seq)), before);
                prop_assert_eq!(order.rank(Seq(seq)), taken.range(..=seq).count() as u64);
                prop_assert_eq!(order.contains(Seq(seq)), taken.contains(&seq));
            }
        }
    }

    #[test]
    fn all_events_follow_one_another() {
        let order = Order::all(Seq(0), Seq(3));
        assert_eq!(order.after(Seq(0)), Some(Seq(1)));
        assert_eq!(order.after(Seq(3)), None);
        assert_eq!(order.before(Seq(1)), None);
        assert_eq!(order.floor(Seq(9)), Some(Seq(9)));
        assert_eq!((order.count(), order.rank(Seq(2))), (3, 2));
    }
}
