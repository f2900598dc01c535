//! Colours: what each kind of thing looks like, for dark and light terminals, with 256, 16
//! or no colours. A colour never carries a meaning alone.

use ratatui::style::{Color, Modifier, Style};

use crate::page::{Class, Tag};
use crate::sign::Sign;

/// How many colours there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// None: only bold, dim, underlined, reversed.
    None,
    /// The sixteen that a terminal names.
    #[default]
    Sixteen,
    /// 256 or more.
    Many,
}

/// How things look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// How many colours.
    pub depth: Depth,
    /// Whether the background is light.
    pub light: bool,
    /// Whether only ASCII is drawn.
    pub ascii: bool,
}

impl Theme {
    /// The theme that an environment asks for.
    #[must_use]
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name| get(name).is_some_and(|value| !value.is_empty());
        let term = get("TERM").unwrap_or_default();
        let depth = if is_set("NO_COLOR") || term == "dumb" {
            Depth::None
        } else if is_set("COLORTERM") || term.contains("256color") {
            Depth::Many
        } else {
            Depth::Sixteen
        };
        // `15;0`: foreground and background, 7 and 15 being the light ones.
        let background = get("COLORFGBG").and_then(|both| both.rsplit(';').next()?.parse().ok());
        let light = matches!(background, Some(7_u8 | 15));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find(|name| is_set(name));
        let locale = locale.and_then(&get).unwrap_or_default().to_lowercase();
        let ascii = !(locale.contains("utf-8") || locale.contains("utf8"));
        Self {
            depth,
            light,
            ascii,
        }
    }

    const fn has_colours(self) -> bool {
        !matches!(self.depth, Depth::None)
    }

    fn colour(self, colour: Color) -> Style {
        if self.has_colours() {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// A colour of the sixteen that can be read on the background.
    fn ansi(self, colour: Color) -> Style {
        // Yellow on white cannot be read, and with 256 colours there is a darker one.
        let colour = match (colour, self.light, self.depth) {
            (Color::Yellow, true, Depth::Many) => Color::Indexed(136),
            (Color::Cyan, true, Depth::Many) => Color::Indexed(31),
            (Color::Green, true, Depth::Many) => Color::Indexed(28),
            (colour, ..) => colour,
        };
        self.colour(colour)
    }

    /// A kind of event.
    #[must_use]
    pub fn sign(self, sign: Sign) -> Style {
        use anstyle::AnsiColor as A;
        let colour = match sign.style.get_fg_color() {
            Some(anstyle::Color::Ansi(colour)) => match colour {
                A::Green => Color::Green,
                A::Yellow => Color::Yellow,
                A::Red => Color::Red,
                A::Blue => Color::Blue,
                A::Cyan => Color::Cyan,
                A::Magenta => Color::Magenta,
                A::BrightBlack => Color::DarkGray,
                _ => Color::Reset,
            },
            _ => Color::Reset,
        };
        let style = self.ansi(colour);
        if sign.style.get_effects().contains(anstyle::Effects::INVERT) {
            style.add_modifier(Modifier::REVERSED)
        } else {
            style
        }
    }

    /// What is less important.
    #[must_use]
    pub fn dim(self) -> Style {
        match self.depth {
            Depth::None => Style::new().add_modifier(Modifier::DIM),
            Depth::Sixteen => Style::new().fg(Color::DarkGray),
            Depth::Many if self.light => Style::new().fg(Color::Indexed(242)),
            Depth::Many => Style::new().fg(Color::Indexed(246)),
        }
    }

    /// What stands out.
    #[must_use]
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is wrong.
    #[must_use]
    pub fn alarm(self) -> Style {
        self.ansi(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A loss, which nobody may overlook.
    #[must_use]
    pub fn loss(self) -> Style {
        self.alarm().add_modifier(Modifier::REVERSED)
    }

    /// What went well.
    #[must_use]
    pub fn good(self) -> Style {
        self.ansi(Color::Green)
    }

    /// The row that is selected.
    #[must_use]
    pub fn selected(self, focused: bool) -> Style {
        match (self.depth, focused) {
            (Depth::Many, _) => {
                let grey = match (self.light, focused) {
                    (false, true) => 238,
                    (false, false) => 236,
                    (true, true) => 252,
                    (true, false) => 254,
                };
                Style::new().bg(Color::Indexed(grey))
            }
            (_, true) => Style::new().add_modifier(Modifier::REVERSED),
            (_, false) => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// A frame; that of the pane that keys go to stands out.
    #[must_use]
    pub fn frame(self, focused: bool) -> Style {
        if focused {
            self.ansi(Color::Cyan).add_modifier(Modifier::BOLD)
        } else {
            self.dim()
        }
    }

    /// The cursor on the histogram.
    #[must_use]
    pub fn cursor(self) -> Style {
        self.ansi(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// A line of a diff.
    #[must_use]
    pub fn line(self, tag: Tag) -> Style {
        match tag {
            Tag::Same => Style::new(),
            Tag::Added => self.ansi(Color::Green),
            Tag::Removed => self.ansi(Color::Red),
            Tag::Note => self.dim(),
        }
    }

    /// The part of a line that differs.
    #[must_use]
    pub fn differing(self, style: Style) -> Style {
        style.add_modifier(if self.has_colours() {
            Modifier::REVERSED
        } else {
            Modifier::UNDERLINED
        })
    }

    /// A piece of text in its language.
    #[must_use]
    pub fn class(self, class: Class) -> Style {
        match class {
            Class::Plain => Style::new(),
            Class::Comment => self.dim(),
            Class::Text => self.ansi(Color::Yellow),
            Class::Constant => self.ansi(Color::Magenta),
            Class::Keyword => self.ansi(Color::Blue),
            Class::Type => self.ansi(Color::Cyan),
            Class::Name => self.strong(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Depth, Theme};

    fn theme(vars: &[(&str, &str)]) -> Theme {
        let get = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Theme::from_env(get)
    }

    #[test]
    fn the_environment_decides() {
        let many = theme(&[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")]);
        assert_eq!(
            (many.depth, many.light, many.ascii),
            (Depth::Many, false, false)
        );
        let none = theme(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]);
        assert_eq!((none.depth, none.ascii), (Depth::None, true));
        assert_eq!(theme(&[("TERM", "linux")]).depth, Depth::Sixteen);
        assert!(theme(&[("COLORFGBG", "0;15")]).light);
        assert!(theme(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]).ascii);
    }
}
