//! Runs, their leases, and the slots.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Backend, Connection, audit, from_now, lock_job, run_lists, text};
use crate::domain::RunOutcome;
use crate::domain::ids::{JobName, Org, RunId};
use crate::store::controls::subject;
use crate::store::fault::Fault;
use crate::store::rows::runs::{RawLastRuns, RawRun};
use crate::store::rows::{Micros, all, instant, stamp, stamp_opt, stored_count};
use crate::store::runs::{
    CLOCKS_DIFFER_BY, LastRuns, NewRun, RunFilter, RunLease, RunRow, RunSummary, Runs, SET_BACK,
    Started, UnrunSlots, memory_was_ahead,
};
use crate::store::{Page, StoreError};

// Deduplicated says only that another had the slot, so it accounts for nothing by itself.
pub(in crate::store) const SLOT_TAKEN: &str = "
    SELECT EXISTS (SELECT 1 FROM slots WHERE job_name = $1 AND org = $2 AND scheduled_at = $3)
        OR EXISTS (SELECT 1 FROM unrun_slots WHERE job_name = $1 AND org = $2 AND result <> 'deduplicated'
                   AND first_at <= $3 AND last_at >= $3)";

pub(in crate::store) const RUNNING: &str =
    "SELECT id FROM runs WHERE job_name = $1 AND org = $2 AND outcome IS NULL";

pub(in crate::store) const BEAT: &str = sql!("
    UPDATE runs SET last_beat = " now!("$3") " WHERE id = $1 AND token = $2 AND outcome IS NULL");

pub(in crate::store) const FINISH: &str = "
    UPDATE runs SET outcome = $3, finished_at = $4, selected = $5, observed = $6, unchanged = $7, to_act = $8,
        sent = $9, flagged = $10, skipped = $11, failed = $12, trouble = $13, capped = $14
    WHERE id = $1 AND token = $2 AND outcome IS NULL
    RETURNING job_name, org";

// A run that is locked is being beaten, ended, reaped or written for right now: the next look is soon enough.
pub(in crate::store) const REAP: &str = dialect! {
    sqlite: "
    UPDATE runs SET outcome = 'lost', finished_at = $2
    WHERE outcome IS NULL AND ($1 IS NULL OR last_beat < $1)
    RETURNING *",
    postgres: sql!("
    UPDATE runs SET outcome = 'lost', finished_at = $2
    WHERE outcome IS NULL AND id IN (
        SELECT id FROM runs
        WHERE outcome IS NULL AND (CAST($1 AS interval) IS NULL OR last_beat < " from_now!("$1") ")
        ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING *"),
};

pub(in crate::store) const LAST_SLOT: &str =
    "SELECT last_slot FROM job_memory WHERE job_name = $1 AND org = $2 AND last_slot IS NOT NULL";

// By the database's clock: the caller's may be the one that is behind.
pub(in crate::store) const AHEAD: &str = sql!("
    SELECT last_slot FROM job_memory WHERE job_name = $1 AND org = $2 AND last_slot > " from_now!("$3"));

const SET_BACK_STEPS: [&str; 3] = [
    sql!("DELETE FROM slots WHERE job_name = $1 AND org = $2 AND scheduled_at > " now!("$3")),
    sql!("DELETE FROM unrun_slots WHERE job_name = $1 AND org = $2 AND last_at > " now!("$3")),
    "UPDATE job_memory SET last_slot = (
         SELECT max(reached) FROM (
             SELECT max(scheduled_at) AS reached FROM slots WHERE job_name = $1 AND org = $2
             UNION ALL
             SELECT max(last_at) FROM unrun_slots
             WHERE job_name = $1 AND org = $2 AND result <> 'deduplicated') AS kept)
     WHERE job_name = $1 AND org = $2",
];

pub(in crate::store) const WRITABLE_SINCE: &str = "
    SELECT COALESCE(
        (SELECT started_at FROM runs WHERE job_name = $1 AND org = $2 AND mode = 'observe' AND id < $3
         ORDER BY id DESC LIMIT 1),
        (SELECT started_at FROM runs WHERE job_name = $1 AND org = $2 AND id <= $3 ORDER BY id LIMIT 1))";

// Beats go on meanwhile; who declares runs lost takes no row that is locked, however weakly.
pub(in crate::store) const HELD: &str = sql!("
    SELECT id FROM runs WHERE id = $1 AND token = $2 AND outcome IS NULL" dialect!(sqlite: "", postgres: " FOR KEY SHARE"));

const NEXT_TOKEN: &str = dialect! {
    sqlite: "UPDATE fencing SET token = token + 1 WHERE only_row = 1 RETURNING token",
    postgres: "SELECT nextval('fencing')",
};

const INSERT: &str = sql!("
    INSERT INTO runs (job_name, org, trigger, slot, replica, mode, actor, reason, token, started_at, last_beat)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, " now!("$10") ") RETURNING id");

const ADVANCE: &str = sql!("
    INSERT INTO job_memory (job_name, org, last_slot) VALUES ($1, $2, $3)
    ON CONFLICT (job_name, org) DO UPDATE SET
        last_slot = " greatest!() "(coalesce(job_memory.last_slot, excluded.last_slot), excluded.last_slot)");

/// First in every transaction in which a run writes: refuses it when the run was taken away, and keeps it from being taken away
/// until the transaction is over.
pub(in crate::store) async fn hold(
    tx: &mut Connection,
    operation: &'static str,
    lease: &RunLease,
) -> Result<(), Fault> {
    let held: Option<i64> = sqlx::query_scalar(HELD)
        .bind(lease.run_id.0)
        .bind(lease.token)
        .fetch_optional(tx)
        .await?;
    held.map(drop).ok_or_else(|| fenced(operation, lease))
}

/// The error of a caller whose lease is gone.
pub(in crate::store) fn fenced(operation: &'static str, lease: &RunLease) -> Fault {
    Fault::Refused(StoreError::Fenced {
        operation,
        token: lease.token,
    })
}

async fn exists(tx: &mut Connection, run: &NewRun, slot: DateTime<Utc>) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(SLOT_TAKEN)
        .bind(run.job_name.as_str())
        .bind(run.org.as_str())
        .bind(stamp(slot))
        .fetch_one(tx)
        .await?)
}

async fn insert(tx: &mut Connection, run: &NewRun, now: DateTime<Utc>) -> Result<RunLease, Fault> {
    let token: i64 = sqlx::query_scalar(NEXT_TOKEN).fetch_one(&mut *tx).await?;
    let id: i64 = sqlx::query_scalar(INSERT)
        .bind(run.job_name.as_str())
        .bind(run.org.as_str())
        .bind(run.trigger.as_str())
        .bind(stamp_opt(run.slot))
        .bind(run.replica.as_str())
        .bind(run.mode.as_str())
        .bind(&run.actor.who)
        .bind(&run.actor.reason)
        .bind(token)
        .bind(stamp(now))
        .fetch_one(&mut *tx)
        .await?;
    if let Some(slot) = run.slot {
        sqlx::query(
            "INSERT INTO slots (job_name, org, scheduled_at, run_id) VALUES ($1, $2, $3, $4)",
        )
        .bind(run.job_name.as_str())
        .bind(run.org.as_str())
        .bind(stamp(slot))
        .bind(id)
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query(
        "INSERT INTO job_memory (job_name, org, last_started) VALUES ($1, $2, $3)
         ON CONFLICT (job_name, org) DO UPDATE SET last_started = excluded.last_started",
    )
    .bind(run.job_name.as_str())
    .bind(run.org.as_str())
    .bind(stamp(now))
    .execute(&mut *tx)
    .await?;
    Ok(RunLease {
        run_id: RunId(id),
        token,
    })
}

async fn advance_last_slot(
    tx: &mut Connection,
    job: &JobName,
    org: &Org,
    slot: DateTime<Utc>,
) -> Result<(), Fault> {
    sqlx::query(ADVANCE)
        .bind(job.as_str())
        .bind(org.as_str())
        .bind(stamp(slot))
        .execute(tx)
        .await?;
    Ok(())
}

async fn remember_outcome(
    tx: &mut Connection,
    job: &str,
    org: &str,
    outcome: RunOutcome,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE job_memory SET last_outcome = $3,
             last_success = CASE WHEN $5 THEN $4 ELSE last_success END
         WHERE job_name = $1 AND org = $2",
    )
    .bind(job)
    .bind(org)
    .bind(outcome.as_str())
    .bind(stamp(now))
    .bind(outcome.did_its_duty())
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether this very end was committed by an earlier call whose answer was lost.
async fn finished_before(
    tx: &mut Connection,
    lease: &RunLease,
    outcome: RunOutcome,
) -> Result<(), Fault> {
    let before: Option<String> =
        sqlx::query_scalar("SELECT outcome FROM runs WHERE id = $1 AND token = $2")
            .bind(lease.run_id.0)
            .bind(lease.token)
            .fetch_optional(tx)
            .await?;
    if before.as_deref() == Some(outcome.as_str()) {
        Ok(())
    } else {
        Err(fenced("finish", lease))
    }
}

#[async_trait]
impl Runs for Backend {
    async fn start(&self, run: &NewRun, now: DateTime<Utc>) -> Result<Started, StoreError> {
        self.call("start", || async {
            let mut tx = self.begin().await?;
            lock_job(&mut tx, &run.job_name, &run.org).await?;
            if let Some(slot) = run.slot
                && exists(&mut tx, run, slot).await?
            {
                return Ok(Started::SlotTaken);
            }
            let running: Option<i64> = sqlx::query_scalar(RUNNING)
                .bind(run.job_name.as_str())
                .bind(run.org.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(id) = running {
                return Ok(Started::AlreadyRunning(RunId(id)));
            }
            let lease = insert(&mut tx, run, now).await?;
            if let Some(slot) = run.slot {
                advance_last_slot(&mut tx, &run.job_name, &run.org, slot).await?;
            }
            tx.commit().await?;
            Ok(Started::Yes(lease))
        })
        .await
    }

    async fn beat(&self, lease: &RunLease, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.call("beat", || async {
            let mut tx = self.begin().await?;
            let done = sqlx::query(BEAT)
                .bind(lease.run_id.0)
                .bind(lease.token)
                .bind(stamp(now))
                .execute(&mut *tx)
                .await?;
            if done.rows_affected() == 0 {
                return Err(fenced("beat", lease));
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn finish(
        &self,
        lease: &RunLease,
        outcome: RunOutcome,
        summary: &RunSummary,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("finish", || async {
            let mut tx = self.begin().await?;
            let whose: Option<(String, String)> = sqlx::query_as(FINISH)
                .bind(lease.run_id.0)
                .bind(lease.token)
                .bind(outcome.as_str())
                .bind(stamp(now))
                .bind(stored_count(summary.selected))
                .bind(stored_count(summary.observed))
                .bind(stored_count(summary.unchanged))
                .bind(stored_count(summary.to_act))
                .bind(stored_count(summary.sent))
                .bind(stored_count(summary.flagged))
                .bind(stored_count(summary.skipped))
                .bind(stored_count(summary.failed))
                .bind(text(&summary.trouble))
                .bind(stored_count(summary.capped))
                .fetch_optional(&mut *tx)
                .await?;
            let Some((job, org)) = whose else {
                return finished_before(&mut tx, lease, outcome).await;
            };
            remember_outcome(&mut tx, &job, &org, outcome, now).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn reap_lost(
        &self,
        beat_before: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RunRow>, StoreError> {
        self.call("reap_lost", || async {
            let mut tx = self.begin().await?;
            let rows: Vec<RawRun> = sqlx::query_as(REAP)
                .bind(beat_before.map(|before| from_now(now, before - now)))
                .bind(stamp(now))
                .fetch_all(&mut *tx)
                .await?;
            let mut lost: Vec<RunRow> = all(rows)?;
            for run in &lost {
                let (job, org) = (run.job_name.as_str(), run.org.as_str());
                remember_outcome(&mut tx, job, org, RunOutcome::Lost, now).await?;
            }
            tx.commit().await?;
            lost.sort_by_key(|run| run.id);
            Ok(lost)
        })
        .await
    }

    async fn record_unrun(&self, slots: &UnrunSlots, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.call("record_unrun", || async {
                let mut tx = self.begin().await?;
                lock_job(&mut tx, &slots.job_name, &slots.org).await?;
                // A single slot that did run, after all, is not also skipped; a longer stretch stays a stretch.
                sqlx::query(
                    "INSERT INTO unrun_slots (job_name, org, result, first_at, last_at, count, recorded_at)
                     SELECT $1, $2, $3, $4, $5, $6, $7
                     WHERE $4 < $5 OR $3 = 'deduplicated' OR NOT EXISTS (
                         SELECT 1 FROM slots WHERE job_name = $1 AND org = $2 AND scheduled_at = $4)
                     ON CONFLICT (job_name, org, result, first_at) DO UPDATE SET
                         last_at = excluded.last_at, count = excluded.count, recorded_at = excluded.recorded_at
                     WHERE excluded.last_at > unrun_slots.last_at",
                )
                .bind(slots.job_name.as_str())
                .bind(slots.org.as_str())
                .bind(slots.result.as_str())
                .bind(stamp(slots.first))
                .bind(stamp(slots.last))
                .bind(slots.count.map(stored_count))
                .bind(stamp(now))
                .execute(&mut *tx)
                .await?;
                advance_last_slot(&mut tx, &slots.job_name, &slots.org, slots.last).await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    async fn last_slot(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.call("last_slot", || async {
            let slot: Option<Micros> = sqlx::query_scalar(LAST_SLOT)
                .bind(job.as_str())
                .bind(org.as_str())
                .fetch_optional(self.reading())
                .await?;
            slot.map(|slot| instant("job_memory.last_slot", slot))
                .transpose()
        })
        .await
    }

    async fn set_back(
        &self,
        job: &JobName,
        org: &Org,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.call("set_back", || async {
            let mut tx = self.begin().await?;
            lock_job(&mut tx, job, org).await?;
            let reached: Option<Micros> = sqlx::query_scalar(AHEAD)
                .bind(job.as_str())
                .bind(org.as_str())
                .bind(from_now(now, CLOCKS_DIFFER_BY))
                .fetch_optional(&mut *tx)
                .await?;
            let Some(reached) = reached else {
                return Ok(None);
            };
            let reached = instant("job_memory.last_slot", reached)?;
            for statement in SET_BACK_STEPS {
                sqlx::query(statement)
                    .bind(job.as_str())
                    .bind(org.as_str())
                    .bind(stamp(now))
                    .execute(&mut *tx)
                    .await?;
            }
            let why = memory_was_ahead(reached);
            audit::append(&mut tx, SET_BACK, &subject(job, org), &why, now).await?;
            tx.commit().await?;
            Ok(Some(reached))
        })
        .await
    }

    async fn runs(&self, filter: &RunFilter, page: Page) -> Result<Vec<RunRow>, StoreError> {
        self.call("runs", || run_lists::newest(self, filter, page))
            .await
    }

    async fn count_runs(&self, filter: &RunFilter) -> Result<u64, StoreError> {
        self.call("count_runs", || run_lists::number(self, filter))
            .await
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRow>, StoreError> {
        self.call("run", || async {
            let row: Option<RawRun> = sqlx::query_as("SELECT * FROM runs WHERE id = $1")
                .bind(id.0)
                .fetch_optional(self.reading())
                .await?;
            row.map(RunRow::try_from).transpose()
        })
        .await
    }

    async fn writable_since(
        &self,
        job: &JobName,
        org: &Org,
        run: RunId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.call("writable_since", || async {
            let started: Option<Micros> = sqlx::query_scalar(WRITABLE_SINCE)
                .bind(job.as_str())
                .bind(org.as_str())
                .bind(run.0)
                .fetch_one(self.reading())
                .await?;
            started
                .map(|started| instant("runs.started_at", started))
                .transpose()
        })
        .await
    }

    async fn last_runs(&self) -> Result<Vec<LastRuns>, StoreError> {
        self.call("last_runs", || async {
            let rows: Vec<RawLastRuns> = sqlx::query_as(
                "SELECT job_name, org, last_started, last_outcome, last_success FROM job_memory
                     WHERE last_started IS NOT NULL ORDER BY job_name, org",
            )
            .fetch_all(self.reading())
            .await?;
            all(rows)
        })
        .await
    }
}
