//! The intent: every check and the ledger's row in one transaction, exact over all replicas.
//!
//! On SQLite the transaction has the file's write lock throughout. On PostgreSQL two locks make it so. The first statement
//! takes the lock of the org: intents of one org come one after the other, and each statement after it sees what the one
//! before committed, so both caps are exact and the order's one open attempt is never guessed. The second locks the run's
//! row against its end: a run can't be declared lost between the look at its lease and the commit, so nobody takes over
//! while the permit is made out.
//!
//! An hour and a pause's end are told by the database's clock where it has one: a replica whose own is ahead gets no
//! second hour.
//!
//! A pause or latch committed while an intent is under way may come too late for that one, never for the next.
//!
//! The order of the checks is part of the contract (every back end answers alike): lease, pause, latch,
//! acknowledgement, open attempt, the caller's recheck, the run's cap, the hour's cap.

use chrono::{DateTime, TimeDelta, Utc};

use super::attempts::{self, StepLine, append_step};
use super::runs::hold;
use super::{Backend, Connection, lock_org, orders, text, texts, uuid};
use crate::domain::ids::ExternalReference;
use crate::domain::{AttemptId, AttemptState};
use crate::store::DAEMON;
use crate::store::attempts::{IntentLimits, IntentRefused, NewAttempt};
use crate::store::fault::Fault;
use crate::store::orders::OrderFacts;
use crate::store::rows::attempts::AttemptRow;
use crate::store::rows::{all, stamp, stamp_opt};
use crate::store::runs::RunLease;

pub(in crate::store) const PAUSED: &str = sql!("
    SELECT EXISTS (SELECT 1 FROM pauses WHERE job_name IN ($1, '') AND (until IS NULL OR until > " now!("$2") "))");

pub(in crate::store) const LATCHED: &str =
    "SELECT EXISTS (SELECT 1 FROM latches WHERE job_name = $1 AND org = $2)";

pub(in crate::store) const ACKNOWLEDGED: &str = "
    SELECT EXISTS (
        SELECT 1 FROM acknowledgements WHERE ended_at IS NULL AND org = $1 AND reference_id = $2)
      OR EXISTS (
        SELECT 1 FROM acknowledgements WHERE ended_at IS NULL AND org = $1 AND external_reference = $3)";

pub(in crate::store) const REPEATED: &str = "
    SELECT id FROM attempts WHERE correlation_id = $1 AND run_id = $2 AND state = 'intended'";

pub(in crate::store) const OPEN_ATTEMPT: &str = "
    SELECT id FROM attempts WHERE org = $1 AND (external_reference = $2 OR reference_id = $3)
        AND state IN ('intended', 'accepted', 'unknown', 'needs_human')";

// What never left the house counts towards no cap.
pub(in crate::store) const OF_RUN: &str =
    "SELECT count(*) FROM attempts WHERE run_id = $1 AND state <> 'not_sent'";

// Not clock_timestamp(): what may change within a statement can't be looked up in an index.
pub(in crate::store) const OF_HOUR: &str = sql!("
    SELECT count(*) FROM attempts
    WHERE org = $1 AND counted_at > "
        dialect!(sqlite: "$2", postgres: "statement_timestamp() - interval '1 hour'") " AND state <> 'not_sent'");

const INSERT: &str = sql!("
    INSERT INTO attempts (
        org, reference_id, external_reference, operation, state, job_name, rule, run_id, replica,
        before_status, before_cancelling, before_last_updated, issue_sequence, before_issue_resolved,
        before_issue_last_updated, due_since, correlation_id, intended_at, changed_at, counted_at, detail)
    VALUES ($1, $2, $3, $4, 'intended', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, " now!("$17") ", '')
    RETURNING id");

/// See [`crate::store::Attempts::intend`].
pub(in crate::store) async fn intend(
    store: &Backend,
    lease: &RunLease,
    attempt: &NewAttempt,
    limits: IntentLimits,
    now: DateTime<Utc>,
) -> Result<Result<AttemptId, IntentRefused>, Fault> {
    let mut tx = store.begin().await?;
    lock_org(&mut tx, &attempt.org).await?;
    hold(&mut tx, "intend", lease).await?;
    if let Some(refused) = steered_away(&mut tx, attempt, now).await? {
        return Ok(Err(refused));
    }
    // The answer to an earlier call may have been lost with its commit done: the same intent is not a second one.
    let repeated: Option<i64> = sqlx::query_scalar(REPEATED)
        .bind(uuid(attempt.correlation_id))
        .bind(lease.run_id.0)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(id) = repeated {
        return Ok(Ok(AttemptId(id)));
    }
    let open: Option<i64> = sqlx::query_scalar(OPEN_ATTEMPT)
        .bind(attempt.org.as_str())
        .bind(text(attempt.external_reference.as_str()))
        .bind(text(attempt.reference_id.as_str()))
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(id) = open {
        return Ok(Err(IntentRefused::OpenAttempt(AttemptId(id))));
    }
    let facts = facts(&mut tx, attempt).await?;
    if let Err(refused) = attempt.recheck.ask(&facts) {
        return Ok(Err(refused));
    }
    let of_run: i64 = sqlx::query_scalar(OF_RUN)
        .bind(lease.run_id.0)
        .fetch_one(&mut *tx)
        .await?;
    if of_run >= i64::from(limits.per_run) {
        return Ok(Err(IntentRefused::RunCap));
    }
    let of_hour: i64 = sqlx::query_scalar(OF_HOUR)
        .bind(attempt.org.as_str())
        .bind(stamp(now - TimeDelta::hours(1)))
        .fetch_one(&mut *tx)
        .await?;
    if of_hour >= i64::from(limits.per_hour) {
        return Ok(Err(IntentRefused::HourCap));
    }
    let id = insert(&mut tx, lease, attempt, now).await?;
    tx.commit().await?;
    Ok(Ok(id))
}

/// What is known of the order by now.
async fn facts(tx: &mut Connection, attempt: &NewAttempt) -> Result<OrderFacts, Fault> {
    let order = std::slice::from_ref(&attempt.external_reference);
    let rows: Vec<AttemptRow> = sqlx::query_as(attempts::OF_ORDERS)
        .bind(attempt.org.as_str())
        .bind(texts(order.iter().map(ExternalReference::as_str)))
        .fetch_all(&mut *tx)
        .await?;
    let marks = orders::marks_of(tx, &attempt.org, order).await?;
    Ok(OrderFacts {
        attempts: all(rows)?,
        marks: marks
            .into_iter()
            .map(|(_, marks)| marks)
            .next()
            .unwrap_or_default(),
    })
}

async fn steered_away(
    tx: &mut Connection,
    attempt: &NewAttempt,
    now: DateTime<Utc>,
) -> Result<Option<IntentRefused>, Fault> {
    let paused: bool = sqlx::query_scalar(PAUSED)
        .bind(attempt.job_name.as_str())
        .bind(stamp(now))
        .fetch_one(&mut *tx)
        .await?;
    if paused {
        return Ok(Some(IntentRefused::Paused));
    }
    let latched: bool = sqlx::query_scalar(LATCHED)
        .bind(attempt.job_name.as_str())
        .bind(attempt.org.as_str())
        .fetch_one(&mut *tx)
        .await?;
    if latched {
        return Ok(Some(IntentRefused::Held));
    }
    let acknowledged: bool = sqlx::query_scalar(ACKNOWLEDGED)
        .bind(attempt.org.as_str())
        .bind(text(attempt.reference_id.as_str()))
        .bind(text(attempt.external_reference.as_str()))
        .fetch_one(&mut *tx)
        .await?;
    Ok(acknowledged.then_some(IntentRefused::Acknowledged))
}

async fn insert(
    tx: &mut Connection,
    lease: &RunLease,
    attempt: &NewAttempt,
    now: DateTime<Utc>,
) -> Result<AttemptId, Fault> {
    let id: i64 = sqlx::query_scalar(INSERT)
        .bind(attempt.org.as_str())
        .bind(text(attempt.reference_id.as_str()))
        .bind(text(attempt.external_reference.as_str()))
        .bind(attempt.operation.as_str())
        .bind(attempt.job_name.as_str())
        .bind(attempt.rule.as_str())
        .bind(lease.run_id.0)
        .bind(attempt.replica.as_str())
        .bind(text(attempt.before.status.as_str()))
        .bind(attempt.before.cancelling)
        .bind(stamp_opt(attempt.before.last_updated))
        .bind(attempt.issue_sequence)
        .bind(attempt.before_issue.map(|issue| issue.resolved))
        .bind(stamp_opt(
            attempt.before_issue.and_then(|issue| issue.last_updated),
        ))
        .bind(stamp_opt(attempt.due_since))
        .bind(uuid(attempt.correlation_id))
        .bind(stamp(now))
        .fetch_one(&mut *tx)
        .await?;
    let first = StepLine {
        state: AttemptState::Intended,
        at: now,
        who: DAEMON,
        detail: "",
        http_status: None,
    };
    append_step(tx, AttemptId(id), &first).await?;
    Ok(AttemptId(id))
}
