//! The watched directory brought to its newest exact state before a command starts.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use diffkeeper_store::model::{Seq, Session, SessionId};
use diffkeeper_store::restore::{
    Fault, NewestError, Options, RestoreError, RestorePlan, RestoreReport, newest,
};
use diffkeeper_store::{Store, StoreError};

use crate::baseline::Progress;
use crate::restoring::Spared;
use crate::scope::{Scope, ScopeError};

/// How the directory is brought back.
#[derive(Clone, Copy, Debug, Default)]
pub struct BringBack {
    /// Where the newest state is damaged, the newest undamaged one is taken.
    pub last_good: bool,
}

/// What was brought back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// From which session.
    pub session: SessionId,
    /// The event after which the state was.
    pub seq: Seq,
    /// Why newer states were passed over.
    pub passed_over: Vec<Fault>,
    /// What was done.
    pub report: RestoreReport,
    /// How long it took, the check of the store included.
    pub took: Duration,
}

/// Why the directory was not brought back. The command has not run.
#[derive(Debug, thiserror::Error)]
pub enum BringBackError {
    /// No state to bring back.
    #[error(transparent)]
    Newest(#[from] NewestError),
    /// The store holds another directory.
    #[error("the state directory holds {}, not {}", held.display(), wanted.display())]
    OtherRoot {
        /// What the last session recorded.
        held: PathBuf,
        /// What is to be watched.
        wanted: PathBuf,
    },
    /// The filesystem gave up.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// Patterns that cannot be read.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// Something could not be brought back.
    #[error("cannot restore {0}")]
    LeftOut(String),
}

impl From<StoreError> for BringBackError {
    fn from(error: StoreError) -> Self {
        Self::Newest(NewestError::Store(error))
    }
}

/// Makes the one root of `scope` be the newest exact state that `store` holds of it, and
/// tells `progress`. Leaves it as it is when nothing was recorded yet.
pub(crate) fn bring_back(
    store: &Store,
    scope: &Scope,
    how: BringBack,
    progress: &dyn Progress,
) -> Result<(), BringBackError> {
    let begun = Instant::now();
    let roots = scope.session_roots();
    let belongs = |session: &Session| session.roots == roots;
    let sessions = store.sessions()?;
    if let Some(last) = sessions.last()
        && !sessions.iter().any(belongs)
    {
        return Err(other_root(last, scope));
    }
    let Some(newest) = newest(store, &belongs, how.last_good, &())? else {
        progress.nothing_to_restore();
        return Ok(());
    };
    let reader = store.session(Some(newest.session))?;
    let snapshot = reader.snapshot(newest.seq)?;
    let Some(root) = scope.roots().first() else {
        return Ok(());
    };
    let spared = Spared::new(&root.path, scope.state(), reader.session())?;
    let spare =
        |path: &[u8]| spared.holds(path) || !scope.covers(&root.path.join(OsStr::from_bytes(path)));
    let options = Options {
        delete: true,
        spare: &spare,
        supply: None,
    };
    let mut plan = RestorePlan::new(&reader, &snapshot, &root.path, &options, &())?;
    let report = plan.execute(&options, &())?;
    if let Some(left_out) = report.written.left_out.first() {
        return Err(BringBackError::LeftOut(left_out.to_string()));
    }
    progress.restored(&Restored {
        session: newest.session,
        seq: newest.seq,
        passed_over: newest.passed_over,
        report,
        took: begun.elapsed(),
    });
    Ok(())
}

fn other_root(last: &Session, scope: &Scope) -> BringBackError {
    let held = last.roots.first().map_or(&b""[..], |root| &root.path);
    let wanted = scope.roots().first().map(|root| root.path.clone());
    BringBackError::OtherRoot {
        held: PathBuf::from(OsStr::from_bytes(held)),
        wanted: wanted.unwrap_or_default(),
    }
}
