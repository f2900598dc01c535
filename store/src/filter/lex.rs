//! Reading a filter's text: blanks, keywords, keys and values.

use super::FilterError;
use super::error::shown;
use super::range::Sign;

/// A position in a filter's text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    pub(super) at: usize,
    pub(super) form: Form<'a>,
}

/// The three ways to write a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form<'a> {
    /// Up to the next blank or parenthesis.
    Bare(&'a str),
    /// Between double quotes, escapes resolved.
    Quoted(Vec<u8>),
    /// Between slashes.
    Regex(&'a str),
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes `token` if the text goes on with it.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Whether the text goes on with the keyword as a word of its own, in any case: an
    /// `OR` that searched for the text "OR" would surprise.
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        word(self.rest()).eq_ignore_ascii_case(keyword)
    }

    /// Takes the keyword if the text goes on with it.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        if found {
            self.at += keyword.len();
        }
        found
    }

    /// Takes a key with its sign, if the text goes on with letters and a sign.
    pub(super) fn eat_key(&mut self) -> Option<(&'a str, Sign)> {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_key_char(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (spelling, sign) = Sign::SPELLINGS
            .iter()
            .find(|(spelling, _)| after.starts_with(spelling))?;
        if name.is_empty() {
            return None;
        }
        self.at += end + spelling.len();
        Some((name, *sign))
    }

    /// Takes a value. `absolute` values may begin with `/` and be no regular
    /// expression, which then holds no blank.
    pub(super) fn value(&mut self, absolute: bool) -> Result<Value<'a>, FilterError> {
        let at = self.at;
        let rest = self.rest();
        let form = match rest.chars().next() {
            Some('"') => self.quoted()?,
            Some('/') if !absolute || is_slashed(rest) => self.slashed()?,
            _ => self.bare()?,
        };
        Ok(Value { at, form })
    }

    fn bare(&mut self) -> Result<Form<'a>, FilterError> {
        let word = word(self.rest());
        if let Some(quote) = word.find('"') {
            let message = "a quote must begin the value: put all of it in quotes";
            return Err(FilterError::new(self.at + quote, message));
        }
        if word.is_empty() {
            return Err(FilterError::new(self.at, "expected a value"));
        }
        self.at += word.len();
        Ok(Form::Bare(word))
    }

    fn slashed(&mut self) -> Result<Form<'a>, FilterError> {
        let start = self.at;
        let body = self.rest().get(1..).unwrap_or_default();
        let Some(end) = closing(body, '/') else {
            let message = "a regular expression without its closing / (a path never begins \
                with /, it is relative to the recorded directory)";
            return Err(FilterError::new(start, message));
        };
        let (source, _) = body.split_at(end);
        if source.is_empty() {
            return Err(FilterError::new(start, "an empty regular expression"));
        }
        self.at += end + 2;
        self.expect_end("/ that closes a regular expression (write \\/ inside of it)")?;
        Ok(Form::Regex(source))
    }

    fn quoted(&mut self) -> Result<Form<'a>, FilterError> {
        let start = self.at;
        let body = self.rest().get(1..).unwrap_or_default();
        let Some(end) = closing(body, '"') else {
            return Err(FilterError::new(start, "a quote without its closing \""));
        };
        let bytes = unescape(body.split_at(end).0, start + 1)?;
        self.at += end + 2;
        self.expect_end("closing quote")?;
        Ok(Form::Quoted(bytes))
    }

    /// A value in delimiters must be followed by nothing, a blank or a parenthesis.
    fn expect_end(&self, after: &str) -> Result<(), FilterError> {
        if word(self.rest()).is_empty() {
            return Ok(());
        }
        let message = format!(
            "expected a blank after the {after}, found {}",
            shown(word(self.rest()))
        );
        Err(FilterError::new(self.at, message))
    }
}

impl Value<'_> {
    /// An error at the value.
    pub(super) fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError::new(self.at, message)
    }

    /// The value as text, where only text is asked for.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.form {
            Form::Bare(text) => Some(text),
            Form::Quoted(bytes) => str::from_utf8(bytes).ok(),
            Form::Regex(_) => None,
        }
    }
}

/// What a bare word, keyword or key may not hold.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || c == '(' || c == ')'
}

const fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The beginning of `text` up to a delimiter.
fn word(text: &str) -> &str {
    text.split(is_delimiter).next().unwrap_or_default()
}

/// Where the first `delimiter` stands that no backslash precedes.
fn closing(body: &str, delimiter: char) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, c)| {
        let found = !escaped && c == delimiter;
        escaped = !escaped && c == '\\';
        found.then_some(at)
    })
}

/// Whether a text that begins with `/` begins with a regular expression rather than
/// with an absolute path: its second slash ends it, and no blank comes before.
fn is_slashed(text: &str) -> bool {
    let body = text.get(1..).unwrap_or_default();
    closing(body, '/').is_some_and(|end| {
        let (source, after) = body.split_at(end);
        let ends = after.chars().nth(1).is_none_or(is_delimiter);
        ends && !source.is_empty() && !source.contains(char::is_whitespace)
    })
}

/// Resolves the escapes that [`crate::model::escape`] writes, and `\"`. `at` is where
/// the text stands in the filter.
fn unescape(text: &str, at: usize) -> Result<Vec<u8>, FilterError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (found, used) = escaped(after).ok_or_else(|| {
            let message = r#"expected \\, \", \n, \r, \t, \xff or \u{202e} in quotes"#;
            FilterError::new(at + text.len() - after.len() - 1, message)
        })?;
        bytes.extend_from_slice(&found);
        rest = after.get(used..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// The bytes an escape stands for, and how many bytes of text after the backslash it
/// takes.
fn escaped(text: &str) -> Option<(Vec<u8>, usize)> {
    let byte = |byte: u8| Some((vec![byte], 1));
    match text.chars().next()? {
        '\\' => byte(b'\\'),
        '"' => byte(b'"'),
        'n' => byte(b'\n'),
        'r' => byte(b'\r'),
        't' => byte(b'\t'),
        'x' => Some((vec![u8::try_from(hex(text.get(1..3)?)?).ok()?], 3)),
        'u' => {
            let digits = text.strip_prefix("u{")?.split_once('}')?.0;
            let c = char::from_u32(hex(digits)?)?;
            Some((c.to_string().into_bytes(), digits.len() + 3))
        }
        _ => None,
    }
}

fn hex(digits: &str) -> Option<u32> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}
