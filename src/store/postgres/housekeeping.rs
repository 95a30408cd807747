//! Pruning and statistics. Each table in its own short transaction.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::PgStore;
use super::runs::hold;
use super::values::stamp;
use crate::store::StoreError;
use crate::store::housekeeping::{Housekeeping, Pruned};
use crate::store::runs::RunLease;

// Each list of victims is ordered by age: that makes the planner follow the index of ages, where it would otherwise
// guess that a third of the table is old and walk through all of it. OFFSET 0 keeps it from joining whole tables to
// find what is missing: each candidate is looked up by itself, until the batch is full.
// $1 is the age, $2 the batch. The victims of an attempt's pruning are picked twice by the same statement, in one
// transaction: first their steps go, then they themselves.
macro_rules! closed_attempts {
    () => {
        "SELECT a.id FROM attempts AS a
         WHERE a.state IN ('not_sent', 'rejected', 'confirmed', 'ineffective') AND a.changed_at < $1
           AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.org = a.org AND f.reference_id = a.reference_id
                           AND f.state <> 'resolved' OFFSET 0)
         ORDER BY a.changed_at, a.id LIMIT $2"
    };
}
pub(super) const STEPS: &str = concat!(
    "DELETE FROM attempt_steps WHERE attempt_id IN (",
    closed_attempts!(),
    ")"
);
pub(super) const ATTEMPTS: &str = concat!(
    "DELETE FROM attempts WHERE id IN (",
    closed_attempts!(),
    ")"
);

pub(super) const RUNS: &str = "
    DELETE FROM runs WHERE id IN (
        SELECT r.id FROM runs AS r WHERE r.outcome IS NOT NULL AND r.finished_at < $1
            AND NOT EXISTS (SELECT 1 FROM attempts WHERE run_id = r.id OFFSET 0)
        ORDER BY r.finished_at LIMIT $2)";

pub(super) const SLOTS: &str = "
    DELETE FROM slots WHERE (job_name, org, scheduled_at) IN (
        SELECT s.job_name, s.org, s.scheduled_at FROM slots AS s WHERE s.scheduled_at < $1
            AND NOT EXISTS (SELECT 1 FROM runs WHERE id = s.run_id AND outcome IS NULL OFFSET 0)
        ORDER BY s.scheduled_at LIMIT $2)";

pub(super) const UNRUN_SLOTS: &str = "
    DELETE FROM unrun_slots WHERE (job_name, org, result, first_at) IN (
        SELECT job_name, org, result, first_at FROM unrun_slots WHERE last_at < $1 ORDER BY last_at LIMIT $2)";

// One that was acknowledged stays as long as that holds: it is by its id that a person takes it back.
pub(super) const FINDINGS: &str = "
    DELETE FROM findings WHERE id IN (
        SELECT f.id FROM findings AS f WHERE f.state = 'resolved' AND f.resolved_at < $1
            AND NOT EXISTS (SELECT 1 FROM acknowledgements AS a WHERE a.ended_at IS NULL AND a.org = f.org
                            AND a.reference_id = f.reference_id AND a.kind = f.kind AND a.detail = f.detail OFFSET 0)
        ORDER BY f.resolved_at LIMIT $2)";

pub(super) const CLASSES: &str = "
    DELETE FROM classes WHERE id IN (
        SELECT c.id FROM classes AS c WHERE c.listed_at < $1
            AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.class_id = c.id OFFSET 0) LIMIT $2)";

pub(super) const CONTRADICTIONS: &str = "
    DELETE FROM contradictions WHERE (org, filter, reference_id) IN (
        SELECT org, filter, reference_id FROM contradictions WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";

pub(super) const ACKNOWLEDGEMENTS: &str = "
    DELETE FROM acknowledgements WHERE id IN (
        SELECT id FROM acknowledgements WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";

// The victims are picked twice by the same statement, in one transaction: first the decisions about them go.
macro_rules! finished_observations {
    () => {
        "SELECT o.org, o.reference_id FROM observations AS o
         WHERE o.status IN ('REJECTED', 'CANCELED', 'FINISHED') AND o.observed_at < $1
             AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.org = o.org AND f.reference_id = o.reference_id
                             AND f.state <> 'resolved' OFFSET 0)
             AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.reference_id = o.reference_id AND a.org = o.org
                             AND a.state IN ('intended', 'accepted', 'unknown', 'needs_human') OFFSET 0)
             AND NOT EXISTS (SELECT 1 FROM duplicates AS d WHERE d.org = o.org AND d.reference_id = o.reference_id
                             AND d.external_reference = o.external_reference OFFSET 0)
         ORDER BY o.observed_at, o.reference_id, o.org LIMIT $2"
    };
}
pub(super) const DECISIONS: &str = concat!(
    "DELETE FROM decisions WHERE (org, reference_id) IN (",
    finished_observations!(),
    ")"
);
pub(super) const OBSERVATIONS: &str = concat!(
    "DELETE FROM observations WHERE (org, reference_id) IN (",
    finished_observations!(),
    ")"
);

// About requests that could not be read, so that there may be no observation for them to go with.
pub(super) const DECISIONS_ON_NOTHING: &str = "
    DELETE FROM decisions WHERE (org, reference_id, job_name) IN (
        SELECT d.org, d.reference_id, d.job_name FROM decisions AS d WHERE d.since < $1
            AND d.verdict IN ('not_found', 'read_failed', 'contract_violation')
            AND NOT EXISTS (SELECT 1 FROM observations AS o WHERE o.org = d.org AND o.reference_id = d.reference_id
                            OFFSET 0)
        ORDER BY d.since LIMIT $2)";

pub(super) const LOOKS: &str = "
    DELETE FROM looks WHERE (org, job_name, reference_id) IN (
        SELECT l.org, l.job_name, l.reference_id FROM looks AS l WHERE l.looked_at < $1
            AND NOT EXISTS (SELECT 1 FROM observations AS o WHERE o.org = l.org AND o.reference_id = l.reference_id
                            OFFSET 0)
        ORDER BY l.looked_at LIMIT $2)";

// One row a job and org, so there is nothing to index. Without it the next sweep reads everything.
const SWEEPS: &str = "
    DELETE FROM sweeps WHERE (org, job_name) IN (
        SELECT org, job_name FROM sweeps WHERE began < $1 LIMIT $2)";

// It stands in the way of its order only until it is final. Before its observation goes, which says so.
pub(super) const DUPLICATES: &str = "
    DELETE FROM duplicates WHERE (org, external_reference, reference_id) IN (
        SELECT d.org, d.external_reference, d.reference_id FROM duplicates AS d
        WHERE d.seen_at < $1
            AND EXISTS (SELECT 1 FROM observations AS o WHERE o.org = d.org AND o.reference_id = d.reference_id
                        AND o.observed_at < $1 AND o.status IN ('REJECTED', 'CANCELED', 'FINISHED') OFFSET 0)
        ORDER BY d.seen_at LIMIT $2)";

// Of no use without the attempts that it is about.
pub(super) const RETRIES: &str = "
    DELETE FROM retries WHERE (org, external_reference, at) IN (
        SELECT r.org, r.external_reference, r.at FROM retries AS r WHERE r.at < $1
            AND NOT EXISTS (SELECT 1 FROM attempts AS a
                            WHERE a.org = r.org AND a.external_reference = r.external_reference OFFSET 0)
        ORDER BY r.at LIMIT $2)";

pub(super) const TRIGGERS: &str = "
    DELETE FROM triggers WHERE id IN (
        SELECT id FROM triggers WHERE run_id IS NOT NULL AND requested_at < $1
        ORDER BY requested_at LIMIT $2)";

pub(super) const AUDIT: &str =
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";

// By the database's clock, as all that is said of heartbeats; a day without one is no pause for breath.
const REPLICAS: &str = "
    DELETE FROM replicas WHERE id IN (
        SELECT id FROM replicas WHERE $1::timestamptz IS NOT NULL AND last_beat < clock_timestamp() - interval '1 day'
        LIMIT $2)";

impl PgStore {
    /// Runs the statements in one transaction and answers how many rows each of them removed.
    async fn remove<const N: usize>(
        &self,
        lease: &RunLease,
        statements: [&'static str; N],
        older_than: DateTime<Utc>,
        batch: u32,
    ) -> Result<[u64; N], StoreError> {
        self.call("prune", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "prune", lease).await?;
            let mut removed = [0; N];
            for (statement, removed) in statements.into_iter().zip(&mut removed) {
                *removed = sqlx::query(statement)
                    .bind(stamp(older_than))
                    .bind(i64::from(batch))
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
            }
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }
}

#[async_trait]
impl Housekeeping for PgStore {
    async fn prune(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        batch: u32,
    ) -> Result<Pruned, StoreError> {
        let remove = async |statement| {
            let [removed] = self.remove(lease, [statement], older_than, batch).await?;
            Ok::<u64, StoreError>(removed)
        };
        let [_, attempts] = self
            .remove(lease, [STEPS, ATTEMPTS], older_than, batch)
            .await?;
        let runs = remove(RUNS).await?;
        let slots = remove(SLOTS).await? + remove(UNRUN_SLOTS).await?;
        let findings = remove(FINDINGS).await?;
        let classes = remove(CLASSES).await?;
        let contradictions = remove(CONTRADICTIONS).await?;
        let acknowledgements = remove(ACKNOWLEDGEMENTS).await?;
        let orders = remove(RETRIES).await? + remove(DUPLICATES).await?;
        let finished = [DECISIONS, OBSERVATIONS];
        let [decisions, observations] = self.remove(lease, finished, older_than, batch).await?;
        Ok(Pruned {
            attempts,
            runs,
            slots,
            findings,
            classes,
            contradictions,
            acknowledgements,
            orders,
            observations,
            decisions: decisions + remove(DECISIONS_ON_NOTHING).await?,
            looks: remove(LOOKS).await? + remove(SWEEPS).await?,
            triggers: remove(TRIGGERS).await?,
            audit: remove(AUDIT).await?,
            replicas: remove(REPLICAS).await?,
        })
    }

    async fn optimize(&self) -> Result<(), StoreError> {
        // PostgreSQL's autovacuum sees to space and statistics by itself.
        Ok(())
    }
}
