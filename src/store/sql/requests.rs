//! Observations and decisions. How many of them at once are written is each back end's own.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::requests::{write_decisions, write_observations};
use super::runs::hold;
use super::{Backend, history, last_of_each, text, texts};
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::domain::{Decision, Observation, Sight};
use crate::store::StoreError;
use crate::store::requests::{OpenCount, RememberedDecision, Requests};
use crate::store::rows::open_counts::{AlikeRow, AttributesRow, ChangedRow, CodeRow};
use crate::store::rows::requests::{DecisionRow, FoundRow, ObservationRow, contradicted};
use crate::store::rows::{all, stamp};
use crate::store::runs::RunLease;

pub(in crate::store) const OBSERVATIONS: &str = sql!("
    SELECT * FROM observations
    WHERE org = $1 AND reference_id" one_of!("$2"));

pub(in crate::store) const FIND_OBSERVATIONS: &str = "
    SELECT * FROM observations
    WHERE (reference_id = $2 OR external_reference = $2) AND (CAST($1 AS text) IS NULL OR org = $1)
    ORDER BY org, reference_id";

// Every open request is walked through: people ask for that, and a guard that holds, once.
pub(in crate::store) const OPEN_ALIKE: &str = "
    SELECT persistence_type, status, cancelling, auto_installation, territory_owner, count(*) AS requests
    FROM observations WHERE org = $1 AND status NOT IN ('REJECTED', 'CANCELED', 'FINISHED')
    GROUP BY persistence_type, status, cancelling, auto_installation, territory_owner";

pub(in crate::store) const OPEN_CHANGED: &str = sql!("
    SELECT persistence_type, " hour_of!("last_updated") " AS hour, count(*) AS requests
    FROM observations
    WHERE org = $1 AND status NOT IN ('REJECTED', 'CANCELED', 'FINISHED') AND last_updated IS NOT NULL
    GROUP BY persistence_type, hour");

pub(in crate::store) const OPEN_ATTRIBUTES: &str = "
    SELECT persistence_type, attributes, count(*) AS requests
    FROM observations
    WHERE org = $1 AND status NOT IN ('REJECTED', 'CANCELED', 'FINISHED') AND attributes IS NOT NULL
    GROUP BY persistence_type, attributes";

// The last event of each. Asked request by request, from the end of its events, because each may have dozens.
pub(in crate::store) const OPEN_EVENTS: &str = "
    SELECT o.persistence_type, h.happening, h.code, count(*) AS requests
    FROM observations AS o CROSS JOIN history AS h
    WHERE o.org = $1 AND o.status NOT IN ('REJECTED', 'CANCELED', 'FINISHED') AND h.code IS NOT NULL
        AND h.id = (
            SELECT max(last.id) FROM history AS last
            WHERE last.reference_id = o.reference_id AND last.org = o.org AND last.subject = 'event')
    GROUP BY o.persistence_type, h.happening, h.code";

// Issues as they were last told: each request has few.
pub(in crate::store) const OPEN_ISSUES: &str = "
    SELECT o.persistence_type, h.happening, h.code, count(DISTINCT h.reference_id) AS requests
    FROM observations AS o CROSS JOIN history AS h
    WHERE o.org = $1 AND o.status NOT IN ('REJECTED', 'CANCELED', 'FINISHED')
        AND h.reference_id = o.reference_id AND h.org = o.org AND h.subject BETWEEN 'issue' AND 'issue~'
        AND h.happening = 'issue' AND NOT h.resolved
        AND NOT EXISTS (
            SELECT 1 FROM history AS later WHERE later.reference_id = h.reference_id AND later.org = h.org
                AND later.subject = h.subject AND later.id > h.id)
    GROUP BY o.persistence_type, h.happening, h.code";

/// One of the statements that count open requests.
macro_rules! counted {
    ($store:ident, $org:ident, $statement:ident: $row:ty) => {{
        let counts: Vec<OpenCount> = $store
            .call("count_open", || async {
                let rows: Vec<$row> = sqlx::query_as($statement)
                    .bind($org.as_str())
                    .fetch_all($store.reading())
                    .await?;
                all(rows)
            })
            .await?;
        counts
    }};
}

// What was decided and looked at rests on the observation, and goes with it.
const FORGET: [&str; 3] = [
    "DELETE FROM observations WHERE org = $1 AND reference_id = $2",
    "DELETE FROM decisions WHERE org = $1 AND reference_id = $2",
    "DELETE FROM looks WHERE org = $1 AND reference_id = $2 AND job_name IN (SELECT job_name FROM sweeps WHERE org = $1)",
];

pub(in crate::store) const DECISIONS_ABOUT: &str = "
    SELECT * FROM decisions WHERE org = $1 AND reference_id = $2 ORDER BY job_name";

impl Backend {
    /// In a run, or in none.
    async fn observe(
        &self,
        operation: &'static str,
        lease: Option<&RunLease>,
        org: &Org,
        observations: &[Observation],
        beside: &[Sight],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.call(operation, || async {
            let mut seen: Vec<_> = observations.iter().collect();
            seen.sort_by_key(|seen| (seen.last_updated, seen.observed_at));
            let seen = last_of_each(seen, |seen| &seen.reference_id);
            let mut tx = self.unhurried().await?;
            if let Some(lease) = lease {
                hold(&mut tx, operation, lease).await?;
            }
            let written = write_observations(&mut tx, org, &seen).await?;
            // Nearly always all of them.
            let mut known = Vec::new();
            if written < seen.len() as u64 {
                let rows: Vec<ObservationRow> = sqlx::query_as(OBSERVATIONS)
                    .bind(org.as_str())
                    .bind(texts(seen.iter().map(|seen| seen.reference_id.as_str())))
                    .fetch_all(&mut *tx)
                    .await?;
                known = all(rows)?;
            }
            history::tell(&mut tx, org, beside).await?;
            tx.commit().await?;
            Ok(contradicted(&seen, known))
        })
        .await
    }
}

#[async_trait]
impl Requests for Backend {
    async fn remember_seen(
        &self,
        lease: &RunLease,
        org: &Org,
        observations: &[Observation],
        beside: &[Sight],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        let lease = Some(lease);
        self.observe("remember_observations", lease, org, observations, beside)
            .await
    }

    async fn remember_verified(&self, org: &Org, seen: &Observation) -> Result<bool, StoreError> {
        let seen = std::slice::from_ref(seen);
        let older = self
            .observe("remember_verified", None, org, seen, &[])
            .await?;
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
                .fetch_all(self.reading())
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
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn count_open(&self, org: &Org) -> Result<Vec<OpenCount>, StoreError> {
        // Each a call of its own, with a time-out of its own: all of them walk through every open request.
        let mut counts = counted!(self, org, OPEN_ALIKE: AlikeRow);
        counts.extend(counted!(self, org, OPEN_CHANGED: ChangedRow));
        counts.extend(counted!(self, org, OPEN_ATTRIBUTES: AttributesRow));
        counts.extend(counted!(self, org, OPEN_EVENTS: CodeRow));
        counts.extend(counted!(self, org, OPEN_ISSUES: CodeRow));
        Ok(counts)
    }

    async fn forget_observation(
        &self,
        lease: &RunLease,
        org: &Org,
        id: &ReferenceId,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("forget_observation", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "forget_observation", lease).await?;
            sqlx::query(history::FORGOTTEN)
                .bind(org.as_str())
                .bind(text(id.as_str()))
                .bind(stamp(at))
                .execute(&mut *tx)
                .await?;
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
            let written = write_decisions(&mut tx, lease.run_id, org, job, at, &decided).await?;
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
        self.call("decisions_about", || async {
            let rows: Vec<DecisionRow> = sqlx::query_as(DECISIONS_ABOUT)
                .bind(org.as_str())
                .bind(text(id.as_str()))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }
}
