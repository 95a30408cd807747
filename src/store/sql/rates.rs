//! Rates. What may be asked for next is each back end's own; what the upstream asked us to hold back is a row.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::super::rates::reserve;
use super::{Backend, audit, from_now};
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Grant, LONGEST_HOLD_BACK, RateKind};
use crate::store::rates::{HeldBack, Rates};
use crate::store::rows::rates::RawHeldBack;
use crate::store::rows::{all, stamp};
use crate::store::{Actor, StoreError};

const HOLD_BACK: &str = sql!("
    INSERT INTO held_back AS kept (org, until) VALUES ($1, " from_now!("$2") ")
    ON CONFLICT (org) DO UPDATE SET until = CASE
        WHEN kept.until BETWEEN excluded.until AND " from_now!("$3") " THEN kept.until
        ELSE excluded.until END");

const HELD_BACK: &str = sql!("
    SELECT org, until FROM held_back
    WHERE until > " now!("$1") " AND until <= " from_now!("$2") " ORDER BY org");

const RESET: &str = sql!("DELETE FROM held_back WHERE org = $1 AND until > " now!("$2"));

fn at_most_an_hour(pause: Duration) -> TimeDelta {
    TimeDelta::from_std(pause.min(LONGEST_HOLD_BACK)).unwrap_or_default()
}

#[async_trait]
impl Rates for Backend {
    async fn reserve(
        &self,
        org: &Org,
        kind: RateKind,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Grant, StoreError> {
        self.call("reserve", || reserve(self, org, kind, ask, now))
            .await
    }

    async fn hold_back(
        &self,
        org: &Org,
        pause: Duration,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("hold_back", || async {
            let mut tx = self.unhurried().await?;
            sqlx::query(HOLD_BACK)
                .bind(org.as_str())
                .bind(from_now(now, at_most_an_hour(pause)))
                .bind(from_now(now, at_most_an_hour(LONGEST_HOLD_BACK)))
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn held_back(&self, now: DateTime<Utc>) -> Result<Vec<HeldBack>, StoreError> {
        self.call("held_back", || async {
            let rows: Vec<RawHeldBack> = sqlx::query_as(HELD_BACK)
                .bind(stamp(now))
                .bind(from_now(now, at_most_an_hour(LONGEST_HOLD_BACK)))
                .fetch_all(self.reading())
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
        self.call("reset_rate", || async {
            let mut tx = self.begin().await?;
            let gone = sqlx::query(RESET)
                .bind(org.as_str())
                .bind(stamp(now))
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
