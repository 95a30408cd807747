//! Pauses, latches, triggers, circuits. What steers running daemons is told to them with the commit.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::runs::hold;
use super::{Backend, Connection, audit, from_now, numbers};
use crate::domain::ids::{JobName, Org, ReplicaId, RunId, TriggerId};
use crate::store::controls::{
    CircuitRow, Controls, Latch, Opening, Pause, TAKER_LIVES, TriggerRow, ended, scope, subject,
    would_shorten,
};
use crate::store::fault::Fault;
use crate::store::rows::controls::{ALL_JOBS, RawCircuit, RawLatch, RawPause, RawTrigger};
use crate::store::rows::{Micros, all, instant, stamp, stamp_opt};
use crate::store::runs::RunLease;
use crate::store::{Actor, StoreError};

pub(in crate::store) const TAKE_TRIGGERS: &str = sql!("
    UPDATE triggers SET taken_by = $1
    WHERE id IN (
        SELECT id FROM triggers
        WHERE run_id IS NULL AND (taken_by IS NULL OR taken_by = $1
            OR taken_by NOT IN (SELECT id FROM replicas WHERE last_beat >= " from_now!("$2") "))
        ORDER BY id" skip_locked!() ")
    RETURNING id, job_name, org, who, reason, requested_at, run_id");

const OVER: &str = sql!("
    DELETE FROM pauses WHERE until <= " now!("$1") " RETURNING job_name, who, reason, since, until");

const ANY_OVER: &str = sql!("
    SELECT EXISTS (SELECT 1 FROM pauses WHERE until <= " now!("$1") ")");

const RESUME: &str = sql!("
    DELETE FROM pauses WHERE job_name = $1 AND (until IS NULL OR until > " now!("$2") ")");

const PAUSES: &str = sql!("
    SELECT job_name, who, reason, since, until FROM pauses
    WHERE until IS NULL OR until > " now!("$1") " ORDER BY job_name");

const ANSWER: &str = sql!("
    UPDATE triggers SET run_id = $2
    WHERE id" one_of!("$1") " AND run_id IS NULL");

const CIRCUITS: &str = sql!("
    SELECT *, coalesce(probe_at <= " now!("$1") ", true) AS due FROM circuits ORDER BY org");

const OPEN_CIRCUIT: &str = sql!("
    INSERT INTO circuits (org, state, cause, failures, opened_at, probe_at)
    VALUES ($1, 'open', $2, $3, " now!("$6") ", " from_now!("$4") ")
    ON CONFLICT (org) DO UPDATE SET
        state = 'open', cause = excluded.cause, failures = excluded.failures,
        opened_at = CASE WHEN circuits.state = 'closed' THEN excluded.opened_at ELSE circuits.opened_at END,
        probe_at = excluded.probe_at
    WHERE circuits.state = 'closed' OR $5");

const CLAIM_PROBE: &str = sql!("
    UPDATE circuits SET state = 'half_open', probe_at = " from_now!("$2") "
    WHERE org = $1 AND state <> 'closed' AND coalesce(probe_at <= " now!("$3") ", true)
    RETURNING *, false AS due");

fn stored_name(job: Option<&JobName>) -> &str {
    job.map_or(ALL_JOBS, JobName::as_str)
}

/// Ends those that are over, within the caller's transaction.
async fn end_pauses(tx: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Pause>, Fault> {
    let rows: Vec<RawPause> = sqlx::query_as(OVER)
        .bind(stamp(now))
        .fetch_all(&mut *tx)
        .await?;
    let over: Vec<Pause> = all(rows)?;
    for pause in &over {
        let subject = scope(pause.job_name.as_ref());
        audit::append(tx, "pause_ended", subject, &ended(pause), now).await?;
    }
    Ok(over)
}

impl Backend {
    async fn put_pause(
        &self,
        job: Option<&JobName>,
        until: Option<DateTime<Utc>>,
        replaces: bool,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("pause", || async {
            let mut tx = self.begin().await?;
            end_pauses(&mut tx, now).await?;
            let longer: Option<RawPause> = sqlx::query_as(
                "SELECT job_name, who, reason, since, until FROM pauses
                 WHERE job_name = $1 AND CAST($2 AS timestamptz) IS NOT NULL AND (until IS NULL OR until > $2)",
            )
            .bind(stored_name(job))
            .bind(stamp_opt(until))
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(longer) = longer.filter(|_| !replaces) {
                return Err(Fault::Refused(would_shorten(&Pause::try_from(longer)?)));
            }
            sqlx::query(
                "INSERT INTO pauses (job_name, who, reason, since, until) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (job_name) DO UPDATE SET who = excluded.who, reason = excluded.reason,
                     since = excluded.since, until = excluded.until",
            )
            .bind(stored_name(job))
            .bind(&actor.who)
            .bind(&actor.reason)
            .bind(stamp(now))
            .bind(stamp_opt(until))
            .execute(&mut *tx)
            .await?;
            audit::append(&mut tx, "pause", scope(job), actor, now).await?;
            self.steer(tx).await
        })
        .await
    }
}

#[async_trait]
impl Controls for Backend {
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
        self.call("end_pauses", || async {
            // Asked every few seconds and nearly always for nothing: look before taking a lock.
            let any: bool = sqlx::query_scalar(ANY_OVER)
                .bind(stamp(now))
                .fetch_one(self.reading())
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
        self.call("resume", || async {
            let mut tx = self.begin().await?;
            end_pauses(&mut tx, now).await?;
            let done = sqlx::query(RESUME)
                .bind(stored_name(job))
                .bind(stamp(now))
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
        self.call("pauses", || async {
            let rows: Vec<RawPause> = sqlx::query_as(PAUSES)
                .bind(stamp(now))
                .fetch_all(self.reading())
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
        self.call("latch_guard", || async {
            let mut tx = self.begin().await?;
            hold(&mut tx, "latch_guard", lease).await?;
            let done = sqlx::query(
                "INSERT INTO latches (job_name, org, since, reason) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (job_name, org) DO NOTHING",
            )
            .bind(job.as_str())
            .bind(org.as_str())
            .bind(stamp(now))
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
        self.call("release_guard", || async {
            let mut tx = self.begin().await?;
            let done = sqlx::query("DELETE FROM latches WHERE job_name = $1 AND org = $2")
                .bind(job.as_str())
                .bind(org.as_str())
                .execute(&mut *tx)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO releases (job_name, org, released_at) VALUES ($1, $2, $3)
                     ON CONFLICT (job_name, org) DO UPDATE SET released_at = excluded.released_at",
            )
            .bind(job.as_str())
            .bind(org.as_str())
            .bind(stamp(now))
            .execute(&mut *tx)
            .await?;
            audit::append(&mut tx, "release", &subject(job, org), actor, now).await?;
            self.steer(tx).await?;
            Ok(true)
        })
        .await
    }

    async fn latches(&self) -> Result<Vec<Latch>, StoreError> {
        self.call("latches", || async {
            let rows: Vec<RawLatch> = sqlx::query_as(
                "SELECT job_name, org, since, reason FROM latches ORDER BY job_name, org",
            )
            .fetch_all(self.reading())
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
        self.call("last_release", || async {
            let at: Option<Micros> = sqlx::query_scalar(
                "SELECT released_at FROM releases WHERE job_name = $1 AND org = $2",
            )
            .bind(job.as_str())
            .bind(org.as_str())
            .fetch_optional(self.reading())
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
        self.call("request_trigger", || async {
            let mut tx = self.begin().await?;
            let id: i64 = sqlx::query_scalar(
                "INSERT INTO triggers (job_name, org, who, reason, requested_at)
                     VALUES ($1, $2, $3, $4, $5) RETURNING id",
            )
            .bind(job.as_str())
            .bind(org.as_str())
            .bind(&actor.who)
            .bind(&actor.reason)
            .bind(stamp(now))
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
        self.call("take_triggers", || async {
            // Asked every two seconds and nearly always empty: look before taking the write lock.
            let waiting: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM triggers WHERE run_id IS NULL)")
                    .fetch_one(self.reading())
                    .await?;
            if !waiting {
                return Ok(Vec::new());
            }
            let mut tx = self.begin().await?;
            let rows: Vec<RawTrigger> = sqlx::query_as(TAKE_TRIGGERS)
                .bind(replica.as_str())
                .bind(from_now(now, -TAKER_LIVES))
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
        self.call("answer_triggers", || async {
            let mut tx = self.begin().await?;
            sqlx::query(ANSWER)
                .bind(numbers(ids.iter().map(|id| id.0)))
                .bind(run.0)
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn trigger(&self, id: TriggerId) -> Result<Option<TriggerRow>, StoreError> {
        self.call("trigger", || async {
                let row: Option<RawTrigger> = sqlx::query_as(
                    "SELECT id, job_name, org, who, reason, requested_at, run_id FROM triggers WHERE id = $1",
                )
                .bind(id.0)
                .fetch_optional(self.reading())
                .await?;
                row.map(TriggerRow::try_from).transpose()
            })
            .await
    }

    async fn circuits(&self, now: DateTime<Utc>) -> Result<Vec<CircuitRow>, StoreError> {
        self.call("circuits", || async {
            let rows: Vec<RawCircuit> = sqlx::query_as(CIRCUITS)
                .bind(stamp(now))
                .fetch_all(self.reading())
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
        self.call("open_circuit", || async {
            let mut tx = self.begin().await?;
            sqlx::query(OPEN_CIRCUIT)
                .bind(org.as_str())
                .bind(opening.cause.as_str())
                .bind(i64::from(opening.failures))
                .bind(from_now(now, span(opening.pause)))
                .bind(opening.after_probe)
                .bind(stamp(now))
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
        self.call("claim_probe", || async {
            let mut tx = self.begin().await?;
            let row: Option<RawCircuit> = sqlx::query_as(CLAIM_PROBE)
                .bind(org.as_str())
                .bind(from_now(now, span(hold)))
                .bind(stamp(now))
                .fetch_optional(&mut *tx)
                .await?;
            tx.commit().await?;
            row.map(CircuitRow::try_from).transpose()
        })
        .await
    }

    async fn close_circuit(&self, org: &Org) -> Result<(), StoreError> {
        self.call("close_circuit", || async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE circuits SET state = 'closed', cause = NULL, failures = 0, opened_at = NULL, probe_at = NULL
                 WHERE org = $1 AND state <> 'closed'",
            )
            .bind(org.as_str())
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}

/// A span that is not a span of our time is a year.
fn span(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::days(365))
}
