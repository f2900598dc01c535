//! The cursor and time: steps, jumps, zoom, marks, playing.

use std::time::Duration;

use diffkeeper_store::model::{Seq, Timestamp};
use diffkeeper_store::when::{Target, When, parse_duration};

use super::{App, Effect};
use crate::action::Action;
use crate::ask::{DensityAsk, Request, SeekAsk, Sought};
use crate::mode::{Letter, Mode};
use crate::page::Base;
use crate::view::layout::Pane;

/// Shortest stretch of time that a column of the histogram stands for, ns.
const MIN_COLUMN: u64 = 100;
/// A pause in which nothing happens is played at most so long, ns of the watcher's time.
const MAX_PAUSE: f64 = 1e9;
/// Slowest and fastest.
const SPEEDS: (f64, f64) = (1.0 / 1024.0, 1024.0);

impl App {
    pub(super) fn move_in_time(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::PrevEvent => self.step(1, false),
            Action::NextEvent => self.step(1, true),
            Action::PrevBucket => effects.extend(self.seek_bucket(false)),
            Action::NextBucket => effects.extend(self.seek_bucket(true)),
            Action::PrevVersion => self.seek_version(false, effects),
            Action::NextVersion => self.seek_version(true, effects),
            Action::Start => self.jump(self.facts.start.0),
            Action::End => self.jump(self.facts.last_seq),
            Action::ZoomIn => self.zoom_by(true),
            Action::ZoomOut => self.zoom_by(false),
            Action::Play => self.toggle_play(),
            Action::Faster => self.set_speed(self.play.speed * 2.0),
            Action::Slower => self.set_speed(self.play.speed / 2.0),
            _ => {}
        }
    }

    /// Moves by rows of the list; before the first stands the baseline.
    pub(super) fn step(&mut self, rows: usize, forward: bool) {
        self.stop_playing();
        let mut to = self.cursor;
        let mut moved = 0_usize;
        while moved < rows {
            let next = if forward {
                self.order.after(to)
            } else {
                self.order
                    .before(to)
                    .or((to > self.facts.start.0).then_some(self.facts.start.0))
            };
            let Some(next) = next else { break };
            to = next;
            moved += 1;
        }
        if forward {
            self.offset = (self.offset + moved).min(self.height(Pane::Events) - 1);
        } else {
            self.offset = self.offset.saturating_sub(moved);
        }
        self.set_cursor(to);
    }

    /// Moves anywhere.
    pub(super) fn jump(&mut self, to: Seq) {
        self.stop_playing();
        self.set_cursor(to);
        self.centre();
    }

    /// Puts the cursor's row into the middle of the list, or where the list ends.
    pub(super) fn centre(&mut self) {
        let height = self.height(Pane::Events) as u64;
        let rank = self.order.rank(self.cursor);
        let above = rank.saturating_sub(1);
        let below = self.order.count().saturating_sub(rank);
        let offset = (height / 2).max(height.saturating_sub(below + 1));
        let offset = offset.min(above).min(height - 1);
        self.offset = usize::try_from(offset).unwrap_or(0);
    }

    pub(super) fn set_cursor(&mut self, to: Seq) {
        let to = to.clamp(
            self.facts.start.0.min(self.facts.last_seq),
            self.facts.last_seq,
        );
        if to == self.cursor {
            return;
        }
        self.cursor = to;
        self.content.start = None;
        self.content.all = false;
        self.learn_time();
    }

    /// The time of the cursor, once its row is there.
    pub(super) fn learn_time(&mut self) {
        if self.cursor == self.facts.start.0 {
            self.time = self.facts.start.1;
        } else if let Some(row) = self.rows.get(&self.cursor) {
            self.time = row.time;
        }
        let (from, to) = self.zoom;
        if self.time < from || self.time > to {
            self.show_time(self.time);
        }
    }

    /// Moves the stretch of the histogram so that a time lies in its middle.
    fn show_time(&mut self, time: Timestamp) {
        let width = self.zoom.1.0 - self.zoom.0.0;
        let latest = self.facts.end.0.saturating_sub(width);
        let from = time.0.saturating_sub(width / 2).min(latest);
        self.zoom = (Timestamp(from), Timestamp(from + width));
    }

    fn zoom_by(&mut self, closer: bool) {
        let width = self.zoom.1.0 - self.zoom.0.0;
        let least = (u64::from(self.size.0) * MIN_COLUMN).min(self.facts.end.0);
        let width = if closer {
            width / 2
        } else {
            width.saturating_mul(2)
        };
        let width = width.clamp(least, self.facts.end.0.max(least));
        self.zoom = (self.zoom.0, Timestamp(self.zoom.0.0.saturating_add(width)));
        self.show_time(self.time);
    }

    /// Shows the stretch between two columns of the histogram.
    pub(super) fn zoom_to(&mut self, ask: DensityAsk, (a, b): (u16, u16)) {
        let (from, to) = (
            column_start(ask, a.min(b)),
            column_start(ask, a.max(b).saturating_add(1)),
        );
        let least = u64::from(self.size.0) * MIN_COLUMN;
        let to =
            to.0.max(from.0.saturating_add(least))
                .min(self.facts.end.0.max(from.0));
        self.zoom = (from, Timestamp(to));
    }

    fn seek_bucket(&mut self, forward: bool) -> Option<Effect> {
        self.stop_playing();
        let columns = u64::from(self.size.0.max(1));
        let width = ((self.zoom.1.0 - self.zoom.0.0) / columns).max(1);
        let time = if forward {
            self.time.0.saturating_add(width)
        } else {
            self.time.0.saturating_sub(width)
        };
        self.seek(forward, Sought::Time(Timestamp(time)), "event")
    }

    fn seek_version(&mut self, forward: bool, effects: &mut Vec<Effect>) {
        self.stop_playing();
        let row = self.rows.get(&self.cursor).and_then(|row| row.file);
        let page = self
            .content
            .page
            .as_ref()
            .and_then(|(_, page)| page.file.as_ref());
        let file = self.pinned.as_ref().map(|(file, _)| *file);
        let file = file.or(row).or(page.map(|(file, _)| *file));
        match file {
            Some(file) => {
                effects.extend(self.seek(forward, Sought::Version(file), "version of this file"));
            }
            None => self.complain("no file here"),
        }
    }

    /// Looks for a place in time; `what` is for the message if there is none.
    pub(super) fn seek(
        &mut self,
        forward: bool,
        what: Sought,
        name: &'static str,
    ) -> Option<Effect> {
        let id = self.id();
        self.seeking = Some((id, name));
        let within = !matches!(what, Sought::Time(_) | Sought::Version(_) | Sought::Landing);
        let within =
            (within && !self.filtering.filter.is_empty()).then(|| self.filtering.filter.clone());
        Some(Effect::Ask(Request::Seek(SeekAsk {
            id,
            from: self.cursor,
            forward,
            what,
            within,
        })))
    }

    /// A place in time was found, or there is none.
    pub(super) fn found(&mut self, ask: &SeekAsk, found: Option<Seq>) {
        let Some((_, name)) = self.seeking.filter(|(id, _)| *id == ask.id) else {
            return;
        };
        self.seeking = None;
        let playing = self.play.on && matches!(ask.what, Sought::Time(_));
        let to = match (&ask.what, found) {
            (_, None) => {
                let which = if ask.forward { "further" } else { "earlier" };
                return self.tell(format!("no {which} {name}"));
            }
            (Sought::Time(_), Some(seq)) if playing => seq.max(self.cursor),
            // A column without events is no place to stay at.
            (Sought::Time(_), Some(seq)) if ask.forward && seq <= ask.from => {
                self.order.after(ask.from).unwrap_or(ask.from)
            }
            (Sought::Time(_), Some(seq)) if !ask.forward && seq >= ask.from => {
                self.order.before(ask.from).unwrap_or(self.facts.start.0)
            }
            (_, Some(seq)) => seq,
        };
        self.set_cursor(to);
        self.centre();
    }

    fn toggle_play(&mut self) {
        if self.play.on {
            self.stop_playing();
            return;
        }
        if self.cursor >= self.facts.last_seq {
            self.jump(self.facts.start.0);
        }
        self.play.on = true;
        self.play.at = self.time.0 as f64;
    }

    pub(super) const fn stop_playing(&mut self) {
        self.play.on = false;
    }

    fn set_speed(&mut self, speed: f64) {
        self.play.speed = speed.clamp(SPEEDS.0, SPEEDS.1);
        let speed = self.speed();
        self.tell(format!("plays {speed}"));
    }

    /// `x2`, `x1/4`.
    pub(crate) fn speed(&self) -> String {
        if self.play.speed < 1.0 {
            format!("x1/{}", 1.0 / self.play.speed)
        } else {
            format!("x{}", self.play.speed)
        }
    }

    /// Plays on. A pause is cut short.
    pub(super) fn tick(&mut self, passed: Duration, effects: &mut Vec<Effect>) {
        if !self.play.on {
            return;
        }
        let Some(next) = self.order.after(self.cursor) else {
            return self.stop_playing();
        };
        self.play.at += passed.as_secs_f64() * 1e9 * self.play.speed;
        let Some(row) = self.rows.get(&next) else {
            return;
        };
        let due = row.time.0 as f64;
        self.play.at = self.play.at.max(due - MAX_PAUSE * self.play.speed);
        if self.play.at < due {
            return;
        }
        let time = Timestamp(self.play.at as u64);
        if self.filtering.text.is_empty() {
            effects.extend(self.seek(true, Sought::Time(time), "event"));
        } else {
            self.set_cursor(next);
            self.offset = (self.offset + 1).min(self.height(Pane::Events) - 1);
        }
    }

    /// A letter after `m`, `'` or `D`.
    pub(super) fn mark(&mut self, letter: Letter, name: char, effects: &mut Vec<Effect>) {
        self.mode = Mode::Browse;
        if !name.is_ascii_lowercase() {
            return self.complain("marks are the letters a to z");
        }
        if letter == Letter::Set {
            self.marks.insert(name, self.cursor);
            effects.push(Effect::SaveMarks(self.marks.clone()));
            return self.tell(format!("mark {name} is here"));
        }
        let Some(seq) = self.marks.get(&name).copied() else {
            return self.complain(format!("no mark {name}: m{name} sets it"));
        };
        if letter == Letter::Go {
            self.jump(seq);
        } else {
            self.content.base = Base::Mark(name, seq);
            self.tell(format!("compared with mark {name}"));
        }
    }

    /// Goes to what was typed after `:`.
    pub(super) fn go_to(&mut self, text: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        let text = text.trim();
        let time = if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent
                .trim()
                .parse()
                .map_err(|_| "expected a number before %")?;
            if !(0.0..=100.0).contains(&percent) {
                return Err("expected 0% to 100%".to_owned());
            }
            (self.facts.end.0 as f64 * percent / 100.0) as u64
        } else if let Some(later) = text.strip_prefix('+') {
            let by = parse_duration(later).map_err(|error| error.to_string())?;
            self.time.0.saturating_add(by).min(self.facts.end.0)
        } else if let Some(mark) = text.strip_prefix('\'') {
            let seq = mark.chars().next().and_then(|name| self.marks.get(&name));
            let seq = *seq.ok_or_else(|| "there is no such mark".to_owned())?;
            self.jump(seq);
            return Ok(());
        } else {
            let when = When::parse(text).map_err(|error| error.to_string())?;
            match when
                .resolve(&self.facts.span())
                .map_err(|error| error.to_string())?
            {
                Target::Seq(seq) => {
                    self.jump(seq);
                    return Ok(());
                }
                Target::Time(time) => time.0,
            }
        };
        self.go_to_time(Timestamp(time), effects);
        Ok(())
    }

    /// Goes to the state after every event up to a time.
    pub(super) fn go_to_time(&mut self, time: Timestamp, effects: &mut Vec<Effect>) {
        self.stop_playing();
        let id = self.id();
        self.seeking = Some((id, "event"));
        effects.push(Effect::Ask(Request::Seek(SeekAsk {
            id,
            // Wherever it is, the place found counts.
            from: Seq(u64::MAX),
            forward: false,
            what: Sought::Time(time),
            within: None,
        })));
    }
}

/// When a column of the histogram begins.
pub(crate) fn column_start(ask: DensityAsk, column: u16) -> Timestamp {
    let span = u128::from(ask.to.0.saturating_sub(ask.from.0)) + 1;
    let columns = u128::from(ask.columns.max(1));
    let at = (u128::from(column) * span).div_ceil(columns);
    let at = u64::try_from(at).unwrap_or(u64::MAX);
    Timestamp(ask.from.0.saturating_add(at).min(ask.to.0))
}
