//! A process as a JSON object: `session pid ppid start_ns end_ns comm exe argv cwd uid exit
//! signal writes bytes files created removed renamed opens reads`. Absent fields are left
//! out, as are counts that nothing is known of.

use diffkeeper_store::model::{ExitStatus, OpKind, Process};
use diffkeeper_store::{SessionReader, StoreError};

use crate::json::Object;
use crate::trace;
use diffkeeper_viewer::processes::Processes;
use diffkeeper_viewer::processes::tally::{Deeds, Member};

/// The pid of the process above; what a process was before it executed another program is
/// itself. A trace may hold a circle.
fn parent_of(processes: &Processes<'_>, process: &Process) -> Result<Option<u32>, StoreError> {
    const PROGRAMS: usize = 1000;
    let mut next = process.parent;
    for _ in 0..PROGRAMS {
        let Some(above) = next.map(|id| processes.get(id)).transpose()?.flatten() else {
            return Ok(None);
        };
        if above.pid != process.pid {
            return Ok(Some(above.pid));
        }
        next = above.parent;
    }
    Ok(None)
}

/// The object of a process.
///
/// # Errors
/// A damaged record of its parent.
pub(super) fn object(
    reader: &SessionReader<'_>,
    processes: &Processes<'_>,
    (member, process): (&Member, &Process),
) -> Result<Object, StoreError> {
    let parent = parent_of(processes, process)?;
    let mut object = Object::default();
    object
        .set("session", reader.session().id.0)
        .set("pid", process.pid)
        .set_some("ppid", parent)
        .set("start_ns", process.start.0)
        .set_some("end_ns", member.end.map(|(time, _)| time.0))
        .set_bytes("comm", &process.comm);
    if !process.exe.is_empty() {
        object.set_bytes("exe", &process.exe);
    }
    if !process.argv.is_empty() {
        object.set_list("argv", &process.argv);
    }
    if !process.cwd.is_empty() {
        object.set_bytes("cwd", &process.cwd);
    }
    object.set("uid", process.uid);
    if let Some(status) = super::exit_of(member, process) {
        object.set("exit", status.shell_code());
        if let ExitStatus::Signal(signal) = status {
            object.set("signal", signal);
        }
    }
    if trace::knows_who(reader.session().backend) {
        counts(&mut object, reader, &member.deeds);
    }
    Ok(object)
}

fn counts(object: &mut Object, reader: &SessionReader<'_>, deeds: &Deeds) {
    let files = if deeds.more_files {
        "files_at_least"
    } else {
        "files"
    };
    object
        .set("writes", deeds.writes)
        .set("bytes", deeds.bytes)
        .set(files, deeds.files)
        .set("created", deeds.created)
        .set("removed", deeds.removed)
        .set("renamed", deeds.renamed);
    // None at all more likely means that none were recorded.
    let total = &reader.progress().counts;
    for (name, kind, count) in [
        ("opens", OpKind::Open, deeds.opens),
        ("reads", OpKind::Read, deeds.reads),
    ] {
        if total.get(kind) > 0 {
            object.set(name, count);
        }
    }
}
