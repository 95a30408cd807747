//! The audit. Every call that changes something for somebody appends here, in its own transaction.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Backend, Connection};
use crate::store::audit::{ACTIONS, Audit, AuditFilter, AuditRow};
use crate::store::fault::Fault;
use crate::store::rows::controls::RawAudit;
use crate::store::rows::{all, number, stamp, stamp_opt};
use crate::store::{Actor, Page, StoreError};

macro_rules! filtered {
    () => {
        " FROM audit
    WHERE id < $1 AND (CAST($2 AS text) IS NULL OR who = $2) AND (CAST($3 AS text) IS NULL OR action = $3)
        AND (CAST($4 AS timestamptz) IS NULL OR at >= $4) AND (CAST($5 AS timestamptz) IS NULL OR at < $5)"
    };
}
pub(in crate::store) const LIST: &str =
    sql!("SELECT id, at, who, action, subject, reason" filtered!() " ORDER BY id DESC LIMIT $6");
const NUMBER: &str = sql!("SELECT count(*)" filtered!());

macro_rules! bind_filter {
    ($query:expr, $filter:expr, $before:expr) => {
        $query
            .bind($before.unwrap_or(i64::MAX))
            .bind($filter.who.as_deref())
            .bind($filter.action.as_deref())
            .bind(stamp_opt($filter.since))
            .bind(stamp_opt($filter.until))
    };
}

/// Appends one row within the caller's transaction.
pub(in crate::store) async fn append(
    tx: &mut Connection,
    action: &str,
    subject: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    debug_assert!(
        ACTIONS.contains(&action),
        "nobody can ask for {action}: ACTIONS lacks it"
    );
    sqlx::query("INSERT INTO audit (at, who, action, subject, reason) VALUES ($1, $2, $3, $4, $5)")
        .bind(stamp(now))
        .bind(&actor.who)
        .bind(action)
        .bind(subject)
        .bind(&actor.reason)
        .execute(tx)
        .await?;
    Ok(())
}

#[async_trait]
impl Audit for Backend {
    async fn note(
        &self,
        action: &str,
        subject: &str,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("note", || async {
            let mut tx = self.begin().await?;
            append(&mut tx, action, subject, actor, now).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn audit(&self, filter: &AuditFilter, page: Page) -> Result<Vec<AuditRow>, StoreError> {
        self.call("audit", || async {
            let asked = sqlx::query_as(LIST);
            let rows: Vec<RawAudit> = bind_filter!(asked, filter, page.before)
                .bind(i64::from(page.limit))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn count_audit(&self, filter: &AuditFilter) -> Result<u64, StoreError> {
        self.call("count_audit", || async {
            let asked = sqlx::query_scalar(NUMBER);
            let count: i64 = bind_filter!(asked, filter, None)
                .fetch_one(self.reading())
                .await?;
            number("count", count)
        })
        .await
    }
}
