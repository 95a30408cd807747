//! Observations and decisions. Many at once go in and out as one JSON text a statement.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::SqliteStore;
use crate::domain::ids::{JobName, Org, ReferenceId, RunId};
use crate::domain::{Decision, Observation};
use crate::store::StoreError;
use crate::store::requests::{RememberedDecision, Requests};
use crate::store::rows::requests::{DecisionRow, FoundRow, NewDecision, ObservationRow};
use crate::store::rows::{all, json, micros};

const REMEMBER_OBSERVATIONS: &str = "
    INSERT INTO observations (
        org, reference_id, external_reference, persistence_type, status, cancelling, auto_installation,
        territory_owner, request_number, subrequest_number, created, last_updated, observed_at)
    SELECT ?1, value ->> 'reference_id', value ->> 'external_reference', value ->> 'persistence_type',
           value ->> 'status', value ->> 'cancelling', value ->> 'auto_installation', value ->> 'territory_owner',
           value ->> 'request_number', value ->> 'subrequest_number', value ->> 'created',
           value ->> 'last_updated', value ->> 'observed_at'
    FROM json_each(?2) WHERE true
    ON CONFLICT (org, reference_id) DO UPDATE SET
        external_reference = excluded.external_reference, persistence_type = excluded.persistence_type,
        status = excluded.status, cancelling = excluded.cancelling, auto_installation = excluded.auto_installation,
        territory_owner = excluded.territory_owner, request_number = excluded.request_number,
        subrequest_number = excluded.subrequest_number, created = excluded.created,
        last_updated = excluded.last_updated, observed_at = excluded.observed_at
    WHERE excluded.observed_at >= observations.observed_at";

pub(super) const OBSERVATIONS: &str = "
    SELECT * FROM observations
    WHERE org = ?1 AND reference_id IN (SELECT value FROM json_each(?2))";

pub(super) const FIND_OBSERVATIONS: &str = "
    SELECT * FROM observations
    WHERE (reference_id = ?2 OR external_reference = ?2) AND (?1 IS NULL OR org = ?1)
    ORDER BY org, reference_id";

const REMEMBER_DECISIONS: &str = "
    INSERT INTO decisions (org, job_name, run_id, since, reference_id, verdict, rule, explanation)
    SELECT ?1, ?2, ?3, ?4, value ->> 'reference_id', value ->> 'verdict', value ->> 'rule', value ->> 'explanation'
    FROM json_each(?5) WHERE true
    ON CONFLICT (org, reference_id, job_name) DO UPDATE SET
        run_id = excluded.run_id, since = excluded.since, verdict = excluded.verdict, rule = excluded.rule,
        explanation = excluded.explanation
    WHERE (excluded.verdict, excluded.rule, excluded.explanation)
        IS NOT (decisions.verdict, decisions.rule, decisions.explanation)";

pub(super) const DECISIONS_ABOUT: &str = "
    SELECT * FROM decisions WHERE org = ?1 AND reference_id = ?2 ORDER BY job_name";

#[async_trait]
impl Requests for SqliteStore {
    async fn remember_observations(
        &self,
        org: &Org,
        observations: &[Observation],
    ) -> Result<(), StoreError> {
        self.timed
            .call("remember_observations", async {
                let rows: Vec<_> = observations.iter().map(ObservationRow::from).collect();
                let rows = json(&rows)?;
                let mut writer = self.unhurried().await?;
                sqlx::query(REMEMBER_OBSERVATIONS)
                    .bind(org.as_str())
                    .bind(rows)
                    .execute(&mut *writer)
                    .await?;
                Ok(())
            })
            .await
    }

    async fn observations(
        &self,
        org: &Org,
        ids: &[ReferenceId],
    ) -> Result<Vec<Observation>, StoreError> {
        self.timed
            .call("observations", async {
                let rows: Vec<ObservationRow> = sqlx::query_as(OBSERVATIONS)
                    .bind(org.as_str())
                    .bind(json(ids)?)
                    .fetch_all(&self.readers)
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
        self.timed
            .call("find_observations", async {
                let rows: Vec<FoundRow> = sqlx::query_as(FIND_OBSERVATIONS)
                    .bind(org.map(Org::as_str))
                    .bind(reference)
                    .fetch_all(&self.readers)
                    .await?;
                all(rows)
            })
            .await
    }

    async fn forget_observation(&self, org: &Org, id: &ReferenceId) -> Result<(), StoreError> {
        self.timed
            .call("forget_observation", async {
                let mut tx = self.begin().await?;
                sqlx::query("DELETE FROM observations WHERE org = ?1 AND reference_id = ?2")
                    .bind(org.as_str())
                    .bind(id.as_str())
                    .execute(&mut *tx)
                    .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn remember_decisions(
        &self,
        org: &Org,
        job: &JobName,
        run: RunId,
        at: DateTime<Utc>,
        decisions: &[Decision],
    ) -> Result<u64, StoreError> {
        self.timed
            .call("remember_decisions", async {
                let rows: Vec<_> = decisions.iter().map(NewDecision::from).collect();
                let rows = json(&rows)?;
                let mut writer = self.unhurried().await?;
                let done = sqlx::query(REMEMBER_DECISIONS)
                    .bind(org.as_str())
                    .bind(job.as_str())
                    .bind(run.0)
                    .bind(micros(at))
                    .bind(rows)
                    .execute(&mut *writer)
                    .await?;
                Ok(done.rows_affected())
            })
            .await
    }

    async fn decisions_about(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<RememberedDecision>, StoreError> {
        self.timed
            .call("decisions_about", async {
                let rows: Vec<DecisionRow> = sqlx::query_as(DECISIONS_ABOUT)
                    .bind(org.as_str())
                    .bind(id.as_str())
                    .fetch_all(&self.readers)
                    .await?;
                all(rows)
            })
            .await
    }
}
