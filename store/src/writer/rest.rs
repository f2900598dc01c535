//! Rest: what a writer that has nothing to write gives back.

use super::SessionWriter;
use crate::error::StoreError;

impl SessionWriter<'_> {
    /// Drops contents that are in memory for the next versions, and has those written out
    /// that are there because there is room for more, so that whoever now waits for long does
    /// not hold them; see [`SessionWriter::let_go`]. Returns before they are written.
    ///
    /// # Errors
    /// A failing database.
    pub fn rest(&mut self) -> Result<(), StoreError> {
        self.contents.rest();
        Ok(self.store.db.rest()?)
    }

    /// Lets go of what has been written out since [`SessionWriter::rest`]; whether all of it
    /// was by now.
    ///
    /// # Errors
    /// A failing database.
    pub fn let_go(&mut self) -> Result<bool, StoreError> {
        Ok(self.store.db.let_go()?)
    }
}
