//! Words: the values of the environment that are secret, by the names of their variables.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::Rules;

/// Shorter values are not searched for: they stand everywhere, and a mask of them hides
/// nothing.
pub const SHORTEST: usize = 6;

const ENDS: &[&str] = &[
    "TOKEN",
    "_KEY",
    "APIKEY",
    "CREDENTIALS",
    "_PASS",
    "PASSPHRASE",
];
const PARTS: &[&str] = &["SECRET", "PASSWORD", "PASSWD"];

/// The secret values of an environment.
#[derive(Clone, Default)]
pub struct Words {
    /// The values, and the lines and parts of paths that they consist of.
    pub(super) words: Vec<Vec<u8>>,
    /// Variables whose values are too short to be searched for.
    pub short: Vec<OsString>,
}

impl Words {
    /// Those of the variables that are named or that look secret.
    pub fn of(rules: &Rules, env: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut words = Self::default();
        for (name, value) in env {
            let named = rules.env.contains(&name);
            if value.is_empty() || !(named || looks_secret(&name)) {
                continue;
            }
            if value.len() < SHORTEST {
                words.short.push(name);
            } else {
                words.add(value.as_bytes());
            }
        }
        words
    }

    /// A name holds no slash, and a file may be written line by line.
    fn add(&mut self, value: &[u8]) {
        let whole = [value, value.trim_ascii()];
        let parts = value.split(|byte| matches!(byte, b'\n' | b'\r' | b'/'));
        let parts = whole.into_iter().chain(parts.map(<[u8]>::trim_ascii));
        let parts = parts.filter(|part| part.len() >= SHORTEST);
        self.words.extend(parts.map(<[u8]>::to_vec));
    }

    /// Those of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.words.extend(other.words);
        self.short.extend(other.short);
        self
    }

    /// What to search for.
    #[must_use]
    pub fn all(&self) -> &[Vec<u8>] {
        &self.words
    }
}

fn looks_secret(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_uppercase();
    let holds = |part: &&str| name.windows(part.len()).any(|at| at == part.as_bytes());
    ENDS.iter().any(|end| name.ends_with(end.as_bytes())) || PARTS.iter().any(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_which_values_are_secret() {
        for name in [
            "GITHUB_TOKEN",
            "TOKEN",
            "db_password",
            "AWS_SECRET_ACCESS_KEY",
            "SSH_KEY",
        ] {
            assert!(looks_secret(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "KEYBOARD", "TOKENS_PER_DAY", "PWD", "MONKEY"] {
            assert!(!looks_secret(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn lines_and_names_of_a_value_are_secret_too() {
        let rules = Rules::default();
        let env = [
            ("A_TOKEN", "first-line\nsecond/line--\n"),
            ("B_TOKEN", "short"),
        ];
        let env = env.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let words = Words::of(&rules, env.into_iter());
        for word in [
            "first-line\nsecond/line--\n",
            "first-line",
            "second",
            "line--",
        ] {
            assert!(words.all().contains(&word.as_bytes().to_vec()), "{word}");
        }
        assert_eq!(words.short, ["B_TOKEN"]);
    }
}
