//! An outage of the store as a loop meets it: logged once when it begins and once when it ends.

use crate::store::StoreError;

/// See the module.
pub struct Outage {
    what: &'static str,
    lasts: bool,
}

impl Outage {
    /// `what` can't be done while it lasts.
    pub fn new(what: &'static str) -> Self {
        Self { what, lasts: false }
    }

    /// What came of one round, however often.
    pub fn note(&mut self, result: Result<(), StoreError>) {
        match result {
            Err(error) if !std::mem::replace(&mut self.lasts, true) => {
                tracing::error!(%error, what = self.what, "the store is away");
            }
            Ok(()) if std::mem::replace(&mut self.lasts, false) => {
                tracing::info!(what = self.what, "the store is back");
            }
            _ => {}
        }
    }
}
