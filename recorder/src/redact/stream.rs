//! Texts that come in pieces: output as it is printed, and files too long for memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::Range;

use super::matcher::LONGEST;
use super::{BLOCK, Redactor};

/// What was there before the next piece of a stream.
#[derive(Clone, Default)]
pub(crate) struct Carry(Vec<u8>);

impl Carry {
    /// What is to be masked in the next piece. What may be the beginning of a secret is
    /// masked at once: nobody knows whether more comes.
    pub(crate) fn feed(
        &mut self,
        redactor: &Redactor,
        piece: &[u8],
    ) -> Vec<(Range<usize>, Vec<u8>)> {
        let before = self.0.len();
        self.0.extend_from_slice(piece);
        let found = redactor.matcher.find(&self.0);
        let masked = found.masked(self.0.len()).into_iter();
        let masked = masked.filter(|range| range.end > before);
        let masks = masked.map(|range| {
            let start = range.start.max(before);
            let mut mask = vec![0; range.end - start];
            let secret = self.0.get(range.clone()).unwrap_or_default();
            redactor.masker.fill(secret, start - range.start, &mut mask);
            (start - before..range.end - before, mask)
        });
        let masks = masks.collect();
        self.0.drain(..found.keep.min(self.0.len()));
        masks
    }
}

/// Reads a content masked.
pub(crate) struct Masked<'m, R> {
    inner: R,
    redactor: &'m Redactor,
    /// All of it is secret.
    denied: bool,
    /// As read: what was given out and still matters, then what was not.
    raw: Vec<u8>,
    given: usize,
    out: Vec<u8>,
    at: usize,
    ended: bool,
    /// Whether anything was masked.
    any: &'m Cell<bool>,
}

const WINDOW: usize = 1 << 20;

impl<'m, R: Read> Masked<'m, R> {
    pub(crate) fn new(inner: R, redactor: &'m Redactor, denied: bool, any: &'m Cell<bool>) -> Self {
        Self {
            inner,
            redactor,
            denied,
            raw: Vec::new(),
            given: 0,
            out: Vec::new(),
            at: 0,
            ended: false,
            any,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let window = if self.denied { BLOCK } else { WINDOW };
        let read = self.inner.by_ref().take(window as u64);
        let n = { read }.read_to_end(&mut self.raw)?;
        self.ended = n < window;
        let until = if self.denied {
            self.raw.len()
        } else {
            self.judged()
        };
        let mut text = self.raw.get(..until).unwrap_or_default().to_vec();
        let any = match self.denied {
            true => self.redactor.mask_content(&mut text, true),
            false => self.mask(&mut text),
        };
        self.any.set(self.any.get() || any);
        self.out = text.split_off(self.given.min(text.len()));
        self.at = 0;
        let context = if self.denied {
            0
        } else {
            self.redactor.matcher.context()
        };
        let drop = until.saturating_sub(context);
        self.raw.drain(..drop);
        self.given = until - drop;
        Ok(())
    }

    /// Up to where nothing that follows can make a secret of what was read.
    fn judged(&self) -> usize {
        if self.ended {
            return self.raw.len();
        }
        let found = self.redactor.matcher.find(&self.raw);
        let across = found
            .ranges
            .iter()
            .find(|range| range.contains(&found.keep));
        let until = across.map_or(found.keep, |range| range.start);
        until
            .max(self.given)
            .max(self.raw.len().saturating_sub(2 * LONGEST))
    }

    fn mask(&self, text: &mut [u8]) -> bool {
        let found = self.redactor.matcher.find(&self.raw);
        let all = match self.ended {
            true => found.masked(self.raw.len()),
            false => found.ranges,
        };
        let mut any = false;
        for range in all {
            let (start, end) = (range.start, range.end.min(text.len()));
            if let Some(part) = text.get_mut(start..end).filter(|_| end > self.given) {
                let secret = self.raw.get(range).unwrap_or_default();
                self.redactor.masker.fill(secret, 0, part);
                any = true;
            }
        }
        any
    }
}

impl<R: Read> Read for Masked<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            if self.ended {
                return Ok(0);
            }
            self.refill()?;
        }
        let rest = self.out.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(from), Some(to)) = (rest.get(..n), buf.get_mut(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}
