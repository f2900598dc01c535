//! JSON lines: objects without nulls, bytes that are not UTF-8 in base64, and no control
//! character raw, so that a listing is harmless on a terminal too.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Map, Value};

/// An object that is filled field by field; absent values are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    /// Sets a field.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a field if there is a value.
    pub(crate) fn set_some(&mut self, name: &str, value: Option<impl Into<Value>>) -> &mut Self {
        if let Some(value) = value {
            self.set(name, value);
        }
        self
    }

    /// Sets `name` to a text, or `name_b64` to what is not UTF-8.
    pub(crate) fn set_bytes(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.set(name, text),
            Err(_) => self.set(&format!("{name}_b64"), BASE64_STANDARD.encode(bytes)),
        }
    }

    /// Sets `name` to a list of texts; one that is not UTF-8 makes it a list of base64
    /// under `name_b64`.
    pub(crate) fn set_list(&mut self, name: &str, list: &[Vec<u8>]) -> &mut Self {
        let texts: Result<Vec<&str>, _> = list.iter().map(|b| std::str::from_utf8(b)).collect();
        match texts {
            Ok(texts) => self.set(name, texts),
            Err(_) => {
                let coded: Vec<_> = list.iter().map(|b| BASE64_STANDARD.encode(b)).collect();
                self.set(&format!("{name}_b64"), coded)
            }
        }
    }

    /// Writes it as one line.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn write(self, mut out: &mut dyn Write) -> io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, Harmless);
        self.0.serialize(&mut serializer).map_err(io::Error::from)?;
        out.write_all(b"\n")
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

/// JSON escapes C0 by itself; this adds DEL, C1 and what changes how text is shown.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_harmful) {
            let (before, found) = rest.split_at(at);
            CompactFormatter.write_string_fragment(writer, before)?;
            let len = found.chars().next().map_or(0, char::len_utf8);
            let (harmful, after) = found.split_at(len);
            for unit in harmful.encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = after;
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// What the human output escapes as well.
fn is_harmful(c: char) -> bool {
    if c.is_ascii() {
        return c == '\x7f';
    }
    let mut bytes = [0; 4];
    let shown = diffkeeper_store::model::escape(c.encode_utf8(&mut bytes).as_bytes()).to_string();
    shown.starts_with('\\')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::Object;
    use serde_json::Value;

    fn line(object: Object) -> String {
        let mut out = Vec::new();
        object.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_keep_their_order_and_absent_ones_are_left_out() {
        let mut object = Object::default();
        object.set("seq", 1).set_some("pid", None::<u32>);
        object.set_bytes("path", b"a/b").set_bytes("to", b"\xff");
        let expected = "{\"seq\":1,\"path\":\"a/b\",\"to_b64\":\"/w==\"}\n";
        assert_eq!(line(object), expected);
    }

    #[test]
    fn a_name_reads_back_and_never_reaches_the_terminal() {
        let name = "\u{1b}[2J\u{9b}2J\u{7f}\u{202e}\n\t\u{e0001}größe\u{1f600}\\\"";
        let mut object = Object::default();
        object.set_bytes("path", name.as_bytes());
        let shown = line(object);
        let body = shown.strip_suffix('\n').unwrap();
        assert!(!body.chars().any(char::is_control), "{body}");
        assert!(!body.contains('\u{202e}') && !body.contains('\u{e0001}'));
        assert!(body.contains("größe\u{1f600}"), "readable text stays");
        let read: Value = serde_json::from_str(body).unwrap();
        assert_eq!(read["path"], name);
    }
}
