//! The screen without a terminal: for tests, benchmarks and pictures of it. The workers are
//! the real ones.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyEvent};
use ratatui::layout::Rect;

use crate::app::{App, Effect, Input};
use crate::input::input;
use crate::keymap::{Key, Keymap};
use crate::run::Options;
use crate::source::Source;
use crate::theme::Theme;
use crate::view;
use crate::worker::{Closing, Workers};

/// Longest wait for workers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A screen that is driven by a program.
pub struct Harness<'w> {
    app: App,
    theme: Theme,
    keymap: Arc<Keymap>,
    workers: &'w Workers,
    answers: Receiver<Input>,
    buffer: Buffer,
    /// What was put into the clipboard last.
    pub copied: Option<Vec<u8>>,
}

/// Opens a session on a screen of `(columns, rows)` and drives it.
///
/// # Errors
/// Threads that cannot be started; a trace that fails at once.
pub fn with<T>(
    source: &Source,
    size: (u16, u16),
    options: Options,
    drive: impl FnOnce(&mut Harness<'_>) -> T,
) -> std::io::Result<T> {
    let (sender, answers) = mpsc::channel();
    let sender = Mutex::new(sender);
    let deliver = move |answer| {
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = sender.send(Input::Answer(Box::new(answer)));
    };
    let workers = Workers::default();
    std::thread::scope(|scope| {
        // A test that fails must end too.
        let _closing = Closing(&workers);
        workers.start(scope, source, &deliver)?;
        if let Some(state_dir) = options.follow {
            workers.follow(scope, source, state_dir, &deliver)?;
        }
        let keymap = Arc::new(options.keymap);
        let facts = source
            .facts(options.program)
            .map_err(std::io::Error::other)?;
        let (app, effects) = App::new(facts, keymap.clone(), size, options.begin);
        let mut harness = Harness {
            app,
            theme: options.theme,
            keymap,
            workers: &workers,
            answers,
            buffer: Buffer::empty(Rect::new(0, 0, size.0, size.1)),
            copied: None,
        };
        harness.perform(effects);
        Ok(drive(&mut harness))
    })
}

impl Harness<'_> {
    /// Presses keys, named as in a configuration.
    pub fn keys(&mut self, keys: &[&str]) {
        for key in keys {
            if let Some(key) = Key::parse(key) {
                let event = Event::Key(KeyEvent::new(key.code, key.modifiers));
                if let Some(input) = input(&event, self.app.mode(), &self.keymap) {
                    self.input(input);
                }
            }
        }
    }

    /// Types a text.
    pub fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.keys(&[c.to_string().as_str()]);
        }
    }

    /// Gives an input.
    pub fn input(&mut self, input: Input) {
        if let Input::Resize(width, height) = input {
            self.buffer.resize(Rect::new(0, 0, width, height));
        }
        let effects = self.app.update(input);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(request) => self.workers.ask(request),
                Effect::Copy(bytes) => self.copied = Some(bytes),
                _ => {}
            }
        }
    }

    /// Takes the answers that have come.
    pub fn take_answers(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            self.input(answer);
        }
    }

    /// Waits until no worker works any more and all answers are taken; whether it came to
    /// that.
    pub fn settle(&mut self) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let idle = self.workers.is_idle();
            match self
                .answers
                .recv_timeout(Duration::from_millis(if idle { 0 } else { 2 }))
            {
                Ok(answer) => self.input(answer),
                Err(_) if idle => return true,
                Err(_) => {}
            }
        }
        false
    }

    /// Waits until a text is on the screen, and all is at rest; whether it came to that.
    pub fn expect(&mut self, text: &str) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if self.settle() && self.screen().contains(text) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Draws, and gives the cells.
    pub fn draw(&mut self) -> &Buffer {
        self.buffer.reset();
        view::draw(&self.app, self.theme, &mut self.buffer);
        &self.buffer
    }

    /// Draws, and gives the lines without trailing spaces.
    pub fn screen(&mut self) -> String {
        let buffer = self.draw();
        let width = usize::from(buffer.area.width.max(1));
        let mut lines = String::new();
        for row in buffer.content.chunks(width) {
            let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            lines += line.trim_end();
            lines.push('\n');
        }
        lines
    }

    /// The state.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Changes colours from now on.
    pub const fn set_theme(&mut self, theme: Theme) {
        self.theme = theme;
    }
}
