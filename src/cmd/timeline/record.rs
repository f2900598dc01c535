//! An event as a JSON object. `seq t_ns wall op path to size offset len pid comm
//! provenance session` are a contract; absent fields are left out, and a text that is not
//! UTF-8 stands in base64 under its name with `_b64`.

use diffkeeper_store::StoreError;
use diffkeeper_store::filter::Known;
use diffkeeper_store::model::{ExitStatus, Op, Repr};
use diffkeeper_store::when::wall;

use crate::json::Object;
use diffkeeper_viewer::look::Found;

/// The object of an event.
///
/// # Errors
/// A damaged version record.
pub(super) fn object(found: &Found<'_>) -> Result<Object, StoreError> {
    let (event, session) = (&found.event, found.reader.session());
    let mut object = Object::default();
    object
        .set("seq", event.seq.0)
        .set("t_ns", event.time.0)
        .set("wall", wall(session.start_wall, event.time))
        .set("op", event.op.kind().word());
    if let Some(path) = &found.paths.path {
        object.set_bytes("path", path);
    }
    if let Some(to) = &found.paths.to {
        object.set_bytes("to", to);
    }
    details(&mut object, &event.op);
    node(&mut object, found)?;
    if let Some(process) = found.who() {
        object.set("pid", process.pid);
        object.set_bytes("comm", &process.comm);
    }
    if let Some(version) = found.version()? {
        object.set("provenance", Known::of(&version).word());
        if version.redacted {
            object.set("redacted", true);
        }
        match version.repr {
            Repr::Missing(reason) => {
                object.set("missing", reason.word());
            }
            // A new file is shown with the content it was first seen with.
            _ if matches!(event.op, Op::Create(_)) => {
                object.set("size", version.length);
            }
            _ => {}
        }
    }
    object.set("session", session.id.0);
    Ok(object)
}

/// What only the event knows.
fn details(object: &mut Object, op: &Op) {
    match op {
        Op::Write { offset, len, size } => {
            object.set("size", *size).set("offset", *offset);
            object.set("len", *len);
        }
        Op::Read { offset, len } => {
            object.set("offset", *offset).set("len", *len);
        }
        Op::Truncate { size } => {
            object.set("size", *size);
        }
        Op::Rename { exchange: true, .. } => {
            object.set("exchange", true);
        }
        Op::Chmod { mode } => {
            object.set("mode", *mode);
        }
        Op::Chown { uid, gid } => {
            object.set("uid", *uid).set("gid", *gid);
        }
        Op::Setxattr { name } | Op::Removexattr { name } => {
            object.set_bytes("name", name);
        }
        Op::Open { flags } => {
            object.set("flags", *flags);
        }
        Op::Exit(status) => exit(object, *status),
        Op::Output { stream, bytes } => {
            object.set("stream", stream.word()).set_bytes("text", bytes);
        }
        Op::Marker { label } => {
            object.set_bytes("label", label);
        }
        Op::Gap { reason, .. } => {
            object.set("reason", reason.word());
        }
        Op::Create(_)
        | Op::Mkdir(_)
        | Op::Mknod(_)
        | Op::Symlink(_)
        | Op::Link(_)
        | Op::Unlink(_)
        | Op::Rmdir(_)
        | Op::Rename { .. }
        | Op::Utimes
        | Op::Exec => {}
    }
}

/// As a shell reports it, and the signal where there was one.
fn exit(object: &mut Object, status: ExitStatus) {
    object.set("status", status.shell_code());
    if let ExitStatus::Signal(signal) = status {
        object.set("signal", signal);
    }
}

/// What is new with a new node.
fn node(object: &mut Object, found: &Found<'_>) -> Result<(), StoreError> {
    let event = &found.event;
    let Some(file) = event.file else {
        return Ok(());
    };
    let is_new = matches!(
        event.op,
        Op::Create(_) | Op::Mkdir(_) | Op::Mknod(_) | Op::Symlink(_)
    );
    if is_new && let Some((_, node)) = found.reader.node_at(file, event.seq)? {
        object.set("kind", node.kind.word());
        match event.op {
            Op::Symlink(_) => object.set_bytes("target", &node.target),
            _ => object.set("mode", node.mode),
        };
    }
    Ok(())
}
