//! Rates: one statement moves an org's row on, by the database's clock.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::values::age;
use super::{PgStore, audit};
use crate::domain::ids::Org;
use crate::domain::rate::{Ask, Grant, LONGEST_HOLD_BACK, RateKind};
use crate::store::rates::{HeldBack, Rates};
use crate::store::rows::all;
use crate::store::rows::rates::RawHeldBack;
use crate::store::{Actor, StoreError};

/// The arithmetic of [`crate::domain::rate::Given`] (what lies too far ahead was written by a clock that was wrong).
/// `$3` is what is asked for, `$4` the horizon. Answers microseconds until the first call may go, or else until the row
/// is free; a row that moved in between is looked at as it was, which costs its asker one more question.
pub(super) const RESERVE: &str = "
    WITH held AS (
        SELECT max(until) AS until FROM held_back
        WHERE org = $1 AND until <= clock_timestamp() + interval '1 hour'
    ), got AS (
        INSERT INTO rates AS kept (org, kind, next)
        SELECT $1, $2, clock_timestamp() + $3 FROM held
        WHERE held.until IS NULL OR held.until < clock_timestamp() + $4
        ON CONFLICT (org, kind) DO UPDATE SET next = greatest(
            CASE WHEN kept.next <= clock_timestamp() + interval '1 minute' + $3 THEN kept.next END,
            (SELECT until FROM held), clock_timestamp()) + $3
        WHERE kept.next < clock_timestamp() + $4 OR kept.next > clock_timestamp() + interval '1 minute' + $3
        RETURNING next
    )
    SELECT (extract(epoch FROM (SELECT next FROM got) - $3 - clock_timestamp()) * 1000000)::bigint,
           (extract(epoch FROM greatest(
               (SELECT next FROM rates WHERE org = $1 AND kind = $2), (SELECT until FROM held)
           ) - clock_timestamp()) * 1000000)::bigint";

const HOLD_BACK: &str = "
    INSERT INTO held_back AS kept (org, until) VALUES ($1, clock_timestamp() + $2)
    ON CONFLICT (org) DO UPDATE SET until = CASE
        WHEN kept.until BETWEEN excluded.until AND clock_timestamp() + interval '1 hour' THEN kept.until
        ELSE excluded.until END";

#[async_trait]
impl Rates for PgStore {
    async fn reserve(
        &self,
        org: &Org,
        kind: RateKind,
        ask: Ask,
        _now: DateTime<Utc>,
    ) -> Result<Grant, StoreError> {
        let span = age(TimeDelta::from_std(ask.span()).unwrap_or(TimeDelta::MAX));
        let horizon = age(TimeDelta::from_std(ask.horizon).unwrap_or(TimeDelta::MAX));
        self.call("reserve", || async {
            let mut tx = self.unhurried().await?;
            let (granted, taken): (Option<i64>, Option<i64>) = sqlx::query_as(RESERVE)
                .bind(org.as_str())
                .bind(kind.as_str())
                .bind(span)
                .bind(horizon)
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            let wait = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            Ok(match granted {
                Some(micros) => Grant::Granted(wait(micros)),
                None => Grant::Refused(wait(taken.unwrap_or(0)).saturating_sub(ask.horizon)),
            })
        })
        .await
    }

    async fn hold_back(
        &self,
        org: &Org,
        pause: Duration,
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let pause = TimeDelta::from_std(pause.min(LONGEST_HOLD_BACK)).unwrap_or(TimeDelta::MAX);
        self.call("hold_back", || async {
            let mut tx = self.unhurried().await?;
            sqlx::query(HOLD_BACK)
                .bind(org.as_str())
                .bind(age(pause))
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn held_back(&self, _now: DateTime<Utc>) -> Result<Vec<HeldBack>, StoreError> {
        self.call("held_back", || async {
            let rows: Vec<RawHeldBack> = sqlx::query_as(
                "SELECT org, until FROM held_back
                 WHERE until > clock_timestamp() AND until <= clock_timestamp() + interval '1 hour' ORDER BY org",
            )
            .fetch_all(&self.pool)
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
            let gone =
                sqlx::query("DELETE FROM held_back WHERE org = $1 AND until > clock_timestamp()")
                    .bind(org.as_str())
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
