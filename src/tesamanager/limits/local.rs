//! Rates kept in this process, for those who write nothing anywhere: `plan`, `explain`, `doctor`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Rates;
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Given, Grant, RateKind};

/// See the module.
pub struct LocalRates {
    began: Instant,
    given: Mutex<HashMap<(Org, RateKind), Given>>,
}

impl Default for LocalRates {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            given: Mutex::default(),
        }
    }
}

impl LocalRates {
    /// Only lengths of time come out of this, so it may count from anywhere.
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.began.elapsed()
    }

    fn change<T>(&self, org: &Org, kind: RateKind, change: impl FnOnce(Given) -> (Given, T)) -> T {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = given.entry((org.clone(), kind)).or_default();
        let (after, answer) = change(*entry);
        *entry = after;
        answer
    }
}

#[async_trait]
impl Rates for LocalRates {
    async fn reserve(&self, org: &Org, kind: RateKind, ask: Ask) -> Result<Grant, String> {
        let now = self.now();
        Ok(self.change(org, kind, |given| given.reserve(&ask, now)))
    }

    async fn hold_back(&self, org: &Org, pause: Duration) {
        let now = self.now();
        for kind in RateKind::ALL {
            self.change(org, *kind, |given| (given.hold_back(pause, now), ()));
        }
    }
}
