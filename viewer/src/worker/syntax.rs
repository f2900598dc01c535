//! What pieces of a text are in its language. Only the meaning is taken from the grammar;
//! the theme gives it a colour.

use std::sync::OnceLock;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use crate::lines::Classes;
use crate::page::Class;

/// Longer texts stay plain, bytes.
const MAX_TEXT: usize = 128 << 10;
/// Longer lines stay plain, bytes.
const MAX_LINE: usize = 1000;

/// The grammars.
fn grammars() -> &'static SyntaxSet {
    static GRAMMARS: OnceLock<SyntaxSet> = OnceLock::new();
    GRAMMARS.get_or_init(two_face::syntax::extra_newlines)
}

/// Finds the pieces of a text.
pub(super) struct Colours;

impl Colours {
    /// The pieces of each line; `None` where the language is not known, the text too
    /// long, or the work stopped.
    pub(super) fn of(path: &[u8], text: &[u8], stopped: &dyn Fn() -> bool) -> Option<Classes> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return None;
        }
        let set = grammars();
        let syntax = syntax(set, path, text)?;
        let mut state = ParseState::new(syntax);
        let mut stack = ScopeStack::new();
        let mut classes = Classes::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if stopped() {
                return None;
            }
            let mut pieces = Vec::new();
            match std::str::from_utf8(line) {
                Ok(line) if line.len() <= MAX_LINE => {
                    pieces_of(line, &mut state, &mut stack, set, &mut pieces)?;
                }
                // What the grammar cannot read does not end the colours of the rest.
                _ => {}
            }
            classes.push(pieces);
        }
        Some(classes)
    }
}

fn syntax<'s>(set: &'s SyntaxSet, path: &[u8], text: &[u8]) -> Option<&'s SyntaxReference> {
    let path = std::str::from_utf8(path).ok()?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name
        .rsplit_once('.')
        .map_or(name, |(_, extension)| extension);
    let by_name = set
        .find_syntax_by_extension(name)
        .or_else(|| set.find_syntax_by_extension(extension));
    let found = by_name.or_else(|| {
        let line = text.split(|byte| *byte == b'\n').next()?;
        set.find_syntax_by_first_line(std::str::from_utf8(line).ok()?)
    });
    found.filter(|syntax| syntax.name != "Plain Text")
}

fn pieces_of(
    line: &str,
    state: &mut ParseState,
    stack: &mut ScopeStack,
    set: &SyntaxSet,
    pieces: &mut Vec<(std::ops::Range<usize>, Class)>,
) -> Option<()> {
    let mut start = 0;
    let mut add = |from: usize, to: usize, class: Class| {
        if from < to && class != Class::Plain {
            pieces.push((from..to, class));
        }
    };
    for (at, op) in state.parse_line(line, set).ok()? {
        add(start, at, class(stack));
        start = at;
        stack.apply(&op).ok()?;
    }
    add(start, line.len(), class(stack));
    Some(())
}

/// The meaning of the innermost scope that has one.
fn class(stack: &ScopeStack) -> Class {
    static KNOWN: OnceLock<Vec<(Scope, Class)>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let words = [
            ("comment", Class::Comment),
            ("string", Class::Text),
            ("constant.character", Class::Text),
            ("constant", Class::Constant),
            ("keyword.operator", Class::Plain),
            ("keyword", Class::Keyword),
            ("storage.type", Class::Keyword),
            ("storage", Class::Keyword),
            ("entity.name.function", Class::Name),
            ("entity.name.tag", Class::Type),
            ("entity.name", Class::Type),
            ("entity.other.attribute-name", Class::Name),
            ("support.function", Class::Name),
            ("support.type", Class::Type),
            ("support", Class::Type),
            ("markup.heading", Class::Keyword),
        ];
        words
            .into_iter()
            .filter_map(|(word, class)| Some((Scope::new(word).ok()?, class)))
            .collect()
    });
    let meaning = |scope: &Scope| known.iter().find(|(known, _)| known.is_prefix_of(*scope));
    let found = stack.as_slice().iter().rev().find_map(meaning);
    found.map_or(Class::Plain, |(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::Colours;
    use crate::page::Class;

    #[test]
    fn a_program_has_its_meanings() {
        let text = b"// why\nfn main() { let x = \"a\"; }\n";
        let classes = Colours::of(b"src/main.rs", text, &|| false).unwrap_or_default();
        let of = |line: usize| classes.get(line).cloned().unwrap_or_default();
        assert!(
            of(0).iter().all(|(_, class)| *class == Class::Comment),
            "{classes:?}"
        );
        let has = |class| of(1).iter().any(|(_, found)| *found == class);
        assert!(has(Class::Keyword) && has(Class::Text), "{classes:?}");
    }

    #[test]
    fn what_is_no_language_stays_plain() {
        assert!(Colours::of(b"status.log.unknown", b"\xff\x00", &|| false).is_none());
        assert!(Colours::of(b"a.rs", b"fn main() {}", &|| true).is_none());
    }
}
