//! Paths of events: which name a file had when something happened to it, followed along
//! the events so that each takes a look-up at most.

use std::collections::HashMap;

use crate::error::StoreError;
use crate::model::{Event, FileId, Op, Place, Seq, TracePath};
use crate::reader::SessionReader;

/// Resolves the paths of events that are shown to it in ascending order.
pub struct Paths<'r> {
    reader: &'r SessionReader<'r>,
    places: HashMap<FileId, Option<Place>>,
}

/// The paths an event concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPaths {
    /// The file's path; the old one of a rename.
    pub path: Option<TracePath>,
    /// The new path of a rename.
    pub to: Option<TracePath>,
}

/// Names held in memory at most; beyond, they are looked up again.
const MAX_PLACES: usize = 1 << 18;

impl<'r> Paths<'r> {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(reader: &'r SessionReader<'r>) -> Self {
        Self {
            reader,
            places: HashMap::new(),
        }
    }

    /// The paths of the next event.
    ///
    /// # Errors
    /// A damaged record.
    pub fn resolve(&mut self, event: &Event) -> Result<EventPaths, StoreError> {
        if self.places.len() > MAX_PLACES {
            self.places.clear();
        }
        let before = Seq(event.seq.0.saturating_sub(1));
        let paths = match (&event.op, event.op.place(), event.file) {
            (Op::Rename { from, to, .. }, ..) => EventPaths {
                path: self.join(from, before)?,
                to: self.join(to, event.seq)?,
            },
            (
                Op::Gap {
                    path: Some(path), ..
                },
                ..,
            ) => EventPaths {
                path: Some(path.clone()),
                to: None,
            },
            (_, Some(place), _) => EventPaths {
                path: self.join(place, event.seq)?,
                to: None,
            },
            (_, None, Some(file)) => EventPaths {
                path: self.path(file, event.seq)?,
                to: None,
            },
            (_, None, None) => EventPaths::default(),
        };
        self.follow(event);
        Ok(paths)
    }

    /// A name that changed is looked up again when it is next needed.
    fn follow(&mut self, event: &Event) {
        let Some(file) = event.file else { return };
        match &event.op {
            Op::Create(place) | Op::Mkdir(place) | Op::Mknod(place) | Op::Symlink(place) => {
                self.places.insert(file, Some(place.clone()));
            }
            Op::Rename { exchange: true, .. } => self.places.clear(),
            Op::Rename { .. } | Op::Link(_) => {
                self.places.remove(&file);
            }
            // The last name of a removed file stays the one it is shown with.
            Op::Unlink(place) if self.places.get(&file) != Some(&Some(place.clone())) => {
                self.places.remove(&file);
            }
            _ => {}
        }
    }

    fn join(&mut self, place: &Place, at: Seq) -> Result<Option<TracePath>, StoreError> {
        let Some(mut path) = self.path(place.parent, at)? else {
            return Ok(None);
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(&place.name);
        Ok(Some(path))
    }

    fn path(&mut self, file: FileId, at: Seq) -> Result<Option<TracePath>, StoreError> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut file = file;
        while file != FileId::TOP {
            let Some(place) = self.place(file, at)? else {
                return Ok(None);
            };
            names.push(place.name.clone());
            file = place.parent;
            if names.len() > 4096 {
                return Err(StoreError::Loop);
            }
        }
        names.reverse();
        Ok(Some(names.join(&b'/')))
    }

    fn place(&mut self, file: FileId, at: Seq) -> Result<Option<&Place>, StoreError> {
        if !self.places.contains_key(&file) {
            let place = self.reader.place_of(file, at)?;
            self.places.insert(file, place);
        }
        Ok(self.places.get(&file).and_then(Option::as_ref))
    }
}
