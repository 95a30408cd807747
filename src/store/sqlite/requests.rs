//! Observations and decisions.

use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use sqlx::Connection as _;

use super::SqliteStore;
use super::bulk::{Bulk, Recurring};
use super::runs::hold;
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::domain::{Decision, Observation};
use crate::store::StoreError;
use crate::store::requests::{RememberedDecision, Requests};
use crate::store::rows::requests::{DecisionRow, FoundRow, ObservationRow, contradicted};
use crate::store::rows::{all, json, micros, micros_opt};
use crate::store::runs::RunLease;

static REMEMBER_OBSERVATIONS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "observations (
            reference_id, org, external_reference, persistence_type, status, cancelling, auto_installation,
            territory_owner, request_number, subrequest_number, created, last_updated, observed_at)",
        13,
        "ON CONFLICT (reference_id, org) DO UPDATE SET
            external_reference = excluded.external_reference, persistence_type = excluded.persistence_type,
            status = excluded.status, cancelling = excluded.cancelling,
            auto_installation = excluded.auto_installation, territory_owner = excluded.territory_owner,
            request_number = excluded.request_number, subrequest_number = excluded.subrequest_number,
            created = excluded.created, last_updated = excluded.last_updated, observed_at = excluded.observed_at
        WHERE CASE WHEN excluded.last_updated <> observations.last_updated
            THEN excluded.last_updated > observations.last_updated
            ELSE excluded.observed_at >= observations.observed_at END",
    )
});

pub(super) const OBSERVATIONS: &str = "
    SELECT * FROM observations
    WHERE org = ?1 AND reference_id IN (SELECT value FROM json_each(?2))";

pub(super) const FIND_OBSERVATIONS: &str = "
    SELECT * FROM observations
    WHERE (reference_id = ?2 OR external_reference = ?2) AND (?1 IS NULL OR org = ?1)
    ORDER BY org, reference_id";

static REMEMBER_DECISIONS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "decisions (org, reference_id, job_name, run_id, since, verdict, rule, explanation)",
        8,
        "ON CONFLICT (org, reference_id, job_name) DO UPDATE SET
            run_id = excluded.run_id, since = excluded.since, verdict = excluded.verdict, rule = excluded.rule,
            explanation = excluded.explanation
        WHERE (excluded.verdict, excluded.rule, excluded.explanation)
            IS NOT (decisions.verdict, decisions.rule, decisions.explanation)",
    )
});

// What was decided and looked at rests on the observation, and goes with it.
const FORGET: [&str; 3] = [
    "DELETE FROM observations WHERE org = ?1 AND reference_id = ?2",
    "DELETE FROM decisions WHERE org = ?1 AND reference_id = ?2",
    "DELETE FROM looks WHERE org = ?1 AND reference_id = ?2 AND job_name IN (SELECT job_name FROM sweeps WHERE org = ?1)",
];

pub(super) const DECISIONS_ABOUT: &str = "
    SELECT * FROM decisions WHERE org = ?1 AND reference_id = ?2 ORDER BY job_name";

impl SqliteStore {
    /// In a run, or in none.
    async fn observe(
        &self,
        operation: &'static str,
        lease: Option<&RunLease>,
        org: &Org,
        observations: &[Observation],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.timed
            .call(operation, async {
                let mut words = <[Recurring; 3]>::default();
                let mut writer = self.unhurried().await?;
                let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                if let Some(lease) = lease {
                    hold(&mut tx, operation, lease).await?;
                }
                let written = REMEMBER_OBSERVATIONS
                    .insert(observations, &mut tx, |seen, values| {
                        let [kind, status, owner] = &mut words;
                        let seen_kind = seen.persistence_type.map(|seen| seen.as_str());
                        let seen_owner = seen.territory_owner.map(|seen| seen.as_str());
                        values.add(seen.reference_id.shared());
                        values.add(org.shared());
                        values.add(seen.external_reference.as_ref().map(|order| order.shared()));
                        values.add(seen_kind.map(|word| kind.shared(word)));
                        values.add(status.shared(seen.status.as_str()));
                        values.add(seen.cancelling);
                        values.add(seen.auto_installation);
                        values.add(seen_owner.map(|word| owner.shared(word)));
                        values.add(seen.request_number);
                        values.add(seen.subrequest_number);
                        values.add(micros_opt(seen.created));
                        values.add(micros_opt(seen.last_updated));
                        values.add(micros(seen.observed_at));
                    })
                    .await?;
                // Nearly always all of them.
                let mut known = Vec::new();
                if written < observations.len() as u64 {
                    let ids: Vec<&ReferenceId> =
                        observations.iter().map(|seen| &seen.reference_id).collect();
                    let rows: Vec<ObservationRow> = sqlx::query_as(OBSERVATIONS)
                        .bind(org.as_str())
                        .bind(json(&ids)?)
                        .fetch_all(&mut *tx)
                        .await?;
                    known = all(rows)?;
                }
                tx.commit().await?;
                let seen: Vec<&Observation> = observations.iter().collect();
                Ok(contradicted(&seen, known))
            })
            .await
    }
}

#[async_trait]
impl Requests for SqliteStore {
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

    async fn forget_observation(
        &self,
        lease: &RunLease,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<(), StoreError> {
        self.timed
            .call("forget_observation", async {
                let mut tx = self.begin().await?;
                hold(&mut tx, "forget_observation", lease).await?;
                for statement in FORGET {
                    sqlx::query(statement)
                        .bind(org.as_str())
                        .bind(id.as_str())
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
        self.timed
            .call("remember_decisions", async {
                let mut words = <[Recurring; 2]>::default();
                let mut writer = self.unhurried().await?;
                let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                hold(&mut tx, "remember_decisions", lease).await?;
                let written = REMEMBER_DECISIONS
                    .insert(decisions, &mut tx, |decision, values| {
                        let [verdict, explanation] = &mut words;
                        values.add(org.shared());
                        values.add(decision.reference_id.shared());
                        values.add(job.shared());
                        values.add(lease.run_id.0);
                        values.add(micros(at));
                        values.add(verdict.shared(decision.verdict.label()));
                        values.add(decision.rule.as_ref().map(|rule| rule.shared()));
                        values.add(explanation.shared(&decision.explanation));
                    })
                    .await?;
                tx.commit().await?;
                Ok(written)
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
