//! Looks and sweeps.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::PgStore;
use super::classes::from;
use super::runs::hold;
use super::values::{column, json, last_of_each, stamp, stamp_opt, text, texts};
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::store::StoreError;
use crate::store::looks::{Look, LookMark, Looks, Sweep};
use crate::store::rows::looks::{LookRow, SweepRow, look_mark};
use crate::store::rows::{Micros, all};
use crate::store::runs::RunLease;

/// Rows a transaction.
const CHUNK: usize = 2_000;

const REMEMBER: &str = "
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues, again_at)
    SELECT $1, $2, * FROM unnest($3::text[], $4::timestamptz[], $5::jsonb[], $6::timestamptz[])
    ON CONFLICT (org, job_name, reference_id) DO UPDATE SET
        looked_at = excluded.looked_at, issues = excluded.issues, again_at = excluded.again_at
    WHERE excluded.looked_at >= looks.looked_at";

pub(super) const LOOKS: &str = "
    SELECT reference_id, looked_at, issues, again_at FROM looks
    WHERE org = $1 AND job_name = $2 AND reference_id = ANY($3)";

// All of a page in one row.
pub(super) const MARKS: &str = "
    SELECT coalesce(array_agg(reference_id), '{}'), coalesce(array_agg(looked_at), '{}') FROM (
        SELECT reference_id, looked_at FROM looks
        WHERE org = $1 AND job_name = $2 AND reference_id >= $3 ORDER BY reference_id LIMIT $4) AS page";

// Whether the index of what is due is the way, or the key's own order, the planner knows from its statistics.
pub(super) const DUE: &str = "
    SELECT reference_id, looked_at, issues, again_at FROM looks
    WHERE org = $1 AND job_name = $2 AND again_at <= $3 AND reference_id >= $4 ORDER BY reference_id LIMIT $5";

pub(super) const AGAIN: &str = "
    UPDATE looks SET again_at = asked.again_at
    FROM unnest($3::text[], $4::timestamptz[]) AS asked (reference_id, again_at)
    WHERE looks.org = $1 AND looks.job_name = $2 AND looks.reference_id = asked.reference_id";

const ALL_AGAIN: &str = "
    UPDATE looks SET again_at = 'epoch'
    WHERE org = $1 AND job_name = $2 AND again_at IS DISTINCT FROM 'epoch'";

// Every look of a job at once may take longer than a statement should otherwise.
const NO_HURRY: &str = "SELECT set_config('statement_timeout', $1, true)";

const LAST: &str = "SELECT began, rules FROM sweeps WHERE org = $1 AND job_name = $2";

pub(super) const FORGET: &str = "
    DELETE FROM looks
    WHERE org = $1 AND job_name = $2 AND reference_id = ANY($3)";

const BEGIN: &str = "
    INSERT INTO sweeps (org, job_name, began, rules) VALUES ($1, $2, $3, $4)
    ON CONFLICT (org, job_name) DO UPDATE SET
        began = greatest(excluded.began, sweeps.began), rules = excluded.rules";

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
                .bind(column(&looks, |look| stamp_opt(look.again_at)))
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

    async fn look_marks(
        &self,
        org: &Org,
        job: &JobName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<LookMark>, StoreError> {
        self.call("look_marks", || async {
            let (ids, at): (Vec<String>, Vec<Micros>) = sqlx::query_as(MARKS)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(from(after))
                .bind(i64::from(limit))
                .fetch_one(&self.pool)
                .await?;
            ids.into_iter()
                .zip(at)
                .map(|(id, at)| look_mark(id.into(), at))
                .collect()
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
        self.call("looks_due", || async {
            let rows: Vec<LookRow> = sqlx::query_as(DUE)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(stamp(now))
                .bind(from(after))
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
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
            self.call("look_again", || async {
                let asked = last_of_each(chunk, |(id, _)| id);
                let mut tx = self.unhurried().await?;
                hold(&mut tx, "look_again", lease).await?;
                sqlx::query(AGAIN)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(texts(asked.iter().map(|(id, _)| id.as_str())))
                    .bind(column(&asked, |(_, at)| stamp_opt(*at)))
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await?;
        }
        Ok(())
    }

    async fn last_sweep(&self, org: &Org, job: &JobName) -> Result<Option<Sweep>, StoreError> {
        self.call("last_sweep", || async {
            let last: Option<SweepRow> = sqlx::query_as(LAST)
                .bind(org.as_str())
                .bind(job.as_str())
                .fetch_optional(&self.pool)
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
        let limit = self.migrate_timeout;
        let work = || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "begin_sweep", lease).await?;
            let last: Option<SweepRow> = sqlx::query_as(LAST)
                .bind(org.as_str())
                .bind(job.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            if last.is_none_or(|last| last.rules != rules) {
                sqlx::query(NO_HURRY)
                    .bind(format!("{}ms", limit.as_millis()))
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(ALL_AGAIN)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query(BEGIN)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(stamp(began))
                .bind(text(rules))
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        };
        let timed = self.timed.with_limit(limit);
        self.call_within(timed, "begin_sweep", work).await
    }
}
