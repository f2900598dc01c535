//! From text to tree.

use super::ast::{Expr, Known, Term};
use super::error::{nearest, shown};
use super::key::Key;
use super::lex::{Form, Lexer, Value};
use super::needle::{Fit, Needle};
use super::range::Sign;
use super::value::{bare_number, list, name, path, range};
use super::{Filter, FilterError};
use crate::model::{GapReason, OpKind, Stream};

type Result<T> = std::result::Result<T, FilterError>;

/// Parses a whole filter; `None` for one without terms.
pub(super) fn parse(text: &str) -> Result<Option<Expr>> {
    if text.len() > Filter::MAX_LEN {
        let message = format!("a filter has at most {} bytes", Filter::MAX_LEN);
        return Err(FilterError::new(Filter::MAX_LEN, message));
    }
    let mut parser = Parser {
        lexer: Lexer::new(text),
        depth: 0,
        needles: 0,
    };
    parser.lexer.skip_blanks();
    if parser.lexer.rest().is_empty() {
        return Ok(None);
    }
    let root = parser.or()?;
    match parser.lexer.rest() {
        "" => Ok(Some(root)),
        _ => Err(parser.error("a ) without its (")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Open parentheses.
    depth: usize,
    /// Needles made so far.
    needles: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError::new(self.lexer.at(), message)
    }

    fn or(&mut self) -> Result<Expr> {
        let mut parts = vec![self.and()?];
        while self.lexer.eat_keyword("or") {
            parts.push(self.and()?);
        }
        Expr::any(parts).ok_or_else(|| self.error("expected a term"))
    }

    fn and(&mut self) -> Result<Expr> {
        let mut parts = vec![self.not()?];
        loop {
            self.lexer.skip_blanks();
            let rest = self.lexer.rest();
            if rest.is_empty() || rest.starts_with(')') || self.lexer.is_keyword("or") {
                return Expr::all(parts).ok_or_else(|| self.error("expected a term"));
            }
            self.lexer.eat_keyword("and");
            parts.push(self.not()?);
        }
    }

    fn not(&mut self) -> Result<Expr> {
        let mut negated = false;
        loop {
            self.lexer.skip_blanks();
            if !self.lexer.eat_keyword("not") && !self.lexer.eat("-") {
                break;
            }
            negated = !negated;
        }
        let expr = self.primary()?;
        Ok(if negated { expr.negate() } else { expr })
    }

    fn primary(&mut self) -> Result<Expr> {
        let open = self.lexer.clone();
        if !self.lexer.eat("(") {
            return self.term();
        }
        self.depth += 1;
        if self.depth > Filter::MAX_DEPTH {
            let message = format!("parentheses nest at most {} deep", Filter::MAX_DEPTH);
            return Err(FilterError::new(open.at(), message));
        }
        let inner = self.or()?;
        if !self.lexer.eat(")") {
            return Err(FilterError::new(open.at(), "a ( without its )"));
        }
        self.depth -= 1;
        Ok(inner)
    }

    fn term(&mut self) -> Result<Expr> {
        let rest = self.lexer.rest();
        let keyword = ["and", "or"].iter().any(|word| self.lexer.is_keyword(word));
        if rest.is_empty() || rest.starts_with(')') || keyword {
            return Err(self.error("expected a term such as path:src, op=write or a word"));
        }
        let at = self.lexer.at();
        let Some((name, sign)) = self.lexer.eat_key() else {
            let value = self.lexer.value(false)?;
            return Ok(Expr::Term(Term::Word(self.free_word(&value)?)));
        };
        let key = Key::from_word(name).ok_or_else(|| unknown_key(at, name))?;
        let value = self.lexer.value(key == Key::Exe)?;
        if sign.is_order() && !matches!(key, Key::Number(_)) {
            let message = format!("{} takes : or = or !=, it has no order", key.word());
            return Err(FilterError::new(at, message));
        }
        let term = Expr::Term(self.keyed(key, sign, &value)?);
        Ok(if sign == Sign::IsNot {
            term.negate()
        } else {
            term
        })
    }

    fn keyed(&mut self, key: Key, sign: Sign, value: &Value<'a>) -> Result<Term> {
        Ok(match key {
            Key::Number(field) => Term::Number(field, range(field, sign, value)?),
            Key::Op => Term::Op(list(value, OpKind::ALL, OpKind::word)?),
            Key::Known => Term::Known(list(value, Known::ALL, Known::word)?),
            Key::Reason => Term::Reason(list(value, GapReason::ALL, GapReason::word)?),
            Key::Stream => Term::Stream(list(value, Stream::ALL, Stream::word)?),
            Key::Path => Term::Path(self.path(value)?),
            Key::Comm => Term::Comm(self.name(value, Fit::Whole)?),
            Key::Exe => Term::Exe(self.exe(value)?),
            Key::Ancestor => match bare_number(value) {
                Some(pid) => Term::AncestorPid(pid?),
                None => Term::Ancestor(self.name(value, Fit::Whole)?),
            },
            Key::Content => Term::Content(self.inside(value)?),
        })
    }

    /// A word without a key. What looks as if it were meant otherwise is refused, since
    /// looking for it as text would silently find nothing.
    fn free_word(&mut self, value: &Value<'a>) -> Result<Needle> {
        const SPECIAL: &[char] = &[
            '*', '?', '[', ']', '{', '}', '!', '<', '>', '=', ':', '\\', '\'',
        ];
        if let Form::Bare(word) = &value.form
            && let Some(found) = word.find(SPECIAL)
        {
            let special = word.get(found..).and_then(|rest| rest.chars().next());
            let message = format!(
                "{} holds a {}: write path:{word} for a pattern, or \"...\" for a text",
                shown(word),
                special.unwrap_or_default(),
                word = crate::model::escape(word.as_bytes()),
            );
            return Err(value.error(message));
        }
        self.inside(value)
    }

    /// Text or a regular expression, to be found anywhere.
    fn inside(&mut self, value: &Value<'a>) -> Result<Needle> {
        self.needle(value, |value| match &value.form {
            Form::Regex(source) => Needle::new_regex(source, true),
            Form::Bare(text) => Needle::new_text(text.as_bytes().to_vec(), Fit::Inside),
            Form::Quoted(bytes) if bytes.is_empty() => Err("an empty text".to_owned()),
            Form::Quoted(bytes) => Needle::new_text(bytes.clone(), Fit::Inside),
        })
    }

    /// A name, glob or regular expression for all of some bytes.
    fn name(&mut self, value: &Value<'a>, fit: Fit) -> Result<Needle> {
        self.needle(value, |value| match &value.form {
            Form::Regex(source) => Needle::new_regex(source, false),
            Form::Bare(text) => name(text.as_bytes(), fit),
            Form::Quoted(bytes) => name(bytes, fit),
        })
    }

    fn exe(&mut self, value: &Value<'a>) -> Result<Needle> {
        let has_slash = match &value.form {
            Form::Bare(text) => text.contains('/'),
            Form::Quoted(bytes) => bytes.contains(&b'/'),
            Form::Regex(_) => true,
        };
        let fit = if has_slash { Fit::Whole } else { Fit::Last };
        self.name(value, fit)
    }

    fn path(&mut self, value: &Value<'a>) -> Result<Needle> {
        self.needle(value, |value| match &value.form {
            Form::Regex(source) => Needle::new_regex(source, false),
            Form::Bare(text) => path(text.as_bytes()),
            Form::Quoted(bytes) => path(bytes),
        })
    }

    /// Makes a needle, unless there are too many.
    fn needle(
        &mut self,
        value: &Value<'a>,
        make: impl FnOnce(&Value<'a>) -> std::result::Result<Needle, String>,
    ) -> Result<Needle> {
        self.needles += 1;
        if self.needles > Filter::MAX_NEEDLES {
            let message = format!("more than {} texts and patterns", Filter::MAX_NEEDLES);
            return Err(value.error(message));
        }
        make(value).map_err(|message| value.error(message))
    }
}

fn unknown_key(at: usize, name: &str) -> FilterError {
    let words = Key::words();
    let message = nearest(name, &words).map_or_else(
        || {
            let all = words.join(", ");
            format!(
                "unknown key {}: expected one of {all}; for a text use \"...\"",
                shown(name)
            )
        },
        |near| format!("unknown key {}: did you mean {near}?", shown(name)),
    );
    FilterError::new(at, message)
}
