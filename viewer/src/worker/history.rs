//! Where a text came and went in all contents and outputs: every version is searched once,
//! in order of time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use diffkeeper_store::filter::{Filter, FilterError};
use diffkeeper_store::model::{Event, FileId, Op, Seq, Timestamp, VersionRef};
use diffkeeper_store::{Paths, StoreError};

use super::Job;
use crate::ask::{Answer, History, HistoryAsk, Hit};
use crate::look::Look;

/// Most places that are told.
const MAX_HITS: usize = 10_000;
/// Time between two answers.
const PACE: Duration = Duration::from_millis(100);

pub(super) fn work(ask: &HistoryAsk, job: Job<'_>) {
    let mut search = match Search::new(ask, job) {
        Ok(search) => search,
        Err(error) => return job.fail(&error),
    };
    match search.run() {
        Ok(()) => search.deliver(true),
        Err(error) => job.fail(&error),
    }
}

struct Search<'e> {
    job: Job<'e>,
    filter: Filter,
    found: History,
    /// Files that hold the text at the moment.
    holding: HashSet<FileId>,
    told: Instant,
}

impl<'e> Search<'e> {
    /// The text is that of a filter's `content:`, so that `/regex/` works as there.
    fn new(ask: &HistoryAsk, job: Job<'e>) -> Result<Self, FilterError> {
        let found = History {
            id: ask.id,
            text: ask.text.clone(),
            done: (0, job.reader.progress().last_seq.0),
            ..History::default()
        };
        Ok(Self {
            job,
            filter: Filter::parse(&format!("content:{}", term(&ask.text)))?,
            found,
            holding: HashSet::new(),
            told: Instant::now(),
        })
    }

    fn run(&mut self) -> Result<(), StoreError> {
        self.baseline()?;
        let reader = self.job.reader;
        let look = Look::new(reader);
        let mut paths = Paths::new(reader);
        for event in reader.events(Seq(1), reader.progress().last_seq) {
            if self.job.is_stopped() {
                return Ok(());
            }
            let event = event?;
            self.found.done.0 = event.seq.0;
            let found = look.at(event, &mut paths);
            let event = &found.event;
            match (&event.op, event.file) {
                (Op::Output { stream, .. }, _) if self.filter.matches(&found)? => {
                    self.hit(event, FileId(0), stream.word().as_bytes().to_vec(), true);
                }
                (_, Some(file)) if found.version()?.is_some() => {
                    let holds = self.filter.matches(&found)?;
                    self.found.unsearched += found.unsearched();
                    if found.unsearched() == 0 && holds != self.holding.contains(&file) {
                        let path = found.paths.to.clone().or(found.paths.path.clone());
                        self.change(event, file, path.unwrap_or_default(), holds);
                    }
                }
                _ => {}
            }
            if self.told.elapsed() > PACE {
                self.deliver(false);
            }
        }
        Ok(())
    }

    /// What was there before the first event.
    fn baseline(&mut self) -> Result<(), StoreError> {
        let reader = self.job.reader;
        let snapshot = reader.salvage(reader.start())?;
        let look = Look::new(reader);
        let mut seen = HashSet::new();
        for entry in snapshot.entries() {
            let Some(VersionRef { file, seq }) = entry.content().filter(|at| seen.insert(at.file))
            else {
                continue;
            };
            if self.job.is_stopped() {
                return Ok(());
            }
            let standing = Event {
                seq,
                time: Timestamp::default(),
                process: None,
                file: Some(file),
                op: Op::Utimes,
            };
            let found = look.at(standing, &mut Paths::new(reader));
            if self.filter.matches(&found)? {
                self.change(&found.event, file, entry.path.clone(), true);
            }
            self.found.unsearched += found.unsearched();
        }
        Ok(())
    }

    fn change(&mut self, event: &Event, file: FileId, path: Vec<u8>, appears: bool) {
        if appears {
            self.holding.insert(file);
        } else {
            self.holding.remove(&file);
        }
        self.hit(event, file, path, appears);
    }

    fn hit(&mut self, event: &Event, file: FileId, path: Vec<u8>, appears: bool) {
        if self.found.hits.len() >= MAX_HITS {
            self.found.cut = true;
            return;
        }
        self.found.hits.push(Hit {
            seq: event.seq,
            time: event.time,
            file,
            path,
            appears,
        });
    }

    fn deliver(&mut self, finished: bool) {
        self.told = Instant::now();
        self.found.finished = finished;
        if !self.job.is_stopped() {
            self.job.answer(Answer::History(self.found.clone()));
        }
    }
}

/// A text as one value of the filter grammar: as it is if that is a regular expression,
/// else quoted.
#[must_use]
pub(crate) fn term(text: &str) -> String {
    let is_regex = text.len() > 2 && text.starts_with('/') && text.ends_with('/');
    if is_regex {
        return text.to_owned();
    }
    let quoted: String = text
        .chars()
        .flat_map(|c| {
            let escaped = matches!(c, '"' | '\\').then_some('\\');
            escaped.into_iter().chain([c])
        })
        .collect();
    format!("\"{quoted}\"")
}
