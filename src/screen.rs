//! What the place that stdout leads to can show: how wide it is, and which characters.

use std::io::{IsTerminal, stdout};

/// Columns of the terminal; `None` if stdout is none, where nothing is cut.
pub(crate) fn width() -> Option<usize> {
    let out = stdout();
    let size = out
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&out).ok());
    // A terminal that does not know its size says 0.
    size.flatten()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
}

/// Whether the locale takes more than ASCII.
pub(crate) fn is_utf8() -> bool {
    let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
    locale.is_some_and(|locale| names_utf8(&locale.to_string_lossy()))
}

/// Whether a locale such as `de_DE.utf8` has UTF-8 as its coding.
fn names_utf8(locale: &str) -> bool {
    let coding = locale.split('.').nth(1).unwrap_or_default();
    let coding = coding.split('@').next().unwrap_or_default();
    coding.eq_ignore_ascii_case("utf-8") || coding.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::names_utf8;

    #[test]
    fn locales_tell_their_coding() {
        for yes in ["C.UTF-8", "de_DE.utf8", "ca_ES.UTF-8@valencia"] {
            assert!(names_utf8(yes), "{yes}");
        }
        for no in ["", "C", "POSIX", "de_DE", "de_DE.ISO-8859-1", "utf8"] {
            assert!(!names_utf8(no), "{no}");
        }
    }
}
