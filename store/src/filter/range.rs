//! Ranges of numbers: never empty, both ends included.

/// Numbers from a first to a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    first: u64,
    last: u64,
}

impl Range {
    /// `None` if the first lies above the last.
    pub(super) fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// All numbers `n` for which `n <sign> bound` holds; `None` if there are none.
    pub(super) fn compare(sign: Sign, bound: u64) -> Option<Self> {
        match sign {
            Sign::Is | Sign::IsNot => Self::new(bound, bound),
            Sign::Above => Self::new(bound.checked_add(1)?, u64::MAX),
            Sign::AtLeast => Self::new(bound, u64::MAX),
            Sign::Below => Self::new(0, bound.checked_sub(1)?),
            Sign::AtMost => Self::new(0, bound),
        }
    }

    pub(super) const fn first(self) -> u64 {
        self.first
    }

    pub(super) const fn last(self) -> u64 {
        self.last
    }

    pub(super) fn contains(self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }

    /// The numbers in both; where there are none, one number, since a bound may be too
    /// wide but not empty.
    pub(super) fn meet(self, other: Self) -> Self {
        let first = self.first.max(other.first);
        Self {
            first,
            last: self.last.min(other.last).max(first),
        }
    }

    /// The smallest range that holds both.
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// How a key relates to its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// `:` or `=`.
    Is,
    /// `!=`.
    IsNot,
    /// `>`.
    Above,
    /// `>=`.
    AtLeast,
    /// `<`.
    Below,
    /// `<=`.
    AtMost,
}

impl Sign {
    /// The spellings, a longer one before its beginnings. `:>` is what other search
    /// languages write.
    pub(super) const SPELLINGS: [(&str, Self); 11] = [
        (":>=", Self::AtLeast),
        (":<=", Self::AtMost),
        (":>", Self::Above),
        (":<", Self::Below),
        ("!=", Self::IsNot),
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        (":", Self::Is),
        ("=", Self::Is),
        (">", Self::Above),
        ("<", Self::Below),
    ];

    /// Whether it orders numbers.
    pub(super) const fn is_order(self) -> bool {
        !matches!(self, Self::Is | Self::IsNot)
    }
}
