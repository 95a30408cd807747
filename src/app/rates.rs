//! The orgs' rates as the upstream's client asks for them, kept in the store, so that all replicas share them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::SharedClock;
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Grant, RateKind};
use crate::store::Store;
use crate::tesamanager::Rates;

/// See the module.
pub struct StoredRates {
    store: Arc<dyn Store>,
    clock: SharedClock,
}

impl StoredRates {
    /// Around a store.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock) -> Self {
        Self { store, clock }
    }
}

#[async_trait]
impl Rates for StoredRates {
    async fn reserve(&self, org: &Org, kind: RateKind, ask: Ask) -> Result<Grant, String> {
        let reserved = self.store.reserve(org, kind, ask, self.clock.now()).await;
        reserved.map_err(|error| error.to_string())
    }

    async fn hold_back(&self, org: &Org, pause: Duration) {
        if let Err(error) = self.store.hold_back(org, pause, self.clock.now()).await {
            tracing::warn!(%org, %error, "the upstream's Retry-After could not be told to the other replicas");
        }
    }
}
