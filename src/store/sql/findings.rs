//! Findings: seen, touched, resolved, acknowledged, counted.
//!
//! While it isn't resolved a finding belongs to the first of the configured jobs that see it; another one only touches
//! it. A job that is no longer configured has nothing left. Two jobs with different words for one divergence would
//! otherwise write it anew with every run.
//!
//! Whether it is acknowledged follows from what was said of it (`acknowledgements.rs`), which outlives it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::finding_lists as lists;
use super::runs::hold;
use super::{Backend, last_of_each, lock_job, numbers, text, texts};
use crate::domain::finding::{Attention, FindingKind};
use crate::domain::ids::{FindingId, JobName, Org, ReferenceId};
use crate::store::findings::{
    Finding, FindingChanges, FindingCount, FindingFilter, FindingKey, Findings, Live, LiveFinding,
    OldestKey, Sighting,
};
use crate::store::rows::findings::{CountRow, LiveRow};
use crate::store::rows::{all, number, stamp, stamp_opt, word};
use crate::store::runs::RunLease;
use crate::store::{Page, StoreError};

/// Keeps a condition from an index that is made for other questions: SQLite counts the columns that an index answers, and
/// can't know that an org and a job are nearly all of the table.
macro_rules! plainly {
    () => {
        dialect!(sqlite: "+", postgres: "")
    };
}

/// Rows a transaction: long enough to be worth its sync to disk, short enough that other writers get their turn.
const CHUNK: usize = 500;

macro_rules! live {
    ($which:literal) => {
        sql!("SELECT id, reference_id, kind, detail, state, attention, evidence, last_seen, class_id, missing_since
             FROM findings
             WHERE org = $1 AND job_name = $2 AND " $which " ORDER BY id")
    };
}
pub(in crate::store) const LIVE: &str = live!("state <> 'resolved'");
pub(in crate::store) const LIVE_OF_KIND: &str = live!("state <> 'resolved' AND kind = $3");
pub(in crate::store) const LIVE_ABOUT: &str = sql!("
    SELECT id, reference_id, kind, detail, state, attention, evidence, last_seen, class_id, missing_since
    FROM findings
    WHERE reference_id" one_of!("$3") " AND org = $1 AND " plainly!() "job_name = $2 AND state <> 'resolved'
    ORDER BY id");

pub(in crate::store) const LIVE_MISSING: &str = live!("missing_since IS NOT NULL");

pub(in crate::store) const WITH_ATTENTION: &str = "
    SELECT DISTINCT reference_id FROM findings
    WHERE org = $1 AND job_name = $2 AND state <> 'resolved' AND attention IS NOT NULL ORDER BY reference_id";

pub(in crate::store) const NEWLY_OPEN: &str = sql!("
    SELECT seen.kind FROM " rows_of!(seen: "$2" reference_id text, "$3" kind text, "$4" detail text) "
    LEFT JOIN findings AS f ON f.org = $1 AND f.reference_id = seen.reference_id AND f.kind = seen.kind
        AND f.detail = seen.detail
    WHERE f.id IS NULL OR f.state = 'resolved'");

// In the UPDATE every right side sees the row as it was. A row that isn't resolved keeps its state: what was said of it
// is shown, and taken back, by who says so.
const SEE: &str = sql!("
    INSERT INTO findings (
        org, job_name, first_seen, last_seen, read_at, reference_id, kind, detail, external_reference, since, attention,
        evidence, state)
    SELECT $1, $2, $3, $3, $3, seen.*, CASE WHEN EXISTS (
        SELECT 1 FROM acknowledgements AS a
        WHERE a.ended_at IS NULL AND a.org = $1 AND a.reference_id = seen.reference_id AND a.kind = seen.kind
            AND a.detail = seen.detail) THEN 'acknowledged' ELSE 'open' END
    FROM " rows_of!(seen:
        "$5" reference_id text, "$6" kind text, "$7" detail text, "$8" external_reference text, "$9" since timestamptz,
        "$10" attention text, "$11" evidence text) "
    WHERE true
    ON CONFLICT (org, reference_id, kind, detail) DO UPDATE SET
        job_name = CASE WHEN findings.state = 'resolved' OR findings.job_name" none_of!("$4") "
            THEN excluded.job_name ELSE findings.job_name END,
        state = CASE WHEN findings.state = 'resolved' THEN excluded.state ELSE findings.state END,
        external_reference = CASE WHEN findings.state = 'resolved' OR findings.job_name" none_of!("$4") "
            THEN excluded.external_reference ELSE findings.external_reference END,
        since = CASE WHEN findings.state = 'resolved' OR findings.job_name" none_of!("$4") "
            THEN excluded.since ELSE findings.since END,
        attention = CASE WHEN findings.state = 'resolved' OR findings.job_name" none_of!("$4") "
            THEN excluded.attention ELSE findings.attention END,
        evidence = CASE WHEN findings.state = 'resolved' OR findings.job_name" none_of!("$4") "
            THEN excluded.evidence ELSE findings.evidence END,
        read_at = CASE WHEN findings.state = 'resolved' OR findings.job_name" none_of!("$4") "
            THEN excluded.read_at ELSE findings.read_at END,
        class_id = CASE WHEN findings.job_name = excluded.job_name OR findings.job_name" one_of!("$4") "
            THEN findings.class_id END,
        missing_since = CASE WHEN findings.job_name" one_of!("$4") " THEN findings.missing_since END,
        last_seen = excluded.last_seen,
        times_seen = findings.times_seen + 1,
        times_reopened = findings.times_reopened + CAST(findings.state = 'resolved' AS int),
        resolved_at = NULL");

pub(in crate::store) const TOUCH: &str = sql!("
    UPDATE findings SET last_seen = $2, times_seen = times_seen + 1
    WHERE id" one_of!("$1") " AND state <> 'resolved'");

// Until now its class said when it was last seen: when it was last listed. A list of this very instant did not name it.
macro_rules! leave_the_list {
    ($set:literal, $($which:tt)+) => {
        sql!("UPDATE findings SET last_seen = CASE WHEN missing_since IS NULL THEN coalesce(
                 (SELECT " greatest!() "(c.listed_at, findings.last_seen) FROM classes AS c
                  WHERE c.id = findings.class_id AND c.listed_at < $2), last_seen) ELSE last_seen END, " $set "
              WHERE id" one_of!("$1") " AND state <> 'resolved' AND " $($which)+)
    };
}
pub(in crate::store) const RESOLVE: &str = leave_the_list!(
    "state = 'resolved', resolved_at = $2, class_id = NULL, missing_since = NULL",
    "true"
);
pub(in crate::store) const MISSING: &str = leave_the_list!(
    "missing_since = $2",
    "(missing_since IS NULL OR missing_since < CAST($2 AS timestamptz) - "
        dialect!(sqlite: "86400000000", postgres: "interval '24 hours'") ")"
);

pub(in crate::store) const BACK: &str = sql!("
    UPDATE findings SET missing_since = NULL WHERE id" one_of!("$1") " AND missing_since IS NOT NULL");

pub(in crate::store) const ATTENTION: &str = sql!("
    UPDATE findings SET attention = asked.attention
    FROM " rows_of!(asked: "$3" reference_id text, "$4" kind text, "$5" detail text, "$6" attention text) "
    WHERE findings.reference_id = asked.reference_id AND " plainly!() "findings.org = $1
        AND findings.kind = asked.kind AND findings.detail = asked.detail AND " plainly!() "findings.job_name = $2
        AND findings.state <> 'resolved'");

pub(in crate::store) const RESOLVE_LEFT_BEHIND: &str = sql!("
    UPDATE findings SET state = 'resolved', resolved_at = $4, class_id = NULL, missing_since = NULL
    WHERE org = $1 AND reference_id" one_of!("$2") " AND state <> 'resolved' AND job_name" none_of!("$3"));

const LEFT_BEHIND: &str = sql!("
    SELECT job_name, count(*) FROM findings WHERE state <> 'resolved' AND job_name" none_of!("$1") "
    GROUP BY job_name ORDER BY job_name");

// From the counts that are kept with every change; the oldest of each is one step into an index.
pub(in crate::store) const COUNTS: &str = "
    SELECT c.org, c.kind, c.status, CAST(sum(c.count) AS bigint) AS count,
        CASE c.kind WHEN 'stuck_request' THEN (
            SELECT min(f.since) FROM findings AS f
            WHERE f.org = c.org AND f.kind = c.kind AND f.detail = c.status AND f.state <> 'resolved'
                AND f.since IS NOT NULL) END AS oldest
    FROM finding_counts AS c GROUP BY c.org, c.kind, c.status HAVING sum(c.count) > 0 ORDER BY 1, 2, 3";

impl Backend {
    async fn see_findings(
        &self,
        lease: Option<&RunLease>,
        org: &Org,
        job: &JobName,
        seen: &[Sighting],
        elders: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError> {
        self.call("apply_findings", || async {
            let seen = last_of_each(seen, |seen| {
                (
                    &seen.key.reference_id,
                    seen.key.kind.as_str(),
                    &seen.key.detail,
                )
            });
            let mut tx = self.begin().await?;
            lock_job(&mut tx, job, org).await?;
            if let Some(lease) = lease {
                hold(&mut tx, "apply_findings", lease).await?;
            }
            let opened = sqlx::query_scalar(NEWLY_OPEN).bind(org.as_str());
            let opened = bind_rows!(opened, seen, |seen| [
                text(seen.key.reference_id.as_str()),
                seen.key.kind.as_str(),
                text(&seen.key.detail),
            ]);
            let opened: Vec<String> = opened.fetch_all(&mut *tx).await?;
            let see = sqlx::query(SEE)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(stamp(now))
                .bind(texts(elders.iter().map(JobName::as_str)));
            let see = bind_rows!(see, seen, |seen| [
                text(seen.key.reference_id.as_str()),
                seen.key.kind.as_str(),
                text(&seen.key.detail),
                seen.external_reference
                    .as_ref()
                    .map(|order| text(order.as_str())),
                stamp_opt(seen.since),
                seen.attention.map(Attention::as_str),
                text(&seen.evidence),
            ]);
            see.execute(&mut *tx).await?;
            tx.commit().await?;
            opened
                .iter()
                .map(|kind| word("findings.kind", kind))
                .collect()
        })
        .await
    }

    async fn set_findings(
        &self,
        lease: &RunLease,
        statement: &'static str,
        ids: &[FindingId],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("apply_findings", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "apply_findings", lease).await?;
            sqlx::query(statement)
                .bind(numbers(ids.iter().map(|id| id.0)))
                .bind(stamp(now))
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn set_attention(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        asked: &[(FindingKey, Option<Attention>)],
    ) -> Result<(), StoreError> {
        self.call("apply_findings", || async {
            let asked = last_of_each(asked, |(key, _)| key);
            let mut tx = self.begin().await?;
            hold(&mut tx, "apply_findings", lease).await?;
            let set = sqlx::query(ATTENTION).bind(org.as_str()).bind(job.as_str());
            let set = bind_rows!(set, asked, |one| [
                text(one.0.reference_id.as_str()),
                one.0.kind.as_str(),
                text(&one.0.detail),
                one.1.map(Attention::as_str),
            ]);
            set.execute(&mut *tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}

#[async_trait]
impl Findings for Backend {
    async fn live_findings(
        &self,
        org: &Org,
        job: &JobName,
        which: Live<'_>,
    ) -> Result<Vec<LiveFinding>, StoreError> {
        self.call("live_findings", || async {
            let asked = sqlx::query_as(match which {
                Live::All => LIVE,
                Live::OfKind(_) => LIVE_OF_KIND,
                Live::About(_) => LIVE_ABOUT,
            });
            let asked = asked.bind(org.as_str()).bind(job.as_str());
            let asked = match which {
                Live::All => asked,
                Live::OfKind(kind) => asked.bind(kind.as_str()),
                Live::About(ids) => asked.bind(texts(ids.iter().map(ReferenceId::as_str))),
            };
            let rows: Vec<LiveRow> = asked.fetch_all(self.reading()).await?;
            all(rows)
        })
        .await
    }

    async fn missing_findings(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Vec<LiveFinding>, StoreError> {
        self.call("missing_findings", || async {
            let rows: Vec<LiveRow> = sqlx::query_as(LIVE_MISSING)
                .bind(org.as_str())
                .bind(job.as_str())
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn attention_ids(
        &self,
        org: &Org,
        job: &JobName,
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.call("attention_ids", || async {
            let ids: Vec<String> = sqlx::query_scalar(WITH_ATTENTION)
                .bind(org.as_str())
                .bind(job.as_str())
                .fetch_all(self.reading())
                .await?;
            Ok(ids.into_iter().map(ReferenceId::from).collect())
        })
        .await
    }

    async fn apply_findings(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        changes: &FindingChanges,
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError> {
        let mut opened = Vec::new();
        for chunk in changes.seen.chunks(CHUNK) {
            opened.extend(
                self.see_findings(Some(lease), org, job, chunk, &changes.elders, now)
                    .await?,
            );
        }
        for chunk in changes.touched.chunks(CHUNK) {
            self.set_findings(lease, TOUCH, chunk, now).await?;
        }
        for chunk in changes.resolved.chunks(CHUNK) {
            self.set_findings(lease, RESOLVE, chunk, now).await?;
        }
        for chunk in changes.missing.chunks(CHUNK) {
            self.set_findings(lease, MISSING, chunk, now).await?;
        }
        for chunk in changes.back.chunks(CHUNK) {
            self.set_findings(lease, BACK, chunk, now).await?;
        }
        for chunk in changes.attention.chunks(CHUNK) {
            self.set_attention(lease, org, job, chunk).await?;
        }
        Ok(opened)
    }

    async fn flag_verified(
        &self,
        org: &Org,
        job: &JobName,
        seen: &Sighting,
        now: DateTime<Utc>,
    ) -> Result<Vec<FindingKind>, StoreError> {
        let seen = std::slice::from_ref(seen);
        self.see_findings(None, org, job, seen, &[], now).await
    }

    async fn resolve_left_behind(
        &self,
        lease: &RunLease,
        org: &Org,
        finished: &[ReferenceId],
        configured: &[JobName],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("resolve_left_behind", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "resolve_left_behind", lease).await?;
            sqlx::query(RESOLVE_LEFT_BEHIND)
                .bind(org.as_str())
                .bind(texts(finished.iter().map(ReferenceId::as_str)))
                .bind(texts(configured.iter().map(JobName::as_str)))
                .bind(stamp(now))
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn left_behind(&self, configured: &[JobName]) -> Result<Vec<(JobName, u64)>, StoreError> {
        self.call("left_behind", || async {
            let rows: Vec<(String, i64)> = sqlx::query_as(LEFT_BEHIND)
                .bind(texts(configured.iter().map(JobName::as_str)))
                .fetch_all(self.reading())
                .await?;
            let counted = |(job, count): (String, i64)| Ok((job.into(), number("count", count)?));
            rows.into_iter().map(counted).collect()
        })
        .await
    }

    async fn findings(
        &self,
        filter: &FindingFilter,
        page: Page,
    ) -> Result<Vec<Finding>, StoreError> {
        self.call("findings", || lists::newest(self, filter, page))
            .await
    }

    async fn oldest_findings(
        &self,
        filter: &FindingFilter,
        after: Option<OldestKey>,
        limit: u32,
    ) -> Result<Vec<Finding>, StoreError> {
        self.call("oldest_findings", || {
            lists::oldest(self, filter, after, limit)
        })
        .await
    }

    async fn count_findings(&self, filter: &FindingFilter) -> Result<u64, StoreError> {
        self.call("count_findings", || lists::number(self, filter))
            .await
    }

    async fn finding_counts(&self) -> Result<Vec<FindingCount>, StoreError> {
        self.call("finding_counts", || async {
            let rows: Vec<CountRow> = sqlx::query_as(COUNTS).fetch_all(self.reading()).await?;
            all(rows)
        })
        .await
    }
}
