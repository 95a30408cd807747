//! Alerts and what was told of them. `standing_alerts` is a view of the other tables.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Backend, texts};
use crate::domain::{Alert, AlertName, AlertState};
use crate::store::StoreError;
use crate::store::notices::{Notice, Notices};
use crate::store::rows::notices::RawNotice;
use crate::store::rows::{all, stamp};

/// The wanted alerts that stand; their names are `$1`.
macro_rules! wanted {
    () => {
        sql!("standing_alerts WHERE alert IN ("
            dialect!(sqlite: "SELECT value FROM json_each($1)", postgres: "SELECT unnest($1::text[])") ")")
    };
}

// Looked at with every round, so that a round without news writes nothing.
pub(in crate::store) const DIFFERS: &str = sql!("
    SELECT EXISTS (
        SELECT alert, org, subject, count FROM " wanted!() "
        EXCEPT SELECT alert, org, subject, count FROM notices WHERE standing)
    OR EXISTS (
        SELECT alert, org, subject FROM notices WHERE standing
        EXCEPT SELECT alert, org, subject FROM " wanted!() ")");

// Replicas keep the book one after the other: each of the statements that follow sees what the one before left.
const LOCK: Option<&str> =
    dialect!(sqlite: None, postgres: Some("LOCK TABLE notices IN SHARE ROW EXCLUSIVE MODE"));

// One that comes back before its end was told, or tried to be told, has never been away for the receiver.
const OPEN: &str = sql!("
    INSERT INTO notices (alert, org, subject, since, count, standing, told, tries, next_try, changed_at)
    SELECT alert, org, subject, coalesce(since, $2), count, true, false, 0, $2, $2 FROM " wanted!() "
    ON CONFLICT (alert, org, subject) DO UPDATE SET
        count = excluded.count,
        standing = true,
        told = CASE WHEN notices.standing OR notices.tries = 0 THEN notices.told ELSE false END,
        since = CASE WHEN notices.standing OR (notices.told AND notices.tries = 0) THEN notices.since
                     ELSE excluded.since END,
        tries = CASE WHEN notices.standing THEN notices.tries ELSE 0 END,
        next_try = CASE WHEN notices.standing THEN notices.next_try ELSE " greatest!() "(notices.next_try, $2) END,
        changed_at = CASE WHEN notices.standing THEN notices.changed_at ELSE $2 END");

// Nobody was told of it and nobody tried, so there is no end to tell either.
const FORGET: &str = sql!("
    DELETE FROM notices
    WHERE standing AND NOT told AND tries = 0 AND (alert, org, subject) NOT IN (
        SELECT alert, org, subject FROM " wanted!() ")");

// Not before a delivery that is under way is over: the end must not overtake the beginning.
const END: &str = sql!("
    UPDATE notices SET standing = false, tries = 0, next_try = " greatest!() "(next_try, $2), changed_at = $2
    WHERE standing AND (alert, org, subject) NOT IN (
        SELECT alert, org, subject FROM " wanted!() ")");

pub(in crate::store) const DUE: &str =
    "SELECT EXISTS (SELECT 1 FROM notices WHERE NOT (standing AND told) AND next_try <= $1)";

pub(in crate::store) const TAKE: &str = sql!("
    UPDATE notices SET next_try = $2, tries = tries + 1
    WHERE (alert, org, subject) = (
        SELECT alert, org, subject FROM notices WHERE NOT (standing AND told) AND next_try <= $1
        ORDER BY next_try, changed_at LIMIT 1" skip_locked!() ")
    RETURNING alert, org, subject, since, count, standing, changed_at, tries");

const TOLD_OPEN: &str = "
    UPDATE notices SET told = true, tries = 0, next_try = $4 WHERE alert = $1 AND org = $2 AND subject = $3";

// It may have come back meanwhile: then the receiver has heard of an end that is none.
const TOLD_RESOLVED: &str = "
    UPDATE notices SET told = false, tries = 0, next_try = $4
    WHERE alert = $1 AND org = $2 AND subject = $3 AND standing";

const ENDED: &str =
    "DELETE FROM notices WHERE alert = $1 AND org = $2 AND subject = $3 AND NOT standing";

const POSTPONE: &str =
    "UPDATE notices SET next_try = $4 WHERE alert = $1 AND org = $2 AND subject = $3";

const TOLD: &str = "
    SELECT alert, org, subject, since, count, standing, changed_at, tries FROM notices
    WHERE standing AND told ORDER BY alert, org, subject";

impl Backend {
    /// Runs the statements on one alert's row, in one transaction. Each of them takes the same four values.
    async fn set_notice(
        &self,
        operation: &'static str,
        statements: &[&'static str],
        alert: &Alert,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call(operation, || async {
            let mut tx = self.begin().await?;
            for &statement in statements {
                sqlx::query(statement)
                    .bind(alert.name().as_str())
                    .bind(alert.org().as_str())
                    .bind(alert.subject())
                    .bind(stamp(at))
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}

#[async_trait]
impl Notices for Backend {
    async fn keep_notices(
        &self,
        wanted: &[AlertName],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("keep_notices", || async {
            let wanted = texts(wanted.iter().map(|name| name.as_str()));
            let differs: bool = sqlx::query_scalar(DIFFERS)
                .bind(&wanted)
                .fetch_one(self.reading())
                .await?;
            if !differs {
                return Ok(());
            }
            let mut tx = self.begin().await?;
            if let Some(lock) = LOCK {
                sqlx::query(lock).execute(&mut *tx).await?;
            }
            for statement in [OPEN, FORGET, END] {
                sqlx::query(statement)
                    .bind(&wanted)
                    .bind(stamp(now))
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn take_notice(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Notice>, StoreError> {
        self.call("take_notice", || async {
            let due: bool = sqlx::query_scalar(DUE)
                .bind(stamp(now))
                .fetch_one(self.reading())
                .await?;
            if !due {
                return Ok(None);
            }
            let mut tx = self.begin().await?;
            let row: Option<RawNotice> = sqlx::query_as(TAKE)
                .bind(stamp(now))
                .bind(stamp(until))
                .fetch_optional(&mut *tx)
                .await?;
            tx.commit().await?;
            row.map(Notice::try_from).transpose()
        })
        .await
    }

    async fn notice_told(
        &self,
        alert: &Alert,
        state: AlertState,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let statements: &[&'static str] = match state {
            AlertState::Open => &[TOLD_OPEN],
            AlertState::Resolved => &[TOLD_RESOLVED, ENDED],
        };
        self.set_notice("notice_told", statements, alert, now).await
    }

    async fn postpone_notice(&self, alert: &Alert, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.set_notice("postpone_notice", &[POSTPONE], alert, until)
            .await
    }

    async fn give_up_notice(&self, alert: &Alert) -> Result<(), StoreError> {
        self.set_notice("give_up_notice", &[ENDED], alert, DateTime::UNIX_EPOCH)
            .await
    }

    async fn told_notices(&self) -> Result<Vec<Notice>, StoreError> {
        self.call("told_notices", || async {
            let rows: Vec<RawNotice> = sqlx::query_as(TOLD).fetch_all(self.reading()).await?;
            all(rows)
        })
        .await
    }
}
