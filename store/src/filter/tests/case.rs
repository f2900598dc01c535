//! Events to try filters on.

use std::borrow::Cow;
use std::cell::Cell;

use super::super::{Filter, Known, Needle, Subject};
use crate::model::{
    Event, FileId, GapReason, Op, Place, Process, ProcessId, Seq, Stream, Timestamp,
};

/// An event of which everything is known.
pub(super) struct Case {
    pub(super) event: Event,
    pub(super) path: Option<&'static [u8]>,
    pub(super) to: Option<&'static [u8]>,
    pub(super) process: Option<Process>,
    pub(super) ancestors: Vec<Process>,
    pub(super) size: Option<u64>,
    pub(super) known: Option<Known>,
    pub(super) content: Result<&'static [u8], &'static str>,
    /// How often the content was asked for.
    pub(super) rebuilt: Cell<usize>,
}

impl Subject for Case {
    type Error = &'static str;

    fn event(&self) -> &Event {
        &self.event
    }
    fn path(&self) -> Result<Option<Cow<'_, [u8]>>, Self::Error> {
        Ok(self.path.map(Cow::Borrowed))
    }
    fn to(&self) -> Result<Option<Cow<'_, [u8]>>, Self::Error> {
        Ok(self.to.map(Cow::Borrowed))
    }
    fn process(&self) -> Result<Option<&Process>, Self::Error> {
        Ok(self.process.as_ref())
    }
    fn ancestors(&self) -> Result<Vec<&Process>, Self::Error> {
        Ok(self.ancestors.iter().collect())
    }
    fn size(&self) -> Result<Option<u64>, Self::Error> {
        Ok(self.size)
    }
    fn known(&self) -> Result<Option<Known>, Self::Error> {
        Ok(self.known)
    }
    fn content_matches(&self, needle: &Needle) -> Result<bool, Self::Error> {
        self.rebuilt.set(self.rebuilt.get() + 1);
        self.content.map(|content| needle.is_in(content))
    }
}

pub(super) fn process(pid: u32, comm: &str, exe: &str) -> Process {
    Process {
        pid,
        start: Timestamp(0),
        parent: None,
        comm: comm.into(),
        exe: exe.into(),
        argv: vec![],
        cwd: vec![],
        uid: 1000,
        exit: None,
    }
}

pub(super) fn case(op: Op) -> Case {
    Case {
        event: Event {
            seq: Seq(150),
            time: Timestamp(125_000_000_000),
            process: None,
            file: None,
            op,
        },
        path: None,
        to: None,
        process: None,
        ancestors: vec![],
        size: None,
        known: None,
        content: Ok(b""),
        rebuilt: Cell::new(0),
    }
}

pub(super) fn write() -> Case {
    let mut case = case(Op::Write {
        offset: 4096,
        len: 13,
        size: 2 << 20,
    });
    case.event.process = Some(ProcessId(2));
    case.path = Some(b"target/debug/build.log");
    case.process = Some(process(44, "go", "/usr/local/bin/go"));
    case.ancestors = vec![
        process(7, "make", "/usr/bin/make"),
        process(1, "init", "/init"),
    ];
    case.known = Some(Known::Captured);
    case.content = Ok(b"INIT: ok\nERROR: lost \xff\"x\"\n");
    case
}

pub(super) fn rename() -> Case {
    let place = |name: &[u8]| Place {
        parent: FileId::TOP,
        name: name.to_vec(),
    };
    let mut case = case(Op::Rename {
        from: place(b"old.tmp"),
        to: place(b"new.log"),
        exchange: false,
    });
    case.path = Some(b"old.tmp");
    case.to = Some(b"new.log");
    case.size = Some(10);
    case.known = Some(Known::Missing);
    case
}

pub(super) fn output() -> Case {
    case(Op::Output {
        stream: Stream::Stderr,
        bytes: b"one\nFAIL two".to_vec(),
    })
}

pub(super) fn gap() -> Case {
    let mut case = case(Op::Gap {
        reason: GapReason::WatchLimit,
        path: Some(b"a b/c(d)\xff".to_vec()),
    });
    case.path = Some(b"a b/c(d)\xff");
    case
}

pub(super) fn holds(text: &str, case: &Case) -> bool {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.matches(case).unwrap()
}

/// Asserts that the case matches all of `yes` and none of `no`.
#[track_caller]
pub(super) fn check(case: &Case, yes: &[&str], no: &[&str]) {
    for text in yes {
        assert!(holds(text, case), "should match: {text}");
    }
    for text in no {
        assert!(!holds(text, case), "should not match: {text}");
    }
}
