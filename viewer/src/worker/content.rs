//! The content pane: which file the cursor means, what is known of its version, and its
//! lines. A page is delivered plainly first, then with the colours of its language.

use diffkeeper_store::filter::Known;
use diffkeeper_store::model::{Event, FileId, Kind, Op, Seq, TracePath, VersionRef, escape};
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::{Paths, SessionReader, StoreError};

use super::Job;
use super::syntax::Colours;
use crate::app::{UNKNOWN, file_at};
use crate::ask::Answer;
use crate::describe;
use crate::lines::{self, Sides};
use crate::look::Look;
use crate::page::{Base, Body, Page, PageAsk, PageView, Tag, Window};
use crate::processes::tally::changes_a_file;
use crate::processes::{Processes, command_line, name};
use crate::side::Side;
use crate::text::grouped;

/// Bytes of a long content that are shown at once.
pub(crate) const BUDGET: u64 = 256 << 10;
/// Bytes that are shown if all is wanted.
pub(crate) const BUDGET_ALL: u64 = 8 << 20;
/// Bytes before a change that are shown with it.
const LEAD: u64 = 4 << 10;
/// Events before the cursor among which a changed file is looked for.
const BACK: u64 = 2048;
/// Most versions that are counted.
const MAX_VERSIONS: usize = 10_000;

pub(super) fn work(ask: &PageAsk, job: Job<'_>) {
    match Writer::new(ask, job).and_then(|mut writer| writer.write()) {
        Ok(()) => {}
        Err(error) => job.fail(&error),
    }
}

/// Makes a page.
struct Writer<'a, 'e> {
    ask: &'a PageAsk,
    job: Job<'e>,
    reader: &'e SessionReader<'e>,
    page: Page,
    /// The event at the cursor.
    event: Option<Event>,
}

impl<'a, 'e> Writer<'a, 'e> {
    fn new(ask: &'a PageAsk, job: Job<'e>) -> Result<Self, StoreError> {
        let event = match ask.seq {
            Seq::BASELINE => None,
            seq => job.reader.event(seq)?,
        };
        let page = Page {
            view: ask.view,
            ..Page::default()
        };
        let reader = job.reader;
        Ok(Self {
            ask,
            job,
            reader,
            page,
            event,
        })
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.tell_event()?;
        if let Some(Event {
            op: Op::Output { bytes, stream },
            ..
        }) = &self.event
            && self.ask.file.is_none()
        {
            self.page.title = stream.word().to_owned();
            self.page.body = Body::Lines(lines::plain(bytes, None, Tag::Same, 1));
            self.page.view = PageView::Raw;
            self.deliver();
            return Ok(());
        }
        let file = match &self.ask.file {
            Some((UNKNOWN, path)) => {
                let file = file_at(self.reader, path, self.ask.seq)?;
                file.map(|file| (file, path.clone()))
            }
            Some(file) => Some(file.clone()),
            None => self.subject()?,
        };
        let Some((file, path)) = file else {
            self.page.title = match &self.ask.file {
                Some((_, path)) => format!("{}  not there", escape(path)),
                None => "nothing changed up to here".to_owned(),
            };
            self.deliver();
            return Ok(());
        };
        self.page.title = escape(&path).to_string();
        self.page.file = Some((file, path.clone()));
        self.tell_attributes(file)?;
        self.content(file, &path)
    }

    fn deliver(&self) {
        if !self.job.is_stopped() {
            let page = Box::new(self.page.clone());
            self.job.answer(Answer::Page(self.ask.clone(), page));
        }
    }

    /// The event at the cursor in a line, where it is not the write that is shown anyway.
    fn tell_event(&mut self) -> Result<(), StoreError> {
        let Some(event) = &self.event else {
            self.page
                .facts
                .push("the state before the first event".to_owned());
            return Ok(());
        };
        let look = Look::new(self.reader);
        let found = look.at(event.clone(), &mut Paths::new(self.reader));
        let mut text = format!("#{} {}", grouped(event.seq.0), event.op.kind().word());
        // Writing to a String cannot fail.
        let _ = describe::write_path(&mut text, &found);
        if let Op::Write { offset, len, .. } = event.op {
            let (offset, len) = (grouped(offset), grouped(len));
            text += &format!(" offset {offset} len {len}");
        } else {
            let _ = describe::write_details(&mut text, &event.op);
        }
        self.page.facts.push(text);
        if let Some(process) = found.who() {
            let processes = Processes::new(self.reader);
            let parent = processes.above(process)?.into_iter().next();
            let parent = parent.map(|parent| format!("  (parent {})", name(&parent)));
            self.page.facts.push(format!(
                "by {}  {}{}",
                name(process),
                crate::text::shorten(&command_line(process), 200),
                parent.unwrap_or_default()
            ));
        }
        Ok(())
    }

    /// The file of the event, or that of the last change before it.
    fn subject(&mut self) -> Result<Option<(FileId, TracePath)>, StoreError> {
        let Some(event) = self.event.clone() else {
            return Ok(None);
        };
        if event.file.is_some() {
            return self.named(&event);
        }
        let first = Seq(event.seq.0.saturating_sub(BACK).max(1));
        for before in self.reader.events(first, event.seq).rev() {
            if self.job.is_stopped() {
                return Ok(None);
            }
            let before = before?;
            if before.file.is_some() && changes_a_file(&before.op) {
                let number = grouped(before.seq.0);
                self.page
                    .facts
                    .push(format!("the last change before it is #{number}"));
                return self.named(&before);
            }
        }
        Ok(None)
    }

    fn named(&self, event: &Event) -> Result<Option<(FileId, TracePath)>, StoreError> {
        let Some(file) = event.file else {
            return Ok(None);
        };
        let paths = Paths::new(self.reader).resolve(event)?;
        let path = paths.to.or(paths.path).unwrap_or_default();
        Ok(Some((file, path)))
    }

    /// The state that the page is compared with.
    fn base_of(&self, at: Seq) -> Seq {
        match self.ask.base {
            Base::Previous => Seq(at.0.saturating_sub(1)),
            Base::Mark(_, seq) => seq,
        }
    }

    /// Attributes that this event, or anything since the mark, changed.
    fn tell_attributes(&mut self, file: FileId) -> Result<(), StoreError> {
        let Some((seq, node)) = self.reader.node_at(file, self.ask.seq)? else {
            return Ok(());
        };
        if node.kind == Kind::Symlink {
            let target = escape(&node.target);
            self.page.facts.push(format!("symbolic link to {target}"));
        } else if node.kind != Kind::File {
            let kind = node.kind.word();
            self.page
                .facts
                .push(format!("{kind}, mode {:04o}", node.mode));
        }
        if node.links.is_empty() && file != FileId::TOP {
            self.page
                .facts
                .push("it has no name any more here".to_owned());
        }
        let base = match self.ask.base {
            // Only what happened at the cursor.
            Base::Previous if seq < self.ask.seq => return Ok(()),
            Base::Previous => Seq(seq.0.saturating_sub(1)),
            Base::Mark(_, seq) => seq,
        };
        if seq == Seq::BASELINE {
            return Ok(());
        }
        if let Some((_, before)) = self.reader.node_at(file, base)? {
            self.page
                .facts
                .extend(lines::attribute_changes(&before, &node));
        }
        Ok(())
    }

    fn content(&mut self, file: FileId, path: &[u8]) -> Result<(), StoreError> {
        let Some((seq, version)) = self.reader.version_at(file, self.ask.seq)? else {
            self.deliver();
            return Ok(());
        };
        let base = self.base_of(seq);
        let before = match seq {
            Seq::BASELINE => None,
            _ => self.reader.version_at(file, base)?,
        };
        if let (None, Base::Mark(name, _)) = (&before, self.ask.base) {
            let text = format!("there was no content of it at mark {name}");
            self.page.facts.push(text);
        }
        self.tell_version(file, seq, &version)?;
        let at = |seq| VersionRef { file, seq };
        let new = Side::open(self.reader, Some((at(seq), &version)));
        let old = before.as_ref().map(|(seq, version)| (at(*seq), version));
        let old = Side::open(self.reader, old);
        self.lines(old, new, path, seq);
        Ok(())
    }

    fn tell_version(
        &mut self,
        file: FileId,
        seq: Seq,
        version: &diffkeeper_store::model::Version,
    ) -> Result<(), StoreError> {
        let (mut number, mut total, mut more) = (0, 0, "");
        for found in self.reader.versions(file) {
            let (at, _) = found?;
            total += 1;
            number += usize::from(at <= seq);
            if total >= MAX_VERSIONS || self.job.is_stopped() {
                more = "+";
                break;
            }
        }
        self.page.version = format!("v{number} of {total}{more}");
        self.page.known = Known::of(version).word().to_owned();
        if version.redacted {
            self.page.known += ", redacted";
        }
        let size = format_bytes(version.length);
        let digest = version.digest.map(|digest| {
            let digest = digest.to_string();
            format!("  blake3 {}", digest.get(..16).unwrap_or_default())
        });
        let digest = digest.unwrap_or_default();
        self.page.facts.push(format!("{size}{digest}"));
        Ok(())
    }

    fn lines(&mut self, old: Side<'_>, new: Side<'_>, path: &[u8], seq: Seq) {
        for (side, which) in [(&new, "the content"), (&old, "the content before")] {
            if let Some(why) = side.complaint() {
                self.page.facts.push(format!("{which} {why}"));
            }
        }
        let part = self.window(&new, &old, seq);
        let (mut old, mut new) = (old, new);
        let read = |side: &mut Side<'_>| match side.read(part.start, part.len) {
            Ok(bytes) => (bytes, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let (after, failed) = read(&mut new);
        let (before, failed_before) = read(&mut old);
        self.page
            .facts
            .extend(failed.into_iter().chain(failed_before));
        if self.job.is_stopped() {
            return;
        }
        let is_binary = after.contains(&0) || before.contains(&0);
        let view = match self.ask.view {
            PageView::Inline | PageView::Side if is_binary => PageView::Hex,
            view => view,
        };
        self.page.view = view;
        let is_known = new.is_known() && old.is_known() && old.is_there();
        let sides = Sides {
            old: is_known.then_some(before.as_slice()),
            new: &after,
            start: part.start,
            context: self.ask.context,
        };
        (self.page.body, self.page.counts) = lines::body(view, &sides, None, None);
        self.deliver();
        if view != PageView::Hex && !self.job.is_stopped() && part.start == 0 {
            self.colour(&sides, view, path);
        }
    }

    /// The same with the colours of its language.
    fn colour(&mut self, sides: &Sides<'_>, view: PageView, path: &[u8]) {
        let stopped = || self.job.is_stopped();
        let Some(new) = Colours::of(path, sides.new, &stopped) else {
            return;
        };
        let old = sides.old.and_then(|old| Colours::of(path, old, &stopped));
        (self.page.body, self.page.counts) = lines::body(view, sides, old.as_ref(), Some(&new));
        self.deliver();
    }

    /// The part of a long content that is shown: around the change unless another was
    /// asked for.
    fn window(&mut self, new: &Side<'_>, old: &Side<'_>, seq: Seq) -> Window {
        let total = new.len().max(old.len());
        let budget = if self.ask.all { BUDGET_ALL } else { BUDGET };
        if total <= budget {
            return Window {
                start: 0,
                len: total,
                total,
            };
        }
        let changed = match &self.event {
            Some(Event {
                op: Op::Write { offset, .. },
                seq: at,
                ..
            }) if *at == seq => offset.saturating_sub(LEAD) / 16 * 16,
            _ => 0,
        };
        let start = self.ask.start.unwrap_or(changed);
        let start = start.min(total.saturating_sub(16)) / 16 * 16;
        let len = budget.min(total - start);
        let window = Window { start, len, total };
        self.page.window = Some(window);
        window
    }
}
