//! The loop: keys, answers and time come in over one channel, the state changes, the screen
//! is drawn. Nothing in it asks the store.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::crossterm::event::{self, Event};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::app::{App, Begin, Effect, Input};
use crate::facts::Facts;
use crate::input::input;
use crate::keymap::Keymap;
use crate::marks;
use crate::open;
use crate::source::Source;
use crate::terminal::{self, Guard};
use crate::theme::Theme;
use crate::view;
use crate::worker::{Closing, Workers};

/// Time between two steps while playing.
const TICK: Duration = Duration::from_millis(33);
/// How often the thread that reads keys looks whether it is to go on.
const KEY_POLL: Duration = Duration::from_millis(50);

/// How the viewer is started.
#[derive(Debug, Default)]
pub struct Options {
    /// The words that open this trace again: `diffkeeper tui --state-dir x`.
    pub program: Vec<Vec<u8>>,
    /// How to begin.
    pub begin: Begin,
    /// Keys.
    pub keymap: Keymap,
    /// Colours.
    pub theme: Theme,
    /// Where marks are kept, if they can be.
    pub marks: Option<PathBuf>,
    /// The state directory, where it is to be followed while it is being recorded.
    pub follow: Option<PathBuf>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The last view as a command line.
    pub command_line: String,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// What comes in.
enum Message {
    Event(Event),
    Input(Input),
    Signal(i32),
    /// A worker came to an unexpected end.
    Died,
}

/// Shows a session until the user has seen enough.
///
/// # Errors
/// No terminal, or one that fails; a trace that fails at once.
pub fn run(source: &Source, options: Options) -> io::Result<Ended> {
    let (sender, receiver) = mpsc::channel();
    let workers = Workers::default();
    let answers = Mutex::new(sender.clone());
    let deliver = move |answer| {
        let sender = answers.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens any more at the end.
        let _ = sender.send(Message::Input(Input::Answer(Box::new(answer))));
    };
    std::thread::scope(|scope| {
        let _closing = Closing(&workers);
        let threads = workers.start(scope, source, &deliver)?;
        if let Some(state_dir) = options.follow {
            workers.follow(scope, source, state_dir, &deliver)?;
        }
        let guard = Guard::take()?;
        let keys = Keys::start(&sender)?;
        watch_signals(&sender)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let mut screen = Screen {
            workers: &workers,
            theme: options.theme,
            marks: options.marks,
            session: source.session().0,
            keys,
        };
        let facts = source.facts(options.program).map_err(io::Error::other)?;
        let keymap = Arc::new(options.keymap);
        let watch = || {
            threads
                .iter()
                .any(std::thread::ScopedJoinHandle::is_finished)
        };
        let ended = screen.run(terminal, &receiver, (facts, keymap, options.begin), &watch);
        drop(guard);
        ended
    })
}

fn watch_signals(sender: &Sender<Message>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT])?;
    let sender = sender.clone();
    std::thread::Builder::new()
        .name("viewer-signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if sender.send(Message::Signal(signal)).is_err() {
                    break;
                }
            }
        })?;
    Ok(())
}

/// The thread that reads keys, which another program may take over for a while.
struct Keys {
    paused: Arc<AtomicBool>,
    reading: Arc<Mutex<()>>,
}

impl Keys {
    fn start(sender: &Sender<Message>) -> io::Result<Self> {
        let paused = Arc::new(AtomicBool::new(false));
        let reading = Arc::new(Mutex::new(()));
        let keys = Self {
            paused: paused.clone(),
            reading: reading.clone(),
        };
        let sender = sender.clone();
        let read = move || {
            loop {
                if paused.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                }
                let found = {
                    let _reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
                    event::poll(KEY_POLL).and_then(|ready| ready.then(event::read).transpose())
                };
                let message = match found {
                    Ok(None) => continue,
                    Ok(Some(event)) => Message::Event(event),
                    // The terminal has gone.
                    Err(_) => Message::Signal(SIGHUP),
                };
                let is_end = matches!(message, Message::Signal(_));
                if sender.send(message).is_err() || is_end {
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("viewer-keys".to_owned())
            .spawn(read)?;
        Ok(keys)
    }

    /// Does something while nobody reads keys.
    fn without<T>(&self, work: impl FnOnce() -> T) -> T {
        self.paused.store(true, Ordering::SeqCst);
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work();
        drop(reading);
        self.paused.store(false, Ordering::SeqCst);
        done
    }
}

/// What the loop works with.
struct Screen<'w> {
    workers: &'w Workers,
    theme: Theme,
    marks: Option<PathBuf>,
    session: u32,
    keys: Keys,
}

impl Screen<'_> {
    fn run<B: Backend<Error = io::Error>>(
        &mut self,
        mut terminal: Terminal<B>,
        receiver: &Receiver<Message>,
        (facts, keymap, begin): (Facts, Arc<Keymap>, Begin),
        has_died: &dyn Fn() -> bool,
    ) -> io::Result<Ended> {
        let size = terminal.size()?;
        let (mut app, effects) = App::new(facts, keymap.clone(), (size.width, size.height), begin);
        self.perform(effects, &mut app, &mut terminal)?;
        let mut signal = None;
        let mut ticked = Instant::now();
        while !app.is_quitting() && signal.is_none() {
            if !app.is_landing() {
                let theme = self.theme;
                terminal.draw(|frame| view::draw(&app, theme, frame.buffer_mut()))?;
            }
            let mut next = self.wait(receiver, &app);
            if next.is_none() && has_died() {
                next = Some(Message::Died);
            }
            // All that has come in meanwhile belongs to the next picture.
            while let Some(message) = next {
                let found = match message {
                    Message::Event(event) => input(&event, app.mode(), &keymap),
                    Message::Input(input) => Some(input),
                    Message::Signal(number) => {
                        signal = Some(number);
                        break;
                    }
                    Message::Died => return Err(io::Error::other("a worker failed")),
                };
                if let Some(input) = found {
                    let effects = app.update(input);
                    self.perform(effects, &mut app, &mut terminal)?;
                }
                next = receiver.try_recv().ok();
            }
            if app.is_playing() && ticked.elapsed() >= TICK {
                let effects = app.update(Input::Tick(ticked.elapsed()));
                self.perform(effects, &mut app, &mut terminal)?;
                ticked = Instant::now();
            } else if !app.is_playing() {
                ticked = Instant::now();
            }
        }
        let command_line = app.command_line();
        Ok(Ended {
            command_line,
            signal,
        })
    }

    fn wait(&self, receiver: &Receiver<Message>, app: &App) -> Option<Message> {
        let patience = if app.is_playing() {
            TICK
        } else {
            Duration::from_secs(1)
        };
        match receiver.recv_timeout(patience) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Message::Signal(SIGHUP)),
        }
    }

    fn perform<B: Backend<Error = io::Error>>(
        &self,
        effects: Vec<Effect>,
        app: &mut App,
        terminal: &mut Terminal<B>,
    ) -> io::Result<()> {
        for effect in effects {
            let failed = match effect {
                Effect::Ask(request) => {
                    self.workers.ask(request);
                    Ok(())
                }
                Effect::Copy(bytes) => terminal::copy(&bytes),
                Effect::SaveMarks(kept) => match &self.marks {
                    Some(path) => marks::save(path, self.session, &kept),
                    None => Err(io::Error::other("marks cannot be kept with this trace")),
                },
                Effect::Suspend => {
                    self.keys.without(terminal::suspend)?;
                    terminal.clear()?;
                    Ok(())
                }
                Effect::Redraw => Ok(terminal.clear()?),
                Effect::Open(ask, bytes) => {
                    let opened = self.keys.without(|| give_to(&ask, &bytes))?;
                    terminal.clear()?;
                    opened
                }
                Effect::Quit => Ok(()),
            };
            if let Err(error) = failed {
                let text = crate::text::plain(&error.to_string());
                let more = app.update(Input::Notice(text, true));
                self.perform(more, app, terminal)?;
            }
        }
        Ok(())
    }
}

/// Gives the terminal to another program until that ends. The outer error is one of the
/// terminal.
fn give_to(ask: &crate::ask::FetchAsk, bytes: &[u8]) -> io::Result<io::Result<()>> {
    let mut opened = match open::prepare(ask, bytes) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    terminal::give_back();
    let done = opened.command.status().map(drop);
    terminal::enter()?;
    Ok(done)
}
