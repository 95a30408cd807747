//! Classes and their members.
//!
//! A page of members is one text value, made of an index alone: a row of its own for each id would cost ten times as much.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Connection as _;

use super::SqliteStore;
use super::runs::hold;
use crate::domain::ids::{ClassId, JobName, Org, ReferenceId};
use crate::domain::{IdBatch, Observation};
use crate::rules::classes::ClassKey;
use crate::store::StoreError;
use crate::store::classes::{ClassSize, Classes, StoredClass};
use crate::store::rows::classes::{ClassRow, id_batch};
use crate::store::rows::{all, json, micros, micros_opt, number, stored_count};
use crate::store::runs::RunLease;

/// Rows a transaction: a hundred thousand are opened at once, and other writers get their turn within some 30 ms.
const CHUNK: usize = 2_000;

pub(super) const CLASSES: &str = "
    SELECT id, rule, detail, evidence, size, listed_at FROM classes WHERE org = ?1 AND job_name = ?2 ORDER BY id";

pub(super) const CLASS_ID: &str = "
    SELECT id FROM classes WHERE org = ?1 AND job_name = ?2 AND rule = ?3 AND detail = ?4 AND evidence = ?5";

const MAKE: &str = "
    INSERT INTO classes (org, job_name, rule, detail, evidence, size, listed_at)
    VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6) RETURNING id";

const NOTE_LISTED: &str = "UPDATE classes SET size = ?2, listed_at = ?3 WHERE id = ?1";

pub(super) const MEMBERS: &str = "
    SELECT json_group_array(reference_id) FROM (
        SELECT reference_id FROM findings
        WHERE class_id = ?1 AND reference_id >= ?2 ORDER BY reference_id LIMIT ?3) AS page";

pub(super) const OF_NO_CLASS: &str = "
    SELECT json_group_array(reference_id) FROM (
        SELECT DISTINCT reference_id FROM findings
        WHERE org = ?1 AND job_name = ?2 AND state <> 'resolved' AND class_id IS NULL AND reference_id >= ?3
        ORDER BY reference_id LIMIT ?4) AS page";

pub(super) const WITHOUT_DETAILS: &str = "
    SELECT reference_id FROM findings
    WHERE org = ?1 AND job_name = ?2 AND class_id IS NOT NULL AND since IS NULL ORDER BY read_at, id LIMIT ?3";

const SAYS: &str = "SELECT detail, evidence FROM classes WHERE id = ?1";

pub(super) const NEWLY_OPEN: &str = "
    SELECT count(DISTINCT asked.value) FROM json_each(?3) AS asked
    LEFT JOIN findings AS f ON f.reference_id = asked.value AND f.org = ?1 AND f.kind = 'stuck_request' AND f.detail = ?2
    WHERE f.id IS NULL OR f.state = 'resolved'";

// In the UPDATE every right side sees the row as it was.
const OPEN: &str = "
    INSERT INTO findings (
        org, job_name, class_id, kind, detail, evidence, first_seen, last_seen, reference_id, state)
    SELECT ?1, ?2, ?3, 'stuck_request', ?4, ?5, ?6, ?6, value, iif(EXISTS (
        SELECT 1 FROM acknowledgements AS a
        WHERE a.ended_at IS NULL AND a.org = ?1 AND a.reference_id = value AND a.kind = 'stuck_request'
            AND a.detail = ?4), 'acknowledged', 'open')
    FROM json_each(?7) WHERE true
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
        times_reopened = findings.times_reopened + (findings.state = 'resolved'),
        resolved_at = NULL
    WHERE findings.state = 'resolved' OR findings.job_name NOT IN (SELECT value FROM json_each(?8))";

pub(super) const FILL: &str = "
    UPDATE findings SET
        external_reference = coalesce(asked.external_reference, findings.external_reference),
        since = CASE WHEN findings.since IS NULL OR asked.since > findings.since THEN asked.since ELSE findings.since END,
        read_at = max(asked.read_at, coalesce(findings.read_at, 0))
    FROM (SELECT value ->> 0 AS reference_id, value ->> 1 AS external_reference, value ->> 2 AS since,
              value ->> 3 AS read_at
          FROM json_each(?3)) AS asked
    WHERE findings.reference_id = asked.reference_id AND +findings.org = ?1 AND +findings.job_name = ?2
        AND +findings.class_id IS NOT NULL";

/// The first text that comes after `after`, byte by byte; before all where there is none.
pub(super) fn from(after: Option<&str>) -> String {
    after.map_or_else(String::new, |after| format!("{after}\0"))
}

#[async_trait]
impl Classes for SqliteStore {
    async fn classes(&self, org: &Org, job: &JobName) -> Result<Vec<StoredClass>, StoreError> {
        self.timed
            .call("classes", async {
                let rows: Vec<ClassRow> = sqlx::query_as(CLASSES)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .fetch_all(&self.readers)
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
        self.timed
            .call("ensure_classes", async {
                let mut tx = self.begin().await?;
                hold(&mut tx, "ensure_classes", lease).await?;
                let mut ids = Vec::with_capacity(keys.len());
                for key in keys {
                    let of_key = |statement| {
                        sqlx::query_scalar::<_, i64>(statement)
                            .bind(org.as_str())
                            .bind(job.as_str())
                            .bind(key.rule.as_str())
                            .bind(key.detail.as_str())
                            .bind(key.evidence.as_str())
                    };
                    let known = of_key(CLASS_ID).fetch_optional(&mut *tx).await?;
                    ids.push(ClassId(match known {
                        Some(id) => id,
                        None => of_key(MAKE).bind(micros(now)).fetch_one(&mut *tx).await?,
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
        self.timed
            .call("note_listed", async {
                let mut tx = self.begin().await?;
                hold(&mut tx, "note_listed", lease).await?;
                for class in classes {
                    sqlx::query(NOTE_LISTED)
                        .bind(class.id.0)
                        .bind(stored_count(class.size))
                        .bind(micros(now))
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
        self.timed
            .call("class_members", async {
                let page: String = sqlx::query_scalar(MEMBERS)
                    .bind(class.0)
                    .bind(from(after))
                    .bind(limit)
                    .fetch_one(&self.readers)
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
            let opening = async {
                let (ids, elders) = (json(chunk)?, json(elders)?);
                let mut writer = self.unhurried().await?;
                let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                hold(&mut tx, "open_members", lease).await?;
                let (detail, evidence): (String, String) = sqlx::query_as(SAYS)
                    .bind(class.0)
                    .fetch_one(&mut *tx)
                    .await?;
                let new: i64 = sqlx::query_scalar(NEWLY_OPEN)
                    .bind(org.as_str())
                    .bind(&detail)
                    .bind(&ids)
                    .fetch_one(&mut *tx)
                    .await?;
                sqlx::query(OPEN)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(class.0)
                    .bind(detail)
                    .bind(evidence)
                    .bind(micros(now))
                    .bind(ids)
                    .bind(elders)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                number::<u64>("count", new)
            };
            opened += self.timed.call("open_members", opening).await?;
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
        self.timed
            .call("classless_members", async {
                let page: String = sqlx::query_scalar(OF_NO_CLASS)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(from(after))
                    .bind(limit)
                    .fetch_one(&self.readers)
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
        self.timed
            .call("without_details", async {
                let ids: Vec<String> = sqlx::query_scalar(WITHOUT_DETAILS)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(limit)
                    .fetch_all(&self.readers)
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
            let filling = async {
                let rows: Vec<_> = chunk
                    .iter()
                    .map(|seen| {
                        let order = seen.external_reference.as_ref().map(|order| order.as_str());
                        (
                            seen.reference_id.as_str(),
                            order,
                            micros_opt(seen.last_updated),
                            micros(seen.observed_at),
                        )
                    })
                    .collect();
                let rows = json(&rows)?;
                let mut writer = self.unhurried().await?;
                let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                hold(&mut tx, "fill_details", lease).await?;
                sqlx::query(FILL)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(rows)
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            };
            self.timed.call("fill_details", filling).await?;
        }
        Ok(())
    }
}
