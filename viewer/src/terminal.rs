//! The terminal: taken in full and always given back, whatever ends the program; the
//! clipboard; other programs that have it for a while.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Whether the terminal is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Longest text for the clipboard, bytes: terminals drop longer ones.
const MAX_COPIED: usize = 1 << 20;

/// Holds the terminal until it is dropped.
pub(crate) struct Guard(());

impl Guard {
    /// Takes the terminal. A panic from now on gives it back before it is told.
    ///
    /// # Errors
    /// No terminal.
    pub(crate) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !diffkeeper_store::panic_is_guarded() {
                    give_back();
                }
                told(info);
            }));
        });
        enter()?;
        Ok(Self(()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Takes the terminal, for the first time or again.
pub(crate) fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, Hide)
}

/// Leaves the terminal as it was; does nothing the second time.
pub(crate) fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // There is nobody left to tell if the terminal has gone.
        let _ = execute!(
            io::stdout(),
            Show,
            DisableMouseCapture,
            LeaveAlternateScreen
        );
        let _ = disable_raw_mode();
    }
}

/// Puts bytes into the clipboard, by way of the terminal (OSC 52).
///
/// # Errors
/// A text that is too long, or no terminal.
pub(crate) fn copy(bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > MAX_COPIED {
        return Err(io::Error::other("too long for the clipboard"));
    }
    let mut out = io::stdout().lock();
    write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(bytes))?;
    out.flush()
}

/// Stops this process as ctrl-z does, and comes back with the terminal taken.
///
/// # Errors
/// No terminal to come back to.
pub(crate) fn suspend() -> io::Result<()> {
    give_back();
    // The whole job, as the terminal would.
    rustix::process::kill_process_group(rustix::process::getpgrp(), rustix::process::Signal::TSTP)?;
    enter()
}
