//! From bytes to the lines of a page: inline, side by side, hex, raw; and attributes that
//! changed.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use diffkeeper_store::model::{Node, escape};
use similar::{DiffOp, DiffTag, TextDiff};

use crate::page::{Body, Class, Line, PageView, Span, Tag};
use crate::text::{counted, harmless};

/// After this long the rest is shown as replaced: exact still, only not the shortest.
const PATIENCE: Duration = Duration::from_millis(400);
/// Longer lines go on in the next row, bytes.
const MAX_LINE: usize = 2000;
/// Longer lines are not compared word by word, bytes.
const MAX_WORDS: usize = 2000;
/// Bytes of a row of hex.
const ROW: usize = 16;

/// Pieces of a line that a language gives a meaning to, by line.
pub(crate) type Classes = Vec<Vec<(Range<usize>, Class)>>;

/// Two contents, or one of which nothing is known before.
pub(crate) struct Sides<'b> {
    /// The old one; `None` if it is not there or not known.
    pub(crate) old: Option<&'b [u8]>,
    /// The new one.
    pub(crate) new: &'b [u8],
    /// Where they begin in their files.
    pub(crate) start: u64,
    /// Lines around a change.
    pub(crate) context: usize,
}

/// A body with the lines that came and went.
pub(crate) type Counted = (Body, Option<(usize, usize)>);

/// The body of a page.
pub(crate) fn body(
    view: PageView,
    sides: &Sides<'_>,
    old_classes: Option<&Classes>,
    new_classes: Option<&Classes>,
) -> Counted {
    match (view, sides.old) {
        (PageView::Hex, _) => (Body::Lines(hex(sides)), None),
        (PageView::Raw, _) => {
            let lines = plain(sides.new, new_classes, Tag::Same, 1);
            (Body::Lines(lines), None)
        }
        (PageView::Inline | PageView::Side, None) => {
            let lines = plain(sides.new, new_classes, Tag::Same, 1);
            (Body::Lines(lines), None)
        }
        (view, Some(old)) => {
            let lines = Compared::new(old, sides.new, (old_classes, new_classes));
            let counts = Some(lines.counts());
            match view {
                PageView::Side => (Body::Side(lines.side(sides.context)), counts),
                _ => (Body::Lines(lines.inline(sides.context)), counts),
            }
        }
    }
}

/// Lines of one content.
pub(crate) fn plain(bytes: &[u8], classes: Option<&Classes>, tag: Tag, first: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, (number, line)) in (first..).zip(split(bytes)).enumerate() {
        let classes = classes.and_then(|classes| classes.get(at));
        push_line(&mut lines, tag, number, line, classes, &[]);
    }
    lines
}

/// A line ends at a newline and nowhere else.
fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

type LineClasses = Vec<(Range<usize>, Class)>;

/// Adds a line, in several rows if it is long.
fn push_line(
    lines: &mut Vec<Line>,
    tag: Tag,
    number: u64,
    line: &[u8],
    classes: Option<&LineClasses>,
    strong: &[Range<usize>],
) {
    let (text, ended) = match line.strip_suffix(b"\n") {
        Some(text) => (text, true),
        None => (line, false),
    };
    let mut number = Some(number);
    let mut start = 0;
    loop {
        let end = cut(text, start);
        let spans = spans(text, start..end, classes, strong);
        lines.push(Line { tag, number, spans });
        number = None;
        start = end;
        if start >= text.len() {
            break;
        }
    }
    if !ended && !line.is_empty() && tag != Tag::Same {
        lines.push(Line::note("no newline at the end"));
    }
}

/// Where a row of a long line ends: not within a character.
fn cut(text: &[u8], start: usize) -> usize {
    let end = start.saturating_add(MAX_LINE).min(text.len());
    let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (end.saturating_sub(3)..=end)
        .rev()
        .find(|at| *at > start && !is_inside(*at))
        .unwrap_or(end)
}

/// A part of a line as pieces of one style each.
fn spans(
    text: &[u8],
    part: Range<usize>,
    classes: Option<&LineClasses>,
    strong: &[Range<usize>],
) -> Vec<Span> {
    let mut edges = vec![part.start, part.end];
    let ranges = classes.into_iter().flatten().map(|(range, _)| range);
    for range in ranges.chain(strong) {
        edges.extend([range.start, range.end].map(|at| at.clamp(part.start, part.end)));
    }
    edges.sort_unstable();
    edges.dedup();
    let (mut spans, mut column) = (Vec::new(), 0);
    for pair in edges.windows(2) {
        let &[from, to] = pair else { continue };
        let class = classes.into_iter().flatten();
        let class = class.clone().find(|(range, _)| range.contains(&from));
        let piece = text.get(from..to).unwrap_or_default();
        spans.push(Span {
            text: untabbed(&harmless(piece), &mut column),
            strong: strong.iter().any(|range| range.contains(&from)),
            class: class.map_or(Class::Plain, |(_, class)| *class),
        });
    }
    spans
}

/// Tabs as spaces, up to the next multiple of four columns.
fn untabbed(text: &str, column: &mut usize) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let spaces = 4 - *column % 4;
        match c {
            '\t' => shown.extend(std::iter::repeat_n(' ', spaces)),
            c => shown.push(c),
        }
        *column += if c == '\t' { spaces } else { 1 };
    }
    shown
}

/// The parts that differ in the old line and in the new one.
type Parts = (Vec<Range<usize>>, Vec<Range<usize>>);

/// Two lines beside one another.
type Row = (Option<Line>, Option<Line>);

/// Two contents, compared line by line.
struct Compared<'b> {
    old: Vec<&'b [u8]>,
    new: Vec<&'b [u8]>,
    ops: Vec<DiffOp>,
    classes: (Option<&'b Classes>, Option<&'b Classes>),
}

impl<'b> Compared<'b> {
    fn new(
        old: &'b [u8],
        new: &'b [u8],
        classes: (Option<&'b Classes>, Option<&'b Classes>),
    ) -> Self {
        let (old, new): (Vec<_>, Vec<_>) = (split(old).collect(), split(new).collect());
        let diff = TextDiff::configure()
            .timeout(PATIENCE)
            .diff_slices(&old, &new);
        let ops = diff.ops().to_vec();
        Self {
            old,
            new,
            ops,
            classes,
        }
    }

    /// Lines that came, and that went.
    fn counts(&self) -> (usize, usize) {
        let changed = self.ops.iter().filter(|op| op.tag() != DiffTag::Equal);
        changed.fold((0, 0), |(added, removed), op| {
            (added + op.new_range().len(), removed + op.old_range().len())
        })
    }

    fn add_old(&self, lines: &mut Vec<Line>, at: usize, tag: Tag, strong: &[Range<usize>]) {
        if let Some(line) = self.old.get(at) {
            let classes = self.classes.0.and_then(|classes| classes.get(at));
            push_line(lines, tag, at as u64 + 1, line, classes, strong);
        }
    }

    fn add_new(&self, lines: &mut Vec<Line>, at: usize, tag: Tag, strong: &[Range<usize>]) {
        if let Some(line) = self.new.get(at) {
            let classes = self.classes.1.and_then(|classes| classes.get(at));
            push_line(lines, tag, at as u64 + 1, line, classes, strong);
        }
    }

    /// Which lines of an unchanged stretch are shown: those near a change.
    fn kept(&self, at: usize, context: usize) -> (Range<usize>, usize, Range<usize>) {
        let Some(op) = self.ops.get(at) else {
            return (0..0, 0, 0..0);
        };
        let all = op.new_range();
        let head = if at == 0 { 0 } else { context };
        let tail = if at + 1 == self.ops.len() { 0 } else { context };
        // A contents without any change is shown whole.
        if self.ops.len() == 1 || all.len() <= head.saturating_add(tail).saturating_add(1) {
            return (all.clone(), 0, all.end..all.end);
        }
        let (first, last) = (all.start + head, all.end - tail);
        (all.start..first, last - first, last..all.end)
    }

    fn inline(&self, context: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        for (at, op) in self.ops.iter().enumerate() {
            if op.tag() == DiffTag::Equal {
                let (head, left_out, tail) = self.kept(at, context);
                head.for_each(|line| self.add_new(&mut lines, line, Tag::Same, &[]));
                if left_out > 0 {
                    lines.push(skipped(left_out));
                }
                tail.for_each(|line| self.add_new(&mut lines, line, Tag::Same, &[]));
                continue;
            }
            let words = self.words(op);
            for (i, line) in op.old_range().enumerate() {
                let strong = words.get(i).map(|pair| pair.0.as_slice());
                self.add_old(&mut lines, line, Tag::Removed, strong.unwrap_or_default());
            }
            for (i, line) in op.new_range().enumerate() {
                let strong = words.get(i).map(|pair| pair.1.as_slice());
                self.add_new(&mut lines, line, Tag::Added, strong.unwrap_or_default());
            }
        }
        lines
    }

    fn side(&self, context: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        for (at, op) in self.ops.iter().enumerate() {
            let (old, new) = (op.old_range(), op.new_range());
            if op.tag() == DiffTag::Equal {
                let (head, left_out, tail) = self.kept(at, context);
                self.push_same(&mut rows, head, op);
                if left_out > 0 {
                    rows.push((Some(skipped(left_out)), None));
                }
                self.push_same(&mut rows, tail, op);
                continue;
            }
            let words = self.words(op);
            for i in 0..old.len().max(new.len()) {
                let strong = words.get(i).cloned().unwrap_or_default();
                let (mut left, mut right) = (Vec::new(), Vec::new());
                if i < old.len() {
                    self.add_old(&mut left, old.start + i, Tag::Removed, &strong.0);
                }
                if i < new.len() {
                    self.add_new(&mut right, new.start + i, Tag::Added, &strong.1);
                }
                pair(&mut rows, left, right);
            }
        }
        rows
    }

    /// Rows of lines that are in both contents, given by their numbers in the new one.
    fn push_same(&self, rows: &mut Vec<Row>, range: Range<usize>, op: &DiffOp) {
        let (old, new) = (op.old_range().start, op.new_range().start);
        for line in range {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            self.add_old(&mut left, line - new + old, Tag::Same, &[]);
            self.add_new(&mut right, line, Tag::Same, &[]);
            pair(rows, left, right);
        }
    }

    /// The parts that differ in lines that replace one another.
    fn words(&self, op: &DiffOp) -> Vec<Parts> {
        let (old, new) = (op.old_range(), op.new_range());
        let pairs = old.zip(new).take(200);
        pairs
            .map(|(old, new)| match (self.old.get(old), self.new.get(new)) {
                (Some(old), Some(new)) => differing(old, new),
                _ => Default::default(),
            })
            .collect()
    }
}

/// Rows of two lines, where one may take more of them than the other.
fn pair(rows: &mut Vec<Row>, left: Vec<Line>, right: Vec<Line>) {
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    loop {
        match (left.next(), right.next()) {
            (None, None) => break,
            row => rows.push(row),
        }
    }
}

fn skipped(lines: usize) -> Line {
    Line::note(format!("{} more", counted(lines as u64, "line")))
}

/// The words in which two lines differ, if they have enough in common for that to help.
fn differing(old: &[u8], new: &[u8]) -> Parts {
    if old.len().max(new.len()) > MAX_WORDS {
        return Default::default();
    }
    let diff = TextDiff::configure()
        .timeout(Duration::from_millis(20))
        .diff_words(old, new);
    let (mut a, mut b) = (0, 0);
    let (mut gone, mut come, mut same) = (Vec::new(), Vec::new(), 0);
    for change in diff.iter_all_changes() {
        let len = change.value().len();
        match change.tag() {
            similar::ChangeTag::Equal => {
                same += change
                    .value()
                    .iter()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .count();
                (a, b) = (a + len, b + len);
            }
            similar::ChangeTag::Delete => {
                gone.push(a..a + len);
                a += len;
            }
            similar::ChangeTag::Insert => {
                come.push(b..b + len);
                b += len;
            }
        }
    }
    if same * 4 < old.len().min(new.len()) {
        return Default::default();
    }
    (gone, come)
}

/// Rows of bytes; where they differ, the old one and the new one.
fn hex(sides: &Sides<'_>) -> Vec<Line> {
    let old = sides.old.unwrap_or(sides.new);
    let rows = old.len().max(sides.new.len()).div_ceil(ROW);
    let row = |bytes: &[u8], at: usize| -> Vec<u8> {
        let start = (at * ROW).min(bytes.len());
        let end = (start + ROW).min(bytes.len());
        bytes.get(start..end).unwrap_or_default().to_vec()
    };
    let mut lines = Vec::with_capacity(rows);
    for at in 0..rows {
        let (a, b) = (row(old, at), row(sides.new, at));
        let offset = sides.start + (at * ROW) as u64;
        if a == b {
            lines.push(hex_line(Tag::Same, offset, &a, &a));
            continue;
        }
        if !a.is_empty() {
            lines.push(hex_line(Tag::Removed, offset, &a, &b));
        }
        if !b.is_empty() {
            lines.push(hex_line(Tag::Added, offset, &b, &a));
        }
    }
    lines
}

/// A row of bytes, those that `other` does not have in its place set off.
fn hex_line(tag: Tag, offset: u64, bytes: &[u8], other: &[u8]) -> Line {
    let mut spans: Vec<Span> = Vec::new();
    let mut add = |text: &str, strong: bool| match spans.last_mut() {
        Some(span) if span.strong == strong => span.text += text,
        _ => spans.push(Span {
            strong,
            ..Span::plain(text)
        }),
    };
    for (at, byte) in bytes.iter().enumerate() {
        add(if at == 8 { "  " } else { " " }, false);
        let differs = other.get(at) != Some(byte);
        add(&format!("{byte:02x}"), differs);
    }
    let used = bytes.len() * 3 + usize::from(bytes.len() > 8);
    let visible = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    };
    let text: String = bytes.iter().map(visible).collect();
    let mut tail = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        tail,
        "{:pad$} |{text}|",
        "",
        pad = 49_usize.saturating_sub(used)
    );
    add(&tail, false);
    Line {
        tag,
        number: Some(offset),
        spans,
    }
}

/// Attributes that differ, a line each.
pub(crate) fn attribute_changes(old: &Node, new: &Node) -> Vec<String> {
    let mut told = Vec::new();
    if old.mode != new.mode {
        told.push(format!("mode {:04o} -> {:04o}", old.mode, new.mode));
    }
    if (old.uid, old.gid) != (new.uid, new.gid) {
        let (a, b) = ((old.uid, old.gid), (new.uid, new.gid));
        told.push(format!("owner {}:{} -> {}:{}", a.0, a.1, b.0, b.1));
    }
    if old.target != new.target {
        let (a, b) = (escape(&old.target), escape(&new.target));
        told.push(format!("target {a} -> {b}"));
    }
    for xattr in &new.xattrs {
        let before = old.xattrs.iter().find(|before| before.name == xattr.name);
        if before.map(|before| &before.value) != Some(&xattr.value) {
            let (name, value) = (
                escape(&xattr.name),
                crate::text::shorten(&escape(&xattr.value).to_string(), 60),
            );
            told.push(format!("xattr {name} = \"{value}\""));
        }
    }
    for xattr in &old.xattrs {
        if !new.xattrs.iter().any(|after| after.name == xattr.name) {
            told.push(format!("xattr {} removed", escape(&xattr.name)));
        }
    }
    if old.mtime != new.mtime && told.is_empty() {
        let wall = |time| diffkeeper_store::when::wall(time, Default::default());
        told.push(format!("mtime {} -> {}", wall(old.mtime), wall(new.mtime)));
    }
    told
}
