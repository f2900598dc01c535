//! Signs: the mark and the colour that stand for each kind of event, in every listing.
//! The mark always carries the meaning; the colour only helps the eye.

use anstyle::{AnsiColor, Effects, Style};
use diffkeeper_store::model::{Op, OpKind};

/// How a kind of event is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// One character, one column wide.
    pub mark: char,
    /// Colour and effects.
    pub style: Style,
}

const fn sign(mark: char, color: AnsiColor) -> Sign {
    Sign {
        mark,
        style: color.on_default(),
    }
}

const ADDED: Sign = sign('+', AnsiColor::Green);
const CHANGED: Sign = sign('~', AnsiColor::Yellow);
const REMOVED: Sign = sign('-', AnsiColor::Red);
const MOVED: Sign = sign('>', AnsiColor::Blue);
const ATTRIBUTES: Sign = sign('=', AnsiColor::Cyan);
const PRINTED: Sign = sign('"', AnsiColor::BrightBlack);
/// Nothing was changed by it.
const LOOKED: Sign = sign('.', AnsiColor::BrightBlack);
const MOMENT: Sign = sign('△', AnsiColor::Magenta);
const FAILED: Sign = sign('▲', AnsiColor::Red);
const LOST: Sign = Sign {
    mark: '×',
    style: AnsiColor::Red.on_default().effects(Effects::INVERT),
};

/// The sign of a kind.
#[must_use]
pub const fn of_kind(kind: OpKind) -> Sign {
    match kind {
        OpKind::Create | OpKind::Mkdir | OpKind::Mknod | OpKind::Symlink | OpKind::Link => ADDED,
        OpKind::Write | OpKind::Truncate => CHANGED,
        OpKind::Unlink | OpKind::Rmdir => REMOVED,
        OpKind::Rename => MOVED,
        OpKind::Chmod | OpKind::Chown | OpKind::Utimes | OpKind::Setxattr | OpKind::Removexattr => {
            ATTRIBUTES
        }
        OpKind::Output => PRINTED,
        OpKind::Open | OpKind::Read | OpKind::Exec => LOOKED,
        OpKind::Exit | OpKind::Marker => MOMENT,
        OpKind::Gap => LOST,
    }
}

/// The sign of an event: that of its kind, save that a failed exit stands out.
#[must_use]
pub const fn of(op: &Op) -> Sign {
    match op {
        Op::Exit(status) if !status.success() => FAILED,
        op => of_kind(op.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::{of, of_kind};
    use diffkeeper_store::model::{ExitStatus, Op, OpKind};

    #[test]
    fn signs_are_those_of_the_sketch() {
        for (kinds, mark) in [
            ("create mkdir mknod symlink link", '+'),
            ("write truncate", '~'),
            ("unlink rmdir", '-'),
            ("rename", '>'),
            ("chmod chown utimes setxattr removexattr", '='),
            ("output", '"'),
            ("gap", '×'),
            ("exit", '△'),
        ] {
            for word in kinds.split(' ') {
                let kind = OpKind::from_word(word);
                assert_eq!(kind.map(|kind| of_kind(kind).mark), Some(mark), "{word}");
            }
        }
    }

    #[test]
    fn a_failed_exit_has_another_mark_and_colour() {
        let failed = of(&Op::Exit(ExitStatus::Code(1)));
        let done = of(&Op::Exit(ExitStatus::Code(0)));
        assert_eq!((failed.mark, done.mark), ('▲', '△'));
        assert_ne!(failed.style, done.style);
        assert_eq!(done, of_kind(OpKind::Exit));
    }
}
