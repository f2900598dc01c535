//! Counts: ` status.log | 3 ++-`.

use std::io::Write;

use anstyle::AnsiColor;
use diffkeeper_store::model::{Kind, escape};

use super::pair::Pair;
use super::side::Side;
use super::text;
use crate::error::CliError;
use crate::output::{Output, counted, grouped, paint};

/// Columns of plus and minus signs.
const GRAPH: u64 = 40;

/// The counts of every change so far.
#[derive(Default)]
pub(super) struct Stats(Vec<Stat>);

struct Stat {
    name: String,
    count: Count,
}

/// How much a content changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Lines that came and went.
    Lines(u64, u64),
    /// Lengths before and after, bytes.
    Binary(u64, u64),
    /// It is not known.
    Unknown(String),
    /// There is no content.
    None(&'static str),
}

impl Count {
    /// Counts a change.
    pub(super) fn of(pair: &Pair<'_>, old: &Side<'_>, new: &Side<'_>) -> Self {
        if !matches!(pair.kind(), Kind::File | Kind::Symlink) {
            return Self::None(pair.kind().word());
        }
        if let Some(complaint) = old.complaint().or_else(|| new.complaint()) {
            return Self::Unknown(complaint);
        }
        match (old.text(), new.text()) {
            _ if pair.same_content() => Self::Lines(0, 0),
            (Some(old), Some(new)) => {
                let (added, removed) = text::count(old, new);
                Self::Lines(added, removed)
            }
            _ => Self::Binary(old.len(), new.len()),
        }
    }
}

impl Stats {
    /// Adds a change.
    #[expect(clippy::unnecessary_wraps, reason = "one of four forms")]
    pub(super) fn add(
        &mut self,
        pair: &Pair<'_>,
        old: &mut Side<'_>,
        new: &mut Side<'_>,
    ) -> Result<(), CliError> {
        let path = escape(pair.path());
        let name = match pair.before {
            Some(before) if pair.renamed() => format!("{} => {path}", escape(&before.path)),
            _ => path.to_string(),
        };
        let count = Count::of(pair, old, new);
        self.0.push(Stat { name, count });
        Ok(())
    }

    /// Writes all of them, and the sum.
    ///
    /// # Errors
    /// Those of `output`.
    pub(super) fn write(&self, output: &mut Output) -> Result<(), CliError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let widths = self.0.iter().map(|stat| stat.name.chars().count());
        let width = widths.max().unwrap_or(0);
        let most = self.0.iter().map(Stat::lines).max().unwrap_or(0);
        let color = output.color();
        for stat in &self.0 {
            let (name, amount) = (&stat.name, stat.amount(most, color));
            writeln!(output, " {name:width$} | {amount}")?;
        }
        let sum = self.0.iter().fold((0, 0), |sum, stat| match stat.count {
            Count::Lines(added, removed) => (sum.0 + added, sum.1 + removed),
            _ => sum,
        });
        writeln!(
            output,
            " {} changed, {} insertion{}(+), {} deletion{}(-)",
            counted(self.0.len() as u64, "path"),
            grouped(sum.0),
            if sum.0 == 1 { "" } else { "s" },
            grouped(sum.1),
            if sum.1 == 1 { "" } else { "s" },
        )?;
        Ok(())
    }
}

impl Stat {
    fn lines(&self) -> u64 {
        match self.count {
            Count::Lines(added, removed) => added + removed,
            _ => 0,
        }
    }

    fn amount(&self, most: u64, color: bool) -> String {
        match &self.count {
            Count::Lines(added, removed) => {
                let sign = |sign: &str, n: u64| sign.repeat(scaled(n, most));
                let plus = paint(color, AnsiColor::Green.on_default(), sign("+", *added));
                let minus = paint(color, AnsiColor::Red.on_default(), sign("-", *removed));
                let text = format!("{} {plus}{minus}", added + removed);
                text.trim_end().to_owned()
            }
            Count::Binary(old, new) => format!("Bin {old} -> {new} bytes"),
            Count::Unknown(why) => format!("content {why}"),
            Count::None(kind) => (*kind).to_owned(),
        }
    }
}

/// Signs for `n` of `most` lines; at least one for any.
fn scaled(n: u64, most: u64) -> usize {
    let signs = if most <= GRAPH {
        n
    } else {
        n.saturating_mul(GRAPH).div_ceil(most)
    };
    usize::try_from(signs.min(GRAPH)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn graphs_fit_and_show_every_change() {
        assert_eq!(scaled(3, 7), 3);
        assert_eq!(scaled(1, 1_000_000), 1);
        assert_eq!(scaled(1_000_000, 1_000_000), 40);
        assert_eq!(scaled(0, 1_000_000), 0);
    }
}
