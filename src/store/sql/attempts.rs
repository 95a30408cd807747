//! The ledger after the intent: steps, verification, recovery, and looking things up.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Backend, Connection, audit, begins, from_now, intend, span, text, texts, uuid};
use crate::domain::ids::{ExternalReference, Org, ReplicaId, RunId};
use crate::domain::{AttemptId, AttemptState, Operation};
use crate::store::attempts::{
    Attempt, AttemptCount, AttemptFilter, AttemptStep, Attempts, IntentLimits, IntentRefused,
    NewAttempt, Step,
};
use crate::store::controls::TAKER_LIVES;
use crate::store::fault::Fault;
use crate::store::rows::attempts::{AttemptRow, CountRow, StepRow, put_off_already};
use crate::store::rows::{all, number, stamp, stamp_opt, word};
use crate::store::runs::RunLease;
use crate::store::{Actor, DAEMON, Page, StoreError};

pub(in crate::store) const ADVANCE: &str = sql!("
    UPDATE attempts SET state = $2, changed_at = $3, detail = $4, http_status = coalesce($5, http_status),
        verify_at = $6, confirmed_status = $8, confirmed_cancelling = $9, confirmed_last_updated = $10
    WHERE id = $1 AND state" one_of!("$7") " AND (CAST($11 AS uuid) IS NULL OR correlation_id = $11)");

const POSTPONE: &str = "
    UPDATE attempts SET verifications = verifications + $4, detail = $2, verify_at = $3
    WHERE id = $1 AND state IN ('accepted', 'unknown') AND (verify_at IS NULL OR verify_at <= $5) RETURNING state";

// Of a process that is gone; or of a run that its own process ended, and with it whoever would have sent there (those
// that helped with it are as far as they are). A run that was lost while its process lives proves nothing: somebody there
// may still hold the permit. Who lives is what the caller saw, and what PostgreSQL sees now, where there may be replicas:
// one that came since, or came back, still owns its own.
pub(in crate::store) const RECOVER: &str = sql!("
    UPDATE attempts SET state = 'unknown', changed_at = $2, verify_at = intended_at + $3, detail = $4
    WHERE state = 'intended' AND (
        (replica" none_of!("$1") dialect!(
            sqlite: "",
            postgres: " AND NOT EXISTS (
            SELECT 1 FROM replicas
            WHERE replicas.id = attempts.replica AND last_beat >= clock_timestamp() + $5::interval)"
        ) ")
        OR EXISTS (SELECT 1 FROM runs WHERE runs.id = attempts.run_id AND runs.replica = attempts.replica
                   AND coalesce(outcome, 'lost') <> 'lost'))
    RETURNING *");

pub(in crate::store) const DUE: &str = "
    SELECT * FROM attempts
    WHERE state IN ('accepted', 'unknown') AND verify_at <= $2 AND (CAST($1 AS text) IS NULL OR org = $1)
    ORDER BY verify_at, id LIMIT $3";

pub(in crate::store) const OF_ORDERS: &str = sql!("
    SELECT * FROM attempts
    WHERE org = $1 AND external_reference" one_of!("$2") "
    ORDER BY external_reference, id");

// PostgreSQL's second bound changes nothing but the planner's guess, which is a third of the table for a single one.
pub(in crate::store) const SINCE: &str = sql!("
    SELECT * FROM attempts WHERE org = $1 AND state IN ('intended', 'accepted', 'unknown', 'needs_human')
    UNION ALL
    SELECT * FROM attempts" dialect!(sqlite: " INDEXED BY attempts_closed", postgres: "") "
    WHERE org = $1 AND state IN ('not_sent', 'rejected', 'confirmed', 'ineffective')
        AND changed_at >= $2" dialect!(sqlite: "", postgres: " AND changed_at < 'infinity'") "
    ORDER BY id");

pub(in crate::store) const STEPS: &str =
    "SELECT * FROM attempt_steps WHERE attempt_id = $1 ORDER BY id";

/// Of those that are not settled: there are few, whatever the size of the ledger.
pub(in crate::store) const COUNTS: &str = "
    SELECT operation, state, count(*) AS count, min(changed_at) AS oldest FROM attempts
    WHERE state IN ('intended', 'accepted', 'unknown', 'needs_human') GROUP BY operation, state";

macro_rules! filtered {
    ($driver:literal) => {
        sql!("
        FROM attempts WHERE " $driver " AND id < $1 AND (CAST($2 AS text) IS NULL OR org = $2)
            AND (CAST($3 AS text) IS NULL OR reference_id = $3 OR external_reference = $3)
            AND (CAST($4 AS text) IS NULL OR state = $4) AND (CAST($5 AS text) IS NULL OR operation = $5)
            AND (CAST($6 AS bigint) IS NULL OR run_id = $6)
            AND (CAST($7 AS timestamptz) IS NULL OR intended_at >= $7)
            AND (CAST($8 AS timestamptz) IS NULL OR intended_at < $8)
            AND (CAST($9 AS text) IS NULL OR " begins!("reference_id", "$9") " OR " begins!("external_reference", "$9") ")")
    };
}

/// One way in: its list, and its number.
macro_rules! way_in {
    ($driver:literal) => {
        (
            sql!("SELECT *" filtered!($driver) " ORDER BY id DESC LIMIT $10"),
            sql!("SELECT count(*)" filtered!($driver)),
        )
    };
}
type WayIn = (&'static str, &'static str);

const ANY: WayIn = way_in!("true");
const OF_REFERENCE: WayIn = way_in!(
    "id IN (SELECT id FROM attempts WHERE lower(reference_id) = lower($3)
            UNION SELECT id FROM attempts WHERE lower(external_reference) = lower($3))"
);
const SEARCHED: WayIn = way_in!(
    "id IN (SELECT id FROM attempts WHERE lower(reference_id) >= $9 AND lower(reference_id) < $9 || '\u{10ffff}'
            UNION SELECT id FROM attempts
            WHERE lower(external_reference) >= $9 AND lower(external_reference) < $9 || '\u{10ffff}')"
);
const OF_RUN: WayIn = way_in!("run_id = $6");
const IN_STATE: WayIn = way_in!("state = $4");
pub(in crate::store) const LIST: &str = ANY.0;
pub(in crate::store) const LIST_OF_REFERENCE: &str = OF_REFERENCE.0;
pub(in crate::store) const LIST_SEARCHED: &str = SEARCHED.0;
pub(in crate::store) const NUMBER_SEARCHED: &str = SEARCHED.1;
pub(in crate::store) const LIST_OF_RUN: &str = OF_RUN.0;
pub(in crate::store) const LIST_IN_STATE: &str = IN_STATE.0;

/// One a way in: a single one for all filters could use no index.
fn way_in(filter: &AttemptFilter) -> WayIn {
    if filter.reference.is_some() {
        OF_REFERENCE
    } else if filter.search.is_some() {
        SEARCHED
    } else if filter.run_id.is_some() {
        OF_RUN
    } else if filter.state.is_some() {
        IN_STATE
    } else {
        ANY
    }
}

macro_rules! bind_filter {
    ($query:expr, $filter:expr, $before:expr) => {
        $query
            .bind($before.unwrap_or(i64::MAX))
            .bind($filter.org.as_ref().map(Org::as_str))
            .bind($filter.reference.as_deref().map(text))
            .bind($filter.state.map(AttemptState::as_str))
            .bind($filter.operation.map(Operation::as_str))
            .bind($filter.run_id.map(|RunId(id)| id))
            .bind(stamp_opt($filter.since))
            .bind(stamp_opt($filter.until))
            .bind($filter.search.as_ref().map(|text| begins(text)))
    };
}

/// A line of an attempt's history.
pub(in crate::store) struct StepLine<'a> {
    pub(in crate::store) state: AttemptState,
    pub(in crate::store) at: DateTime<Utc>,
    pub(in crate::store) who: &'a str,
    pub(in crate::store) detail: &'a str,
    pub(in crate::store) http_status: Option<u16>,
}

/// Appends it within the caller's transaction.
pub(in crate::store) async fn append_step(
    tx: &mut Connection,
    id: AttemptId,
    line: &StepLine<'_>,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO attempt_steps (attempt_id, state, at, who, detail, http_status)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.0)
    .bind(line.state.as_str())
    .bind(stamp(line.at))
    .bind(line.who)
    .bind(text(line.detail))
    .bind(line.http_status.map(i64::from))
    .execute(tx)
    .await?;
    Ok(())
}

/// Lets an attempt take a step out of one of these states, if it is `sender`'s; false if it did not.
async fn take_step(
    tx: &mut Connection,
    id: AttemptId,
    sender: Option<Uuid>,
    from: &[AttemptState],
    step: &Step,
    who: &str,
    at: DateTime<Utc>,
) -> Result<bool, Fault> {
    let due = step.verify_at.filter(|_| step.to.awaits_verification());
    let confirmed = step.confirmed.as_ref();
    let done = sqlx::query(ADVANCE)
        .bind(id.0)
        .bind(step.to.as_str())
        .bind(stamp(at))
        .bind(text(&step.detail))
        .bind(step.http_status.map(i64::from))
        .bind(stamp_opt(due))
        .bind(texts(from.iter().map(|state| state.as_str())))
        .bind(confirmed.map(|version| text(version.status.as_str())))
        .bind(confirmed.map(|version| version.cancelling))
        .bind(stamp_opt(
            confirmed.and_then(|version| version.last_updated),
        ))
        .bind(sender.map(uuid))
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let line = StepLine {
        state: step.to,
        at,
        who,
        detail: &step.detail,
        http_status: step.http_status,
    };
    append_step(tx, id, &line).await?;
    Ok(true)
}

/// Why an attempt did not take a step: it is not there, or where it stands forbids it.
async fn refused(
    tx: &mut Connection,
    operation: &'static str,
    id: AttemptId,
    to: AttemptState,
) -> Result<Fault, Fault> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM attempts WHERE id = $1")
        .bind(id.0)
        .fetch_optional(tx)
        .await?;
    let Some(state) = state else {
        let what = format!("attempt {id}");
        return Ok(StoreError::NotFound { operation, what }.into());
    };
    let from = word("attempts.state", &state)?;
    let attempt = id;
    Ok(StoreError::IllegalStep { attempt, from, to }.into())
}

#[async_trait]
impl Attempts for Backend {
    async fn intend(
        &self,
        lease: &RunLease,
        attempt: &NewAttempt,
        limits: IntentLimits,
        now: DateTime<Utc>,
    ) -> Result<Result<AttemptId, IntentRefused>, StoreError> {
        self.call("intend", || {
            intend::intend(self, lease, attempt, limits, now)
        })
        .await
    }

    async fn advance(
        &self,
        id: AttemptId,
        step: &Step,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("advance", || async {
            let mut tx = self.begin().await?;
            let from = step.to.predecessors();
            if !take_step(&mut tx, id, None, from, step, &actor.who, now).await? {
                return Err(refused(&mut tx, "advance", id, step.to).await?);
            }
            if actor.is_person() {
                audit::append(&mut tx, "settle", &id.to_string(), actor, now).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn answer(
        &self,
        id: AttemptId,
        correlation_id: Uuid,
        step: &Step,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("answer", || async {
            let mut tx = self.begin().await?;
            let (sender, from) = (Some(correlation_id), step.to.answered_from());
            if !take_step(&mut tx, id, sender, from, step, DAEMON, at).await? {
                return Err(refused(&mut tx, "answer", id, step.to).await?);
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn postpone_verification(
        &self,
        id: AttemptId,
        detail: &str,
        verify_at: DateTime<Utc>,
        counts: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("postpone_verification", || async {
            let mut tx = self.begin().await?;
            let state: Option<String> = sqlx::query_scalar(POSTPONE)
                .bind(id.0)
                .bind(text(detail))
                .bind(stamp(verify_at))
                .bind(i64::from(counts))
                .bind(stamp(now))
                .fetch_optional(&mut *tx)
                .await?;
            let Some(state) = state else {
                let to = AttemptState::Unknown;
                let fault = refused(&mut tx, "postpone_verification", id, to).await?;
                return put_off_already(fault);
            };
            let line = StepLine {
                state: word("attempts.state", &state)?,
                at: now,
                who: DAEMON,
                detail,
                http_status: None,
            };
            append_step(&mut tx, id, &line).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn recover_intended(
        &self,
        alive: &[ReplicaId],
        first_look: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.call("recover_intended", || async {
            let detail = "whoever meant to send it is gone: it may have been sent";
            let mut tx = self.begin().await?;
            let rows: Vec<AttemptRow> = sqlx::query_as(RECOVER)
                .bind(texts(alive.iter().map(ReplicaId::as_str)))
                .bind(stamp(now))
                .bind(span(
                    TimeDelta::from_std(first_look).unwrap_or(TimeDelta::MAX),
                ))
                .bind(detail)
                .bind(from_now(now, -TAKER_LIVES))
                .fetch_all(&mut *tx)
                .await?;
            let mut recovered: Vec<Attempt> = all(rows)?;
            recovered.sort_by_key(|attempt| attempt.id);
            let line = StepLine {
                state: AttemptState::Unknown,
                at: now,
                who: DAEMON,
                detail,
                http_status: None,
            };
            for attempt in &recovered {
                append_step(&mut tx, attempt.id, &line).await?;
            }
            tx.commit().await?;
            Ok(recovered)
        })
        .await
    }

    async fn due_for_verification(
        &self,
        org: Option<&Org>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.call("due_for_verification", || async {
            let rows: Vec<AttemptRow> = sqlx::query_as(DUE)
                .bind(org.map(Org::as_str))
                .bind(stamp(now))
                .bind(i64::from(limit))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn attempts_for(
        &self,
        org: &Org,
        references: &[ExternalReference],
    ) -> Result<Vec<Attempt>, StoreError> {
        self.call("attempts_for", || async {
            let rows: Vec<AttemptRow> = sqlx::query_as(OF_ORDERS)
                .bind(org.as_str())
                .bind(texts(references.iter().map(ExternalReference::as_str)))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn attempts_since(
        &self,
        org: &Org,
        since: DateTime<Utc>,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.call("attempts_since", || async {
            let rows: Vec<AttemptRow> = sqlx::query_as(SINCE)
                .bind(org.as_str())
                .bind(stamp(since))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>, StoreError> {
        self.call("attempt", || async {
            let row: Option<AttemptRow> = sqlx::query_as("SELECT * FROM attempts WHERE id = $1")
                .bind(id.0)
                .fetch_optional(self.reading())
                .await?;
            row.map(Attempt::try_from).transpose()
        })
        .await
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        page: Page,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.call("attempts", || async {
            let asked = sqlx::query_as(way_in(filter).0);
            let rows: Vec<AttemptRow> = bind_filter!(asked, filter, page.before)
                .bind(i64::from(page.limit))
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn count_attempts(&self, filter: &AttemptFilter) -> Result<u64, StoreError> {
        self.call("count_attempts", || async {
            let asked = sqlx::query_scalar(way_in(filter).1);
            let count: i64 = bind_filter!(asked, filter, None)
                .fetch_one(self.reading())
                .await?;
            number("count", count)
        })
        .await
    }

    async fn attempt_steps(&self, id: AttemptId) -> Result<Vec<AttemptStep>, StoreError> {
        self.call("attempt_steps", || async {
            let rows: Vec<StepRow> = sqlx::query_as(STEPS)
                .bind(id.0)
                .fetch_all(self.reading())
                .await?;
            all(rows)
        })
        .await
    }

    async fn attempt_counts(&self) -> Result<Vec<AttemptCount>, StoreError> {
        self.call("attempt_counts", || async {
            let rows: Vec<CountRow> = sqlx::query_as(COUNTS).fetch_all(self.reading()).await?;
            all(rows)
        })
        .await
    }
}
