//! How much of a damaged trace can be read, by what was damaged.

use std::collections::BTreeMap;
use std::fmt;

use super::facts::Fact;

/// Sums over the rounds, by kind of file.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<String, Sum>);

#[derive(Default)]
struct Sum {
    rounds: u64,
    asked: usize,
    had: usize,
    /// After a repair, where there was one.
    had_after: Option<usize>,
}

impl Tally {
    /// Adds a round: of `asked` facts those that were lost, before and after a repair.
    pub(crate) fn add(&mut self, how: &str, asked: usize, lost: &[Fact], after: Option<Vec<Fact>>) {
        let sum = self.0.entry(kind(how)).or_default();
        sum.rounds += 1;
        sum.asked += asked;
        sum.had += asked - lost.len();
        if let Some(after) = after {
            *sum.had_after.get_or_insert_default() += asked - after.len();
        }
    }
}

/// `tables` for `db/keyspaces/3/tables/7`, `0.jnl` for `db/0.jnl`.
pub(crate) fn kind(how: &str) -> String {
    let path = how.split(' ').next().unwrap_or_default();
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let above = parts.next().unwrap_or_default();
    match above {
        "tables" | "blobs" => above.to_owned(),
        _ => name.trim_matches(|c: char| c.is_ascii_digit()).to_owned(),
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: usize, whole: usize| 100 * part / whole.max(1);
        for (kind, sum) in &self.0 {
            let had = percent(sum.had, sum.asked);
            write!(f, "{kind}: {} rounds, {had} % can be read", sum.rounds)?;
            if let Some(after) = sum.had_after {
                write!(f, ", {} % after a repair", percent(after, sum.asked))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
