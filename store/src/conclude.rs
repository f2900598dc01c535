//! The end of a session whose recorder could not write it: the store failed, as on a full disk.

use std::path::Path;

use crate::db::Space;
use crate::encode::{encode_progress, encode_seal};
use crate::error::StoreError;
use crate::key::{self, SessionPart};
use crate::model::{GapReason, Progress, Seal, SessionId};
use crate::repair::{gap_event, put_block};
use crate::store::Store;
use crate::{density, marks::Mark};

/// How often it is tried: what the engine writes in the background may find the disk full again
/// before this is done.
const TRIES: u32 = 3;

/// Opens a store that failed once more, and ends a session of it with a gap where its events
/// end, and a seal.
///
/// # Errors
/// A store that cannot be opened or written; the session then stays without a seal.
pub fn conclude(
    path: &Path,
    session: SessionId,
    seal: &Seal,
    reason: GapReason,
) -> Result<Progress, StoreError> {
    let mut tries = 1;
    loop {
        match once(path, session, seal, reason) {
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tries += 1,
            Ok(progress) => return Ok(progress),
        }
    }
}

fn once(
    path: &Path,
    session: SessionId,
    seal: &Seal,
    reason: GapReason,
) -> Result<Progress, StoreError> {
    let store = Store::own(path, "record")?;
    let reader = store.session(Some(session))?;
    if reader.seal().is_some() {
        return Ok(reader.progress().clone());
    }
    let mut progress = reader.progress().clone();
    let gap = gap_event(&progress, reason);
    let mut batch = store.db.batch();
    put_block(
        &mut batch,
        session,
        &mut progress,
        std::slice::from_ref(&gap),
    );
    progress.last_seq = gap.seq;
    progress.counts.add(gap.op.kind(), 1);
    density::count(&store.db, &mut batch, (session, gap.time, gap.op.kind()))?;
    let key = key::session(session, SessionPart::Progress);
    batch.put(Space::Session, key, encode_progress(&progress));
    let key = key::session(session, SessionPart::Seal);
    let root = progress.chain;
    let seal = Seal {
        root,
        ..seal.clone()
    };
    batch.put(Space::Session, key, encode_seal(&seal));
    batch.commit()?;
    let marks = &store.known.marks;
    let before = marks.iter().find(|mark| mark.session == session);
    store.marks.put(&Mark {
        session,
        baseline_done: progress.baseline_done,
        sealed: true,
        last_seq: progress.last_seq,
        baseline: before.map_or(0, |mark| mark.baseline),
        chain: progress.chain,
    })?;
    // The journal holds it all, should there be no room for tables.
    if let Err(error) = store.close() {
        tracing::debug!(%error, "closing after a full disk");
    }
    Ok(progress)
}
