//! Serving the store while it records, so that it can be looked at.

use std::path::Path;

use diffkeeper_store::Store;
use diffkeeper_store::live::Server;

use crate::launch::Caller;
use crate::priority::lower_this_thread;

/// Does the work while readers are served through a socket in the state directory. Where
/// that cannot be made, they have to wait for the end, as if nobody served. `owner` is who
/// called through sudo.
pub(crate) fn served<T>(
    store: &Store,
    state_dir: &Path,
    owner: Option<&Caller>,
    work: impl FnOnce() -> T,
) -> T {
    let server = match Server::bind(state_dir) {
        Ok(server) => server,
        Err(error) => {
            tracing::info!(%error, "nobody can read the trace while it is recorded");
            return work();
        }
    };
    // Whoever will own the trace may read it now.
    if let Some(Err(error)) = owner.map(|owner| owner.own(server.dir())) {
        tracing::info!(%error, "only the superuser can read the trace while it is recorded");
    }
    std::thread::scope(|threads| {
        let serve = || {
            lower_this_thread();
            server.serve(store);
        };
        let thread = std::thread::Builder::new().name("live-door".into());
        let serving = thread.spawn_scoped(threads, serve).is_ok();
        let _stop = Stop(&server);
        tracing::debug!(serving, "readers are served");
        work()
    })
}

/// Stops the server also when the work panics.
struct Stop<'s>(&'s Server);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
