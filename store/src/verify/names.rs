//! Names: those of the baseline, moved by every event, must be those of the end.

use std::collections::HashMap;

use super::{Check, FindingKind};
use crate::db::Space;
use crate::encode::decode_name;
use crate::error::StoreError;
use crate::key;
use crate::model::{Event, FileId, Op, Place, Seq};

/// The tree as the events make it.
pub(super) struct Replay {
    names: HashMap<Place, FileId>,
    /// Whether every record and event so far could be read.
    whole: bool,
}

struct NameAt {
    place: Place,
    seq: Seq,
    child: Option<FileId>,
}

impl Replay {
    /// The names of the baseline.
    pub(super) fn baseline(check: &mut Check<'_>) -> Self {
        let mut replay = Self {
            names: HashMap::new(),
            whole: true,
        };
        let last = check.session.progress().last_seq;
        let start = check.session.start();
        replay.each(check, true, |replay, check, name| {
            if name.seq > last {
                let text = "a name is later than the last event";
                check.found_at(FindingKind::Name, name.place.parent, name.seq, text);
            }
            check.baseline += u64::from(name.seq <= start);
            if name.seq <= start
                && let Some(child) = name.child
            {
                replay.names.insert(name.place, child);
            }
        });
        replay
    }

    /// Hands over all name records in the order of their keys. Damage is told once only,
    /// when they are read for the first time.
    fn each(
        &mut self,
        check: &mut Check<'_>,
        first: bool,
        mut visit: impl FnMut(&mut Self, &mut Check<'_>, NameAt),
    ) {
        for record in check.records(Space::Name) {
            let name = record.and_then(|(key, value)| {
                let (name, seq) = key::name_parts(&key)?;
                let place = Place {
                    parent: key::name_parent(&key)?,
                    name: name.to_vec(),
                };
                let child = decode_name(&value)?;
                Ok(NameAt { place, seq, child })
            });
            match name {
                Ok(name) => visit(self, check, name),
                Err(error) => {
                    self.whole = false;
                    if first {
                        check.found(FindingKind::Name, None, error);
                    }
                }
            }
        }
    }

    /// The log has holes: what it leads to says nothing.
    pub(super) const fn give_up(&mut self) {
        self.whole = false;
    }

    /// Does to the names what an event did.
    pub(super) fn apply(&mut self, check: &mut Check<'_>, event: &Event) {
        match (&event.op, event.file) {
            (
                Op::Rename {
                    exchange: true,
                    from,
                    to,
                },
                _,
            ) => {
                let (a, b) = (self.names.remove(from), self.names.remove(to));
                self.names.extend(a.map(|file| (to.clone(), file)));
                self.names.extend(b.map(|file| (from.clone(), file)));
            }
            (Op::Rename { from, to, .. }, Some(file)) => {
                self.names.remove(from);
                self.names.insert(to.clone(), file);
            }
            (
                Op::Create(place)
                | Op::Mkdir(place)
                | Op::Mknod(place)
                | Op::Symlink(place)
                | Op::Link(place),
                Some(file),
            ) => {
                self.names.insert(place.clone(), file);
            }
            (Op::Unlink(place) | Op::Rmdir(place), _) => {
                self.names.remove(place);
            }
            (op, None) if op.place().is_some() => {
                let text = "an event gives a name to no file";
                check.found(FindingKind::Event, Some(event.seq), text);
            }
            _ => {}
        }
    }

    /// Compares with the names at the end.
    pub(super) fn compare(mut self, check: &mut Check<'_>) {
        if !self.whole {
            return;
        }
        let mut latest: Option<NameAt> = None;
        self.each(check, false, |replay, check, name| {
            let done = match &latest {
                Some(last) if last.place == name.place => None,
                _ => latest.take(),
            };
            latest = Some(name);
            done.into_iter().for_each(|name| replay.end(check, &name));
        });
        latest.into_iter().for_each(|name| self.end(check, &name));
        for (place, file) in std::mem::take(&mut self.names) {
            let last = check.session.progress().last_seq;
            let text = format!("the events name file {} here, the tree does not", file.0);
            self.differs(check, &place, last, text);
        }
    }

    fn end(&mut self, check: &mut Check<'_>, name: &NameAt) {
        let replayed = self.names.remove(&name.place);
        if let Some(file) = name.child
            && let Some(text) = unknown(check, file)
        {
            self.differs(check, &name.place, name.seq, text);
        }
        if replayed == name.child {
            return;
        }
        let number = |file: Option<FileId>| match file {
            Some(file) => format!("file {}", file.0),
            None => "nothing".to_owned(),
        };
        let text = format!(
            "the tree has {} here, the events lead to {}",
            number(name.child),
            number(replayed)
        );
        self.differs(check, &name.place, name.seq, text);
    }

    fn differs(&self, check: &mut Check<'_>, place: &Place, seq: Seq, text: String) {
        let dir = check.session.path_of(place.parent, seq).ok().flatten();
        let path = dir.map(|mut path| {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(&place.name);
            path
        });
        check.report.add(super::Finding {
            session: Some(check.session.id()),
            kind: FindingKind::Name,
            path,
            seq: Some(seq),
            text,
        });
    }
}

/// Why nothing can be said of a file that has a name at the end.
fn unknown(check: &Check<'_>, file: FileId) -> Option<String> {
    let last = check.session.progress().last_seq;
    let node = check.session.node_at(file, last);
    match node {
        Ok(Some(_)) => None,
        Ok(None) => Some(StoreError::NoNode(file).to_string()),
        Err(error) => Some(error.to_string()),
    }
}
