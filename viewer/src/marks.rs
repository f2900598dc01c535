//! Marks, kept with the trace: one text file in the state directory, a line each. See
//! `docs/format.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use diffkeeper_store::model::Seq;

/// Most bytes that are read.
const MAX_LEN: u64 = 64 << 10;

/// The marks of a session; none where there is no file, and lines that make no sense are
/// passed over.
#[must_use]
pub fn load(path: &Path, session: u32) -> BTreeMap<char, Seq> {
    let mut marks = BTreeMap::new();
    for (of, name, seq) in read(path) {
        if of == session {
            marks.insert(name, seq);
        }
    }
    marks
}

type Mark = (u32, char, Seq);

fn read(path: &Path) -> Vec<Mark> {
    let mut text = String::new();
    let file = fs::File::open(path);
    let read = file.and_then(|file| file.take(MAX_LEN).read_to_string(&mut text));
    match read {
        Ok(_) => text.lines().filter_map(parse).collect(),
        Err(_) => Vec::new(),
    }
}

/// `SESSION LETTER SEQ`.
fn parse(line: &str) -> Option<Mark> {
    let mut words = line.split(' ');
    let session = words.next()?.parse().ok()?;
    let mut name = words.next()?.chars();
    let (letter, rest) = (name.next()?, name.next());
    let seq = words.next()?.parse().ok()?;
    let fits = letter.is_ascii_lowercase() && rest.is_none() && words.next().is_none();
    fits.then_some((session, letter, Seq(seq)))
}

/// Keeps the marks of a session; those of others stay. The file is replaced as a whole.
///
/// # Errors
/// A directory that cannot be written to.
pub fn save(path: &Path, session: u32, marks: &BTreeMap<char, Seq>) -> io::Result<()> {
    let mut all = read(path);
    all.retain(|(of, ..)| *of != session);
    all.extend(marks.iter().map(|(name, seq)| (session, *name, *seq)));
    all.sort_unstable();
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    for (session, name, seq) in all {
        writeln!(file, "{session} {name} {}", seq.0)?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{load, save};
    use diffkeeper_store::model::Seq;
    use std::collections::BTreeMap;

    #[test]
    fn marks_are_kept_by_session() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        assert!(load(&path, 1).is_empty());
        let of = |pairs: &[(char, u64)]| -> BTreeMap<char, Seq> {
            pairs.iter().map(|(name, seq)| (*name, Seq(*seq))).collect()
        };
        save(&path, 1, &of(&[('a', 7)])).unwrap();
        save(&path, 2, &of(&[('a', 9), ('z', 1)])).unwrap();
        save(&path, 1, &of(&[('b', 8)])).unwrap();
        assert_eq!(load(&path, 1), of(&[('b', 8)]));
        assert_eq!(load(&path, 2), of(&[('a', 9), ('z', 1)]));
        std::fs::write(&path, "1 a 5\nnonsense\n1 B 5\n1 c -5\n\u{1b}[2J\n").unwrap();
        assert_eq!(load(&path, 1), of(&[('a', 5)]));
    }
}
