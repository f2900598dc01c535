//! Which key asks for what: the default as a table, changes from a configuration, and
//! keys as text (`ctrl-z`, `space`, `H`).

use std::collections::HashMap;

use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use crate::action::Action;

/// A key with its modifiers. Shift is not one of them for characters, which carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key.
    pub code: KeyCode,
    /// Ctrl and alt.
    pub modifiers: KeyModifiers,
}

/// The keys of the help, by what they are about.
pub const GROUPS: &[(&str, &[(&str, Action)])] = &[
    (
        "Time",
        &[
            ("h left", Action::PrevEvent),
            ("l right", Action::NextEvent),
            ("H", Action::PrevBucket),
            ("L", Action::NextBucket),
            ("t", Action::NextVersion),
            ("T", Action::PrevVersion),
            ("0 home", Action::Start),
            ("$ end", Action::End),
            ("z", Action::ZoomIn),
            ("Z", Action::ZoomOut),
            ("space", Action::Play),
            (">", Action::Faster),
            ("<", Action::Slower),
            ("!", Action::NextTrouble),
            ("~", Action::PrevTrouble),
            ("m", Action::SetMark),
            ("'", Action::GoToMark),
            (":", Action::GoTo),
            ("w", Action::Clock),
        ],
    ),
    (
        "Panes",
        &[
            ("j down", Action::Down),
            ("k up", Action::Up),
            ("pagedown ctrl-f", Action::PageDown),
            ("pageup ctrl-b", Action::PageUp),
            ("tab", Action::NextPane),
            ("shift-tab", Action::PrevPane),
            ("enter", Action::Open),
            ("esc", Action::Back),
            ("p", Action::Processes),
            ("v", Action::ChangedOnly),
        ],
    ),
    (
        "Content",
        &[
            ("d", Action::DiffView),
            ("D", Action::DiffMark),
            ("{", Action::LessContext),
            ("}", Action::MoreContext),
            ("[", Action::PrevHunk),
            ("]", Action::NextHunk),
            ("A", Action::LoadAll),
        ],
    ),
    (
        "Find",
        &[
            ("f", Action::Filter),
            ("/", Action::Search),
            ("n", Action::SearchNext),
            ("N", Action::SearchPrev),
            ("g ctrl-p", Action::PickFile),
            ("c", Action::History),
            ("W", Action::Writer),
        ],
    ),
    (
        "Leave with something",
        &[
            ("x", Action::Export),
            ("o", Action::OpenWith),
            ("y", Action::Copy),
        ],
    ),
    (
        "Program",
        &[
            ("? f1", Action::Help),
            ("ctrl-z", Action::Suspend),
            ("ctrl-l", Action::Redraw),
            ("q ctrl-c", Action::Quit),
        ],
    ),
];

/// Keys that have a word instead of a character.
const NAMED: &[(&str, KeyCode)] = &[
    ("space", KeyCode::Char(' ')),
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
];

impl Key {
    /// A key as a terminal reports it.
    #[must_use]
    pub fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let kept = KeyModifiers::CONTROL | KeyModifiers::ALT;
        let modifiers = modifiers & kept;
        Self { code, modifiers }
    }

    /// Reads a key such as `ctrl-z`, `space`, `H` or `f1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Some(Self::new(*code, KeyModifiers::NONE));
        }
        for (prefix, modifier) in [
            ("ctrl-", KeyModifiers::CONTROL),
            ("alt-", KeyModifiers::ALT),
        ] {
            if let Some(rest) = text.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
                let inner = Self::parse(rest)?;
                return Some(Self::new(inner.code, inner.modifiers | modifier));
            }
        }
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Some(Self::new(KeyCode::Char(c), KeyModifiers::NONE)),
            (Some('f'), Some(_)) => {
                let number = text
                    .get(1..)?
                    .parse()
                    .ok()
                    .filter(|n| (1..=12).contains(n))?;
                Some(Self::new(KeyCode::F(number), KeyModifiers::NONE))
            }
            _ => None,
        }
    }
}

/// The bindings in force.
#[derive(Clone, Debug)]
pub struct Keymap(HashMap<Key, Action>);

impl Default for Keymap {
    fn default() -> Self {
        let mut map = Self(HashMap::new());
        for (keys, action) in GROUPS.iter().flat_map(|(_, bindings)| *bindings) {
            for key in keys.split(' ').filter_map(Key::parse) {
                map.0.insert(key, *action);
            }
        }
        map
    }
}

impl Keymap {
    /// What a key asks for.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Action> {
        self.0.get(&key).copied()
    }

    /// Binds a key to the action of a word; the word `none` takes its binding away.
    ///
    /// # Errors
    /// A key or an action that nobody knows, in words.
    pub fn bind(&mut self, key: &str, word: &str) -> Result<(), String> {
        let parsed = Key::parse(key).ok_or_else(|| format!("no such key: {key:?}"))?;
        if word == "none" {
            self.0.remove(&parsed);
            return Ok(());
        }
        let action = Action::from_word(word).ok_or_else(|| format!("no such action: {word:?}"))?;
        self.0.insert(parsed, action);
        Ok(())
    }

    /// The keys of an action, those of the default first.
    #[must_use]
    pub fn keys_of(&self, action: Action) -> Vec<String> {
        let default = GROUPS.iter().flat_map(|(_, bindings)| *bindings);
        let default: Vec<&str> = default
            .filter(|(_, known)| *known == action)
            .flat_map(|(keys, _)| keys.split(' '))
            .collect();
        let mut keys: Vec<String> = self
            .0
            .iter()
            .filter(|(_, bound)| **bound == action)
            .map(|(key, _)| name(*key))
            .collect();
        let place = |key: &String| default.iter().position(|known| known == key);
        keys.sort_by_key(|key| (place(key).unwrap_or(usize::MAX), key.clone()));
        keys
    }

    /// The first key of an action, for a hint; nothing if none is bound.
    #[must_use]
    pub fn hint(&self, action: Action) -> String {
        self.keys_of(action).into_iter().next().unwrap_or_default()
    }
}

/// A key as text that [`Key::parse`] reads.
fn name(key: Key) -> String {
    let mut text = String::new();
    for (prefix, modifier) in [
        ("ctrl-", KeyModifiers::CONTROL),
        ("alt-", KeyModifiers::ALT),
    ] {
        if key.modifiers.contains(modifier) {
            text += prefix;
        }
    }
    let named = NAMED.iter().find(|(_, code)| *code == key.code);
    match (named, key.code) {
        (Some((name, _)), _) => text + name,
        (None, KeyCode::Char(c)) => text + &c.to_string(),
        (None, KeyCode::F(number)) => format!("{text}f{number}"),
        (None, other) => text + &format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::HashSet;

    use super::{GROUPS, Key, Keymap, name};
    use crate::action::Action;

    #[test]
    fn every_action_has_a_key_and_no_key_two_actions() {
        let bindings = || GROUPS.iter().flat_map(|(_, bindings)| *bindings);
        let bound: HashSet<Action> = bindings().map(|(_, action)| *action).collect();
        for action in Action::ALL {
            assert!(bound.contains(action), "{action:?}");
        }
        let mut seen = HashSet::new();
        for text in bindings().flat_map(|(keys, _)| keys.split(' ')) {
            let key = Key::parse(text).unwrap();
            assert!(seen.insert(key), "{text}");
            assert_eq!(name(key), text);
        }
    }

    #[test]
    fn keys_can_be_bound_anew() {
        let mut map = Keymap::default();
        map.bind("ctrl-n", "next-event").unwrap();
        assert_eq!(map.keys_of(Action::NextEvent), ["l", "right", "ctrl-n"]);
        map.bind("l", "none").unwrap();
        assert_eq!(map.get(Key::parse("l").unwrap()), None);
        assert!(map.bind("hyper-x", "quit").is_err());
        assert!(map.bind("x", "explode").is_err());
    }
}
