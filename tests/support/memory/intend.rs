//! The intent: every check and the ledger's row in one transaction. The order of the checks is part of the contract.

use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::{AttemptId, AttemptState};
use tesa_reconciler::store::attempts::{Attempt, IntentLimits, IntentRefused, NewAttempt};
use tesa_reconciler::store::orders::OrderFacts;
use tesa_reconciler::store::runs::RunLease;
use tesa_reconciler::store::{DAEMON, StoreError};

use super::State;
use super::attempts::Row;

impl State {
    /// `at` is the caller's instant, `now` the store's own: it alone tells an hour and a pause's end.
    pub(super) fn intend(
        &mut self,
        lease: &RunLease,
        new: &NewAttempt,
        limits: IntentLimits,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Result<AttemptId, IntentRefused>, StoreError> {
        self.hold("intend", lease)?;
        if self.is_paused(&new.job_name, now) {
            return Ok(Err(IntentRefused::Paused));
        }
        if self.is_latched(&new.job_name, &new.org) {
            return Ok(Err(IntentRefused::Held));
        }
        if self.is_hands_off(&new.org, &new.reference_id, &new.external_reference) {
            return Ok(Err(IntentRefused::Acknowledged));
        }
        let rows = || self.attempts.rows.values().map(|row| &row.attempt);
        // The answer to an earlier call may have been lost with its commit done: the same intent is not a second one.
        let same = rows().find(|row| row.correlation_id == new.correlation_id);
        if let Some(same) = same
            && same.run_id == lease.run_id
            && same.state == AttemptState::Intended
        {
            return Ok(Ok(same.id));
        }
        let is_in_the_way = |row: &&Attempt| {
            let is_about = row.external_reference == new.external_reference
                || row.reference_id == new.reference_id;
            row.org == new.org && is_about && row.state.is_open()
        };
        if let Some(open) = rows().find(is_in_the_way) {
            return Ok(Err(IntentRefused::OpenAttempt(open.id)));
        }
        let facts = OrderFacts {
            attempts: self.attempts_of(&new.org, &new.external_reference),
            marks: self.marks_of(&new.org, &new.external_reference),
        };
        if let Err(refused) = new.recheck.ask(&facts) {
            return Ok(Err(refused));
        }
        // What never left the house counts towards no cap.
        let counted = || {
            let rows = self.attempts.rows.values();
            rows.filter(|row| row.attempt.state != AttemptState::NotSent)
        };
        let of_run = counted().filter(|row| row.attempt.run_id == lease.run_id);
        if of_run.count() >= limits.per_run as usize {
            return Ok(Err(IntentRefused::RunCap));
        }
        let an_hour_ago = now - TimeDelta::hours(1);
        let of_hour =
            counted().filter(|row| row.attempt.org == new.org && row.counted_at > an_hour_ago);
        if of_hour.count() >= limits.per_hour as usize {
            return Ok(Err(IntentRefused::HourCap));
        }
        if same.is_some() {
            return Err(StoreError::Internal {
                operation: "intend",
                detail: "the correlation id is another attempt's".to_owned(),
            });
        }
        Ok(Ok(self.insert(lease, new, at, now)))
    }

    fn insert(
        &mut self,
        lease: &RunLease,
        new: &NewAttempt,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> AttemptId {
        self.attempts.last += 1;
        let id = AttemptId(self.attempts.last);
        let attempt = Attempt {
            id,
            org: new.org.clone(),
            reference_id: new.reference_id.clone(),
            external_reference: new.external_reference.clone(),
            operation: new.operation,
            state: AttemptState::Intended,
            job_name: new.job_name.clone(),
            rule: new.rule.clone(),
            run_id: lease.run_id,
            replica: new.replica.as_str().to_owned(),
            before: new.before.clone(),
            issue_sequence: new.issue_sequence,
            before_issue: new.before_issue,
            due_since: new.due_since,
            correlation_id: new.correlation_id,
            intended_at: at,
            changed_at: at,
            http_status: None,
            detail: String::new(),
            verifications: 0,
            verify_at: None,
            confirmed: None,
        };
        let mut row = Row {
            attempt,
            counted_at: now,
            steps: Vec::new(),
        };
        row.append(at, DAEMON, "");
        self.attempts.rows.insert(id, row);
        id
    }
}
