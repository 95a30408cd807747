//! Pruning and statistics, in short transactions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Backend;
use super::runs::hold;
use crate::store::StoreError;
use crate::store::housekeeping::{Housekeeping, Pruned};
use crate::store::rows::stamp;
use crate::store::runs::RunLease;

// Each list of victims is ordered by age: that makes PostgreSQL's planner follow the index of ages, where it would otherwise
// guess that a third of the table is old and walk through all of it. OFFSET 0 keeps it from joining whole tables to
// find what is missing: each candidate is looked up by itself, until the batch is full. SQLite does both by itself.
macro_rules! looked_up {
    () => {
        dialect!(sqlite: "", postgres: " OFFSET 0")
    };
}

// $1 is the age, $2 the batch. The victims of an attempt's pruning are picked twice by the same statement, in one
// transaction: first their steps go, then they themselves.
macro_rules! closed_attempts {
    () => {
        sql!("SELECT a.id FROM attempts AS a
         WHERE a.state IN ('not_sent', 'rejected', 'confirmed', 'ineffective') AND a.changed_at < $1
           AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.org = a.org AND f.reference_id = a.reference_id
                           AND f.state <> 'resolved'" looked_up!() ")
         ORDER BY a.changed_at, a.id LIMIT $2")
    };
}
pub(in crate::store) const STEPS: &str =
    sql!("DELETE FROM attempt_steps WHERE attempt_id IN (" closed_attempts!() ")");
pub(in crate::store) const ATTEMPTS: &str =
    sql!("DELETE FROM attempts WHERE id IN (" closed_attempts!() ")");

pub(in crate::store) const RUNS: &str = sql!("
    DELETE FROM runs WHERE id IN (
        SELECT r.id FROM runs AS r WHERE r.outcome IS NOT NULL AND r.finished_at < $1
            AND NOT EXISTS (SELECT 1 FROM attempts WHERE run_id = r.id" looked_up!() ")
        ORDER BY r.finished_at LIMIT $2)");

pub(in crate::store) const SLOTS: &str = sql!("
    DELETE FROM slots WHERE (job_name, org, scheduled_at) IN (
        SELECT s.job_name, s.org, s.scheduled_at FROM slots AS s WHERE s.scheduled_at < $1
            AND NOT EXISTS (SELECT 1 FROM runs WHERE id = s.run_id AND outcome IS NULL" looked_up!() ")
        ORDER BY s.scheduled_at LIMIT $2)");

pub(in crate::store) const UNRUN_SLOTS: &str = "
    DELETE FROM unrun_slots WHERE (job_name, org, result, first_at) IN (
        SELECT job_name, org, result, first_at FROM unrun_slots WHERE last_at < $1 ORDER BY last_at LIMIT $2)";

// One that was acknowledged stays as long as that holds: it is by its id that a person takes it back.
pub(in crate::store) const FINDINGS: &str = sql!("
    DELETE FROM findings WHERE id IN (
        SELECT f.id FROM findings AS f WHERE f.state = 'resolved' AND f.resolved_at < $1
            AND NOT EXISTS (SELECT 1 FROM acknowledgements AS a WHERE a.ended_at IS NULL AND a.org = f.org
                            AND a.reference_id = f.reference_id AND a.kind = f.kind AND a.detail = f.detail"
            looked_up!() ")
        ORDER BY f.resolved_at LIMIT $2)");

pub(in crate::store) const CLASSES: &str = sql!("
    DELETE FROM classes WHERE id IN (
        SELECT c.id FROM classes AS c WHERE c.listed_at < $1
            AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.class_id = c.id" looked_up!() ") LIMIT $2)");

pub(in crate::store) const CONTRADICTIONS: &str = "
    DELETE FROM contradictions WHERE (org, filter, reference_id) IN (
        SELECT org, filter, reference_id FROM contradictions WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";

pub(in crate::store) const ACKNOWLEDGEMENTS: &str = "
    DELETE FROM acknowledgements WHERE id IN (
        SELECT id FROM acknowledgements WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";

// The victims are picked twice by the same statement, in one transaction: first the decisions about them go.
macro_rules! finished_observations {
    () => {
        sql!("SELECT o.org, o.reference_id FROM observations AS o
         WHERE o.status IN ('REJECTED', 'CANCELED', 'FINISHED') AND o.observed_at < $1
             AND NOT EXISTS (SELECT 1 FROM findings AS f WHERE f.org = o.org AND f.reference_id = o.reference_id
                             AND f.state <> 'resolved'" looked_up!() ")
             AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.reference_id = o.reference_id AND a.org = o.org
                             AND a.state IN ('intended', 'accepted', 'unknown', 'needs_human')" looked_up!() ")
             AND NOT EXISTS (SELECT 1 FROM duplicates AS d WHERE d.org = o.org AND d.reference_id = o.reference_id
                             AND d.external_reference = o.external_reference" looked_up!() ")
         ORDER BY o.observed_at, o.reference_id, o.org LIMIT $2")
    };
}
pub(in crate::store) const DECISIONS: &str =
    sql!("DELETE FROM decisions WHERE (org, reference_id) IN (" finished_observations!() ")");
pub(in crate::store) const OBSERVATIONS: &str =
    sql!("DELETE FROM observations WHERE (org, reference_id) IN (" finished_observations!() ")");

// About requests that could not be read, so that there may be no observation for them to go with.
pub(in crate::store) const DECISIONS_ON_NOTHING: &str = sql!("
    DELETE FROM decisions WHERE (org, reference_id, job_name) IN (
        SELECT d.org, d.reference_id, d.job_name FROM decisions AS d WHERE d.since < $1
            AND d.verdict IN ('not_found', 'read_failed', 'contract_violation')
            AND NOT EXISTS (SELECT 1 FROM observations AS o WHERE o.org = d.org AND o.reference_id = d.reference_id"
            looked_up!() ")
        ORDER BY d.since LIMIT $2)");

// Without its observation a look is of no use: such a request is read again whatever the look says.
pub(in crate::store) const LOOKS: &str = sql!("
    DELETE FROM looks WHERE (org, job_name, reference_id) IN (
        SELECT l.org, l.job_name, l.reference_id FROM looks AS l WHERE l.looked_at < $1
            AND NOT EXISTS (SELECT 1 FROM observations AS o WHERE o.org = l.org AND o.reference_id = l.reference_id"
            looked_up!() ")
        ORDER BY l.looked_at LIMIT $2)");

// One row a job and org, so there is nothing to index. Without it the next sweep reads everything.
const SWEEPS: &str = "
    DELETE FROM sweeps WHERE (org, job_name) IN (
        SELECT org, job_name FROM sweeps WHERE began < $1 LIMIT $2)";

// It stands in the way of its order only until it is final. Before its observation goes, which says so.
pub(in crate::store) const DUPLICATES: &str = sql!("
    DELETE FROM duplicates WHERE (org, external_reference, reference_id) IN (
        SELECT d.org, d.external_reference, d.reference_id FROM duplicates AS d
        WHERE d.seen_at < $1
            AND EXISTS (SELECT 1 FROM observations AS o WHERE o.org = d.org AND o.reference_id = d.reference_id
                        AND o.observed_at < $1 AND o.status IN ('REJECTED', 'CANCELED', 'FINISHED')" looked_up!() ")
        ORDER BY d.seen_at LIMIT $2)");

// Of no use without the attempts that it is about.
pub(in crate::store) const RETRIES: &str = sql!("
    DELETE FROM retries WHERE (org, external_reference, at) IN (
        SELECT r.org, r.external_reference, r.at FROM retries AS r WHERE r.at < $1
            AND NOT EXISTS (SELECT 1 FROM attempts AS a
                            WHERE a.org = r.org AND a.external_reference = r.external_reference" looked_up!() ")
        ORDER BY r.at LIMIT $2)");

pub(in crate::store) const TRIGGERS: &str = "
    DELETE FROM triggers WHERE id IN (
        SELECT id FROM triggers WHERE run_id IS NOT NULL AND requested_at < $1
        ORDER BY requested_at LIMIT $2)";

pub(in crate::store) const AUDIT: &str =
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";

// By the database's clock where it has one, as all that is said of heartbeats; a day without one is no pause for breath.
const REPLICAS: &str = sql!("
    DELETE FROM replicas WHERE id IN (SELECT id FROM replicas WHERE last_beat < "
    dialect!(sqlite: "$1", postgres: "clock_timestamp() - interval '1 day'") " LIMIT $2)");

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
impl Housekeeping for Backend {
    async fn prune(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        batch: u32,
    ) -> Result<Pruned, StoreError> {
        let (mut pruned, mut tables) = (Pruned::default(), TABLES);
        while !tables.is_empty() {
            (pruned, tables) = self
                .call("prune", || async {
                    let (mut pruned, mut left) = (pruned, tables);
                    let mut tx = self.begin().await?;
                    hold(&mut tx, "prune", lease).await?;
                    while let [together, rest @ ..] = left {
                        left = rest;
                        let mut removed = 0;
                        for &(statement, counter) in *together {
                            removed = sqlx::query(statement)
                                .bind(stamp(older_than))
                                .bind(i64::from(batch))
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
                    tx.commit().await?;
                    Ok((pruned, left))
                })
                .await?;
        }
        Ok(pruned)
    }

    async fn optimize(&self) -> Result<(), StoreError> {
        self.call("optimize", || self.tidy()).await
    }
}
