//! A pack against the map it was made of: sound, and damaged at every place.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use super::read::PackFile;
use super::write::Writer;
use crate::db::{Db, Space, sealed};

type Map = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// Numbers that look random, the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

const SPACES: [Space; 3] = [Space::Event, Space::Version, Space::Blob];

fn map(records: usize, longest: usize) -> Map {
    let mut draw = Draw(records as u64 + 7);
    let mut map = Map::new();
    for _ in 0..records {
        let space = SPACES[draw.below(3)];
        let key = vec![draw.below(200) as u8, draw.below(200) as u8, 7];
        let value = vec![draw.below(256) as u8; draw.below(longest)];
        map.insert((space as u8, key), value);
    }
    map
}

fn write(map: &Map, path: &Path) {
    let mut writer = Writer::begin(std::fs::File::create(path).unwrap()).unwrap();
    for ((tag, key), value) in map {
        let space = Space::from_tag(*tag).unwrap();
        let raw = sealed(space, key, value.clone());
        writer.add(space, key, &raw).unwrap();
    }
    let (_, len) = writer.finish().unwrap();
    assert_eq!(path.metadata().unwrap().len(), len);
}

fn open(path: &Path) -> Db {
    Db::Pages(Box::new(PackFile::open(path).unwrap()))
}

/// What a pack may answer: the truth, or where damage is allowed, an error. Counts errors.
struct Judge<'m> {
    map: &'m Map,
    errors: usize,
    sound: bool,
}

impl Judge<'_> {
    fn failed(&mut self, error: &crate::db::DbError) {
        assert!(!self.sound, "{error}");
        self.errors += 1;
    }

    fn get(&mut self, db: &Db, space: Space, key: &[u8]) {
        let truth = self.map.get(&(space as u8, key.to_vec()));
        match db.get(space, key) {
            Ok(found) => assert_eq!(
                found.as_deref(),
                truth.map(Vec::as_slice),
                "{space:?} {key:?}"
            ),
            Err(error) => self.failed(&error),
        }
    }

    fn floor(&mut self, db: &Db, space: Space, key: &[u8]) {
        let prefix = &key[..1];
        let range = (space as u8, prefix.to_vec())..=(space as u8, key.to_vec());
        let truth = self.map.range(range).next_back();
        let truth = truth.map(|((_, key), value)| (key.clone(), value.clone()));
        match db.floor(space, prefix, key.to_vec()) {
            Ok(found) => {
                let found = found.map(|(key, value)| (key, value.to_vec()));
                assert_eq!(found, truth, "{space:?} {key:?}");
            }
            Err(error) => self.failed(&error),
        }
    }

    /// What is between two errors must be there without a hole; so must all without any.
    fn range(&mut self, db: &Db, space: Space, backward: bool) {
        let of_space = |((tag, key), value): (&(u8, Vec<u8>), &Vec<u8>)| {
            (*tag == space as u8).then(|| (key.clone(), value.clone()))
        };
        let mut truth: Vec<_> = self.map.iter().filter_map(of_space).collect();
        let range = db.range(space, ..);
        let found: Vec<_> = if backward {
            truth.reverse();
            range.rev().collect()
        } else {
            range.collect()
        };
        let mut rest = truth.as_slice();
        let mut hole = false;
        for record in found {
            match record {
                Ok((key, value)) => {
                    let at = rest.iter().position(|(other, _)| *other == key).unwrap();
                    assert!(at == 0 || hole, "{space:?}: a hole that nobody told of");
                    assert_eq!(value.to_vec(), rest[at].1);
                    rest = &rest[at + 1..];
                    hole = false;
                }
                Err(error) => {
                    self.failed(&error);
                    hole = true;
                }
            }
        }
        assert!(
            rest.is_empty() || hole,
            "{space:?}: an end that nobody told of"
        );
    }

    fn all(&mut self, db: &Db, draw: &mut Draw) {
        for space in SPACES {
            self.range(db, space, false);
            self.range(db, space, true);
            for _ in 0..40 {
                let key = [draw.below(201) as u8, draw.below(201) as u8, 7];
                self.get(db, space, &key);
                self.floor(db, space, &key);
            }
        }
    }
}

#[test]
fn a_pack_answers_as_the_map_it_was_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pack");
    // From no block to an index of three levels; and records longer than any block.
    for (records, longest) in [(0, 1), (1, 9), (40, 200_000), (30_000, 90)] {
        let map = map(records, longest);
        write(&map, &path);
        let mut judge = Judge {
            map: &map,
            errors: 0,
            sound: true,
        };
        judge.all(&open(&path), &mut Draw(1));
        assert_eq!(open(&path).pages().and_then(crate::db::Pages::damage), None);
    }
}

#[test]
fn a_damaged_pack_never_answers_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pack");
    let map = map(6_000, 160);
    write(&map, &path);
    let sound = std::fs::read(&path).unwrap();
    let mut draw = Draw(5);
    let mut errors = 0;
    let mut readable = 0;
    for round in 0..150 {
        let mut bytes = sound.clone();
        let at = 128 + draw.below(bytes.len() - 128);
        match round % 3 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << draw.below(8),
            _ => {
                let end = (at + 4096).min(bytes.len());
                bytes[at..end].fill(0);
            }
        }
        std::fs::write(&path, bytes).unwrap();
        let db = open(&path);
        let mut judge = Judge {
            map: &map,
            errors: 0,
            sound: false,
        };
        judge.all(&db, &mut draw);
        let some = db.range(Space::Event, ..).any(|record| record.is_ok());
        readable += usize::from(some);
        errors += usize::from(judge.errors > 0);
    }
    // Most places hold records; and one damage hides one block, not the rest.
    assert!(errors > 90, "{errors} of 150 damages were met");
    assert!(readable > 120, "{readable} of 150 had something to read");
}

#[test]
fn a_damaged_index_hides_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pack");
    let map = map(30_000, 90);
    write(&map, &path);
    let sound = std::fs::read(&path).unwrap();
    for cut in [1, 16, 31, 33, 60] {
        let mut bytes = sound.clone();
        let at = bytes.len() - cut;
        bytes[at] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        let db = open(&path);
        let mut judge = Judge {
            map: &map,
            errors: 0,
            sound: true,
        };
        judge.all(&db, &mut Draw(3));
        assert!(db.pages().unwrap().damage().is_some(), "{cut} from the end");
    }
}
