//! Priority: the command comes first. The threads that read, compress and store run at a
//! lower one, so that on a busy machine it is the trace that lags and not the command.

/// How much lower, in steps of nice(2): a tenth of the command's share when both want the
/// same processor.
const STEPS: i32 = 10;

/// Lowers the calling thread; the threads it starts inherit that.
pub(crate) fn lower_this_thread() {
    // Refused under some policies: then the thread stays as it is.
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::debug!(%error, "cannot lower the priority");
    }
}
