//! What is known of the session as a whole, and the view as a command line.

use diffkeeper_store::SessionReader;
use diffkeeper_store::model::{
    Backend, ExitStatus, OpKind, Seq, Timestamp, TracePath, UnixTime, escape,
};
use diffkeeper_store::when::SessionSpan;

use crate::words::shell_word;

/// Facts that do not change while one looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its number.
    pub session: u32,
    /// The command, harmless.
    pub command: String,
    /// How it ended, and whether that was a failure; `None` if the recorder did not
    /// come to an end.
    pub outcome: Option<(String, bool)>,
    /// Whether it is being recorded.
    pub live: bool,
    /// Its length.
    pub end: Timestamp,
    /// The first state there is: before it, the beginning was given up.
    pub start: (Seq, Timestamp),
    /// Its last event.
    pub last_seq: Seq,
    /// When it began.
    pub start_wall: UnixTime,
    /// `observed (notify)`.
    pub provenance: String,
    /// Gaps.
    pub gaps: u64,
    /// Whether the trace has a tree to show.
    pub has_tree: bool,
    /// What stands before the view's own options: `diffkeeper tui --state-dir x`.
    pub program: Vec<Vec<u8>>,
}

impl Facts {
    /// Those of a session; `program` is what opens it again.
    #[must_use]
    pub fn of(reader: &SessionReader<'_>, program: Vec<Vec<u8>>) -> Self {
        let (session, progress) = (reader.session(), reader.progress());
        let backend = session.backend.word();
        Self {
            session: session.id.0,
            command: escape(&session.argv.join(&b' ')).to_string(),
            outcome: reader.seal().map(|seal| match seal.status {
                ExitStatus::Code(code) => (format!("exit {code}"), code != 0),
                ExitStatus::Signal(signal) => (format!("signal {signal}"), true),
            }),
            live: reader.is_live(),
            end: reader.end(),
            start: (
                reader.start(),
                reader.base().map_or(Timestamp(0), |base| base.time),
            ),
            last_seq: progress.last_seq,
            start_wall: session.start_wall,
            provenance: match session.backend {
                Backend::Notify => format!("observed ({backend})"),
                _ => backend.to_owned(),
            },
            gaps: progress.counts.get(OpKind::Gap),
            has_tree: progress.baseline_done,
            program,
        }
    }

    /// What the session spans.
    #[must_use]
    pub const fn span(&self) -> SessionSpan {
        SessionSpan {
            start_wall: self.start_wall,
            end: self.end,
            last_seq: self.last_seq,
            start: self.start,
        }
    }

    /// The command line of a view.
    #[must_use]
    pub fn command_line(&self, at: Seq, file: Option<&TracePath>, filter: &str) -> String {
        let mut words = self.program.clone();
        words.push(format!("--at=#{}", at.0).into_bytes());
        if let Some(file) = file {
            words.push([b"--file=", file.as_slice()].concat());
        }
        if !filter.is_empty() {
            words.push([b"--filter=", filter.as_bytes()].concat());
        }
        let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    }
}
