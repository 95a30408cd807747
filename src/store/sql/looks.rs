//! Looks and sweeps.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::looks::{due, marks};
use super::classes::from;
use super::runs::hold;
use super::{Backend, json, last_of_each, text, texts};
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::store::StoreError;
use crate::store::looks::{Look, LookMark, Looks, Sweep};
use crate::store::rows::looks::{LookRow, SweepRow};
use crate::store::rows::{all, stamp, stamp_opt};
use crate::store::runs::RunLease;

/// Rows a transaction.
const CHUNK: usize = 2_000;

const REMEMBER: &str = sql!("
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues, again_at)
    SELECT $1, $2, seen.* FROM " rows_of!(seen:
        "$3" reference_id text, "$4" looked_at timestamptz, "$5" issues jsonb, "$6" again_at timestamptz) "
    WHERE true
    ON CONFLICT (org, job_name, reference_id) DO UPDATE SET
        looked_at = excluded.looked_at, issues = excluded.issues, again_at = excluded.again_at
    WHERE excluded.looked_at >= looks.looked_at");

pub(in crate::store) const LOOKS: &str = sql!("
    SELECT reference_id, looked_at, issues, again_at FROM looks
    WHERE org = $1 AND job_name = $2 AND reference_id" one_of!("$3"));

// SQLite would go through all looks of the job for an UPDATE, and search each in what is asked; a CROSS JOIN keeps its
// order.
pub(in crate::store) const AGAIN: &str = dialect! {
    sqlite: sql!("
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues, again_at)
    SELECT known.org, known.job_name, known.reference_id, known.looked_at, known.issues, asked.again_at
    FROM " rows_of!(asked: "$3" reference_id text, "$4" again_at timestamptz) " CROSS JOIN looks AS known
    WHERE known.org = $1 AND known.job_name = $2 AND known.reference_id = asked.reference_id
    ON CONFLICT (org, job_name, reference_id) DO UPDATE SET again_at = excluded.again_at"),
    postgres: sql!("
    UPDATE looks SET again_at = asked.again_at
    FROM " rows_of!(asked: "$3" reference_id text, "$4" again_at timestamptz) "
    WHERE looks.org = $1 AND looks.job_name = $2 AND looks.reference_id = asked.reference_id"),
};

pub(in crate::store) const ALL_AGAIN: &str = "
    UPDATE looks SET again_at = $3 WHERE org = $1 AND job_name = $2 AND again_at IS DISTINCT FROM $3";

// Every look of a job at once may take longer than PostgreSQL lets a statement take otherwise.
const NO_HURRY: Option<&str> =
    dialect!(sqlite: None, postgres: Some("SELECT set_config('statement_timeout', $1, true)"));

const LAST: &str = "SELECT began, rules FROM sweeps WHERE org = $1 AND job_name = $2";

pub(in crate::store) const FORGET: &str = sql!("
    DELETE FROM looks
    WHERE org = $1 AND job_name = $2 AND reference_id" one_of!("$3"));

const BEGIN: &str = sql!("
    INSERT INTO sweeps (org, job_name, began, rules) VALUES ($1, $2, $3, $4)
    ON CONFLICT (org, job_name) DO UPDATE SET
        began = " greatest!() "(excluded.began, sweeps.began), rules = excluded.rules");

#[async_trait]
impl Looks for Backend {
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
            let remember = sqlx::query(REMEMBER).bind(org.as_str()).bind(job.as_str());
            let remember = bind_rows!(remember, looks, |look| [
                text(look.reference_id.as_str()),
                stamp(look.looked_at),
                json(&look.issues),
                stamp_opt(look.again_at),
            ]);
            remember.execute(&mut *tx).await?;
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
                .fetch_all(self.reading())
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
        self.call("look_marks", || {
            marks(self.reading(), org, job, from(after), limit)
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
            let rows: Vec<LookRow> =
                sqlx::query_as(due(self.reading(), org, job, now, limit).await?)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(stamp(now))
                    .bind(from(after))
                    .bind(i64::from(limit))
                    .fetch_all(self.reading())
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
                let again = sqlx::query(AGAIN).bind(org.as_str()).bind(job.as_str());
                let again =
                    bind_rows!(again, asked, |one| [text(one.0.as_str()), stamp_opt(one.1)]);
                again.execute(&mut *tx).await?;
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
                .fetch_optional(self.reading())
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
                if let Some(no_hurry) = NO_HURRY {
                    let limit = format!("{}ms", limit.as_millis());
                    sqlx::query(no_hurry).bind(limit).execute(&mut *tx).await?;
                }
                sqlx::query(ALL_AGAIN)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(stamp(DateTime::UNIX_EPOCH))
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
