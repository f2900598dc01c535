//! What a user may have meant by a path that is not there.

use std::collections::BTreeSet;

use diffkeeper_store::model::{Event, Seq, TracePath, escape};
use diffkeeper_store::when::format_time;
use diffkeeper_store::{Paths, SessionReader, components};

use crate::error::CliError;

/// Events looked at before the search ends: an answer within about a second.
const MAX_EVENTS: u64 = 500_000;
/// Names that are offered.
const OFFERED: usize = 3;
/// Longer paths are not compared letter by letter.
const MAX_COMPARED: usize = 512;

/// The error for a path that is not there at `at`, which the user called `when`.
pub(crate) fn no_such_path(
    reader: &SessionReader<'_>,
    path: &[u8],
    at: Seq,
    when: &str,
) -> CliError {
    let mut search = Search::new(path);
    search.look(reader, at);
    let shown = escape(path);
    match (&search.seen, search.offers()) {
        (Some(seen), _) => CliError::usage(format!("{shown} does not exist at {when}")).hint(
            format!("it is there {seen}; `diffkeeper timeline` shows the rest"),
        ),
        (None, None) => CliError::usage(format!("no such path in the session: {shown}"))
            .hint("paths are relative to the recorded directory"),
        (None, Some(offers)) => CliError::usage(format!("no such path in the session: {shown}"))
            .hint(format!("did you mean {offers}?")),
    }
}

/// The nearest names so far.
struct Search<'p> {
    wanted: &'p [u8],
    /// When the very path was seen, in words.
    seen: Option<String>,
    nearest: BTreeSet<(usize, TracePath)>,
}

impl<'p> Search<'p> {
    fn new(wanted: &'p [u8]) -> Self {
        Self {
            wanted,
            seen: None,
            nearest: BTreeSet::new(),
        }
    }

    /// Looks at the tree at `at`, at the start, and at every name an event gives. What
    /// is damaged is left out: this only helps.
    fn look(&mut self, reader: &SessionReader<'_>, at: Seq) {
        for (seq, when) in [(at, ""), (reader.start(), "at the start")] {
            let Ok(tree) = reader.snapshot(seq) else {
                continue;
            };
            for entry in tree.entries() {
                self.meet(&entry.path, || when.to_owned());
            }
        }
        let last = Seq(MAX_EVENTS);
        let mut paths = Paths::new(reader);
        for event in reader.events(Seq(1), last).map_while(Result::ok) {
            let Ok(found) = paths.resolve(&event) else {
                continue;
            };
            for path in [found.path, found.to].into_iter().flatten() {
                self.meet(&path, || moment(&event));
            }
        }
    }

    fn meet(&mut self, path: &[u8], when: impl FnOnce() -> String) {
        if path == self.wanted {
            self.seen.get_or_insert_with(when);
            return;
        }
        if let Some(distance) = distance(self.wanted, path) {
            self.nearest.insert((distance, path.to_vec()));
            if self.nearest.len() > OFFERED {
                self.nearest.pop_last();
            }
        }
    }

    /// `a, b or c`.
    fn offers(&self) -> Option<String> {
        let shown: Vec<_> = self.nearest.iter().map(|(_, path)| escape(path)).collect();
        let (last, before) = shown.split_last()?;
        let before: Vec<_> = before.iter().map(ToString::to_string).collect();
        Some(match before.as_slice() {
            [] => last.to_string(),
            before => format!("{} or {last}", before.join(", ")),
        })
    }
}

fn moment(event: &Event) -> String {
    format!("at {} (#{})", format_time(event.time), event.seq.0)
}

/// How far two paths are apart; `None` if nobody would mistake them. The same name in
/// another directory is near, however far the directory.
fn distance(wanted: &[u8], path: &[u8]) -> Option<usize> {
    let name = components(wanted).last()?;
    if path.is_empty() || wanted.len().max(path.len()) > MAX_COMPARED {
        return None;
    }
    if components(path).last() == Some(name) {
        return Some(1);
    }
    let allowed = (name.len() / 3).clamp(1, 4);
    if wanted.len().abs_diff(path.len()) > allowed {
        return None;
    }
    let text = |path: &[u8]| String::from_utf8_lossy(path).to_lowercase();
    let distance = strsim::damerau_levenshtein(&text(wanted), &text(path));
    (distance <= allowed).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn slips_are_near_and_other_names_are_not() {
        assert_eq!(distance(b"REDME", b"README"), Some(1));
        assert_eq!(distance(b"src/main.txT", b"src/main.txt"), Some(0));
        assert_eq!(distance(b"main.rs", b"src/main.rs"), Some(1));
        assert_eq!(distance(b"lib/main.rs", b"src/main.rs"), Some(1));
        assert_eq!(distance(b"a", b"bc"), None);
        assert_eq!(distance(b"status.log", b"target.rs"), None);
        assert_eq!(distance(b"", b"x"), None);
        assert_eq!(distance(b"x", b""), None);
    }
}
