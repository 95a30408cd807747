//! Rates, by the store's clock. The arithmetic is the domain's own.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::ids::Org;
use tesa_reconciler::domain::rate::{Ask, Given, Grant, LONGEST_HOLD_BACK, RateKind};
use tesa_reconciler::store::rates::{HeldBack, Rates};
use tesa_reconciler::store::{Actor, StoreError};

use super::MemoryStore;

#[derive(Default)]
pub(super) struct Table {
    next: BTreeMap<(Org, RateKind), DateTime<Utc>>,
    held_back: BTreeMap<Org, DateTime<Utc>>,
}

#[async_trait]
impl Rates for MemoryStore {
    async fn reserve(
        &self,
        org: &Org,
        kind: RateKind,
        ask: Ask,
        _now: DateTime<Utc>,
    ) -> Result<Grant, StoreError> {
        self.write("reserve", |state, now| {
            let rates = &mut state.rates;
            let key = (org.clone(), kind);
            let given = Given {
                next: rates.next.get(&key).copied(),
                held_back_until: rates.held_back.get(org).copied(),
            };
            let (given, grant) = given.reserve(&ask, now);
            if let Some(next) = given.next {
                rates.next.insert(key, next);
            }
            Ok(grant)
        })
        .await
    }

    async fn hold_back(
        &self,
        org: &Org,
        pause: Duration,
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("hold_back", |state, now| {
            let held_back = &mut state.rates.held_back;
            let given = Given {
                next: None,
                held_back_until: held_back.get(org).copied(),
            };
            if let Some(until) = given.hold_back(pause, now).held_back_until {
                held_back.insert(org.clone(), until);
            }
            Ok(())
        })
        .await
    }

    async fn held_back(&self, _now: DateTime<Utc>) -> Result<Vec<HeldBack>, StoreError> {
        self.read("held_back", |state, now| {
            let held = state.rates.held_back.iter();
            Ok(held
                .filter(|&(_, &until)| until > now && until <= now + LONGEST_HOLD_BACK)
                .map(|(org, &until)| HeldBack {
                    org: org.clone(),
                    until,
                })
                .collect())
        })
        .await
    }

    async fn reset_rate(
        &self,
        org: &Org,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.write("reset_rate", |state, now| {
            let held_back = &mut state.rates.held_back;
            if held_back.get(org).is_none_or(|&until| until <= now) {
                return Ok(false);
            }
            held_back.remove(org);
            state.note("reset_rate", org.as_str(), actor, at);
            Ok(true)
        })
        .await
    }
}
