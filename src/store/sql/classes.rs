//! Classes and their members.
//!
//! A page of members is one text value, made of an index alone: a row of its own for each id would cost ten times as much.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::runs::hold;
use super::{Backend, last_of_each, lock_job, text, texts};
use crate::domain::ids::{ClassId, JobName, Org, ReferenceId};
use crate::domain::{IdBatch, Observation};
use crate::rules::classes::ClassKey;
use crate::store::StoreError;
use crate::store::classes::{ClassSize, Classes, StoredClass};
use crate::store::rows::classes::{ClassRow, id_batch};
use crate::store::rows::{all, number, stamp, stamp_opt, stored_count};
use crate::store::runs::RunLease;

/// Rows a transaction: a hundred thousand are opened at once, and other transactions get their turn in between.
const CHUNK: usize = 2_000;

pub(in crate::store) const CLASSES: &str = "
    SELECT id, rule, detail, evidence, size, listed_at FROM classes WHERE org = $1 AND job_name = $2 ORDER BY id";

pub(in crate::store) const CLASS_ID: &str = "
    SELECT id FROM classes WHERE org = $1 AND job_name = $2 AND rule = $3 AND detail = $4 AND evidence = $5";

const MAKE: &str = "
    INSERT INTO classes (org, job_name, rule, detail, evidence, size, listed_at)
    VALUES ($1, $2, $3, $4, $5, 0, $6) RETURNING id";

const NOTE_LISTED: &str = "UPDATE classes SET size = $2, listed_at = $3 WHERE id = $1";

/// All ids of a page as one JSON text.
macro_rules! ids {
    () => {
        dialect!(
            sqlite: "json_group_array(reference_id)",
            postgres: "coalesce(json_agg(reference_id), '[]')::text",
        )
    };
}

pub(in crate::store) const MEMBERS: &str = sql!("
    SELECT " ids!() " FROM (
        SELECT reference_id FROM findings
        WHERE class_id = $1 AND reference_id >= $2 ORDER BY reference_id LIMIT $3) AS page");

pub(in crate::store) const OF_NO_CLASS: &str = sql!("
    SELECT " ids!() " FROM (
        SELECT DISTINCT reference_id FROM findings
        WHERE org = $1 AND job_name = $2 AND state <> 'resolved' AND class_id IS NULL AND reference_id >= $3
        ORDER BY reference_id LIMIT $4) AS page");

pub(in crate::store) const WITHOUT_DETAILS: &str = "
    SELECT reference_id FROM findings
    WHERE org = $1 AND job_name = $2 AND class_id IS NOT NULL AND since IS NULL
    ORDER BY read_at NULLS FIRST, id LIMIT $3";

const SAYS: &str = "SELECT detail, evidence FROM classes WHERE id = $1";

pub(in crate::store) const NEWLY_OPEN: &str = sql!("
    SELECT count(*) FROM " rows_of!(asked: "$3" reference_id text) "
    LEFT JOIN findings AS f ON f.reference_id = asked.reference_id AND f.org = $1 AND f.kind = 'stuck_request' AND f.detail = $2
    WHERE f.id IS NULL OR f.state = 'resolved'");

// In the UPDATE every right side sees the row as it was.
const OPEN: &str = sql!("
    INSERT INTO findings (
        org, job_name, class_id, kind, detail, evidence, first_seen, last_seen, reference_id, state)
    SELECT $1, $2, $3, 'stuck_request', $4, $5, $6, $6, asked.reference_id, CASE WHEN EXISTS (
        SELECT 1 FROM acknowledgements AS a
        WHERE a.ended_at IS NULL AND a.org = $1 AND a.reference_id = asked.reference_id AND a.kind = 'stuck_request'
            AND a.detail = $4) THEN 'acknowledged' ELSE 'open' END
    FROM " rows_of!(asked: "$8" reference_id text) "
    WHERE true
    ON CONFLICT (reference_id, org, kind, detail) DO UPDATE SET
        job_name = excluded.job_name,
        class_id = excluded.class_id,
        evidence = excluded.evidence,
        missing_since = NULL,
        state = CASE WHEN findings.state = 'resolved' THEN excluded.state ELSE findings.state END,
        since = CASE WHEN findings.state <> 'resolved' THEN findings.since END,
        read_at = CASE WHEN findings.state <> 'resolved' THEN findings.read_at END,
        attention = CASE WHEN findings.state <> 'resolved' THEN findings.attention END,
        last_seen = excluded.last_seen,
        times_seen = findings.times_seen + 1,
        times_reopened = findings.times_reopened + CAST(findings.state = 'resolved' AS int),
        resolved_at = NULL
    WHERE findings.state = 'resolved' OR findings.job_name" none_of!("$7"));

// By the row's number, which PostgreSQL's planner can have of each value only: of a table that was just filled it knows
// nothing, and would walk through all of the job's findings for each value. The pluses tell SQLite's the same.
pub(in crate::store) const FILL: &str = sql!("
    UPDATE findings SET
        external_reference = coalesce(asked.external_reference, findings.external_reference),
        since = CASE WHEN findings.since IS NULL OR asked.since > findings.since THEN asked.since ELSE findings.since END,
        read_at = " greatest!() "(asked.read_at, coalesce(findings.read_at, asked.read_at))
    FROM " rows_of!(asked:
        "$3" reference_id text, "$4" external_reference text, "$5" since timestamptz, "$6" read_at timestamptz) "
    WHERE " dialect!(
    sqlite: "findings.reference_id = asked.reference_id AND +findings.org = $1 AND +findings.job_name = $2
    AND +findings.class_id IS NOT NULL",
    postgres: "findings.id = ANY (ARRAY(
        SELECT f.id FROM findings AS f
        WHERE f.reference_id = asked.reference_id AND f.org = $1 AND f.kind = 'stuck_request' AND f.job_name = $2
            AND f.class_id IS NOT NULL))",
));

/// The least character that a text can hold: PostgreSQL's have no NUL.
const LEAST: char = dialect!(sqlite: '\0', postgres: '\u{1}');

/// The first text that comes after `after`, byte by byte; before all where there is none.
pub(in crate::store) fn from(after: Option<&str>) -> String {
    after.map_or_else(String::new, |after| format!("{}{LEAST}", text(after)))
}

#[async_trait]
impl Classes for Backend {
    async fn classes(&self, org: &Org, job: &JobName) -> Result<Vec<StoredClass>, StoreError> {
        self.call("classes", || async {
            let rows: Vec<ClassRow> = sqlx::query_as(CLASSES)
                .bind(org.as_str())
                .bind(job.as_str())
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn ensure_classes(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        keys: &[ClassKey],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClassId>, StoreError> {
        self.call("ensure_classes", || async {
            let mut tx = self.begin().await?;
            lock_job(&mut tx, job, org).await?;
            hold(&mut tx, "ensure_classes", lease).await?;
            let mut ids = Vec::with_capacity(keys.len());
            for key in keys {
                let of_key = |statement| {
                    sqlx::query_scalar::<_, i64>(statement)
                        .bind(org.as_str())
                        .bind(job.as_str())
                        .bind(text(key.rule.as_str()))
                        .bind(text(&key.detail))
                        .bind(text(&key.evidence))
                };
                let known = of_key(CLASS_ID).fetch_optional(&mut *tx).await?;
                ids.push(ClassId(match known {
                    Some(id) => id,
                    None => of_key(MAKE).bind(stamp(now)).fetch_one(&mut *tx).await?,
                }));
            }
            tx.commit().await?;
            Ok(ids)
        })
        .await
    }

    async fn note_listed(
        &self,
        lease: &RunLease,
        classes: &[ClassSize],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("note_listed", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "note_listed", lease).await?;
            for class in classes {
                sqlx::query(NOTE_LISTED)
                    .bind(class.id.0)
                    .bind(stored_count(class.size))
                    .bind(stamp(now))
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn class_members(
        &self,
        class: ClassId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<IdBatch, StoreError> {
        self.call("class_members", || async {
            let page: String = sqlx::query_scalar(MEMBERS)
                .bind(class.0)
                .bind(from(after))
                .bind(i64::from(limit))
                .fetch_one(self.reading())
                .await?;
            id_batch(&page)
        })
        .await
    }

    async fn open_members(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        class: ClassId,
        ids: &[ReferenceId],
        elders: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let mut opened = 0;
        for chunk in ids.chunks(CHUNK) {
            let opening = || async {
                let ids = last_of_each(chunk.iter().map(|id| text(id.as_str())), Clone::clone);
                let mut tx = self.unhurried().await?;
                lock_job(&mut tx, job, org).await?;
                hold(&mut tx, "open_members", lease).await?;
                let (detail, evidence): (String, String) = sqlx::query_as(SAYS)
                    .bind(class.0)
                    .fetch_one(&mut *tx)
                    .await?;
                let new = sqlx::query_scalar(NEWLY_OPEN)
                    .bind(org.as_str())
                    .bind(&detail);
                let new: i64 = bind_rows!(new, ids, |id| [id]).fetch_one(&mut *tx).await?;
                let open = sqlx::query(OPEN)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(class.0)
                    .bind(&detail)
                    .bind(evidence)
                    .bind(stamp(now))
                    .bind(texts(elders.iter().map(JobName::as_str)));
                bind_rows!(open, ids, |id| [id]).execute(&mut *tx).await?;
                tx.commit().await?;
                number::<u64>("count", new)
            };
            opened += self.call("open_members", opening).await?;
        }
        Ok(opened)
    }

    async fn classless_members(
        &self,
        org: &Org,
        job: &JobName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<IdBatch, StoreError> {
        self.call("classless_members", || async {
            let page: String = sqlx::query_scalar(OF_NO_CLASS)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(from(after))
                .bind(i64::from(limit))
                .fetch_one(self.reading())
                .await?;
            id_batch(&page)
        })
        .await
    }

    async fn without_details(
        &self,
        org: &Org,
        job: &JobName,
        limit: u32,
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.call("without_details", || async {
            let ids: Vec<String> = sqlx::query_scalar(WITHOUT_DETAILS)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(i64::from(limit))
                .fetch_all(self.reading())
                .await?;
            Ok(ids.into_iter().map(ReferenceId::from).collect())
        })
        .await
    }

    async fn fill_details(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        seen: &[Observation],
    ) -> Result<(), StoreError> {
        for chunk in seen.chunks(CHUNK) {
            let filling = || async {
                let mut seen: Vec<_> = chunk.iter().collect();
                seen.sort_by_key(|seen| (seen.last_updated, seen.observed_at));
                let seen = last_of_each(seen, |seen| &seen.reference_id);
                let mut tx = self.unhurried().await?;
                hold(&mut tx, "fill_details", lease).await?;
                let fill = sqlx::query(FILL).bind(org.as_str()).bind(job.as_str());
                let fill = bind_rows!(fill, seen, |seen| [
                    text(seen.reference_id.as_str()),
                    seen.external_reference
                        .as_ref()
                        .map(|order| text(order.as_str())),
                    stamp_opt(seen.last_updated),
                    stamp(seen.observed_at),
                ]);
                fill.execute(&mut *tx).await?;
                Ok(tx.commit().await?)
            };
            self.call("fill_details", filling).await?;
        }
        Ok(())
    }
}
