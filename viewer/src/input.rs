//! From what a terminal reports to inputs of the screen, as the mode has it.

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use crate::action::Action;
use crate::app::{Input, Mouse};
use crate::keymap::{Key, Keymap};
use crate::mode::{Edit, Mode};

/// What an event means; `None` if nothing.
#[must_use]
pub(crate) fn input(event: &Event, mode: &Mode, keymap: &Keymap) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => self::key(*key, mode, keymap),
        Event::Mouse(event) => mouse(*event).map(Input::Mouse),
        Event::Resize(width, height) => Some(Input::Resize(*width, *height)),
        _ => None,
    }
}

fn key(key: KeyEvent, mode: &Mode, keymap: &Keymap) -> Option<Input> {
    let pressed = Key::new(key.code, key.modifiers);
    let bound = keymap.get(pressed);
    // These hold everywhere: nobody is to be caught in a mode.
    if let Some(action @ (Action::Suspend | Action::Redraw)) = bound
        && pressed.modifiers != KeyModifiers::NONE
    {
        return Some(Input::Act(action));
    }
    match mode {
        Mode::Browse => bound.map(Input::Act),
        Mode::Prompt(_) => edit(pressed).map(Input::Edit),
        Mode::Letter(_) | Mode::Menu(_) => Some(Input::Letter(character(pressed))),
        Mode::Help(_) | Mode::Hits(_) | Mode::Told(..) => match (mode, bound) {
            (Mode::Help(_) | Mode::Hits(_), Some(action)) if moves(action) => {
                Some(Input::Act(action))
            }
            (Mode::Hits(_), Some(Action::Open)) => Some(Input::Act(Action::Open)),
            _ => Some(Input::Letter(character(pressed))),
        },
    }
}

const fn moves(action: Action) -> bool {
    matches!(
        action,
        Action::Up | Action::Down | Action::PageUp | Action::PageDown
    )
}

/// The character of a key; one that means nothing for others.
const fn character(key: Key) -> char {
    match key.code {
        KeyCode::Char(c) if key.modifiers.is_empty() => c,
        _ => '\0',
    }
}

const fn edit(key: Key) -> Option<Edit> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c' | 'g') if ctrl => Edit::Cancel,
        KeyCode::Char('u') if ctrl => Edit::Clear,
        KeyCode::Char('w') if ctrl => Edit::DeleteWord,
        KeyCode::Char('a') if ctrl => Edit::Home,
        KeyCode::Char('e') if ctrl => Edit::End,
        KeyCode::Char('p') if ctrl => Edit::Up,
        KeyCode::Char('n') if ctrl => Edit::Down,
        KeyCode::Char(c) if key.modifiers.is_empty() => Edit::Insert(c),
        KeyCode::Backspace => Edit::Backspace,
        KeyCode::Delete => Edit::Delete,
        KeyCode::Left => Edit::Left,
        KeyCode::Right => Edit::Right,
        KeyCode::Home => Edit::Home,
        KeyCode::End => Edit::End,
        KeyCode::Up => Edit::Up,
        KeyCode::Down => Edit::Down,
        KeyCode::Tab => Edit::Toggle,
        KeyCode::Enter => Edit::Accept,
        KeyCode::Esc => Edit::Cancel,
        _ => return None,
    })
}

const fn mouse(event: MouseEvent) -> Option<Mouse> {
    let (x, y) = (event.column, event.row);
    Some(match event.kind {
        MouseEventKind::Down(MouseButton::Left) => Mouse::Press(x, y),
        MouseEventKind::Drag(MouseButton::Left) => Mouse::Drag(x, y),
        MouseEventKind::Up(MouseButton::Left) => Mouse::Release(x, y),
        MouseEventKind::ScrollUp => Mouse::Wheel(x, y, false),
        MouseEventKind::ScrollDown => Mouse::Wheel(x, y, true),
        _ => return None,
    })
}
