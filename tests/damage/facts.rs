//! What can be asked of a trace, as facts with one answer each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use diffkeeper_store::model::{Event, FileId, Seq, SessionId, Timestamp, VersionRef};
use diffkeeper_store::{ContentError, RESOLUTIONS, SessionReader, Store};

/// A question that a trace must answer right or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// Which sessions there are.
    Sessions,
    /// How far a session goes, and how it ended.
    End(u32),
    /// All events of a session.
    Events(u32),
    /// Names and attributes after an event.
    Tree(u32, u64),
    /// The bytes of a version.
    Content(u32, u64, u64),
    Processes(u32),
    Histogram(u32),
}

/// A sum of the answer, or what is said in its place.
pub(crate) type Answer = Result<u64, String>;

/// A sum that differs where two things do.
fn print(thing: impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{thing:?}").hash(&mut hasher);
    hasher.finish()
}

/// Every fact of a sound trace.
pub(crate) fn all(store: &Store) -> BTreeMap<Fact, u64> {
    let mut facts = BTreeSet::from([Fact::Sessions]);
    for session in store.sessions().unwrap() {
        let number = session.id.0;
        let reader = store.session(Some(session.id)).unwrap();
        facts.extend([Fact::End(number), Fact::Events(number)]);
        facts.extend([Fact::Processes(number), Fact::Histogram(number)]);
        for seq in reader.start().0..=reader.progress().last_seq.0 {
            facts.insert(Fact::Tree(number, seq));
            let tree = reader.snapshot(Seq(seq)).unwrap();
            let contents = tree.entries().iter().filter_map(|entry| entry.content());
            facts.extend(contents.map(|at| Fact::Content(number, at.file.0, at.seq.0)));
        }
    }
    let answer = |fact| (fact, ask(store, fact).unwrap());
    facts.into_iter().map(answer).collect()
}

/// The answer of a trace that may be damaged.
pub(crate) fn ask(store: &Store, fact: Fact) -> Answer {
    let number = match fact {
        Fact::Sessions => return sessions(store),
        Fact::End(n) | Fact::Events(n) | Fact::Tree(n, _) => n,
        Fact::Content(n, ..) | Fact::Processes(n) | Fact::Histogram(n) => n,
    };
    let reader = store.session(Some(SessionId(number))).map_err(text)?;
    match fact {
        Fact::Events(_) => events(&reader).map(print).map_err(|(_, why)| why),
        Fact::Tree(_, seq) => {
            let tree = reader.snapshot(Seq(seq)).map_err(text)?;
            Ok(print(tree.entries()))
        }
        Fact::Content(_, file, seq) => content(&reader, file, seq),
        Fact::Processes(_) => all_of(reader.processes()),
        Fact::Histogram(_) => {
            let finest = reader.density(0, Timestamp(0), Timestamp(u64::MAX));
            let others = (1..RESOLUTIONS.len() as u8)
                .flat_map(|width| reader.density(width, Timestamp(0), Timestamp(u64::MAX)));
            all_of(finest.chain(others))
        }
        Fact::End(_) | Fact::Sessions => Ok(print((reader.progress(), reader.seal()))),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn all_of<T: Debug>(records: impl Iterator<Item = Result<T, impl ToString>>) -> Answer {
    let records: Result<Vec<T>, _> = records.collect();
    records.map(print).map_err(text)
}

fn sessions(store: &Store) -> Answer {
    if !store.losses().is_empty() {
        return Err("sessions lost something".to_owned());
    }
    store.sessions().map(print).map_err(text)
}

fn content(reader: &SessionReader<'_>, file: u64, seq: u64) -> Answer {
    let (file, seq) = (FileId(file), Seq(seq));
    let mut content = reader.content(VersionRef { file, seq }).map_err(text)?;
    let mut hasher = DefaultHasher::new();
    let summed = content.stream(|piece| {
        hasher.write(piece);
        Ok::<_, ContentError>(())
    });
    summed.map(|()| hasher.finish()).map_err(text)
}

/// The events of a session, or those before the first that cannot be read.
pub(crate) fn events(reader: &SessionReader<'_>) -> Result<Vec<Event>, (Vec<Event>, String)> {
    let mut events = Vec::new();
    for event in reader.events(reader.start().next(), reader.progress().last_seq) {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return Err((events, error.to_string())),
        }
    }
    Ok(events)
}
