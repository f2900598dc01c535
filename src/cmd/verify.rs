//! `diffkeeper verify`: every record, content and hash of a trace, checked.

use std::io::Write;
use std::process::ExitCode;

use diffkeeper_store::model::{SessionId, escape};
use diffkeeper_store::repair::{Cut, RepairReport, repair};
use diffkeeper_store::size::format_bytes;
use diffkeeper_store::verify::{Finding, VerifyReport, verify};

use crate::cli;
use crate::config::Config;
use crate::error::CliError;
use crate::json::Object;
use crate::output::{Output, counted, note, path_text, plain, warn};
use crate::progress::Progress;
use crate::trace;

/// Runs the command.
///
/// # Errors
/// A trace that cannot be opened at all. Damage is a result, not an error.
pub(crate) fn run(args: &cli::Verify, config: &Config) -> Result<ExitCode, CliError> {
    if args.repair {
        let report = repair(&config.state_dir)?;
        tell_repair(&report, config);
    }
    let store = trace::open(config, "verify")?;
    let progress = Progress::new(config, "verifying");
    let report = verify(&store, args.session.map(SessionId), &progress)?;
    drop(progress);
    let code = ExitCode::from(u8::from(!report.is_sound()));
    match write(&report, args.json, config) {
        // Whoever stops reading is told the result by the status all the same.
        Err(error) if error.is_closed_pipe() => return Ok(code),
        result => result?,
    }
    tell(&report, config);
    Ok(code)
}

fn tell_repair(report: &RepairReport, config: &Config) {
    for text in &report.mended {
        warn(format_args!("repaired: {}", plain(text)));
    }
    for cut in &report.cut {
        let Cut { session, kept, .. } = cut;
        let last = match cut.acknowledged {
            Some(seq) => format!("; it was recorded up to #{}", seq.0),
            None => String::new(),
        };
        match kept {
            None => warn(format_args!("session {} is lost{last}", session.0)),
            Some(kept) => warn(format_args!(
                "session {} was cut after #{}{last}{}",
                session.0,
                kept.0,
                if cut.tree {
                    ""
                } else {
                    "; a part of its baseline is lost, so that no tree of it can be rebuilt"
                },
            )),
        }
    }
    match &report.aside {
        Some(aside) => warn(format_args!(
            "the trace as it was is kept in {}",
            path_text(aside)
        )),
        None => note(config, format_args!("nothing to repair")),
    }
}

fn write(report: &VerifyReport, json: bool, config: &Config) -> Result<(), CliError> {
    let mut output = Output::new(config);
    for finding in &report.findings {
        if json {
            object(finding).write(&mut output)?;
        } else {
            writeln!(output, "{}", line(finding))?;
        }
    }
    output.finish()
}

fn tell(report: &VerifyReport, config: &Config) {
    if report.further > 0 {
        warn(format_args!("{} more", counted(report.further, "finding")));
    }
    for session in &report.unsealed {
        note(
            config,
            format_args!(
                "session {} is not finished: its recorder died or was still at work",
                session.0
            ),
        );
    }
    if report.omitted > 0 {
        let omitted = counted(report.omitted, "content");
        note(
            config,
            format_args!("{omitted} left out on purpose, by a thin pack or a size limit"),
        );
    }
    if report.redacted > 0 {
        let redacted = counted(report.redacted, "version");
        note(
            config,
            format_args!("{redacted} redacted: what was checked is the content with its masks"),
        );
    }
    let total = report.findings.len() as u64 + report.further;
    note(
        config,
        format_args!(
            "{}: {}, {}, {}, {} ({})",
            match total {
                0 => "sound".to_owned(),
                total => counted(total, "finding"),
            },
            counted(report.sessions, "session"),
            counted(report.events, "event"),
            counted(report.versions, "version"),
            counted(report.blobs, "blob"),
            format_bytes(report.bytes),
        ),
    );
}

/// `session 1: version of status.log (#12): ...`.
fn line(finding: &Finding) -> String {
    let mut line = match finding.session {
        Some(session) => format!("session {}: ", session.0),
        None => String::new(),
    };
    line += finding.kind.word();
    if let Some(path) = &finding.path {
        line += &format!(" of {}", escape(path));
    }
    if let Some(seq) = finding.seq {
        line += &format!(" (#{})", seq.0);
    }
    format!("{line}: {}", plain(&finding.text))
}

fn object(finding: &Finding) -> Object {
    let mut object = Object::default();
    object
        .set_some("session", finding.session.map(|session| session.0))
        .set("kind", finding.kind.word());
    if let Some(path) = &finding.path {
        object.set_bytes("path", path);
    }
    object
        .set_some("seq", finding.seq.map(|seq| seq.0))
        .set("text", finding.text.as_str());
    object
}

#[cfg(test)]
mod tests {
    use super::{line, object};
    use diffkeeper_store::model::{Seq, SessionId};
    use diffkeeper_store::verify::{Finding, FindingKind};
    use serde_json::{Value, json};

    #[test]
    fn a_finding_is_a_line_and_an_object() {
        let finding = Finding {
            session: Some(SessionId(1)),
            kind: FindingKind::Version,
            path: Some(b"status\n.log".to_vec()),
            seq: Some(Seq(12)),
            text: "does not match\n".to_owned(),
        };
        let expected = "session 1: version of status\\n.log (#12): does not match\\n";
        assert_eq!(line(&finding), expected);
        let expected = json!({"session": 1, "kind": "version", "path": "status\n.log",
            "seq": 12, "text": "does not match\n"});
        assert_eq!(Value::from(object(&finding)), expected);
    }
}
