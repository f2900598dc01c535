//! Nodes, processes and the histogram: every record decodes, and none is of a later
//! time than the session.

use super::{Check, FindingKind};
use crate::db::{Space, Value};
use crate::density;
use crate::encode::{decode_node, decode_process};
use crate::error::StoreError;
use crate::key;

/// Reads all of them.
pub(super) fn check(check: &mut Check<'_>) {
    let last = check.session.progress().last_seq;
    each(check, Space::Node, FindingKind::Node, |key, value| {
        let (_, seq) = key::file_at_parts(key)?;
        decode_node(value)?;
        Ok((seq > last).then_some("attributes are later than the last event"))
    });
    each(check, Space::Process, FindingKind::Process, |key, value| {
        key::process_id(key)?;
        decode_process(value)?;
        Ok(None)
    });
    each(check, Space::Density, FindingKind::Density, |key, value| {
        key::density_bucket(key)?;
        density::decode(value)?;
        Ok(None)
    });
}

fn each(
    check: &mut Check<'_>,
    space: Space,
    kind: FindingKind,
    look: impl Fn(&[u8], &Value) -> Result<Option<&'static str>, StoreError>,
) {
    for record in check.records(space) {
        match record.and_then(|(key, value)| look(&key, &value)) {
            Ok(None) => {}
            Ok(Some(text)) => check.found(kind, None, text),
            Err(error) => check.found(kind, None, error),
        }
    }
}
