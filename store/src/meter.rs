//! How long work tells whoever waits for it how far it is.

/// Told about steps of long work, from several threads; for progress bars.
pub trait Meter: Sync {
    /// `steps` more are to be done.
    fn expect(&self, steps: u64);
    /// `steps` are done.
    fn advance(&self, steps: u64);
}

/// Nobody waits.
impl Meter for () {
    fn expect(&self, _: u64) {}
    fn advance(&self, _: u64) {}
}
