//! Looks and sweeps.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use sqlx::Connection as _;

use super::SqliteStore;
use super::classes::from;
use super::runs::hold;
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::store::StoreError;
use crate::store::looks::{Look, LookMark, Looks, Sweep};
use crate::store::rows::looks::{LookRow, NewLook, SweepRow, look_marks};
use crate::store::rows::{all, json, micros, micros_opt};
use crate::store::runs::RunLease;

/// Rows a transaction.
const CHUNK: usize = 2_000;

const REMEMBER: &str = "
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues, again_at)
    SELECT ?1, ?2, value ->> 'reference_id', value ->> 'looked_at', value -> 'issues', value ->> 'again_at'
    FROM json_each(?3) WHERE true
    ON CONFLICT (org, job_name, reference_id) DO UPDATE SET
        looked_at = excluded.looked_at, issues = excluded.issues, again_at = excluded.again_at
    WHERE excluded.looked_at >= looks.looked_at";

pub(super) const LOOKS: &str = "
    SELECT reference_id, looked_at, issues, again_at FROM looks
    WHERE org = ?1 AND job_name = ?2 AND reference_id IN (SELECT value FROM json_each(?3))";

// All of a page in one value.
pub(super) const MARKS: &str = "
    SELECT json_group_array(json_array(reference_id, looked_at)) FROM (
        SELECT reference_id, looked_at FROM looks
        WHERE org = ?1 AND job_name = ?2 AND reference_id >= ?3 ORDER BY reference_id LIMIT ?4) AS page";

pub(super) const MANY_DUE: &str = "
    SELECT count(*) > ?4 FROM (
        SELECT 1 FROM looks WHERE org = ?1 AND job_name = ?2 AND again_at <= ?3 LIMIT ?4 + 1) AS due";

// Few are found by when they are due, and sorted. Where most of them are (the rules changed), sorting all of them for
// each page would cost far more than walking through them in their order.
macro_rules! due {
    ($due:literal) => {
        concat!(
            "SELECT reference_id, looked_at, issues, again_at FROM looks
             WHERE org = ?1 AND job_name = ?2 AND ",
            $due,
            " ORDER BY reference_id LIMIT ?5"
        )
    };
}
pub(super) const FEW: &str = due!("+reference_id >= ?4 AND again_at <= ?3");
pub(super) const MANY: &str = due!("reference_id >= ?4 AND +again_at <= ?3");

// An UPDATE would go through all looks of the job and search each in what is asked; a CROSS JOIN keeps its order.
pub(super) const AGAIN: &str = "
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues, again_at)
    SELECT known.org, known.job_name, known.reference_id, known.looked_at, known.issues, asked.value ->> 1
    FROM json_each(?3) AS asked CROSS JOIN looks AS known
    WHERE known.org = ?1 AND known.job_name = ?2 AND known.reference_id = asked.value ->> 0
    ON CONFLICT (org, job_name, reference_id) DO UPDATE SET again_at = excluded.again_at";

pub(super) const ALL_AGAIN: &str =
    "UPDATE looks SET again_at = 0 WHERE org = ?1 AND job_name = ?2 AND again_at IS NOT 0";

const LAST: &str = "SELECT began, rules FROM sweeps WHERE org = ?1 AND job_name = ?2";

pub(super) const FORGET: &str = "
    DELETE FROM looks
    WHERE org = ?1 AND job_name = ?2 AND reference_id IN (SELECT value FROM json_each(?3))";

const BEGIN: &str = "
    INSERT INTO sweeps (org, job_name, began, rules) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (org, job_name) DO UPDATE SET
        began = max(excluded.began, sweeps.began), rules = excluded.rules";

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

    async fn look_marks(
        &self,
        org: &Org,
        job: &JobName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<LookMark>, StoreError> {
        self.timed
            .call("look_marks", async {
                let page: String = sqlx::query_scalar(MARKS)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(from(after))
                    .bind(limit)
                    .fetch_one(&self.readers)
                    .await?;
                look_marks(&page)
            })
            .await
    }

    async fn looks_due(
        &self,
        org: &Org,
        job: &JobName,
        now: DateTime<Utc>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Look>, StoreError> {
        self.timed
            .call("looks_due", async {
                let many: bool = sqlx::query_scalar(MANY_DUE)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(micros(now))
                    .bind(limit)
                    .fetch_one(&self.readers)
                    .await?;
                let rows: Vec<LookRow> = sqlx::query_as(if many { MANY } else { FEW })
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(micros(now))
                    .bind(from(after))
                    .bind(limit)
                    .fetch_all(&self.readers)
                    .await?;
                all(rows)
            })
            .await
    }

    async fn look_again(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        at: &[(ReferenceId, Option<DateTime<Utc>>)],
    ) -> Result<(), StoreError> {
        for chunk in at.chunks(CHUNK) {
            self.timed
                .call("look_again", async {
                    let rows: Vec<_> = chunk
                        .iter()
                        .map(|(id, at)| (id.as_str(), micros_opt(*at)))
                        .collect();
                    let rows = json(&rows)?;
                    let mut writer = self.unhurried().await?;
                    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                    hold(&mut tx, "look_again", lease).await?;
                    sqlx::query(AGAIN)
                        .bind(org.as_str())
                        .bind(job.as_str())
                        .bind(rows)
                        .execute(&mut *tx)
                        .await?;
                    Ok(tx.commit().await?)
                })
                .await?;
        }
        Ok(())
    }

    async fn last_sweep(&self, org: &Org, job: &JobName) -> Result<Option<Sweep>, StoreError> {
        self.timed
            .call("last_sweep", async {
                let last: Option<SweepRow> = sqlx::query_as(LAST)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .fetch_optional(&self.readers)
                    .await?;
                last.map(Sweep::try_from).transpose()
            })
            .await
    }

    async fn begin_sweep(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        began: DateTime<Utc>,
        rules: &str,
    ) -> Result<(), StoreError> {
        // All looks of a job at once may be a million.
        let timed = self.timed.with_limit(self.migrate_timeout);
        timed
            .call("begin_sweep", async {
                let mut tx = self.begin().await?;
                hold(&mut tx, "begin_sweep", lease).await?;
                let last: Option<SweepRow> = sqlx::query_as(LAST)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .fetch_optional(&mut *tx)
                    .await?;
                if last.is_none_or(|last| last.rules != rules) {
                    sqlx::query(ALL_AGAIN)
                        .bind(org.as_str())
                        .bind(job.as_str())
                        .execute(&mut *tx)
                        .await?;
                }
                sqlx::query(BEGIN)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(micros(began))
                    .bind(rules)
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }
}
