//! The matcher: where secrets stand in a text, and whether one may have begun at its end.

use std::ops::Range;

use memchr::memmem::Finder;
use regex::bytes::Captures;

use super::RedactError;
use super::shapes::Shapes;

/// Longest secret that is followed from one piece of a text into the next, bytes.
pub(super) const LONGEST: usize = 16 << 10;
/// How much of a text before a piece is at least kept to tell what the piece continues.
const CONTEXT: usize = 128;

/// How far before the end of a token another one is looked for.
const REACH: usize = 4 << 10;

/// Finds the secrets of one recording.
pub struct Matcher {
    words: Vec<Finder<'static>>,
    shapes: Shapes,
    context: usize,
}

/// Where secrets stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Ascending and apart.
    pub(super) ranges: Vec<Range<usize>>,
    /// From here to the end stands what may be the beginning of a secret.
    pub(super) open: Option<usize>,
    /// What follows the text can only be judged together with the text from here on.
    pub(super) keep: usize,
}

impl Found {
    /// All that is to be masked in a text of `len` bytes.
    pub(super) fn masked(&self, len: usize) -> Vec<Range<usize>> {
        let mut all = self.ranges.clone();
        all.extend(self.open.map(|from| from..len));
        merge(all)
    }
}

impl Matcher {
    /// A matcher of these very words and of the known shapes.
    ///
    /// # Errors
    /// Shapes that cannot be searched for.
    pub fn new(words: &[Vec<u8>]) -> Result<Self, RedactError> {
        let mut words = words.to_vec();
        words.sort_unstable();
        words.dedup();
        let longest = words.iter().map(Vec::len).max().unwrap_or(0);
        let finder = |word: &Vec<u8>| Finder::new(word).into_owned();
        Ok(Self {
            words: words.iter().map(finder).collect(),
            shapes: Shapes::new()?,
            context: CONTEXT.max(longest).min(LONGEST),
        })
    }

    /// How much of a text before a piece is to be kept.
    pub(super) const fn context(&self) -> usize {
        self.context
    }

    /// Whether a text holds a secret.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        !self.ranges(text).is_empty()
    }

    pub(super) fn find(&self, text: &[u8]) -> Found {
        let ranges = self.ranges(text);
        let last = ranges.last().cloned();
        let goes_on = last.clone().filter(|range| range.end == text.len());
        let from = last
            .filter(|_| goes_on.is_none())
            .map_or(0, |last| last.end);
        let from = from.max(text.len().saturating_sub(LONGEST));
        let begun = self.begun(text, from);
        let keep = text.len().saturating_sub(self.context);
        let keep = [
            goes_on.map(|range| range.start),
            begun.map(|(match_start, _)| match_start),
        ]
        .into_iter()
        .flatten()
        .fold(keep, usize::min);
        Found {
            ranges,
            open: begun.map(|(_, open)| open),
            keep: keep.max(text.len().saturating_sub(LONGEST)),
        }
    }

    fn ranges(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        for shape in &self.shapes.plain {
            each(&mut ranges, |at| Some(shape.find_at(text, at)?.range()));
        }
        for shape in &self.shapes.named {
            each(&mut ranges, |at| secret(&shape.captures_at(text, at)?));
        }
        for word in &self.words {
            let len = word.needle().len();
            ranges.extend(word.find_iter(text).map(|at| at..at + len));
        }
        merge(ranges)
    }

    /// Where something begins at the end of a text that more may make a secret: with what
    /// gives it away, and itself.
    fn begun(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let shape = self.shapes.begun.find_at(text, from);
        let shape = shape.map(|found| (found.start(), found.start()));
        let named = self.shapes.begun_named.captures_at(text, from);
        let named = named.and_then(|found| Some((found.get(0)?.start(), secret(&found)?.start)));
        let word = self
            .words
            .iter()
            .filter_map(|word| begun_word(text, word.needle()));
        let word = word.max().map(|len| text.len() - len);
        let word = word.map(|start| (start, start));
        shape
            .into_iter()
            .chain(named)
            .chain(word)
            .reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))
    }
}

/// Every match, also of a token that begins in what was taken for the end of another: two
/// may stand side by side.
fn each(ranges: &mut Vec<Range<usize>>, next: impl Fn(usize) -> Option<Range<usize>>) {
    let mut at = 0;
    while let Some(range) = next(at) {
        at = (range.start + 1).max(range.end.saturating_sub(REACH));
        ranges.push(range);
    }
}

/// The group that took part.
fn secret(found: &Captures<'_>) -> Option<Range<usize>> {
    found
        .iter()
        .skip(1)
        .flatten()
        .next()
        .map(|group| group.range())
}

/// How many bytes at the end of a text are the beginning of a word, if they are enough to
/// say so.
fn begun_word(text: &[u8], word: &[u8]) -> Option<usize> {
    let least = (word.len() / 3).clamp(1, 4);
    (least..word.len())
        .rev()
        .find(|len| word.get(..*len).is_some_and(|begun| text.ends_with(begun)))
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut().filter(|last| range.start < last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => merged.push(range),
        }
    }
    merged
}
