//! Rates. One daemon at most works on a file, so what is given away stands in its memory: nothing is written for it, and
//! what a restart forgets is a fraction of a second. It goes by a clock that nobody sets. Only what the upstream asked for
//! outlives the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::{SqliteStore, audit};
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Given, Grant, LONGEST_HOLD_BACK, RateKind};
use crate::store::rates::{HeldBack, Rates};
use crate::store::rows::rates::RawHeldBack;
use crate::store::rows::{Micros, all, instant_opt, micros};
use crate::store::{Actor, StoreError};

/// Up to when each org's reads and writes are given away, on a clock that began with the store.
#[derive(Debug)]
pub(super) struct GivenAway {
    began: Instant,
    next: Mutex<UpTo>,
}

type UpTo = HashMap<(Org, RateKind), Option<DateTime<Utc>>>;

impl Default for GivenAway {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: Mutex::default(),
        }
    }
}

impl GivenAway {
    fn reserve(&self, org: &Org, kind: RateKind, ask: &Ask, held_back: TimeDelta) -> Grant {
        let now = DateTime::UNIX_EPOCH + self.began.elapsed();
        let mut all = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let next = all.entry((org.clone(), kind)).or_default();
        let before = Given {
            next: *next,
            held_back_until: Some(now + held_back),
        };
        let (after, grant) = before.reserve(ask, now);
        *next = after.next;
        grant
    }
}

const UNTIL: &str = "SELECT until FROM held_back WHERE org = ?1";

const HOLD_BACK: &str = "
    INSERT INTO held_back (org, until) VALUES (?1, ?2)
    ON CONFLICT (org) DO UPDATE SET until =
        iif(held_back.until BETWEEN excluded.until AND ?3, held_back.until, excluded.until)";

#[async_trait]
impl Rates for SqliteStore {
    async fn reserve(
        &self,
        org: &Org,
        kind: RateKind,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Grant, StoreError> {
        self.timed
            .call("reserve", async {
                let until: Option<Micros> = sqlx::query_scalar(UNTIL)
                    .bind(org.as_str())
                    .fetch_optional(&self.readers)
                    .await?;
                let until = instant_opt("held_back.until", until)?.unwrap_or(now);
                Ok(self.given.reserve(org, kind, &ask, until - now))
            })
            .await
    }

    async fn hold_back(
        &self,
        org: &Org,
        pause: Duration,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.timed
            .call("hold_back", async {
                let until =
                    now + TimeDelta::from_std(pause.min(LONGEST_HOLD_BACK)).unwrap_or_default();
                let mut writer = self.unhurried().await?;
                sqlx::query(HOLD_BACK)
                    .bind(org.as_str())
                    .bind(micros(until))
                    .bind(micros(now + LONGEST_HOLD_BACK))
                    .execute(&mut *writer)
                    .await?;
                Ok(())
            })
            .await
    }

    async fn held_back(&self, now: DateTime<Utc>) -> Result<Vec<HeldBack>, StoreError> {
        self.timed
            .call("held_back", async {
                let rows: Vec<RawHeldBack> = sqlx::query_as(
                    "SELECT org, until FROM held_back WHERE until > ?1 AND until <= ?2 ORDER BY org",
                )
                .bind(micros(now))
                .bind(micros(now + LONGEST_HOLD_BACK))
                .fetch_all(&self.readers)
                .await?;
                all(rows)
            })
            .await
    }

    async fn reset_rate(
        &self,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.timed
            .call("reset_rate", async {
                let mut tx = self.begin().await?;
                let gone = sqlx::query("DELETE FROM held_back WHERE org = ?1 AND until > ?2")
                    .bind(org.as_str())
                    .bind(micros(now))
                    .execute(&mut *tx)
                    .await?;
                if gone.rows_affected() == 0 {
                    return Ok(false);
                }
                audit::append(&mut tx, "reset_rate", org.as_str(), actor, now).await?;
                tx.commit().await?;
                Ok(true)
            })
            .await
    }
}
