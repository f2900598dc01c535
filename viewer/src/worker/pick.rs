//! Files by parts of their names, over all paths of the tree at the cursor, and of those
//! that were there at the start or are at the end.

use std::collections::BTreeSet;

use diffkeeper_store::StoreError;
use diffkeeper_store::model::{Kind, Seq, TracePath};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::Job;
use crate::ask::{Answer, PickAsk};

/// Most files that are shown.
const MAX_SHOWN: usize = 200;

/// The paths, which do not change while one types.
#[derive(Default)]
pub(super) struct State {
    at: Option<Seq>,
    paths: Vec<TracePath>,
}

impl State {
    pub(super) fn work(&mut self, ask: PickAsk, job: Job<'_>) {
        if self.at != Some(ask.at) {
            match paths(ask.at, job) {
                Ok(paths) => (self.at, self.paths) = (Some(ask.at), paths),
                Err(error) => return job.fail(&error),
            }
        }
        let best = best(&self.paths, &ask.text);
        if !job.is_stopped() {
            job.answer(Answer::Picked(ask, best, self.paths.len()));
        }
    }
}

fn paths(at: Seq, job: Job<'_>) -> Result<Vec<TracePath>, StoreError> {
    let mut paths = BTreeSet::new();
    for seq in BTreeSet::from([job.reader.start(), at, job.reader.progress().last_seq]) {
        let snapshot = job.reader.salvage(seq)?;
        let files = snapshot.entries().iter();
        let files = files.filter(|entry| entry.state.node.kind != Kind::Dir);
        paths.extend(files.map(|entry| entry.path.clone()));
    }
    Ok(paths.into_iter().collect())
}

fn best(paths: &[TracePath], text: &str) -> Vec<TracePath> {
    if text.is_empty() {
        return paths.iter().take(MAX_SHOWN).cloned().collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let pattern = Pattern::parse(text, CaseMatching::Smart, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, &TracePath)> = paths
        .iter()
        .filter_map(|path| {
            let shown = String::from_utf8_lossy(path);
            let score = pattern.score(Utf32Str::new(&shown, &mut buffer), &mut matcher)?;
            Some((score, path))
        })
        .collect();
    scored.sort_by(|(a, left), (b, right)| b.cmp(a).then(left.len().cmp(&right.len())));
    let best = scored.into_iter().take(MAX_SHOWN);
    best.map(|(_, path)| path.clone()).collect()
}
