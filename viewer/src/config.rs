//! The configuration file: keys and theme, as TOML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::keymap::Keymap;
use crate::theme::{Depth, Theme};

/// Longest file that is read, bytes.
const MAX_LEN: u64 = 1 << 20;

/// A file that is not as it should be, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct ConfigError {
    /// Which file, as text.
    place: String,
    /// What is wrong.
    why: String,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    /// Key to the word of an action, or `none`.
    keys: BTreeMap<String, String>,
    theme: ThemeFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ThemeFile {
    /// `dark` or `light`.
    background: Option<Background>,
    /// 0, 16 or 256.
    colors: Option<u16>,
    /// Only ASCII.
    ascii: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Background {
    Dark,
    Light,
}

/// Where the file stands: `$XDG_CONFIG_HOME/diffkeeper/tui.toml`, else below `~/.config`.
#[must_use]
pub fn default_path(get: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let set = |name| {
        get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("diffkeeper").join("tui.toml"))
}

/// Applies a file to keys and theme; none there changes nothing.
///
/// # Errors
/// A file that cannot be read, or says what nobody knows.
pub fn apply(path: &Path, keymap: &mut Keymap, theme: &mut Theme) -> Result<(), ConfigError> {
    let fail = |why: String| ConfigError {
        place: crate::text::plain(&path.to_string_lossy()),
        why: crate::text::plain(&why),
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail(error.to_string())),
        Ok(found) if found.len() > MAX_LEN => return Err(fail("too long".to_owned())),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    read(&text, keymap, theme).map_err(fail)
}

fn read(text: &str, keymap: &mut Keymap, theme: &mut Theme) -> Result<(), String> {
    let file: File = toml::from_str(text).map_err(|error| {
        // What follows draws where.
        error.message().to_owned()
    })?;
    for (key, action) in &file.keys {
        keymap.bind(key, action)?;
    }
    if let Some(background) = file.theme.background {
        theme.light = matches!(background, Background::Light);
    }
    // NO_COLOR stands above a configuration.
    if let Some(colors) = file.theme.colors
        && theme.depth != Depth::None
    {
        theme.depth = match colors {
            0 => Depth::None,
            16 => Depth::Sixteen,
            256 => Depth::Many,
            other => return Err(format!("theme.colors is 0, 16 or 256, not {other}")),
        };
    }
    theme.ascii = file.theme.ascii.unwrap_or(theme.ascii);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::read;
    use crate::action::Action;
    use crate::keymap::Keymap;
    use crate::theme::{Depth, Theme};

    #[test]
    fn keys_and_theme_are_taken() {
        let (mut keymap, mut theme) = (Keymap::default(), Theme::default());
        let text = "[keys]\nctrl-q = 'quit'\nq = 'none'\n[theme]\nbackground = 'light'\n\
            colors = 256\nascii = true\n";
        read(text, &mut keymap, &mut theme).unwrap();
        assert_eq!(keymap.keys_of(Action::Quit), ["ctrl-c", "ctrl-q"]);
        assert!(theme.light && theme.ascii);
        assert_eq!(theme.depth, Depth::Many);
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for text in [
            "nonsense",
            "[keys]\nx = 'y'",
            "[theme]\ncolors = 7",
            "[other]\n",
        ] {
            let done = read(text, &mut Keymap::default(), &mut Theme::default());
            assert!(done.is_err(), "{text}");
        }
        let mut theme = Theme {
            depth: Depth::None,
            ..Theme::default()
        };
        read("[theme]\ncolors = 256", &mut Keymap::default(), &mut theme).unwrap();
        assert_eq!(theme.depth, Depth::None);
    }
}
