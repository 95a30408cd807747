//! Pauses, latches, triggers, circuits.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::runs::hold;
use super::{SqliteStore, audit};
use crate::domain::ids::{JobName, Org, ReplicaId, RunId, TriggerId};
use crate::store::controls::{
    CircuitRow, Controls, Latch, Opening, Pause, TAKER_LIVES, TriggerRow, ended, scope, subject,
    would_shorten,
};
use crate::store::fault::Fault;
use crate::store::rows::controls::{ALL_JOBS, RawCircuit, RawLatch, RawPause, RawTrigger};
use crate::store::rows::{Micros, all, instant, json, micros, micros_opt};
use crate::store::runs::RunLease;
use crate::store::{Actor, StoreError};

pub(super) const TAKE_TRIGGERS: &str = "
    UPDATE triggers SET taken_by = ?1
    WHERE run_id IS NULL AND (taken_by IS NULL OR taken_by = ?1
        OR taken_by NOT IN (SELECT id FROM replicas WHERE last_beat >= ?2))
    RETURNING id, job_name, org, who, reason, requested_at, run_id";

fn stored_name(job: Option<&JobName>) -> &str {
    job.map_or(ALL_JOBS, JobName::as_str)
}

/// Ends those that are over, within the caller's transaction.
async fn end_pauses(tx: &mut SqliteConnection, now: DateTime<Utc>) -> Result<Vec<Pause>, Fault> {
    let rows: Vec<RawPause> = sqlx::query_as(
        "DELETE FROM pauses WHERE until <= ?1 RETURNING job_name, who, reason, since, until",
    )
    .bind(micros(now))
    .fetch_all(&mut *tx)
    .await?;
    let over: Vec<Pause> = all(rows)?;
    for pause in &over {
        let subject = scope(pause.job_name.as_ref());
        audit::append(tx, "pause_ended", subject, &ended(pause), now).await?;
    }
    Ok(over)
}

impl SqliteStore {
    async fn put_pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        replaces: bool,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.timed.call("pause", async {
            let mut tx = self.begin().await?;
            end_pauses(&mut tx, now).await?;
            let longer: Option<RawPause> = sqlx::query_as(
                "SELECT job_name, who, reason, since, until FROM pauses
                 WHERE job_name = ?1 AND ?2 IS NOT NULL AND (until IS NULL OR until > ?2)",
            )
            .bind(stored_name(job))
            .bind(micros_opt(until))
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(longer) = longer.filter(|_| !replaces) {
                return Err(Fault::Refused(would_shorten(&Pause::try_from(longer)?)));
            }
            sqlx::query(
                "INSERT OR REPLACE INTO pauses (job_name, who, reason, since, until) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(stored_name(job))
            .bind(&actor.who)
            .bind(&actor.reason)
            .bind(micros(now))
            .bind(micros_opt(until))
            .execute(&mut *tx)
            .await?;
            audit::append(&mut tx, "pause", scope(job), actor, now).await?;
            self.steer(tx).await
        })
        .await
    }
}

#[async_trait]
impl Controls for SqliteStore {
    async fn pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.put_pause(job, until, false, actor, now).await
    }

    async fn replace_pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.put_pause(job, until, true, actor, now).await
    }

    async fn end_pauses(&self, now: DateTime<Utc>) -> Result<Vec<Pause>, StoreError> {
        self.timed
            .call("end_pauses", async {
                // Asked every few seconds and nearly always for nothing: look before taking a lock.
                let any: bool =
                    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pauses WHERE until <= ?1)")
                        .bind(micros(now))
                        .fetch_one(&self.readers)
                        .await?;
                if !any {
                    return Ok(vec![]);
                }
                let mut tx = self.begin().await?;
                let ended = end_pauses(&mut tx, now).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    async fn resume(
        &self,
        job: Option<&JobName>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.timed
            .call("resume", async {
                let mut tx = self.begin().await?;
                end_pauses(&mut tx, now).await?;
                let done = sqlx::query(
                    "DELETE FROM pauses WHERE job_name = ?1 AND (until IS NULL OR until > ?2)",
                )
                .bind(stored_name(job))
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
                if done.rows_affected() == 0 {
                    tx.commit().await?;
                    return Ok(false);
                }
                audit::append(&mut tx, "resume", scope(job), actor, now).await?;
                self.steer(tx).await?;
                Ok(true)
            })
            .await
    }

    async fn pauses(&self, now: DateTime<Utc>) -> Result<Vec<Pause>, StoreError> {
        self.timed
            .call("pauses", async {
                let rows: Vec<RawPause> = sqlx::query_as(
                    "SELECT job_name, who, reason, since, until FROM pauses
                     WHERE until IS NULL OR until > ?1 ORDER BY job_name",
                )
                .bind(micros(now))
                .fetch_all(&self.readers)
                .await?;
                all(rows)
            })
            .await
    }

    async fn latch_guard(
        &self,
        lease: &RunLease,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.timed
            .call("latch_guard", async {
                let mut tx = self.begin().await?;
                hold(&mut tx, "latch_guard", lease).await?;
                let done = sqlx::query(
                    "INSERT INTO latches (job_name, org, since, reason) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (job_name, org) DO NOTHING",
                )
                .bind(job.as_str())
                .bind(org.as_str())
                .bind(micros(now))
                .bind(&actor.reason)
                .execute(&mut *tx)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(false);
                }
                audit::append(&mut tx, "latch", &subject(job, org), actor, now).await?;
                self.steer(tx).await?;
                Ok(true)
            })
            .await
    }

    async fn release_guard(
        &self,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.timed
            .call("release_guard", async {
                let mut tx = self.begin().await?;
                let done = sqlx::query("DELETE FROM latches WHERE job_name = ?1 AND org = ?2")
                    .bind(job.as_str())
                    .bind(org.as_str())
                    .execute(&mut *tx)
                    .await?;
                if done.rows_affected() == 0 {
                    return Ok(false);
                }
                sqlx::query(
                    "INSERT OR REPLACE INTO releases (job_name, org, released_at) VALUES (?1, ?2, ?3)",
                )
                .bind(job.as_str())
                .bind(org.as_str())
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
                audit::append(&mut tx, "release", &subject(job, org), actor, now).await?;
                self.steer(tx).await?;
                Ok(true)
            })
            .await
    }

    async fn latches(&self) -> Result<Vec<Latch>, StoreError> {
        self.timed
            .call("latches", async {
                let rows: Vec<RawLatch> = sqlx::query_as(
                    "SELECT job_name, org, since, reason FROM latches ORDER BY job_name, org",
                )
                .fetch_all(&self.readers)
                .await?;
                all(rows)
            })
            .await
    }

    async fn last_release(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.timed
            .call("last_release", async {
                let at: Option<Micros> = sqlx::query_scalar(
                    "SELECT released_at FROM releases WHERE job_name = ?1 AND org = ?2",
                )
                .bind(job.as_str())
                .bind(org.as_str())
                .fetch_optional(&self.readers)
                .await?;
                at.map(|at| instant("releases.released_at", at)).transpose()
            })
            .await
    }

    async fn request_trigger(
        &self,
        job: &JobName,
        org: &Org,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<TriggerId, StoreError> {
        self.timed
            .call("request_trigger", async {
                let mut tx = self.begin().await?;
                let id: i64 = sqlx::query_scalar(
                    "INSERT INTO triggers (job_name, org, who, reason, requested_at)
                     VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
                )
                .bind(job.as_str())
                .bind(org.as_str())
                .bind(&actor.who)
                .bind(&actor.reason)
                .bind(micros(now))
                .fetch_one(&mut *tx)
                .await?;
                audit::append(&mut tx, "trigger", &subject(job, org), actor, now).await?;
                self.steer(tx).await?;
                Ok(TriggerId(id))
            })
            .await
    }

    async fn take_triggers(
        &self,
        replica: &ReplicaId,
        now: DateTime<Utc>,
    ) -> Result<Vec<TriggerRow>, StoreError> {
        self.timed
            .call("take_triggers", async {
                // Asked every second or two and nearly always empty: look before taking the write lock.
                let waiting: bool = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT 1 FROM triggers WHERE run_id IS NULL)",
                )
                .fetch_one(&self.readers)
                .await?;
                if !waiting {
                    return Ok(Vec::new());
                }
                let mut tx = self.begin().await?;
                let rows: Vec<RawTrigger> = sqlx::query_as(TAKE_TRIGGERS)
                    .bind(replica.as_str())
                    .bind(micros(now - TAKER_LIVES))
                    .fetch_all(&mut *tx)
                    .await?;
                let mut taken: Vec<TriggerRow> = all(rows)?;
                tx.commit().await?;
                taken.sort_by_key(|trigger| trigger.id);
                Ok(taken)
            })
            .await
    }

    async fn answer_triggers(&self, ids: &[TriggerId], run: RunId) -> Result<(), StoreError> {
        self.timed
            .call("answer_triggers", async {
                let mut tx = self.begin().await?;
                sqlx::query(
                    "UPDATE triggers SET run_id = ?2
                     WHERE id IN (SELECT value FROM json_each(?1)) AND run_id IS NULL",
                )
                .bind(json(ids)?)
                .bind(run.0)
                .execute(&mut *tx)
                .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn trigger(&self, id: TriggerId) -> Result<Option<TriggerRow>, StoreError> {
        self.timed
            .call("trigger", async {
                let row: Option<RawTrigger> = sqlx::query_as(
                    "SELECT id, job_name, org, who, reason, requested_at, run_id FROM triggers WHERE id = ?1",
                )
                .bind(id.0)
                .fetch_optional(&self.readers)
                .await?;
                row.map(TriggerRow::try_from).transpose()
            })
            .await
    }

    async fn circuits(&self, now: DateTime<Utc>) -> Result<Vec<CircuitRow>, StoreError> {
        self.timed
            .call("circuits", async {
                let rows: Vec<RawCircuit> = sqlx::query_as(
                    "SELECT *, coalesce(probe_at <= ?1, 1) AS due FROM circuits ORDER BY org",
                )
                .bind(micros(now))
                .fetch_all(&self.readers)
                .await?;
                all(rows)
            })
            .await
    }

    async fn open_circuit(
        &self,
        org: &Org,
        opening: &Opening,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.timed
            .call("open_circuit", async {
                let mut tx = self.begin().await?;
                sqlx::query(
                    "INSERT INTO circuits (org, state, cause, failures, opened_at, probe_at)
                     VALUES (?1, 'open', ?2, ?3, ?4, ?5)
                     ON CONFLICT (org) DO UPDATE SET
                         state = 'open', cause = excluded.cause, failures = excluded.failures,
                         opened_at = CASE WHEN circuits.state = 'closed' THEN excluded.opened_at
                             ELSE circuits.opened_at END,
                         probe_at = excluded.probe_at
                     WHERE circuits.state = 'closed' OR ?6",
                )
                .bind(org.as_str())
                .bind(opening.cause.as_str())
                .bind(opening.failures)
                .bind(micros(now))
                .bind(micros(now + opening.pause))
                .bind(opening.after_probe)
                .execute(&mut *tx)
                .await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn claim_probe(
        &self,
        org: &Org,
        hold: Duration,
        now: DateTime<Utc>,
    ) -> Result<Option<CircuitRow>, StoreError> {
        self.timed
            .call("claim_probe", async {
                let mut tx = self.begin().await?;
                let row: Option<RawCircuit> = sqlx::query_as(
                    "UPDATE circuits SET state = 'half_open', probe_at = ?3
                     WHERE org = ?1 AND state <> 'closed' AND coalesce(probe_at <= ?2, 1)
                     RETURNING *, 0 AS due",
                )
                .bind(org.as_str())
                .bind(micros(now))
                .bind(micros(now + hold))
                .fetch_optional(&mut *tx)
                .await?;
                tx.commit().await?;
                row.map(CircuitRow::try_from).transpose()
            })
            .await
    }

    async fn close_circuit(&self, org: &Org) -> Result<(), StoreError> {
        self.timed
            .call("close_circuit", async {
                let mut tx = self.begin().await?;
                sqlx::query(
                    "UPDATE circuits
                     SET state = 'closed', cause = NULL, failures = 0, opened_at = NULL, probe_at = NULL
                     WHERE org = ?1 AND state <> 'closed'",
                )
                .bind(org.as_str())
                .execute(&mut *tx)
                .await?;
                Ok(tx.commit().await?)
            })
            .await
    }
}
