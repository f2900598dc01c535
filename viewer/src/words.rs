//! Words for a shell: what a printed command has to look like for a reader to paste it.

use std::fmt::Write;

/// Bytes as one word of a POSIX shell. What no plain quotes can hold on one line and show
/// harmlessly takes the `$'..'` of bash, zsh and recent `sh`.
#[must_use]
pub fn shell_word(bytes: &[u8]) -> String {
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(byte);
    let is_printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let text = String::from_utf8_lossy(bytes);
    if !bytes.is_empty() && bytes.iter().all(is_safe) {
        return text.into_owned();
    }
    if bytes.iter().all(is_printable) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let mut word = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => word.extend(['\\', char::from(*byte)]),
            byte if is_printable(byte) => word.push(char::from(*byte)),
            // Three octal digits: a digit behind them is not theirs. A String cannot fail.
            byte => drop(write!(word, "\\{byte:03o}")),
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::shell_word;

    #[test]
    fn a_word_is_read_back_as_it_was() {
        let words: [&[u8]; 8] = [
            b"src/main.rs",
            b"",
            b"it's a $(name) `x`",
            b"two\nlines\x1b[2J7",
            b"\xff\xfe",
            "größe \u{202e}".as_bytes(),
            b"\\",
            b"-rf",
        ];
        for word in words {
            let quoted = shell_word(word);
            assert!(
                quoted.is_ascii() && !quoted.contains(['\n', '\x1b']),
                "{quoted}"
            );
            let script = format!("printf %s {quoted}");
            let out = std::process::Command::new("bash")
                .args(["-c", &script])
                .output();
            assert_eq!(out.unwrap().stdout, word, "{quoted}");
        }
    }
}
