//! Observations and decisions. Many at once go in and out as one array a column a statement.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::PgStore;
use super::runs::hold;
use super::values::{column, last_of_each, stamp, stamp_opt, text, texts, texts_opt};
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::domain::{Decision, Observation};
use crate::store::StoreError;
use crate::store::requests::{RememberedDecision, Requests};
use crate::store::rows::all;
use crate::store::rows::requests::{DecisionRow, FoundRow, ObservationRow, contradicted};
use crate::store::runs::RunLease;

const REMEMBER_OBSERVATIONS: &str = "
    INSERT INTO observations (
        org, reference_id, external_reference, persistence_type, status, cancelling, auto_installation,
        territory_owner, request_number, subrequest_number, created, last_updated, observed_at)
    SELECT $1, * FROM unnest(
        $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::boolean[], $8::text[], $9::bigint[],
        $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
    ON CONFLICT (org, reference_id) DO UPDATE SET
        external_reference = excluded.external_reference, persistence_type = excluded.persistence_type,
        status = excluded.status, cancelling = excluded.cancelling, auto_installation = excluded.auto_installation,
        territory_owner = excluded.territory_owner, request_number = excluded.request_number,
        subrequest_number = excluded.subrequest_number, created = excluded.created,
        last_updated = excluded.last_updated, observed_at = excluded.observed_at
    WHERE CASE WHEN excluded.last_updated <> observations.last_updated
        THEN excluded.last_updated > observations.last_updated
        ELSE excluded.observed_at >= observations.observed_at END";

pub(super) const OBSERVATIONS: &str = "
    SELECT * FROM observations
    WHERE org = $1 AND reference_id = ANY($2)";

pub(super) const FIND_OBSERVATIONS: &str = "
    SELECT * FROM observations
    WHERE (reference_id = $2 OR external_reference = $2) AND ($1::text IS NULL OR org = $1)
    ORDER BY org, reference_id";

const REMEMBER_DECISIONS: &str = "
    INSERT INTO decisions (org, job_name, run_id, since, reference_id, verdict, rule, explanation)
    SELECT $1, $2, $3, $4, * FROM unnest($5::text[], $6::text[], $7::text[], $8::text[])
    ON CONFLICT (org, reference_id, job_name) DO UPDATE SET
        run_id = excluded.run_id, since = excluded.since, verdict = excluded.verdict, rule = excluded.rule,
        explanation = excluded.explanation
    WHERE (excluded.verdict, excluded.rule, excluded.explanation)
        IS DISTINCT FROM (decisions.verdict, decisions.rule, decisions.explanation)";

// What was decided and looked at rests on the observation, and goes with it.
const FORGET: [&str; 3] = [
    "DELETE FROM observations WHERE org = $1 AND reference_id = $2",
    "DELETE FROM decisions WHERE org = $1 AND reference_id = $2",
    "DELETE FROM looks WHERE org = $1 AND reference_id = $2 AND job_name IN (SELECT job_name FROM sweeps WHERE org = $1)",
];

pub(super) const DECISIONS_ABOUT: &str = "
    SELECT * FROM decisions WHERE org = $1 AND reference_id = $2 ORDER BY job_name";

impl PgStore {
    /// In a run, or in none.
    async fn observe(
        &self,
        operation: &'static str,
        lease: Option<&RunLease>,
        org: &Org,
        observations: &[Observation],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.call(operation, || async {
            let mut seen: Vec<_> = observations.iter().collect();
            seen.sort_by_key(|seen| (seen.last_updated, seen.observed_at));
            let seen = last_of_each(seen, |seen| &seen.reference_id);
            let mut tx = self.unhurried().await?;
            if let Some(lease) = lease {
                hold(&mut tx, operation, lease).await?;
            }
            let done = sqlx::query(REMEMBER_OBSERVATIONS)
                .bind(org.as_str())
                .bind(texts(seen.iter().map(|seen| seen.reference_id.as_str())))
                .bind(texts_opt(seen.iter().map(|seen| {
                    seen.external_reference.as_ref().map(|order| order.as_str())
                })))
                .bind(column(&seen, |seen| {
                    seen.persistence_type.map(|kind| kind.as_str())
                }))
                .bind(texts(seen.iter().map(|seen| seen.status.as_str())))
                .bind(column(&seen, |seen| seen.cancelling))
                .bind(column(&seen, |seen| seen.auto_installation))
                .bind(column(&seen, |seen| {
                    seen.territory_owner.map(|owner| owner.as_str())
                }))
                .bind(column(&seen, |seen| seen.request_number))
                .bind(column(&seen, |seen| seen.subrequest_number))
                .bind(column(&seen, |seen| stamp_opt(seen.created)))
                .bind(column(&seen, |seen| stamp_opt(seen.last_updated)))
                .bind(column(&seen, |seen| stamp(seen.observed_at)))
                .execute(&mut *tx)
                .await?;
            // Nearly always all of them.
            let mut known = Vec::new();
            if done.rows_affected() < seen.len() as u64 {
                let rows: Vec<ObservationRow> = sqlx::query_as(OBSERVATIONS)
                    .bind(org.as_str())
                    .bind(texts(seen.iter().map(|seen| seen.reference_id.as_str())))
                    .fetch_all(&mut *tx)
                    .await?;
                known = all(rows)?;
            }
            tx.commit().await?;
            Ok(contradicted(&seen, known))
        })
        .await
    }
}

#[async_trait]
impl Requests for PgStore {
    async fn remember_observations(
        &self,
        lease: &RunLease,
        org: &Org,
        observations: &[Observation],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.observe("remember_observations", Some(lease), org, observations)
            .await
    }

    async fn remember_verified(&self, org: &Org, seen: &Observation) -> Result<bool, StoreError> {
        let seen = std::slice::from_ref(seen);
        let older = self.observe("remember_verified", None, org, seen).await?;
        Ok(!older.is_empty())
    }

    async fn observations(
        &self,
        org: &Org,
        ids: &[ReferenceId],
    ) -> Result<Vec<Observation>, StoreError> {
        self.call("observations", || async {
            let rows: Vec<ObservationRow> = sqlx::query_as(OBSERVATIONS)
                .bind(org.as_str())
                .bind(texts(ids.iter().map(ReferenceId::as_str)))
                .fetch_all(&self.pool)
                .await?;
            all(rows)
        })
        .await
    }

    async fn find_observations(
        &self,
        org: Option<&Org>,
        reference: &str,
    ) -> Result<Vec<(Org, Observation)>, StoreError> {
        self.call("find_observations", || async {
            let rows: Vec<FoundRow> = sqlx::query_as(FIND_OBSERVATIONS)
                .bind(org.map(Org::as_str))
                .bind(text(reference))
                .fetch_all(&self.pool)
                .await?;
            all(rows)
        })
        .await
    }

    async fn forget_observation(
        &self,
        lease: &RunLease,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<(), StoreError> {
        self.call("forget_observation", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "forget_observation", lease).await?;
            for statement in FORGET {
                sqlx::query(statement)
                    .bind(org.as_str())
                    .bind(text(id.as_str()))
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn remember_decisions(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        at: DateTime<Utc>,
        decisions: &[Decision],
    ) -> Result<u64, StoreError> {
        self.call("remember_decisions", || async {
            let decided = last_of_each(decisions, |decision| &decision.reference_id);
            let mut tx = self.unhurried().await?;
            hold(&mut tx, "remember_decisions", lease).await?;
            let done = sqlx::query(REMEMBER_DECISIONS)
                .bind(org.as_str())
                .bind(job.as_str())
                .bind(lease.run_id.0)
                .bind(stamp(at))
                .bind(texts(decided.iter().map(|one| one.reference_id.as_str())))
                .bind(column(&decided, |one| one.verdict.label()))
                .bind(texts_opt(
                    decided
                        .iter()
                        .map(|one| one.rule.as_ref().map(|rule| rule.as_str())),
                ))
                .bind(texts(decided.iter().map(|one| one.explanation.as_str())))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }

    async fn decisions_about(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<RememberedDecision>, StoreError> {
        self.call("decisions_about", || async {
            let rows: Vec<DecisionRow> = sqlx::query_as(DECISIONS_ABOUT)
                .bind(org.as_str())
                .bind(text(id.as_str()))
                .fetch_all(&self.pool)
                .await?;
            all(rows)
        })
        .await
    }
}
