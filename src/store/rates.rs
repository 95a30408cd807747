//! How much of each org's rates is given away: one row an org and kind, shared by all replicas.
//!
//! What the numbers mean is [`crate::domain::rate`]'s. On PostgreSQL the instants are the database's own, so replicas
//! whose clocks differ share them all the same; answers are lengths of time.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Actor, StoreError};
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Grant, RateKind};

/// An org of which the upstream asked for patience.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldBack {
    /// Which.
    pub org: Org,
    /// Until when nothing is asked of it.
    pub until: DateTime<Utc>,
}

/// See the module.
#[async_trait]
pub trait Rates {
    /// Reserves some of an org's rate, or says when asking is worth it. Does not wait for the disk: what a crash forgets
    /// is a fraction of a second of rate.
    async fn reserve(
        &self,
        org: &Org,
        kind: RateKind,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Grant, StoreError>;

    /// Gives nothing of either kind away for so long; the longer of two pauses holds, an hour at most.
    async fn hold_back(
        &self,
        org: &Org,
        pause: Duration,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// The orgs that are held back now, in order.
    async fn held_back(&self, now: DateTime<Utc>) -> Result<Vec<HeldBack>, StoreError>;

    /// Ends the pause of an org, audited (`reset_rate`). Answers whether there was one.
    async fn reset_rate(
        &self,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;
}
