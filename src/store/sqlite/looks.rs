//! Looks and sweeps.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use sqlx::Connection as _;

use super::SqliteStore;
use super::runs::hold;
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::store::StoreError;
use crate::store::looks::{Look, Looks};
use crate::store::rows::looks::{LookRow, NewLook};
use crate::store::rows::{Micros, all, instant_opt, json, micros};
use crate::store::runs::RunLease;

const REMEMBER: &str = "
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues)
    SELECT ?1, ?2, value ->> 'reference_id', value ->> 'looked_at', value -> 'issues'
    FROM json_each(?3) WHERE true
    ON CONFLICT (org, job_name, reference_id) DO UPDATE SET
        looked_at = excluded.looked_at, issues = excluded.issues
    WHERE excluded.looked_at >= looks.looked_at";

pub(super) const LOOKS: &str = "
    SELECT reference_id, looked_at, issues FROM looks
    WHERE org = ?1 AND job_name = ?2 AND reference_id IN (SELECT value FROM json_each(?3))";

pub(super) const FORGET: &str = "
    DELETE FROM looks
    WHERE org = ?1 AND job_name = ?2 AND reference_id IN (SELECT value FROM json_each(?3))";

const BEGIN: &str = "
    INSERT INTO sweeps (org, job_name, began) VALUES (?1, ?2, ?3)
    ON CONFLICT (org, job_name) DO UPDATE SET began = max(excluded.began, sweeps.began)";

#[async_trait]
impl Looks for SqliteStore {
    async fn remember_looks(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        looks: &[Look],
    ) -> Result<(), StoreError> {
        if looks.is_empty() {
            return Ok(());
        }
        self.timed
            .call("remember_looks", async {
                let rows: Vec<_> = looks.iter().map(NewLook::from).collect();
                let rows = json(&rows)?;
                let mut writer = self.unhurried().await?;
                let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                hold(&mut tx, "remember_looks", lease).await?;
                sqlx::query(REMEMBER)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(rows)
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn looks(
        &self,
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<Vec<Look>, StoreError> {
        self.timed
            .call("looks", async {
                let rows: Vec<LookRow> = sqlx::query_as(LOOKS)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(json(ids)?)
                    .fetch_all(&self.readers)
                    .await?;
                all(rows)
            })
            .await
    }

    async fn forget_looks(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.timed
            .call("forget_looks", async {
                let ids = json(ids)?;
                let mut tx = self.begin().await?;
                hold(&mut tx, "forget_looks", lease).await?;
                sqlx::query(FORGET)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(ids)
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn last_sweep(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.timed
            .call("last_sweep", async {
                let began: Option<Micros> =
                    sqlx::query_scalar("SELECT began FROM sweeps WHERE org = ?1 AND job_name = ?2")
                        .bind(org.as_str())
                        .bind(job.as_str())
                        .fetch_optional(&self.readers)
                        .await?;
                instant_opt("sweeps.began", began)
            })
            .await
    }

    async fn begin_sweep(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        began: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.timed
            .call("begin_sweep", async {
                let mut tx = self.begin().await?;
                hold(&mut tx, "begin_sweep", lease).await?;
                sqlx::query(BEGIN)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(micros(began))
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }
}
