//! Pruning and statistics, in short transactions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::SqliteStore;
use super::runs::hold;
use crate::store::StoreError;
use crate::store::housekeeping::{Housekeeping, Pruned};
use crate::store::rows::micros;
use crate::store::runs::RunLease;

// ?1 is the age, ?2 the batch. The victims of an attempt's pruning are picked twice by the same statement, in one
// transaction: first their steps go, then they themselves.
macro_rules! closed_attempts {
    () => {
        "SELECT a.id FROM attempts AS a
         WHERE a.state IN ('not_sent', 'rejected', 'confirmed', 'ineffective') AND a.changed_at < ?1
           AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.org = a.org AND f.reference_id = a.reference_id
                           AND f.state <> 'resolved')
         ORDER BY a.changed_at, a.id LIMIT ?2"
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
        SELECT r.id FROM runs AS r WHERE r.outcome IS NOT NULL AND r.finished_at < ?1
            AND NOT EXISTS (SELECT 1 FROM attempts WHERE run_id = r.id) LIMIT ?2)";

pub(super) const SLOTS: &str = "
    DELETE FROM slots WHERE (job_name, org, scheduled_at) IN (
        SELECT s.job_name, s.org, s.scheduled_at FROM slots AS s WHERE s.scheduled_at < ?1
            AND NOT EXISTS (SELECT 1 FROM runs WHERE id = s.run_id AND outcome IS NULL) LIMIT ?2)";

pub(super) const UNRUN_SLOTS: &str = "
    DELETE FROM unrun_slots WHERE (job_name, org, result, first_at) IN (
        SELECT job_name, org, result, first_at FROM unrun_slots WHERE last_at < ?1 LIMIT ?2)";

// One that was acknowledged stays as long as that holds: it is by its id that a person takes it back.
pub(super) const FINDINGS: &str = "
    DELETE FROM findings WHERE id IN (
        SELECT f.id FROM findings AS f WHERE f.state = 'resolved' AND f.resolved_at < ?1
            AND NOT EXISTS (SELECT 1 FROM acknowledgements AS a WHERE a.ended_at IS NULL AND a.org = f.org
                            AND a.reference_id = f.reference_id AND a.kind = f.kind AND a.detail = f.detail)
        LIMIT ?2)";

pub(super) const CLASSES: &str = "
    DELETE FROM classes WHERE id IN (
        SELECT c.id FROM classes AS c WHERE c.listed_at < ?1
            AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.class_id = c.id) LIMIT ?2)";

pub(super) const CONTRADICTIONS: &str = "
    DELETE FROM contradictions WHERE (org, filter, reference_id) IN (
        SELECT org, filter, reference_id FROM contradictions WHERE seen_at < ?1 LIMIT ?2)";

pub(super) const ACKNOWLEDGEMENTS: &str = "
    DELETE FROM acknowledgements WHERE id IN (
        SELECT id FROM acknowledgements WHERE ended_at < ?1 LIMIT ?2)";

// The victims are picked twice by the same statement, in one transaction: first the decisions about them go.
macro_rules! finished_observations {
    () => {
        "SELECT o.org, o.reference_id FROM observations AS o
         WHERE o.status IN ('REJECTED', 'CANCELED', 'FINISHED') AND o.observed_at < ?1
             AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.org = o.org AND f.reference_id = o.reference_id
                             AND f.state <> 'resolved')
             AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.reference_id = o.reference_id AND a.org = o.org
                             AND a.state IN ('intended', 'accepted', 'unknown', 'needs_human'))
             AND NOT EXISTS (SELECT 1 FROM duplicates AS d WHERE d.org = o.org AND d.reference_id = o.reference_id
                             AND d.external_reference = o.external_reference)
         ORDER BY o.observed_at, o.reference_id, o.org LIMIT ?2"
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
        SELECT d.org, d.reference_id, d.job_name FROM decisions AS d WHERE d.since < ?1
            AND d.verdict IN ('not_found', 'read_failed', 'contract_violation')
            AND NOT EXISTS (SELECT 1 FROM observations AS o WHERE o.org = d.org AND o.reference_id = d.reference_id)
        LIMIT ?2)";

// Without its observation a look is of no use: such a request is read again whatever the look says.
pub(super) const LOOKS: &str = "
    DELETE FROM looks WHERE (org, job_name, reference_id) IN (
        SELECT l.org, l.job_name, l.reference_id FROM looks AS l WHERE l.looked_at < ?1
            AND NOT EXISTS (SELECT 1 FROM observations AS o WHERE o.org = l.org AND o.reference_id = l.reference_id)
        LIMIT ?2)";

// One row a job and org, so there is nothing to index. Without it the next sweep reads everything.
const SWEEPS: &str = "
    DELETE FROM sweeps WHERE (org, job_name) IN (
        SELECT org, job_name FROM sweeps WHERE began < ?1 LIMIT ?2)";

// It stands in the way of its order only until it is final. Before its observation goes, which says so.
pub(super) const DUPLICATES: &str = "
    DELETE FROM duplicates WHERE (org, external_reference, reference_id) IN (
        SELECT d.org, d.external_reference, d.reference_id FROM duplicates AS d
        WHERE d.seen_at < ?1
            AND EXISTS (SELECT 1 FROM observations AS o WHERE o.org = d.org AND o.reference_id = d.reference_id
                        AND o.observed_at < ?1 AND o.status IN ('REJECTED', 'CANCELED', 'FINISHED'))
        ORDER BY d.seen_at LIMIT ?2)";

// Of no use without the attempts that it is about.
pub(super) const RETRIES: &str = "
    DELETE FROM retries WHERE (org, external_reference, at) IN (
        SELECT r.org, r.external_reference, r.at FROM retries AS r WHERE r.at < ?1
            AND NOT EXISTS (SELECT 1 FROM attempts AS a
                            WHERE a.org = r.org AND a.external_reference = r.external_reference)
        ORDER BY r.at LIMIT ?2)";

pub(super) const TRIGGERS: &str = "
    DELETE FROM triggers WHERE id IN (
        SELECT id FROM triggers WHERE run_id IS NOT NULL AND requested_at < ?1 LIMIT ?2)";

pub(super) const AUDIT: &str =
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 LIMIT ?2)";

const REPLICAS: &str = "
    DELETE FROM replicas WHERE id IN (SELECT id FROM replicas WHERE last_beat < ?1 LIMIT ?2)";

/// Where a statement's rows are counted.
type Counter = fn(&mut Pruned) -> &mut u64;

/// The statements of one transaction. A history goes uncounted with its attempt.
type Together = &'static [(&'static str, Option<Counter>)];

const TABLES: &[Together] = &[
    &[
        (STEPS, None),
        (ATTEMPTS, Some(|pruned| &mut pruned.attempts)),
    ],
    &[(RUNS, Some(|pruned| &mut pruned.runs))],
    &[(SLOTS, Some(|pruned| &mut pruned.slots))],
    &[(UNRUN_SLOTS, Some(|pruned| &mut pruned.slots))],
    &[(FINDINGS, Some(|pruned| &mut pruned.findings))],
    &[(CLASSES, Some(|pruned| &mut pruned.classes))],
    &[(CONTRADICTIONS, Some(|pruned| &mut pruned.contradictions))],
    &[(
        ACKNOWLEDGEMENTS,
        Some(|pruned| &mut pruned.acknowledgements),
    )],
    &[(RETRIES, Some(|pruned| &mut pruned.orders))],
    &[(DUPLICATES, Some(|pruned| &mut pruned.orders))],
    &[
        (DECISIONS, Some(|pruned| &mut pruned.decisions)),
        (OBSERVATIONS, Some(|pruned| &mut pruned.observations)),
    ],
    &[(DECISIONS_ON_NOTHING, Some(|pruned| &mut pruned.decisions))],
    &[(LOOKS, Some(|pruned| &mut pruned.looks))],
    &[(SWEEPS, Some(|pruned| &mut pruned.looks))],
    &[(TRIGGERS, Some(|pruned| &mut pruned.triggers))],
    &[(AUDIT, Some(|pruned| &mut pruned.audit))],
    &[(REPLICAS, Some(|pruned| &mut pruned.replicas))],
];

#[async_trait]
impl Housekeeping for SqliteStore {
    async fn prune(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        batch: u32,
    ) -> Result<Pruned, StoreError> {
        let (mut pruned, mut tables) = (Pruned::default(), TABLES.iter());
        while !tables.as_slice().is_empty() {
            let pruning = async {
                let mut tx = self.begin().await?;
                hold(&mut tx, "prune", lease).await?;
                for together in tables.by_ref() {
                    let mut removed = 0;
                    for &(statement, counter) in *together {
                        removed = sqlx::query(statement)
                            .bind(micros(older_than))
                            .bind(batch)
                            .execute(&mut *tx)
                            .await?
                            .rows_affected();
                        if let Some(counter) = counter {
                            *counter(&mut pruned) += removed;
                        }
                    }
                    // Others may want to write. Where nothing was removed little time went by, and waiting for the
                    // next turn takes longer than the next table.
                    if removed > 0 {
                        break;
                    }
                }
                Ok(tx.commit().await?)
            };
            self.timed.call("prune", pruning).await?;
        }
        Ok(pruned)
    }

    async fn optimize(&self) -> Result<(), StoreError> {
        self.timed
            .call("optimize", async {
                let mut writer = self.writer.acquire().await?;
                sqlx::query("PRAGMA optimize").execute(&mut *writer).await?;
                let (_, in_log, copied): (i64, i64, i64) =
                    sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)")
                        .fetch_one(&mut *writer)
                        .await?;
                // Only when all of the log is copied is nothing left to wait for but its end being cut off.
                if in_log > 0 && in_log == copied {
                    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                        .execute(&mut *writer)
                        .await?;
                }
                Ok(())
            })
            .await
    }
}
