//! The audit. Every call that changes something for somebody appends here, in its own transaction.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::SqliteStore;
use crate::store::audit::{Audit, AuditFilter, AuditRow};
use crate::store::fault::Fault;
use crate::store::rows::controls::RawAudit;
use crate::store::rows::{all, micros, micros_opt};
use crate::store::{Actor, Page, StoreError};

pub(super) const LIST: &str = "
    SELECT id, at, who, action, subject, reason FROM audit
    WHERE id < ?1 AND (?2 IS NULL OR who = ?2) AND (?3 IS NULL OR action = ?3) AND (?4 IS NULL OR at >= ?4)
    ORDER BY id DESC LIMIT ?5";

/// Appends one row within the caller's transaction.
pub(in crate::store) async fn append(
    tx: &mut SqliteConnection,
    action: &str,
    subject: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    sqlx::query("INSERT INTO audit (at, who, action, subject, reason) VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(micros(now))
        .bind(&actor.who)
        .bind(action)
        .bind(subject)
        .bind(&actor.reason)
        .execute(tx)
        .await?;
    Ok(())
}

#[async_trait]
impl Audit for SqliteStore {
    async fn note(
        &self,
        action: &str,
        subject: &str,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.timed
            .call("note", async {
                let mut tx = self.begin().await?;
                append(&mut tx, action, subject, actor, now).await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn audit(&self, filter: &AuditFilter, page: Page) -> Result<Vec<AuditRow>, StoreError> {
        self.timed
            .call("audit", async {
                let rows: Vec<RawAudit> = sqlx::query_as(LIST)
                    .bind(page.before.unwrap_or(i64::MAX))
                    .bind(filter.who.as_deref())
                    .bind(filter.action.as_deref())
                    .bind(micros_opt(filter.since))
                    .bind(page.limit)
                    .fetch_all(&self.readers)
                    .await?;
                all(rows)
            })
            .await
    }
}
