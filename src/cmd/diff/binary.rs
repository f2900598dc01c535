//! How two contents differ byte by byte, however long they are.

use std::io::Write;

use diffkeeper_store::size::format_bytes;

use super::named;
use super::pair::Pair;
use super::side::Side;
use crate::error::CliError;
use crate::output::{Output, counted};

/// Bytes compared at a time.
const WINDOW: usize = 256 << 10;

/// What differs in the part that both sides have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Offset of the first byte that differs.
    pub(super) first: Option<u64>,
    /// How many differ.
    pub(super) bytes: u64,
}

/// Compares the bytes at the same offsets.
///
/// # Errors
/// Damage.
pub(super) fn compare(old: &mut Side<'_>, new: &mut Side<'_>) -> Result<Difference, CliError> {
    let mut found = Difference::default();
    each_window(old, new, |offset, a, b| {
        if a == b {
            return true;
        }
        for (at, _) in a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b) {
            found.first.get_or_insert(offset + at as u64);
            found.bytes += 1;
        }
        true
    })?;
    Ok(found)
}

/// Hands over the same stretch of both sides, as far as both go, until `see` says stop.
///
/// # Errors
/// Damage.
pub(super) fn each_window(
    old: &mut Side<'_>,
    new: &mut Side<'_>,
    mut see: impl FnMut(u64, &[u8], &[u8]) -> bool,
) -> Result<(), CliError> {
    let common = old.len().min(new.len());
    let (mut a, mut b) = (vec![0; WINDOW], vec![0; WINDOW]);
    let mut offset = 0;
    while offset < common {
        let n = usize::try_from(common - offset)
            .unwrap_or(WINDOW)
            .min(WINDOW);
        let (Some(a), Some(b)) = (a.get_mut(..n), b.get_mut(..n)) else {
            break;
        };
        old.read_at(offset, a)?;
        new.read_at(offset, b)?;
        if !see(offset, a, b) {
            break;
        }
        offset += n as u64;
    }
    Ok(())
}

/// Writes the line that stands for a content which is not shown as text; `what` is the
/// word for such a file.
///
/// # Errors
/// Damage, or those of `output`.
pub(super) fn write(
    pair: &Pair<'_>,
    (what, old, new): (&str, &mut Side<'_>, &mut Side<'_>),
    output: &mut Output,
) -> Result<(), CliError> {
    for (side, when) in [(&*old, "before"), (&*new, "after")] {
        if let Some(complaint) = side.complaint() {
            writeln!(output, "# the content {when} {complaint}")?;
        }
    }
    if !old.is_known() || !new.is_known() {
        return Ok(());
    }
    match (pair.before, pair.after) {
        (None, Some(entry)) => {
            let (name, size) = (named("b", &entry.path), format_bytes(new.len()));
            writeln!(output, "{what} {name} added: {size}")?;
        }
        (Some(entry), None) => {
            let (name, size) = (named("a", &entry.path), format_bytes(old.len()));
            writeln!(output, "{what} {name} removed: {size}")?;
        }
        (Some(a), Some(b)) => {
            let found = compare(old, new)?;
            let (a, b) = (named("a", &a.path), named("b", &b.path));
            let how = describe(found, old.len(), new.len());
            writeln!(output, "{what}s {a} and {b} differ: {how}")?;
        }
        (None, None) => {}
    }
    Ok(())
}

/// `5.0KiB -> 6.0KiB, 12 bytes differ, first at offset 0x10, 1024 bytes added at the end`.
fn describe(found: Difference, old: u64, new: u64) -> String {
    let mut text = format!("{} -> {}", format_bytes(old), format_bytes(new));
    if let Some(first) = found.first {
        let s = if found.bytes == 1 { "s" } else { "" };
        let bytes = counted(found.bytes, "byte");
        text += &format!(", {bytes} differ{s}, first at offset {first:#x}");
    }
    if new > old {
        text += &format!(", {} added at the end", counted(new - old, "byte"));
    }
    if old > new {
        text += &format!(", {} removed at the end", counted(old - new, "byte"));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{Difference, WINDOW, compare, describe};
    use crate::cmd::diff::side::{Body, Side};

    fn side(bytes: &[u8]) -> Side<'static> {
        let mut side = Side::new(None);
        side.body = Body::Whole(bytes.to_vec());
        side
    }

    fn difference(old: &[u8], new: &[u8]) -> Difference {
        compare(&mut side(old), &mut side(new)).unwrap()
    }

    #[test]
    fn bytes_are_compared_at_their_offsets() {
        let none = Difference::default();
        assert_eq!(difference(b"", b""), none);
        assert_eq!(difference(b"abc", b"abcdef"), none);
        let one = Difference {
            first: Some(1),
            bytes: 1,
        };
        assert_eq!(difference(b"abc", b"axcd"), one);
        let mut long = vec![0; WINDOW * 2 + 10];
        let before = long.clone();
        long[WINDOW] = 1;
        long[WINDOW * 2 + 9] = 1;
        let two = Difference {
            first: Some(WINDOW as u64),
            bytes: 2,
        };
        assert_eq!(difference(&before, &long), two);
    }

    #[test]
    fn the_difference_is_told_in_words() {
        let one = Difference {
            first: Some(16),
            bytes: 1,
        };
        assert_eq!(
            describe(one, 20, 20),
            "20B -> 20B, 1 byte differs, first at offset 0x10"
        );
        let none = Difference::default();
        assert_eq!(describe(none, 2, 5), "2B -> 5B, 3 bytes added at the end");
        assert_eq!(describe(none, 5, 4), "5B -> 4B, 1 byte removed at the end");
    }
}
