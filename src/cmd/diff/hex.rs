//! Rows of bytes that differ, with the rows around them.

use std::fmt::Write as _;
use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::binary::each_window;
use super::side::Side;
use crate::error::CliError;
use crate::output::{Output, counted, paint};

/// Bytes a row.
const ROW: u64 = 16;
/// Rows that differ and are shown; all are counted.
const MAX_ROWS: usize = 256;

/// Writes the rows that differ, the old one and the new one, with `context` equal rows
/// around them.
///
/// # Errors
/// Damage, or those of `output`.
pub(super) fn write(
    old: &mut Side<'_>,
    new: &mut Side<'_>,
    context: usize,
    output: &mut Output,
) -> Result<(), CliError> {
    let (rows, total) = differing(old, new)?;
    let end = old.len().max(new.len()).div_ceil(ROW);
    let context = context as u64;
    let mut next = None;
    for (at, row) in rows.iter().enumerate() {
        let first = row.saturating_sub(context).max(next.unwrap_or(0));
        if next.is_none_or(|next| next < first) {
            let place = paint(
                output.color(),
                AnsiColor::Cyan.on_default(),
                format_args!("@@ {:#010x} @@", first * ROW),
            )
            .to_string();
            writeln!(output, "{place}")?;
        }
        let following = rows.get(at + 1).copied().unwrap_or(u64::MAX);
        let last = row.saturating_add(context).min(end.saturating_sub(1));
        let last = last.min(following.saturating_sub(1));
        for row in first..=last {
            write_row(old, new, row, output)?;
        }
        next = Some(last + 1);
    }
    if let Some(more) = total
        .checked_sub(rows.len() as u64)
        .filter(|more| *more > 0)
    {
        writeln!(output, "# {} more differ", counted(more, "row"))?;
    }
    Ok(())
}

/// The first rows that differ, and how many do.
fn differing(old: &mut Side<'_>, new: &mut Side<'_>) -> Result<(Vec<u64>, u64), CliError> {
    let (mut rows, mut total) = (Vec::new(), 0_u64);
    let (shorter, longer) = (old.len().min(new.len()), old.len().max(new.len()));
    let mut last = None;
    let mut add = |row: u64| {
        if last != Some(row) {
            last = Some(row);
            total += 1;
            if rows.len() < MAX_ROWS {
                rows.push(row);
            }
        }
    };
    each_window(old, new, |offset, a, b| {
        if a != b {
            let size = ROW as usize;
            let pairs = a.chunks(size).zip(b.chunks(size)).enumerate();
            for (at, _) in pairs.filter(|(_, (a, b))| a != b) {
                add(offset / ROW + at as u64);
            }
        }
        true
    })?;
    // Behind the end of the shorter side everything differs.
    let (mut row, end) = (shorter / ROW, longer.div_ceil(ROW));
    while row < end && shorter < longer && rows.len() < MAX_ROWS {
        if last != Some(row) {
            total += 1;
            rows.push(row);
        }
        row += 1;
    }
    if shorter < longer {
        total += end.saturating_sub(row);
    }
    Ok((rows, total))
}

fn write_row(
    old: &mut Side<'_>,
    new: &mut Side<'_>,
    row: u64,
    output: &mut Output,
) -> Result<(), CliError> {
    let (a, b) = (read_row(old, row)?, read_row(new, row)?);
    if a == b {
        return write_bytes(' ', Style::new(), row, &a, output);
    }
    if !a.is_empty() {
        write_bytes('-', AnsiColor::Red.on_default(), row, &a, output)?;
    }
    if !b.is_empty() {
        write_bytes('+', AnsiColor::Green.on_default(), row, &b, output)?;
    }
    Ok(())
}

fn read_row(side: &mut Side<'_>, row: u64) -> Result<Vec<u8>, CliError> {
    let mut bytes = vec![0; ROW as usize];
    let n = side.read_at(row * ROW, &mut bytes)?;
    bytes.truncate(n);
    Ok(bytes)
}

/// `-00000010  00 01 02 .. |...|`.
fn write_bytes(
    mark: char,
    style: Style,
    row: u64,
    bytes: &[u8],
    output: &mut Output,
) -> Result<(), CliError> {
    let mut digits = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let gap = if at == 8 { "  " } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(digits, "{gap}{byte:02x}");
    }
    let visible = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    };
    let text: String = bytes.iter().map(visible).collect();
    let line = format_args!("{mark}{:08x} {digits:<49} |{text}|", row * ROW).to_string();
    let line = paint(output.color(), style, line).to_string();
    writeln!(output, "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{MAX_ROWS, differing, write};
    use crate::cmd::diff::side::{Body, Side};
    use crate::testing::Captured;

    fn side(bytes: &[u8]) -> Side<'static> {
        let mut side = Side::new(None);
        side.body = Body::Whole(bytes.to_vec());
        side
    }

    fn rows(old: &[u8], new: &[u8]) -> (Vec<u64>, u64) {
        differing(&mut side(old), &mut side(new)).unwrap()
    }

    #[test]
    fn rows_are_those_that_differ() {
        let before = vec![0; 100];
        let mut after = before.clone();
        assert_eq!(rows(&before, &after), (vec![], 0));
        (after[17], after[18], after[99]) = (1, 1, 1);
        assert_eq!(rows(&before, &after), (vec![1, 6], 2));
        assert_eq!(rows(&before, &after[..20]), (vec![1, 2, 3, 4, 5, 6], 6));
        assert_eq!(rows(&before[..32], &before), (vec![2, 3, 4, 5, 6], 5));
        assert_eq!(rows(b"", b""), (vec![], 0));
    }

    #[test]
    fn no_row_is_written_twice_where_contexts_meet() {
        let before = vec![0; 16 * 20];
        let mut after = before.clone();
        (after[16 * 2], after[16 * 4], after[16 * 15]) = (1, 1, 1);
        let captured = Captured::default();
        let mut output = captured.output(false);
        write(&mut side(&before), &mut side(&after), 2, &mut output).unwrap();
        output.finish().unwrap();
        let lines = captured.lines();
        let places = lines.iter().map(|line| line.get(..9).unwrap());
        let expected = [
            "@@ 0x0000",
            " 00000000",
            " 00000010",
            "-00000020",
            "+00000020",
            " 00000030",
            "-00000040",
            "+00000040",
            " 00000050",
            " 00000060",
            "@@ 0x0000",
            " 000000d0",
            " 000000e0",
            "-000000f0",
            "+000000f0",
            " 00000100",
            " 00000110",
        ];
        assert_eq!(places.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rows_are_bounded_and_all_counted() {
        let (before, after) = (vec![0; 16 * 1000], vec![1; 16 * 1000 + 1]);
        let (rows, total) = rows(&before, &after);
        assert_eq!((rows.len(), total), (MAX_ROWS, 1001));
    }
}
