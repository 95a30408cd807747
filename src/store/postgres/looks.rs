//! Looks and sweeps.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::PgStore;
use super::runs::hold;
use super::values::{column, json, last_of_each, stamp, texts};
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::store::StoreError;
use crate::store::looks::{Look, Looks};
use crate::store::rows::looks::LookRow;
use crate::store::rows::{Micros, all, instant_opt};
use crate::store::runs::RunLease;

const REMEMBER: &str = "
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues)
    SELECT $1, $2, * FROM unnest($3::text[], $4::timestamptz[], $5::jsonb[])
    ON CONFLICT (org, job_name, reference_id) DO UPDATE SET
        looked_at = excluded.looked_at, issues = excluded.issues
    WHERE excluded.looked_at >= looks.looked_at";

pub(super) const LOOKS: &str = "
    SELECT reference_id, looked_at, issues FROM looks
    WHERE org = $1 AND job_name = $2 AND reference_id = ANY($3)";

pub(super) const FORGET: &str = "
    DELETE FROM looks
    WHERE org = $1 AND job_name = $2 AND reference_id = ANY($3)";

const BEGIN: &str = "
    INSERT INTO sweeps (org, job_name, began) VALUES ($1, $2, $3)
    ON CONFLICT (org, job_name) DO UPDATE SET began = greatest(excluded.began, sweeps.began)";

#[async_trait]
impl Looks for PgStore {
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
        self.call("remember_looks", || async {
            let mut looks: Vec<_> = looks.iter().collect();
            looks.sort_by_key(|look| look.looked_at);
            let looks = last_of_each(looks, |look| &look.reference_id);
            let mut tx = self.unhurried().await?;
            hold(&mut tx, "remember_looks", lease).await?;
            sqlx::query(REMEMBER)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(texts(looks.iter().map(|look| look.reference_id.as_str())))
                .bind(column(&looks, |look| stamp(look.looked_at)))
                .bind(column(&looks, |look| json(&look.issues)))
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
        self.call("looks", || async {
            let rows: Vec<LookRow> = sqlx::query_as(LOOKS)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(texts(ids.iter().map(ReferenceId::as_str)))
                .fetch_all(&self.pool)
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
        self.call("forget_looks", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "forget_looks", lease).await?;
            sqlx::query(FORGET)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(texts(ids.iter().map(ReferenceId::as_str)))
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
        self.call("last_sweep", || async {
            let began: Option<Micros> =
                sqlx::query_scalar("SELECT began FROM sweeps WHERE org = $1 AND job_name = $2")
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .fetch_optional(&self.pool)
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
        self.call("begin_sweep", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "begin_sweep", lease).await?;
            sqlx::query(BEGIN)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(stamp(began))
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}
