//! The trace that the workers read. Of one that is being recorded a newer view takes the
//! place of an older, which those at work keep until they are done.

use std::sync::{Arc, Mutex, PoisonError};

use diffkeeper_store::model::SessionId;
use diffkeeper_store::{Store, StoreError};

use crate::facts::Facts;

/// A session of a store, as it is known so far.
pub struct Source {
    store: Mutex<Arc<Store>>,
    session: SessionId,
}

impl Source {
    /// A session of a store.
    #[must_use]
    pub const fn new(store: Arc<Store>, session: SessionId) -> Self {
        let store = Mutex::new(store);
        Self { store, session }
    }

    /// Which session.
    pub(crate) const fn session(&self) -> SessionId {
        self.session
    }

    /// The newest view.
    pub(crate) fn store(&self) -> Arc<Store> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.clone()
    }

    /// Puts a newer view in its place.
    pub(crate) fn renew(&self, newer: Arc<Store>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// Facts of the session; `program` is what opens it again.
    pub(crate) fn facts(&self, program: Vec<Vec<u8>>) -> Result<Facts, StoreError> {
        let store = self.store();
        let reader = store.session(Some(self.session))?;
        Ok(Facts::of(&reader, program))
    }
}
