//! The ledger after the intent: steps, verification, recovery, and looking things up.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::ids::{ExternalReference, Org, ReplicaId};
use tesa_reconciler::domain::{AttemptId, AttemptState, Operation, RunOutcome};
use tesa_reconciler::store::attempts::{
    Attempt, AttemptCount, AttemptFilter, AttemptStep, Attempts, IntentLimits, IntentRefused,
    NewAttempt, Step,
};
use tesa_reconciler::store::controls::TAKER_LIVES;
use tesa_reconciler::store::runs::RunLease;
use tesa_reconciler::store::{Actor, DAEMON, Page, StoreError};
use uuid::Uuid;

use super::audit::{begins, page};
use super::{MemoryStore, State};

#[derive(Default)]
pub(super) struct Table {
    pub(super) last: i64,
    pub(super) rows: BTreeMap<AttemptId, Row>,
}

pub(super) struct Row {
    pub(super) attempt: Attempt,
    /// What the hour's cap counts: the intent, by the store's clock.
    pub(super) counted_at: DateTime<Utc>,
    pub(super) steps: Vec<AttemptStep>,
}

/// Who lets an attempt take a step, and out of which states.
struct By<'a> {
    operation: &'static str,
    /// The correlation id that only the write's sender knows; none asks for none.
    sender: Option<Uuid>,
    from: &'a [AttemptState],
    who: &'a str,
}

impl Row {
    pub(super) fn append(&mut self, at: DateTime<Utc>, who: &str, detail: &str) {
        self.steps.push(AttemptStep {
            state: self.attempt.state,
            at,
            who: who.to_owned(),
            detail: detail.to_owned(),
        });
    }
}

impl State {
    /// All attempts for an order, oldest first.
    pub(super) fn attempts_of(&self, org: &Org, order: &ExternalReference) -> Vec<Attempt> {
        let rows = self.attempts.rows.values().map(|row| &row.attempt);
        rows.filter(|row| row.org == *org && row.external_reference == *order)
            .cloned()
            .collect()
    }

    fn take_step(
        &mut self,
        id: AttemptId,
        step: &Step,
        by: &By<'_>,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = self.attempt_row(by.operation, id)?;
        let attempt = &mut row.attempt;
        let is_senders = by
            .sender
            .is_none_or(|sender| sender == attempt.correlation_id);
        if !by.from.contains(&attempt.state) || !is_senders {
            return Err(StoreError::IllegalStep {
                attempt: id,
                from: attempt.state,
                to: step.to,
            });
        }
        attempt.state = step.to;
        attempt.changed_at = at;
        attempt.detail.clone_from(&step.detail);
        attempt.http_status = step.http_status.or(attempt.http_status);
        attempt.verify_at = step.verify_at.filter(|_| step.to.awaits_verification());
        attempt.confirmed.clone_from(&step.confirmed);
        row.append(at, by.who, &step.detail);
        Ok(())
    }

    fn attempt_row(
        &mut self,
        operation: &'static str,
        id: AttemptId,
    ) -> Result<&mut Row, StoreError> {
        let what = format!("attempt {id}");
        let row = self.attempts.rows.get_mut(&id);
        row.ok_or(StoreError::NotFound { operation, what })
    }

    /// Of a process that is gone; or of a run that its own process ended, and with it whoever would have sent there. A run
    /// that was lost while its process lives proves nothing.
    fn nobody_will_send(&self, attempt: &Attempt, alive: &[ReplicaId], now: DateTime<Utc>) -> bool {
        let replica = ReplicaId::new(&attempt.replica);
        if !alive.contains(&replica) && !self.is_alive(&replica, TAKER_LIVES, now) {
            return true;
        }
        let run = self.runs.rows.get(&attempt.run_id).map(|run| &run.row);
        run.is_some_and(|run| {
            let ended = run.outcome.unwrap_or(RunOutcome::Lost) != RunOutcome::Lost;
            run.replica == attempt.replica && ended
        })
    }
}

fn is_wanted(filter: &AttemptFilter, row: &Attempt) -> bool {
    let (id, order) = (row.reference_id.as_str(), row.external_reference.as_str());
    let search = filter.search.as_ref();
    filter.org.as_ref().is_none_or(|org| *org == row.org)
        && (filter.reference.as_ref()).is_none_or(|text| id == text || order == text)
        && search.is_none_or(|text| begins(text, id, Some(order)))
        && filter.state.is_none_or(|state| state == row.state)
        && filter.operation.is_none_or(|of| of == row.operation)
        && filter.run_id.is_none_or(|run| run == row.run_id)
        && filter.since.is_none_or(|since| row.intended_at >= since)
        && filter.until.is_none_or(|until| row.intended_at < until)
}

#[async_trait]
impl Attempts for MemoryStore {
    async fn intend(
        &self,
        lease: &RunLease,
        attempt: &NewAttempt,
        limits: IntentLimits,
        at: DateTime<Utc>,
    ) -> Result<Result<AttemptId, IntentRefused>, StoreError> {
        self.write("intend", |state, now| {
            state.intend(lease, attempt, limits, at, now)
        })
        .await
    }

    async fn advance(
        &self,
        id: AttemptId,
        step: &Step,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("advance", |state, _| {
            let by = By {
                operation: "advance",
                sender: None,
                from: step.to.predecessors(),
                who: &actor.who,
            };
            state.take_step(id, step, &by, at)?;
            if actor.is_person() {
                state.note("settle", &id.to_string(), actor, at);
            }
            Ok(())
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
        self.write("answer", |state, _| {
            let by = By {
                operation: "answer",
                sender: Some(correlation_id),
                from: step.to.answered_from(),
                who: DAEMON,
            };
            state.take_step(id, step, &by, at)
        })
        .await
    }

    async fn postpone_verification(
        &self,
        id: AttemptId,
        detail: &str,
        verify_at: DateTime<Utc>,
        counts: bool,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let operation = "postpone_verification";
        self.write(operation, |state, _| {
            let row = state.attempt_row(operation, id)?;
            let attempt = &mut row.attempt;
            if !attempt.state.awaits_verification() {
                return Err(StoreError::IllegalStep {
                    attempt: id,
                    from: attempt.state,
                    to: AttemptState::Unknown,
                });
            }
            // Two looks at one moment are one.
            if attempt.verify_at.is_some_and(|due| due > at) {
                return Ok(());
            }
            attempt.verifications += u32::from(counts);
            detail.clone_into(&mut attempt.detail);
            attempt.verify_at = Some(verify_at);
            row.append(at, DAEMON, detail);
            Ok(())
        })
        .await
    }

    async fn recover_intended(
        &self,
        alive: &[ReplicaId],
        first_look: Duration,
        at: DateTime<Utc>,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.write("recover_intended", |state, now| {
            let rows = state.attempts.rows.values().map(|row| &row.attempt);
            let intended = rows.filter(|row| row.state == AttemptState::Intended);
            let left = intended.filter(|row| state.nobody_will_send(row, alive, now));
            let left: Vec<AttemptId> = left.map(|row| row.id).collect();
            let first_look = TimeDelta::from_std(first_look).unwrap_or(TimeDelta::days(365));
            let detail = "whoever meant to send it is gone: it may have been sent";
            let mut recovered = Vec::with_capacity(left.len());
            for id in left {
                let row = state.attempt_row("recover_intended", id)?;
                row.attempt.state = AttemptState::Unknown;
                row.attempt.changed_at = at;
                row.attempt.verify_at = Some(row.attempt.intended_at + first_look);
                detail.clone_into(&mut row.attempt.detail);
                row.append(at, DAEMON, detail);
                recovered.push(row.attempt.clone());
            }
            Ok(recovered)
        })
        .await
    }

    async fn due_for_verification(
        &self,
        org: Option<&Org>,
        at: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.read("due_for_verification", |state, _| {
            let rows = state.attempts.rows.values().map(|row| &row.attempt);
            let is_due = |row: &&Attempt| {
                row.state.awaits_verification()
                    && row.verify_at.is_some_and(|due| due <= at)
                    && org.is_none_or(|org| *org == row.org)
            };
            let mut due: Vec<Attempt> = rows.filter(is_due).cloned().collect();
            due.sort_by_key(|row| (row.verify_at, row.id));
            due.truncate(limit as usize);
            Ok(due)
        })
        .await
    }

    async fn attempts_for(
        &self,
        org: &Org,
        references: &[ExternalReference],
    ) -> Result<Vec<Attempt>, StoreError> {
        self.read("attempts_for", |state, _| {
            let rows = state.attempts.rows.values().map(|row| &row.attempt);
            let asked =
                rows.filter(|row| row.org == *org && references.contains(&row.external_reference));
            let mut found: Vec<Attempt> = asked.cloned().collect();
            found.sort_by(|a, b| (&a.external_reference, a.id).cmp(&(&b.external_reference, b.id)));
            Ok(found)
        })
        .await
    }

    async fn attempts_since(
        &self,
        org: &Org,
        since: DateTime<Utc>,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.read("attempts_since", |state, _| {
            let rows = state.attempts.rows.values().map(|row| &row.attempt);
            let wanted = rows
                .filter(|row| row.org == *org && (row.state.is_open() || row.changed_at >= since));
            Ok(wanted.cloned().collect())
        })
        .await
    }

    async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>, StoreError> {
        self.read("attempt", |state, _| {
            Ok(state.attempts.rows.get(&id).map(|row| row.attempt.clone()))
        })
        .await
    }

    async fn attempts(&self, filter: &AttemptFilter, of: Page) -> Result<Vec<Attempt>, StoreError> {
        self.read("attempts", |state, _| {
            let rows = state.attempts.rows.iter();
            let rows = rows.map(|(id, row)| (id.0, &row.attempt));
            Ok(page(rows, of, |row| is_wanted(filter, row)))
        })
        .await
    }

    async fn count_attempts(&self, filter: &AttemptFilter) -> Result<u64, StoreError> {
        self.read("count_attempts", |state, _| {
            let rows = state.attempts.rows.values().map(|row| &row.attempt);
            Ok(rows.filter(|row| is_wanted(filter, row)).count() as u64)
        })
        .await
    }

    async fn attempt_steps(&self, id: AttemptId) -> Result<Vec<AttemptStep>, StoreError> {
        self.read("attempt_steps", |state, _| {
            let row = state.attempts.rows.get(&id);
            Ok(row.map_or_else(Vec::new, |row| row.steps.clone()))
        })
        .await
    }

    async fn attempt_counts(&self) -> Result<Vec<AttemptCount>, StoreError> {
        self.read("attempt_counts", |state, _| {
            let mut counts: BTreeMap<(Operation, AttemptState), AttemptCount> = BTreeMap::new();
            let rows = state.attempts.rows.values().map(|row| &row.attempt);
            for row in rows.filter(|row| row.state.is_open()) {
                let (operation, state, oldest) = (row.operation, row.state, row.changed_at);
                let count = counts.entry((operation, state)).or_insert(AttemptCount {
                    operation,
                    state,
                    count: 0,
                    oldest,
                });
                count.count += 1;
                count.oldest = count.oldest.min(oldest);
            }
            Ok(counts.into_values().collect())
        })
        .await
    }
}
